"""One-minute rollups: made of the columns of a block, and kept as one row per signal and hour. Pure.

The wall clock may jump back, and a block may end within a minute; so a minute that is there already is joined with what
comes later, and nothing counts twice.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from northbound.chunk import LEVEL, MINUTE_US, Floats, Minutes, Singles, Whole

HOUR_US = 60 * MINUTE_US

NONE = Minutes(
    np.empty(0, np.int64),
    np.empty(0, np.int64),
    np.empty(0, np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.float64),
    np.empty(0, np.float32),
)


class Minuted:
    """The minutes of all signals of a block (``values``: a row per cycle, a column per signal)."""

    def __init__(self, times_us: Whole, values: Singles) -> None:
        self._starts_us, group = np.unique(times_us - times_us % MINUTE_US, return_inverse=True)
        parts = [_summary(values[group == index]) for index in range(len(self._starts_us))]
        self._columns = [np.stack(column) for column in zip(*parts, strict=True)]

    def of(self, place: int) -> Minutes:
        """Return the minutes of the signal in column ``place``."""
        return Minutes(self._starts_us, *(column[:, place] for column in self._columns))


def minutes_of(times_us: Whole, values: Floats) -> Minutes:
    """Return the minutes of one signal."""
    if not len(times_us):
        return NONE
    return Minuted(times_us, values.astype(np.float32).reshape(-1, 1)).of(0)


def joined(parts: Sequence[Minutes]) -> Minutes:
    """Return the minutes of all parts, sorted; where several have the same minute, as one, the last part's the last."""
    filled = [part for part in parts if len(part.starts_us)]
    if len(filled) < 2:
        return filled[0] if filled else NONE
    columns = zip(*(part.columns() for part in filled), strict=True)
    every = Minutes(*(np.concatenate(column) for column in columns))
    if (np.diff(every.starts_us) > 0).all():
        return every
    order = np.argsort(every.starts_us, kind="stable")
    return _merged(Minutes(*(column[order] for column in every.columns())))


def pack_hour(minutes: Minutes) -> bytes:
    """Return minutes of one hour as one row's body."""
    places = (minutes.starts_us % HOUR_US) // MINUTE_US
    columns = (places, minutes.counts, minutes.least, minutes.most, minutes.mean, minutes.last)
    return zlib.compress(np.stack(columns).astype("<f4").tobytes(), LEVEL)


def unpack_hours(rows: Sequence[tuple[int, bytes]]) -> Minutes:
    """Return the minutes of rows (number of the hour since 1970 UTC, body), which must rise."""
    if not rows:
        return NONE
    hours = [np.frombuffer(zlib.decompress(body), dtype="<f4").reshape(6, -1) for _, body in rows]
    starts_us = np.repeat([hour * HOUR_US for hour, _ in rows], [part.shape[1] for part in hours])
    every = np.concatenate(hours, axis=1)
    places, counts = every[:2].astype(np.int64)
    starts_us = starts_us + places * MINUTE_US
    return Minutes(starts_us, counts, every[2], every[3], every[4].astype(np.float64), every[5])


def _summary(values: Singles) -> tuple[Whole, Singles, Singles, Floats, Singles]:
    """Return (counts, least, most, mean, last) of each column over the rows that measured it."""
    measured = np.isfinite(values)
    counts = measured.sum(axis=0)
    has_any = counts > 0
    sums = np.where(measured, values, 0.0).sum(axis=0, dtype=np.float64)
    mean = np.where(has_any, sums / np.maximum(counts, 1), np.nan)
    least = np.where(has_any, np.where(measured, values, np.inf).min(axis=0), np.nan)
    most = np.where(has_any, np.where(measured, values, -np.inf).max(axis=0), np.nan)
    latest = len(values) - 1 - measured[::-1].argmax(axis=0)
    last = np.where(has_any, values[latest, np.arange(values.shape[1])], np.nan)
    return counts, least.astype(np.float32), most.astype(np.float32), mean, last.astype(np.float32)


def _merged(minutes: Minutes) -> Minutes:
    """Join neighbours of the same minute; ``minutes`` are sorted."""
    starts_us, first = np.unique(minutes.starts_us, return_index=True)
    counts = np.add.reduceat(minutes.counts, first)
    sums = np.add.reduceat(np.where(minutes.counts > 0, minutes.mean * minutes.counts, 0.0), first)
    return Minutes(
        starts_us,
        counts,
        np.fmin.reduceat(minutes.least, first),
        np.fmax.reduceat(minutes.most, first),
        np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
        _last_measured(minutes.last, first),
    )


def _last_measured(values: Singles, first: Whole) -> Singles:
    """Return the last value of each group that is not NaN, else NaN."""
    ends = np.append(first[1:], len(values))
    groups = (values[begin:end][::-1] for begin, end in zip(first, ends, strict=True))
    picked = [next((value for value in group if np.isfinite(value)), np.nan) for group in groups]
    return np.asarray(picked, dtype=np.float32)
