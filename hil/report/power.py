# mypy: disable-error-code=no-untyped-call
# matplotlib.dates has no types.
"""The plot of a station's powers: what it draws and gives, the grid against its limit, the battery's charge."""

from datetime import datetime
from itertools import groupby
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, DayLocator, HourLocator, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hil.report import style
from hil.report.course import Course

SIZE = (11.0, 5.8)
OFF_SCALE = 2.2
"""A limit so much above all powers would press them flat; it is named and not drawn."""
LABELLED_DAYS = 2.1
MOST_DAY_LABELS = 12
LEAST_SPAN_H = 2.5


def power_figure(course: Course, title: str) -> Figure:
    """Return the plot of a course of up to some days."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=SIZE, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1.0))
        _stack(upper, course)
        highest = _levels(upper, course)
        _bands(upper, course, is_labelled=course.days <= LABELLED_DAYS)
        _bands(lower, course, is_labelled=False)
        _soc(lower, course)
        _time_axis(lower, course)
        upper.set_title(title, pad=14.0)
        upper.set_ylabel("power, kW  (+ drawn, − given)")
        figure.legend(
            handles=_legend(course, highest), loc="outside upper center", ncols=8, columnspacing=1.4
        )
        return figure


def comparison_figure(courses: list[Course], title: str) -> Figure:
    """Return the grid power of several courses over the whole time, one above the other on the same scale."""
    with mpl.rc_context(style.RC):
        height = 1.2 + 1.7 * len(courses)
        figure = Figure(figsize=(SIZE[0], height), layout="constrained")
        rows = np.atleast_1d(figure.subplots(len(courses), 1, sharex=True, sharey=True))
        for axes, course in zip(rows, courses, strict=True):
            axes.stairs(course.grid_kw, _edges(course), color=style.CHARGING, fill=True, alpha=0.55)
            axes.axhline(course.peak_kw, color=style.PEAK, linestyle=":", linewidth=1.4)
            axes.axhline(0.0, color=style.FAINT, linewidth=0.7)
            axes.set_title(f"{course.name}: billed peak {course.peak_kw:.1f} kW", fontsize=9.0)
            axes.set_ylabel("grid, kW")
            style.light_grid(axes)
        _time_axis(rows[-1], courses[0])
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.0, fontweight="bold")
        return figure


def _stack(axes: Axes, course: Course) -> None:
    """Draw what is drawn above zero and what is given below it, and the grid's line over both."""
    battery = np.array(course.battery_kw)
    up = (
        (np.maximum(course.load_kw, 0.0), style.LOAD),
        (np.maximum(course.charging_kw, 0.0), style.CHARGING),
        (np.maximum(battery, 0.0), style.BATTERY),
    )
    down = ((np.minimum(course.pv_kw, 0.0), style.PV), (np.minimum(battery, 0.0), style.BATTERY))
    edges = _edges(course)
    for parts in (up, down):
        base = np.zeros(len(course.starts))
        for values, colour in parts:
            axes.stairs(
                base + values, edges, baseline=base, fill=True, color=colour, alpha=0.85, linewidth=0.0
            )
            base += values
    axes.stairs(course.grid_kw, edges, baseline=None, color=style.GRID, linewidth=1.5)
    axes.axhline(0.0, color=style.FAINT, linewidth=0.8)
    style.light_grid(axes)


def _levels(axes: Axes, course: Course) -> bool:
    """Draw limit and billed peak; return whether the limit fits on the scale."""
    drawn_kw = max(*axes.get_ylim(), course.peak_kw)
    axes.axhline(course.peak_kw, color=style.PEAK, linestyle=":", linewidth=1.5)
    if course.limit_kw > OFF_SCALE * drawn_kw:
        return False
    axes.axhline(course.limit_kw, color=style.LIMIT, linestyle="--", linewidth=1.3)
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.06 * course.limit_kw))
    return True


