"""Chosen signals over a span as tables with a column of times: cycle by cycle, or by minutes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from northbound.chunk import Singles, Whole
from northbound.reader import StoreReader

PIECE = timedelta(hours=1)
"""What is held in memory at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the table: times in microseconds since 1970 UTC, and a column for each name; NaN: not measured."""

    times_us: Whole
    columns: dict[str, Singles]


def cycles(
    reader: StoreReader, signals: Sequence[str], from_at: datetime, until_at: datetime
) -> Iterator[Piece]:
    """Yield every cycle of a span, an hour at a time; hours without one are left out."""
    for begin_at, end_at in _pieces(from_at, until_at):
        found = {signal: reader.column(signal, begin_at, end_at) for signal in signals}
        times_us = _all_times([times for times, _ in found.values()])
        if len(times_us):
            spread = {name: _spread(times_us, *column) for name, column in found.items()}
            yield Piece(times_us, spread)


def minutes(
    reader: StoreReader, signals: Sequence[str], from_at: datetime, until_at: datetime
) -> Iterator[Piece]:
    """Yield the minutes of a span: the mean under the signal's name, and ``.min`` and ``.max`` of each."""
    for begin_at, end_at in _pieces(from_at, until_at):
        found = {signal: reader.minutes(signal, begin_at, end_at) for signal in signals}
        times_us = _all_times([part.starts_us for part in found.values()])
        columns: dict[str, Singles] = {}
        for name, part in found.items():
            for end, values in (("", part.mean), (".min", part.least), (".max", part.most)):
                columns[name + end] = _spread(times_us, part.starts_us, values)
        if len(times_us):
            yield Piece(times_us, columns)


def _pieces(from_at: datetime, until_at: datetime) -> Iterator[tuple[datetime, datetime]]:
    while from_at < until_at:
        yield from_at, min(from_at + PIECE, until_at)
        from_at += PIECE


def _all_times(times: Sequence[Whole]) -> Whole:
    """Return the times of all signals, which are mostly the same."""
    first = times[0] if times else np.empty(0, np.int64)
    if all(np.array_equal(first, other) for other in times[1:]):
        return first
    return np.unique(np.concatenate(times))


def _spread(times_us: Whole, its_us: Whole, values: "np.typing.NDArray[np.floating]") -> Singles:
    """Return a signal's values at all times; NaN where it has none."""
    if np.array_equal(times_us, its_us):
        return values.astype(np.float32)
    spread = np.full(len(times_us), np.nan, dtype=np.float32)
    spread[np.searchsorted(times_us, its_us)] = values
    return spread
