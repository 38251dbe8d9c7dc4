"""The days and the price series of a tariff file: holidays, announced days, published prices in CSV files."""

from datetime import date, datetime
from pathlib import Path

import holidays

from configs.csv_rows import Row, read_rows
from configs.tariff_clock import PriceList, month_day, some_hours
from configs.tariff_model import EventsModel, HolidaysModel, SeriesModel
from configs.yaml_lines import YamlFile
from station.errors import ConfigError
from station.periods import EventDays
from station.price_series import Fallback, PriceSeries

HOLIDAY_YEARS = range(2010, 2051)
"""The years for which a country's public holidays are looked up."""
MOST_STEPS = 400_000
"""Ten years of quarter hours and some; more is a wrong time in the file."""


def holidays_of(source: YamlFile, model: HolidaysModel | None) -> frozenset[date]:
    """Return the days with weekend prices; raise ``ConfigError`` for a country that the library does not know."""
    if model is None:
        return frozenset()
    if model.country is None:
        if model.subdivision is not None:
            raise source.error(("holidays", "subdivision"), "needs a country")
        return frozenset(model.dates)
    return frozenset(model.dates) | _public_holidays(source, model.country, model.subdivision)


def _public_holidays(source: YamlFile, country: str, subdivision: str | None) -> frozenset[date]:
    known = holidays.list_supported_countries()
    if country not in known:
        raise source.error(("holidays", "country"), f"unknown country '{country}'; ISO 3166 codes such as DE")
    if subdivision is not None and subdivision not in known[country]:
        problem = f"'{subdivision}' is no part of {country}; known: {', '.join(known[country]) or 'none'}"
        raise source.error(("holidays", "subdivision"), problem)
    return frozenset(holidays.country_holidays(country, subdivision, years=HOLIDAY_YEARS))


def events_of(prices: PriceList, model: EventsModel | None) -> EventDays | None:
    """Return the days with prices of their own."""
    if model is None:
        return None
    source = prices.source
    spans = []
    for index, span in enumerate(model.every_day):
        first = month_day(source, ("events", "every_day", index, "first"), span.first)
        spans.append((first, month_day(source, ("events", "every_day", index, "last"), span.last)))
    announced = frozenset(model.dates)
    if model.file is not None:
        announced |= read_dates(source.file.parent / model.file)
    return EventDays(some_hours(prices, ("events", "periods"), model.periods), announced, tuple(spans))


def read_dates(file: Path) -> frozenset[date]:
    """Return the days in a CSV file with the one column ``date``."""
    return frozenset(_date(row) for row in read_rows(file, ("date",), ()))


def _date(row: Row) -> date:
    text = row.text("date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise row.error("date", f"a date is expected (2026-07-24), not '{text[:40]}'") from None


def series_of(source: YamlFile, model: SeriesModel | None) -> tuple[PriceSeries | None, PriceSeries | None]:
    """Return the import and export prices that a tariff's CSV file holds."""
    if model is None:
        return None, None
    file = source.file.parent / model.file
    rows = list(read_rows(file, ("time", "price_per_kwh"), ("export_price_per_kwh",)))
    if not rows:
        raise ConfigError(str(file), 1, "time", "at least one step is needed")
    places = _places(rows, model.step_s)
    fallback = Fallback(model.fallback)

    def column(name: str) -> PriceSeries:
        prices = [float("nan")] * (places[-1] + 1)
        for place, row in zip(places, rows, strict=True):
            found = row.number_or_none(name, least=-float("inf"))
            prices[place] = float("nan") if found is None else found
        return PriceSeries(rows[0].moment("time"), float(model.step_s), tuple(prices), fallback)

    has_export = "export_price_per_kwh" in rows[0].cells
    return column("price_per_kwh"), column("export_price_per_kwh") if has_export else None


def _places(rows: list[Row], step_s: int) -> list[int]:
    """Return each row's step, counted from the first; rows may leave steps out and never go back."""
    first_at = rows[0].moment("time")
    if first_at.timestamp() % step_s:
        raise rows[0].error("time", f"steps of {step_s} s must start on the clock's multiples of it")
    places = [_place(row, first_at, step_s) for row in rows]
    for row, before, place in zip(rows[1:], places, places[1:], strict=False):
        if place <= before:
            raise row.error("time", "is given twice" if place == before else "lies before the line above it")
    return places


def _place(row: Row, first_at: datetime, step_s: int) -> int:
    steps = (row.moment("time") - first_at).total_seconds() / step_s
    if steps != int(steps):
        raise row.error("time", f"is no multiple of {step_s} s after the first line")
    if steps > MOST_STEPS:
        raise row.error("time", "lies years after the first line")
    return int(steps)