def _bands(axes: Axes, course: Course, *, is_labelled: bool) -> None:
    """Shade the background by price; where there is room each band says its price at the top."""
    low, high = min(course.price_per_kwh), max(course.price_per_kwh)
    edges = course.edges
    for price, run in groupby(range(len(course.starts)), key=lambda index: course.price_per_kwh[index]):
        slots = list(run)
        start, end = edges[slots[0]], edges[slots[-1] + 1]
        share = (price - low) / (high - low) if high > low else 0.0
        axes.axvspan(
            _num(start), _num(end), color=style.PRICE, alpha=0.03 + 0.17 * share, linewidth=0.0, zorder=0
        )
        if is_labelled and (end - start).total_seconds() >= LEAST_SPAN_H * 3600.0:
            middle = start + (end - start) / 2
            place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            axes.text(_num(middle), 1.0, f"{price:.3g}", fontsize=7.0, color=style.FAINT, **place)


def _soc(axes: Axes, course: Course) -> None:
    edges = _edges(course)
    percent = np.array([course.soc[0], *course.soc]) * 100.0
    axes.plot(edges, percent, color=style.BATTERY, linewidth=1.6)
    axes.set_ylim(0.0, 100.0)
    axes.set_yticks([0.0, 50.0, 100.0])
    axes.set_ylabel("battery, %")
    style.light_grid(axes)


def _time_axis(axes: Axes, course: Course) -> None:
    zone = ZoneInfo(course.timezone)
    edges = course.edges
    axes.set_xlim(_num(edges[0]), _num(edges[-1]))
    if course.days <= 3.1:
        hours = 3 if course.days <= LABELLED_DAYS else 6
        axes.xaxis.set_major_locator(HourLocator(byhour=range(0, 24, hours), tz=zone))
        axes.xaxis.set_major_formatter(_day_at_midnight(zone))
    else:
        axes.xaxis.set_major_locator(DayLocator(interval=ceil(course.days / MOST_DAY_LABELS), tz=zone))
        axes.xaxis.set_major_formatter(DateFormatter("%a %d %b", tz=zone))
    axes.set_xlabel(f"local time, {course.timezone}")


class _day_at_midnight(DateFormatter):  # noqa: N801  reads as what it does
    """Hours, and at midnight the day as well."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__("%H:%M\n%a %d %b", tz=zone)

    def __call__(self, x: float, pos: int | None = 0) -> str:
        text = str(super().__call__(x, pos))
        return text if text.startswith("00:00") else text.partition("\n")[0]


def _legend(course: Course, is_limit_drawn: bool) -> list[Patch | Line2D]:
    low, high = min(course.price_per_kwh), max(course.price_per_kwh)
    limit = f"import limit {course.limit_kw:.0f} kW"
    levels = [
        Line2D([], [], color=style.GRID, linewidth=1.5, label="grid"),
        Line2D([], [], color=style.PEAK, linestyle=":", label=f"billed peak {course.peak_kw:.1f} kW"),
    ]
    if is_limit_drawn:
        levels.append(Line2D([], [], color=style.LIMIT, linestyle="--", label=limit))
    elif np.isfinite(course.limit_kw):
        levels.append(Line2D([], [], color=style.LIMIT, linestyle="", label=f"{limit} (off scale)"))
    areas = (
        ("load", style.LOAD),
        ("charging", style.CHARGING),
        ("battery", style.BATTERY),
        ("PV", style.PV),
    )
    price = Patch(color=style.PRICE, alpha=0.2, label=f"price {low:.3g}–{high:.3g} {course.currency}/kWh")
    return [*(Patch(color=colour, alpha=0.85, label=name) for name, colour in areas), *levels, price]


def _edges(course: Course) -> list[float]:
    return [_num(edge) for edge in course.edges]


def _num(at: datetime) -> float:
    """Return a time as matplotlib counts it."""
    return float(date2num(at))
