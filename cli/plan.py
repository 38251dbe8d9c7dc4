"""``heliodock plan``: one schedule, printed and drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, write_json, write_text
from cli.terminal import Column, Table, busy, say, show

if TYPE_CHECKING:
    from configs.load import LoadedSite
    from hil.report.course import Course
    from optimizer.problem import PlanningInput
    from station.plan import Plan
    from station.topology import Site

HEADINGS = ("time", "price", "load", "pv", "battery", "soc", "charging", "grid")
BARS = "▁▂▃▄▅▆▇█"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    example = (
        "Example: heliodock plan configs/stations/demo.yaml --at 2019-09-09T10:00-07:00 --html plan.html"
    )
    app.command(epilog=example)(plan)


def plan(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    *,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When the plan is made: an ISO time with zone, or a local date. Else the start of the twin's"
            " period; with --store the last cycle.",
        ),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="History and state from this store, not the twin's data."),
    ] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="A page with the plot.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="The plan as JSON; - is standard output.")
    ] = None,
) -> None:
    """Make one schedule, from the site's twin data or a store, and print it by the hour."""
    from configs.load import load_site

    check_targets(html, json)
    loaded = load_site(site)
    made = _plan(loaded, store, at)
    if json:
        write_json(json, _record(loaded.site, made))
    from hil.report.course import course_of_plan

    rows = _rows(course_of_plan(loaded.site, made))
    if html:
        from hil.report.plan import plan_report

        write_text(html, plan_report(loaded.site, made, _headings(loaded.site), rows))
    if json != STDOUT:
        _show(loaded.site, made, rows)


def _plan(loaded: "LoadedSite", store: Path | None, at: str | None) -> "Plan":
    with busy("planning"):
        from cli.plan_input import from_store, from_twin

        return _solve(from_store(loaded, store, at) if store else from_twin(loaded, at))


def _solve(request: "PlanningInput") -> "Plan":
    from dataclasses import replace

    from optimizer.demand import expected_peak_kw
    from optimizer.solve import schedule

    peak_kw = expected_peak_kw(request.site, request.history, request.now)
    return schedule(replace(request, expected_peak_kw=peak_kw))


def _headings(site: "Site") -> tuple[str, ...]:
    units = {"price": f"{site.tariff.currency}/kWh", "soc": "%", "time": ""}
    return tuple(f"{name} {units.get(name, 'kW')}".strip() for name in HEADINGS)


def _rows(course: "Course") -> list[tuple[str, ...]]:
    """Return means per local hour; the first and the last may be parts."""
    zone = ZoneInfo(course.timezone)
    hours: dict[str, list[int]] = {}
    for index, at in enumerate(course.starts):
        local = at.astimezone(zone)
        hours.setdefault(f"{local:%a %d %b %H:00%z}", []).append(index)
    rows: list[tuple[str, ...]] = []
    for name, slots in hours.items():
        powers = (course.load_kw, course.pv_kw, course.battery_kw, course.charging_kw, course.grid_kw)
        load, pv, battery, charging, grid = (
            f"{_rounded(sum(values[slot] for slot in slots) / len(slots))}" for values in powers
        )
        price = sum(course.price_per_kwh[slot] for slot in slots) / len(slots)
        soc = f"{100.0 * course.soc[slots[-1]]:.0f}"
        rows.append((name[:16], f"{price:.4f}", load, pv, battery, soc, charging, grid))
    return rows


def _rounded(power_kw: float) -> str:
    text = f"{power_kw:.1f}"
    return "0.0" if text == "-0.0" else text


def _show(site: "Site", made: "Plan", rows: list[tuple[str, ...]]) -> None:
    columns = tuple(Column(name, index > 0) for index, name in enumerate(_headings(site)))
    at = made.made_at.astimezone(ZoneInfo(site.timezone)).isoformat(timespec="minutes")
    show(Table(columns, rows, f"{site.site_id}: plan of {at}"))
    for index, name in enumerate(HEADINGS[1:], 1):
        values = [float(row[index]) for row in rows]
        bars = _spark([-value for value in values] if name == "pv" else values)
        say(f"{name:<9}{bars}  {min(values):g} to {max(values):g} {columns[index].name.split()[-1]}")
    say(
        f"{made.origin.value} ({made.note}): expected cost {made.expected_cost:.2f} {site.tariff.currency} with the"
        f" month's demand charge, billed mean at most {made.peak_kw:.1f} kW, {len(made.sessions)} cars plugged in"
    )
    say(
        "positive flows into a thing: import, load, cars and a battery that charge; PV and discharge are negative"
    )


def _spark(values: list[float]) -> str:
    low, high = min(values), max(values)
    span = high - low
    return "".join(BARS[int((value - low) / span * (len(BARS) - 1) + 0.5) if span else 0] for value in values)


def _record(site: "Site", made: "Plan") -> dict[str, Any]:
    from hil.report.course import course_of_plan

    course = course_of_plan(site, made)
    names = ("price_per_kwh", "load_kw", "pv_kw", "battery_kw", "soc", "charging_kw", "grid_kw")
    return {
        "site": site.site_id,
        "made_at": made.made_at.isoformat(),
        "starts_at": made.starts_at.isoformat(),
        "slot_s": made.slot_s,
        "origin": made.origin.value,
        "note": made.note,
        "currency": site.tariff.currency,
        "expected_cost": round(made.expected_cost, 6),
        "peak_kw": round(made.peak_kw, 6),
        "sessions": dict(made.sessions),
        "slots": [
            {"time": at.isoformat(), **{name: round(getattr(course, name)[index], 6) for name in names}}
            for index, at in enumerate(course.starts)
        ],
        "targets_kw": {
            asset_id: [round(power_kw, 6) for power_kw in values]
            for asset_id, values in made.targets_kw.items()
        },
    }
