# mypy: disable-error-code=no-untyped-call
# matplotlib.dates has no types.
"""A month's bill as one page that needs nothing else: the grid power that was billed, its maxima and its gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, DayLocator, date2num
from matplotlib.figure import Figure

from hil.report import style
from hil.report.page import page
from hil.report.style import svg_of
from station.invoice import Invoice
from station.meter_record import Window
from station.tariff import Tariff

DrawnTable = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A title, headings and rows."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a page of a bill shows; ``totals`` and ``warnings`` are sentences."""

    site_id: str
    tariff: Tariff
    invoice: Invoice
    windows: Sequence[Window]
    tables: Sequence[DrawnTable]
    totals: Sequence[str]
    warnings: Sequence[str]


def invoice_report(sheet: Sheet) -> str:
    """Return the page."""
    year, month = sheet.invoice.month
    as_of = sheet.tariff.provenance.as_of
    return page(
        "invoice.html",
        title=f"{sheet.site_id}: bill of {year}-{month:02d}",
        facts=[
            ("tariff", f"{sheet.tariff.tariff_id}, {sheet.tariff.currency}"),
            ("prices of", as_of.isoformat() if as_of else "no date given"),
            ("windows", f"{sheet.invoice.windows} of {sheet.tariff.demand.window_s:g} s"),
            ("source", sheet.tariff.source),
        ],
        totals=sheet.totals,
        warnings=sheet.warnings,
        figure=svg_of(invoice_figure(sheet), "billed grid power"),
        tables=sheet.tables,
    )


def invoice_figure(sheet: Sheet) -> Figure:
    """Return the plot of a month's billed means; missing windows are shaded."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(11.0, 4.2), layout="constrained")
        axes = figure.subplots()
        _means(axes, sheet)
        _gaps(axes, sheet)
        _maxima(axes, sheet.invoice)
        zone = ZoneInfo(sheet.tariff.timezone)
        axes.axhline(0.0, color=style.FAINT, linewidth=0.8)
        axes.xaxis.set_major_locator(DayLocator(interval=3, tz=zone))
        axes.xaxis.set_major_formatter(DateFormatter("%a %d", tz=zone))
        axes.set_xlabel(f"local time, {sheet.tariff.timezone}")
        axes.set_ylabel("grid, kW")
        axes.set_title("billed means; missing windows are shaded")
        style.light_grid(axes)
        figure.legend(loc="outside lower center", ncols=4)
        return figure


def _means(axes: Axes, sheet: Sheet) -> None:
    edges = [_num(window) for window in sheet.windows]
    edges.append(_num(sheet.windows[-1], sheet.tariff.demand.window_s))
    values = [float("nan") if its.mean_w is None else float(its.mean_w) / 1000.0 for its in sheet.windows]
    axes.stairs(values, edges, baseline=0.0, fill=True, color=style.CHARGING, alpha=0.75, label="grid power")
    axes.set_xlim(edges[0], edges[-1])


def _gaps(axes: Axes, sheet: Sheet) -> None:
    window_s = sheet.tariff.demand.window_s
    label: str | None = "missing"
    start: Window | None = None
    for window, after in zip(sheet.windows, [*sheet.windows[1:], None], strict=True):
        if window.mean_w is not None:
            continue
        start = start or window
        if after is None or after.mean_w is not None:
            span = _num(start), _num(window, window_s)
            axes.axvspan(*span, color=style.LIMIT, alpha=0.18, linewidth=0.0, label=label)
            start, label = None, None


def _maxima(axes: Axes, invoice: Invoice) -> None:
    for index, maximum in enumerate(invoice.maxima):
        if maximum.at is not None:
            text = f"{maximum.name}: {maximum.measured} kW"
            line = ("--", ":", "-.")[index % 3]
            axes.axhline(float(maximum.measured), color=style.PEAK, linestyle=line, linewidth=1.2, label=text)


def _num(window: Window, later_s: float = 0.0) -> float:
    """Return a time as matplotlib counts it."""
    return float(date2num(window.starts_at + timedelta(seconds=later_s)))
