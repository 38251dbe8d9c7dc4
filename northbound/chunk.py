"""How values, times and minutes are packed. Pure.

Values are 32-bit floats (NaN: not measured), a column of one signal per chunk, which zlib packs well because a signal
repeats itself. Times are kept as differences in microseconds, once for all signals of a block.
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


def pack_times(times_us: Whole) -> bytes:
    """Return times, each as its distance from the one before."""
    return zlib.compress(np.diff(times_us, prepend=np.int64(0)).astype("<i8").tobytes(), LEVEL)


def unpack_times(body: bytes) -> Whole:
    """Return the times of a block in microseconds since 1970 UTC."""
    return np.cumsum(np.frombuffer(zlib.decompress(body), dtype="<i8"))


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
