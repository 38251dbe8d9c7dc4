"""A schedule as one page that needs nothing else."""

from zoneinfo import ZoneInfo

from hil.report.course import course_of_plan
from hil.report.page import page
from hil.report.power import power_figure
from hil.report.style import svg_of
from station.plan import Plan
from station.topology import Site


def plan_report(site: Site, plan: Plan, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return the page of a plan, with its table under the plot."""
    made_at = plan.made_at.astimezone(ZoneInfo(site.timezone)).isoformat(timespec="minutes")
    hours = len(plan.grid_kw) * plan.slot_s / 3600.0
    figure = power_figure(course_of_plan(site, plan), f"{site.site_id}: the next {hours:g} hours")
    return page(
        "plan.html",
        title=f"{site.site_id}: plan of {made_at}",
        facts=[
            ("origin", f"{plan.origin.value}: {plan.note}"),
            ("expected cost", f"{plan.expected_cost:.2f} {site.tariff.currency}"),
            ("billed mean never meant to exceed", f"{plan.peak_kw:.1f} kW"),
            ("cars plugged in", str(len(plan.sessions))),
        ],
        figure=svg_of(figure, "planned power"),
        headings=headings,
        rows=rows,
    )
