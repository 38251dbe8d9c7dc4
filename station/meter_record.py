"""The recorded means of the grid meter as a bill needs them: whole watts, gaps that stay gaps, demand windows.

Each recorded mean is rounded to a whole watt; from there on everything is exact until money is rounded to the cent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import isfinite

from station.clock import slot_start

LEAST_MEASURED = 0.5
"""A window of which less was measured counts as missing; else what was measured stands for all of it."""


@dataclass(frozen=True, slots=True)
class Window:
    """A demand window and its mean in whole or broken watts; None where it is missing."""

    starts_at: datetime
    mean_w: Fraction | None


@dataclass(frozen=True, slots=True)
class MeterRecord:
    """Consecutive means of ``grid_kw`` (import positive) per ``step_s`` from ``starts_at`` (UTC); NaN: not measured.

    ``step_s`` divides the demand window; a sliding one needs steps of a minute.
    """

    starts_at: datetime
    step_s: float
    mean_kw: tuple[float, ...]

    def windows(self, window_s: float, from_at: datetime, until_at: datetime) -> list[Window]:
        """Return the windows aligned to the clock that begin from ``from_at`` up to ``until_at``."""
        step = round(window_s / self.step_s)
        first_at = slot_start(from_at, window_s)
        first_at = first_at if first_at >= from_at else first_at + timedelta(seconds=window_s)
        count = max(0, -int((first_at - until_at).total_seconds() // window_s))
        offset = round((first_at - self.starts_at).total_seconds() / self.step_s)
        watts = self._watts(offset, offset + count * step)
        return [
            Window(
                first_at + timedelta(seconds=window_s * index),
                _mean(watts[index * step : (index + 1) * step]),
            )
            for index in range(count)
        ]

    def sliding(self, window_s: float, from_at: datetime, until_at: datetime) -> Iterator[Window]:
        """Yield the windows that begin at each step from ``from_at`` up to ``until_at``."""
        size = round(window_s / self.step_s)
        offset = -int((self.starts_at - from_at).total_seconds() // self.step_s)
        count = max(0, -int((from_at - until_at).total_seconds() // self.step_s))
        watts = self._watts(offset, offset + count + size - 1)
        first_at = self.starts_at + timedelta(seconds=self.step_s * offset)
        total, measured = 0, 0
        for index, added_w in enumerate(watts):
            gone_w = watts[index - size] if index >= size else None
            total += (added_w or 0) - (gone_w or 0)
            measured += (added_w is not None) - (gone_w is not None)
            if index >= size - 1:
                starts_at = first_at + timedelta(seconds=self.step_s * (index - size + 1))
                yield Window(starts_at, _share(total, measured, size))

    def _watts(self, first: int, end: int) -> list[int | None]:
        """Return the means of steps ``first`` to ``end`` in whole watts, None where there is none."""
        return [
            round(self.mean_kw[index] * 1000.0)
            if 0 <= index < len(self.mean_kw) and isfinite(self.mean_kw[index])
            else None
            for index in range(first, end)
        ]


def _mean(watts: list[int | None]) -> Fraction | None:
    measured = [power_w for power_w in watts if power_w is not None]
    return _share(sum(measured), len(measured), len(watts))


def _share(total: int, measured: int, size: int) -> Fraction | None:
    """Return the mean of what was measured, or None where that is too little."""
    return Fraction(total, measured) if measured and measured >= LEAST_MEASURED * size else None
