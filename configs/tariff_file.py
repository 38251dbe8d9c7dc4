"""Reads a tariff file and makes sure that every minute of every day has exactly one price."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field

from configs.problems import nearest
from configs.yaml_lines import Checked, KeyPath, YamlFile, read_model
from station.tariff import DemandCharge, Period, Season, Tariff

TARIFFS = Path(__file__).with_name("tariffs")
"""Where heliodock keeps the tariffs that a site names by id."""

DAY_MINUTES = 24 * 60
LEAP_YEAR = 2000

_PERIOD = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY = re.compile(r"(\d\d)-(\d\d)")


class DemandModel(Checked):
    """The demand charge: a price per kW and month on the highest mean over ``window_s``."""

    price_per_kw: float = Field(ge=0)
    window_s: int = Field(ge=60, le=3600)


class SeasonModel(Checked):
    """Days of the year (``MM-DD``) and their prices by the clock."""

    name: str = Field(min_length=1)
    first: str
    last: str
    weekday: dict[str, float]
    weekend: dict[str, float]


class TariffModel(Checked):
    """A tariff file."""

    id: str = Field(min_length=1)
    currency: str = Field(pattern="^[A-Z]{3}$")
    timezone: str
    source: str = Field(min_length=1)
    export_price_per_kwh: float
    demand: DemandModel
    seasons: tuple[SeasonModel, ...] = Field(min_length=1)


def load_tariff(file: Path) -> Tariff:
    """Return the tariff in ``file``; raise ``ConfigError`` where an hour has no price or two."""
    model, source = read_model(file, TariffModel)
    check_timezone(source, ("timezone",), model.timezone)
    if 3600 % model.demand.window_s:
        raise source.error(("demand", "window_s"), "must divide an hour (900 is 15 minutes)")
    seasons = tuple(_season(source, index, season) for index, season in enumerate(model.seasons))
    _check_days(source, seasons)
    return Tariff(
        tariff_id=model.id,
        currency=model.currency,
        timezone=model.timezone,
        seasons=seasons,
        export_price_per_kwh=model.export_price_per_kwh,
        demand=DemandCharge(model.demand.price_per_kw, float(model.demand.window_s)),
        source=model.source,
    )


def check_timezone(source: YamlFile, path: KeyPath, name: str) -> None:
    """Raise ``ConfigError`` where ``name`` is no IANA time zone."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        hint = nearest(name, sorted(available_timezones()))
        hint = hint if hint.startswith("did") else "an IANA name such as Europe/Berlin is expected"
        raise source.error(path, f"unknown timezone '{name}'; {hint}") from None


def _season(source: YamlFile, index: int, model: SeasonModel) -> Season:
    path: KeyPath = ("seasons", index)
    return Season(
        name=model.name,
        first=_day(source, (*path, "first"), model.first),
        last=_day(source, (*path, "last"), model.last),
        weekday=_periods(source, (*path, "weekday"), model.name, model.weekday),
        weekend=_periods(source, (*path, "weekend"), model.name, model.weekend),
    )


def _day(source: YamlFile, path: KeyPath, text: str) -> tuple[int, int]:
    """Return (month, day) of a day that some year has."""
    match = _DAY.fullmatch(text)
    try:
        month, day = (int(part) for part in match.groups()) if match else (0, 0)
        date(LEAP_YEAR, month, day)
    except ValueError:
        raise source.error(path, f"a day is expected as MM-DD, not '{text}'") from None
    return month, day


def _periods(source: YamlFile, path: KeyPath, season: str, prices: Mapping[str, float]) -> tuple[Period, ...]:
    """Return a day's periods in the order of the clock."""
    spans = sorted((*_span(source, (*path, text), text), text) for text in prices)
    reached = 0
    for start, end, text in spans:
        if start != reached:
            at = _clock(min(start, reached))
            fault = "no price" if start > reached else "two prices"
            raise source.error((*path, text), f"season {season}, {path[-1]}: {at} has {fault}")
        reached = end
    if reached != DAY_MINUTES:
        raise source.error(path, f"season {season}, {path[-1]}: {_clock(reached)} has no price")
    return tuple(Period(_time(start), _time(end), prices[text]) for start, end, text in spans)


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


def _check_days(source: YamlFile, seasons: tuple[Season, ...]) -> None:
    """Raise ``ConfigError`` where one of the 366 days belongs to no season, or to two."""
    for day in _days():
        names = [season.name for season in seasons if season.covers(day)]
        if len(names) != 1:
            fault = f"seasons {' and '.join(names)} both hold" if names else "no season holds"
            raise source.error(("seasons",), f"{fault} {day:%m-%d} (from its hour 00:00 on)")


def _days() -> Iterator[date]:
    first = date(LEAP_YEAR, 1, 1)
    return (first + timedelta(days=offset) for offset in range(366))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _time(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)
