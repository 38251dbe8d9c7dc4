"""Prices by the clock: the periods of a day, the seasons of a year, and days whose prices are announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time

MonthDay = tuple[int, int]
"""A month and a day of it."""


@dataclass(frozen=True, slots=True)
class Period:
    """A price from ``starts_at`` to ``ends_at`` local time (``ends_at`` of midnight means the end of the day).

    ``name`` (peak, valley, …) is what a bill and a demand charge call it; empty where the tariff has no names.
    """

    starts_at: time
    ends_at: time
    price_per_kwh: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Season:
    """The days from ``first`` to ``last`` (month, day; both included; may wrap the year) and their periods."""

    name: str
    first: MonthDay
    last: MonthDay
    weekday: tuple[Period, ...]
    weekend: tuple[Period, ...]

    def covers(self, day: date) -> bool:
        """Return whether ``day`` belongs to this season."""
        return is_within(day, self.first, self.last)


@dataclass(frozen=True, slots=True)
class EventDays:
    """Days on which some hours have prices of their own, such as a critical peak.

    ``announced`` are single days; every day of a ``span`` (first, last) is one too. ``periods`` go before the
    season's; hours that they leave out keep the season's price.
    """

    periods: tuple[Period, ...]
    announced: frozenset[date] = frozenset()
    spans: tuple[tuple[MonthDay, MonthDay], ...] = ()

    def hold(self, day: date) -> bool:
        """Return whether ``day`` is such a day."""
        return day in self.announced or any(is_within(day, first, last) for first, last in self.spans)


def is_within(day: date, first: MonthDay, last: MonthDay) -> bool:
    """Return whether a day lies from ``first`` to ``last``, which may wrap the year."""
    key = (day.month, day.day)
    if first <= last:
        return first <= key <= last
    return key >= first or key <= last


def period_at(periods: Sequence[Period], clock: time) -> Period | None:
    """Return the period that holds a local time of day."""
    for period in periods:
        if period.starts_at <= clock and (clock < period.ends_at or period.ends_at == time(0)):
            return period
    return None
