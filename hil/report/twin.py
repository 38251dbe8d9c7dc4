"""A twin's run as one page that needs nothing else, and as a picture."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hil.account import Account
from hil.report.bars import cost_figure
from hil.report.course import Course, course_of_run
from hil.report.page import page
from hil.report.power import comparison_figure, power_figure
from hil.report.style import svg_of
from hil.report.table import HEADINGS, table_row
from hil.run import TwinRun

OURS = "mpc"
WHOLE_DAYS = 3.0
"""A longer run is drawn as its most telling days."""
DETAIL_DAYS = 2
COMPARED = ("uncontrolled", "rules", "mpc", "oracle")


def twin_report(
    run: TwinRun, shown: Mapping[str, Account], accounts: Mapping[str, Account] | None = None
) -> str:
    """Return the page of a run; ``accounts`` may hold more strategies than are ``shown``, to measure against."""
    known = accounts or shown
    courses = {name: course_of_run(run, account) for name, account in shown.items()}
    part = telling_days(courses)
    figures = [svg_of(cost_figure(shown, run.site.tariff.currency), "cost of each strategy")]
    if part is not None:
        compared = [courses[name] for name in COMPARED if name in courses] or [*courses.values()][:3]
        figures.append(svg_of(comparison_figure(compared, "grid power, 15-minute means"), "grid power"))
    details = [
        (name, svg_of(power_figure(_cut(course, part), f"{name}: 15-minute means"), f"power under {name}"))
        for name, course in courses.items()
    ]
    return page(
        "twin.html",
        title=f"{run.site.site_id}: {_period(run)}",
        facts=_facts(run),
        headings=HEADINGS,
        rows=[table_row(known, name) for name in shown],
        ours=OURS,
        figures=figures,
        details=details,
        opened=OURS if OURS in shown else next(iter(shown)),
        part=None if part is None else _span(part, run.site.timezone),
        violations=_violations(shown, run.site.timezone),
    )


def figure_png(run: TwinRun, account: Account, path: Path, title: str | None = None) -> None:
    """Write the plot of one strategy as a picture: the whole of a short run, the most telling days of a long one."""
    course = course_of_run(run, account)
    part = telling_days({course.name: course})
    figure = power_figure(
        _cut(course, part), title or f"{run.site.site_id} under {account.strategy}: 15-minute means"
    )
    figure.savefig(path, dpi=130)


def telling_days(courses: Mapping[str, Course]) -> tuple[datetime, datetime] | None:
    """Return the local days around the highest import of the least controlled course; None where all can be shown."""
    first = courses.get("uncontrolled") or next(iter(courses.values()))
    if first.days <= WHOLE_DAYS:
        return None
    highest = max(range(len(first.starts)), key=lambda index: first.grid_kw[index])
    local = first.starts[highest].astimezone(ZoneInfo(first.timezone))
    from_at = local.replace(hour=0, minute=0, second=0, microsecond=0)
    latest_at = first.edges[-1] - timedelta(days=DETAIL_DAYS)
    from_at = max(
        min(from_at, latest_at.astimezone(from_at.tzinfo)), first.starts[0].astimezone(from_at.tzinfo)
    )
    return from_at, from_at + timedelta(days=DETAIL_DAYS)


def _cut(course: Course, part: tuple[datetime, datetime] | None) -> Course:
    return replace(course) if part is None else course.between(*part)


def _facts(run: TwinRun) -> list[tuple[str, str]]:
    site = run.site
    known = "energy known" if run.is_energy_known else "as requested by drivers"
    return [
        ("period", f"{_period(run)} ({site.timezone})"),
        ("tariff", f"{site.tariff.tariff_id}, {site.tariff.currency}"),
        ("steps", f"{run.step_s:g} s"),
        ("what the controller knows of cars", known),
        ("demand charge", f"{run.demand_share():.3g} of a month's"),
    ]


def _violations(shown: Mapping[str, Account], timezone: str) -> list[tuple[str, ...]]:
    """Return the first limits that each strategy broke."""
    return [
        (
            name,
            its.constraint,
            its.starts_at.astimezone(ZoneInfo(timezone)).isoformat(timespec="seconds"),
            f"{its.duration_s:.0f} s",
            f"{its.worst:.2f} {its.unit}",
        )
        for name, account in shown.items()
        for its in account.world.violations[:10]
    ]


def _period(run: TwinRun) -> str:
    first = run.start_at.astimezone(ZoneInfo(run.site.timezone)).date().isoformat()
    return f"{run.days:g} day{'' if run.days == 1.0 else 's'} from {first}"


def _span(part: tuple[datetime, datetime], timezone: str) -> str:
    last = part[1].astimezone(ZoneInfo(timezone)) - timedelta(seconds=1)
    return f"{part[0].date().isoformat()} and {last.date().isoformat()}"
