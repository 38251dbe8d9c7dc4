"""The prices by the clock in a tariff file: every minute of every day has exactly one."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal

from configs.problems import nearest
from configs.tariff_model import PriceOrName, SeasonModel
from configs.yaml_lines import KeyPath, YamlFile
from station.periods import MonthDay, Period, Season

DAY_MINUTES = 24 * 60
LEAP_YEAR = 2000

_PERIOD = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = re.compile(r"(\d\d)-(\d\d)")


@dataclass(frozen=True, slots=True)
class PriceList:
    """The named prices of a file, and what all prices are multiples of."""

    source: YamlFile
    named: Mapping[str, float]
    base_price_per_kwh: float | None = None

    def within(self, prices: Mapping[str, float]) -> "PriceList":
        """Return the list with a season's own prices before those of the file."""
        return PriceList(self.source, {**self.named, **prices}, self.base_price_per_kwh)

    def price_of(self, path: KeyPath, given: PriceOrName) -> tuple[float, str]:
        """Return a price per kWh, exactly as its decimals multiply, and its name."""
        if isinstance(given, str):
            if given not in self.named:
                raise self.source.error(
                    path, f"unknown price '{given}'; {nearest(given, sorted(self.named))}"
                )
            return self._scaled(self.named[given]), given
        return self._scaled(given), ""

    def _scaled(self, price: float) -> float:
        if self.base_price_per_kwh is None:
            return price
        return float(Decimal(repr(price)) * Decimal(repr(self.base_price_per_kwh)))


def season_of(prices: PriceList, index: int, model: SeasonModel) -> Season:
    """Return a season; raise ``ConfigError`` where an hour has no price or two."""
    path: KeyPath = ("seasons", index)
    own = prices.within(model.prices)
    return Season(
        name=model.name,
        first=month_day(prices.source, (*path, "first"), model.first),
        last=month_day(prices.source, (*path, "last"), model.last),
        weekday=_whole_day(own, (*path, "weekday"), model.name, model.weekday),
        weekend=_whole_day(own, (*path, "weekend"), model.name, model.weekend),
    )


def month_day(source: YamlFile, path: KeyPath, text: str) -> MonthDay:
    """Return (month, day) of a day that some year has."""
    match = _DAY.fullmatch(text)
    try:
        month, day = (int(part) for part in match.groups()) if match else (0, 0)
        date(LEAP_YEAR, month, day)
    except ValueError:
        raise source.error(path, f"a day is expected as MM-DD, not '{text}'") from None
    return month, day


def some_hours(prices: PriceList, path: KeyPath, given: Mapping[str, PriceOrName]) -> tuple[Period, ...]:
    """Return periods that need not fill the day and may not overlap, in the order of the clock."""
    periods, reached = [], 0
    for start, end, text in _spans(prices.source, path, given):
        if start < reached:
            raise prices.source.error((*path, text), f"{_clock(start)} has two prices")
        reached = end
        periods.append(_period(prices, (*path, text), start, end, given[text]))
    return tuple(periods)


def check_days(source: YamlFile, seasons: tuple[Season, ...]) -> None:
    """Raise ``ConfigError`` where one of the 366 days belongs to no season, or to two."""
    for day in _days():
        names = [season.name for season in seasons if season.covers(day)]
        if len(names) != 1:
            fault = f"seasons {' and '.join(names)} both hold" if names else "no season holds"
            raise source.error(("seasons",), f"{fault} {day:%m-%d} (from its hour 00:00 on)")


def _whole_day(
    prices: PriceList, path: KeyPath, season: str, given: Mapping[str, PriceOrName]
) -> tuple[Period, ...]:
    """Return a day's periods in the order of the clock."""
    spans = _spans(prices.source, path, given)
    reached = 0
    for start, end, text in spans:
        if start != reached:
            at = _clock(min(start, reached))
            fault = "no price" if start > reached else "two prices"
            raise prices.source.error((*path, text), f"season {season}, {path[-1]}: {at} has {fault}")
        reached = end
    if reached != DAY_MINUTES:
        raise prices.source.error(path, f"season {season}, {path[-1]}: {_clock(reached)} has no price")
    return tuple(_period(prices, (*path, text), start, end, given[text]) for start, end, text in spans)


def _period(prices: PriceList, path: KeyPath, start: int, end: int, given: PriceOrName) -> Period:
    price_per_kwh, name = prices.price_of(path, given)
    return Period(_time(start), _time(end), price_per_kwh, name)


def _spans(source: YamlFile, path: KeyPath, given: Mapping[str, PriceOrName]) -> list[tuple[int, int, str]]:
    return sorted((*_span(source, (*path, text), text), text) for text in given)


def _span(source: YamlFile, path: KeyPath, text: str) -> tuple[int, int]:
    """Return the first minute of a period and the first after it."""
    match = _PERIOD.fullmatch(text)
    hours = [int(part) for part in match.groups()] if match else [0, 0, 0, 0]
    start, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if hours[1] > 59 or hours[3] > 59 or not 0 <= start < end <= DAY_MINUTES:
        raise source.error(
            path, f"a period is expected as HH:MM-HH:MM within one day (the end may be 24:00), not '{text}'"
        )
    return start, end


def _days() -> Iterator[date]:
    first = date(LEAP_YEAR, 1, 1)
    return (first + timedelta(days=offset) for offset in range(366))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _time(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)
