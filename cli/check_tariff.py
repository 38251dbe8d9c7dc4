"""``heliodock check`` of a tariff file: what it says, what the planner counts, and what is doubtful."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from cli.terminal import Column, Table, note, say, show

if TYPE_CHECKING:
    from station.periods import Period
    from station.tariff import Tariff


def check_tariff(file: Path) -> None:
    """Print a tariff that is fit for use; raises ``ConfigError`` for one that is not."""
    from configs.tariff_file import load_tariff

    tariff = load_tariff(file)
    as_of = tariff.provenance.as_of
    say(f"tariff {tariff.tariff_id} · {tariff.timezone} · prices of {as_of or 'no date'}")
    columns = (Column("season"), Column("day"), Column("hours"), Column(f"{tariff.currency}/kWh", True))
    show(Table((*columns, Column("name")), list(_rows(tariff))))
    for text in (*_charges(tariff), *_days(tariff)):
        say(text)
    unfinished = tariff.provenance.warning(tariff.tariff_id)
    if unfinished:
        note(unfinished)
    for doubt in tariff.provenance.doubts:
        say(f"doubt: {doubt}")
    say(f"{file}: every hour of every day has one price", "green")


def _rows(tariff: "Tariff") -> Iterator[tuple[str, ...]]:
    for season in tariff.seasons:
        if season.weekday == season.weekend:
            yield from _day(season.name, "every day", season.weekday)
        else:
            yield from _day(season.name, "weekday", season.weekday)
            yield from _day(season.name, "weekend", season.weekend)
    if tariff.events is not None:
        yield from _day("event days", "announced", tariff.events.periods)


def _day(season: str, day: str, periods: "tuple[Period, ...]") -> Iterator[tuple[str, ...]]:
    for its in periods:
        ends = "24:00" if its.ends_at.hour == its.ends_at.minute == 0 else f"{its.ends_at:%H:%M}"
        yield season, day, f"{its.starts_at:%H:%M}-{ends}", f"{its.price_per_kwh:g}", its.name


def _charges(tariff: "Tariff") -> Iterator[str]:
    """Yield the demand charges, and the linear value that the planner counts."""
    for charge in (tariff.demand, *tariff.period_demand):
        window = f"{'sliding ' if charge.is_sliding else ''}{charge.window_s:g} s means of a {charge.scope}"
        hours = f" in {', '.join(sorted(charge.periods))}" if charge.periods else ""
        price = "exempt" if charge.is_exempt else f"{charge.price_per_kw:g} {tariff.currency}/kW"
        yield f"{charge.name}: {price}, {window}{hours}"
    yield (
        f"the planner counts {tariff.peak_price_per_kw:g} {tariff.currency} for a kW of the highest mean above"
        f" {tariff.free_kw:g} kW"
    )


def _days(tariff: "Tariff") -> Iterator[str]:
    """Yield what is known of single days: published prices, holidays, announced events."""
    if tariff.series is not None:
        published = sum(1 for price in tariff.series.price_per_kwh if isfinite(price))
        yield f"series: {published} published prices from {tariff.series.starts_at:%Y-%m-%d %H:%M} UTC on"
    days = tariff.holidays
    if days:
        yield f"holidays: {len(days)} days with weekend prices, {min(days)} to {max(days)}"
    if tariff.events is not None:
        spans = (f"{a[0]:02d}-{a[1]:02d} to {b[0]:02d}-{b[1]:02d}" for a, b in tariff.events.spans)
        yield f"event days: every day of {', '.join(spans) or 'no season'}; {len(tariff.events.announced)} announced"
