"""How values, times and minutes are packed. Pure.

Values are 32-bit floats (NaN: not measured), a column of one signal per chunk, which zlib packs well because a signal
repeats itself. Times are kept in microseconds, once for all signals of a block.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

LEVEL = 6
"""Of zlib, for what is kept for long."""

MINUTE_US = 60_000_000


def pack_row(values: Sequence[float]) -> bytes:
    """Return one cycle's values as they stand in the journal; what does not fit 32 bits becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float64).astype("<f4").tobytes()


def pack_column(values: Singles) -> bytes:
    """Return one signal's values of a block."""
    return zlib.compress(np.ascontiguousarray(values, dtype="<f4").tobytes(), LEVEL)


def unpack_column(body: bytes) -> bytes:
    """Return the plain 32-bit floats of a chunk."""
    return zlib.decompress(body)


def pack_offsets(times_us: Whole, base_us: int) -> bytes:
    """Return the times of a block as what they are after ``base_us``; not compressed, because they are noise."""
    return (times_us - base_us).astype("<i4").tobytes()


def unpack_offsets(blocks: Sequence[tuple[int, bytes]]) -> Whole:
    """Return the times of blocks (base, offsets) in microseconds since 1970 UTC."""
    bases_us: Whole = np.asarray([base_us for base_us, _ in blocks], dtype=np.int64)
    counts = [len(body) // 4 for _, body in blocks]
    times_us: Whole = np.repeat(bases_us, counts)
    times_us += np.frombuffer(b"".join(body for _, body in blocks), dtype="<i4")
    return times_us


@dataclass(frozen=True, slots=True)
class Minutes:
    """One signal by minutes: when each began, how many cycles measured it, and what. NaN where none did."""

    starts_us: Whole
    counts: Whole
    least: Singles
    most: Singles
    mean: Floats
    last: Singles

    def between(self, from_us: int, until_us: int) -> "Minutes":
        """Return the minutes that began from ``from_us`` up to ``until_us``."""
        first, end = np.searchsorted(self.starts_us, [from_us, until_us])
        return Minutes(*(column[first:end] for column in self.columns()))

    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the fields in their order."""
        return self.starts_us, self.counts, self.least, self.most, self.mean, self.last
