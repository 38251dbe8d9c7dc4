"""The picture of a run: true grid power against its limit, powers, faults and alarms on one time axis."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hil.report import style
from hil.rigs.trace import Trace
from hil.scenario import FaultFile
from station.assets import Battery, Connector, ConnectorKind, Controllable, PvPlant
from station.limits import Direction

LEAST_KW = 0.05
"""A power that never exceeds this is not drawn."""

MOST_ALARMS = 12
_SHADES = ("-", "--", ":", "-.")

Spans = dict[str, list[tuple[float, float]]]
"""For each text the (start, length) in s of the times at which it stood."""


def run_figure(trace: Trace) -> Figure:
    """Return three panels: the grid, the powers by asset, faults and alarms."""
    alarms = alarm_spans(trace)
    rows = len(trace.faults) + min(len(alarms), MOST_ALARMS)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(11.0, 7.2 + 0.24 * rows), layout="constrained")
        grid, powers, bars = figure.subplots(3, 1, sharex=True, height_ratios=(3.0, 3.0, 0.4 + 0.26 * rows))
        _draw_grid(grid, trace)
        _draw_powers(powers, trace)
        _draw_bars(bars, trace, alarms)
        for axes in (grid, powers):
            style.light_grid(axes)
            for log in trace.faults:
                axes.axvspan(log.fault.at_s, log.fault.ends_s, color=style.LIMIT, alpha=0.10, linewidth=0)
            axes.set_ylabel("kW")
        bars.set_xlabel("seconds of the run")
        bars.set_xlim(0.0, trace.samples[-1].mono_s)
        return figure


def alarm_spans(trace: Trace) -> Spans:
    """Return when each alarm stood, in the order of their coming."""
    spans: Spans = {}
    since_s: dict[str, float] = {}
    for sample in trace.samples:
        for alarm in sorted(sample.alarms - since_s.keys()):
            since_s[alarm] = sample.mono_s
            spans.setdefault(alarm, [])
        for alarm in since_s.keys() - sample.alarms:
            began_s = since_s.pop(alarm)
            spans[alarm].append((began_s, sample.mono_s - began_s))
    for alarm, began_s in since_s.items():
        spans[alarm].append((began_s, trace.samples[-1].mono_s - began_s))
    return spans


def _draw_grid(axes: Axes, trace: Trace) -> None:
    root = trace.site.nodes[0].node_id
    seconds_s = [sample.mono_s for sample in trace.samples]
    for index, constraint in enumerate(trace.site.constraints):
        if constraint.direction is not Direction.IMPORT or not constraint.name.startswith(
            f"{root} import kW"
        ):
            continue
        axes.axhline(
            constraint.bound, color=style.LIMIT, linewidth=1.4, label=f"limit {constraint.bound:g} kW"
        )
        booked = [sample.booked[index] for sample in trace.samples]
        axes.step(seconds_s, booked, where="post", color=style.PEAK, linewidth=1.0, label="booked worst case")
        flows = [flow.values[index] for flow in trace.flows]
        ends_s = [flow.mono_s + flow.dt_s for flow in trace.flows]
        axes.plot(ends_s, flows, color=style.GRID, linewidth=1.5, label="true grid power")
    believed = [sample.base_kw for sample in trace.samples]
    loads = [sample.load_kw for sample in trace.samples]
    axes.plot(seconds_s[1:], loads[1:], color=style.LOAD, linewidth=1.3, label="true base load")
    axes.plot(
        seconds_s, believed, color=style.LOAD, linewidth=1.0, linestyle="--", label="base load as believed"
    )
    axes.set_title("grid against its limit")
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.02))


def _draw_powers(axes: Axes, trace: Trace) -> None:
    seconds_s = [sample.mono_s for sample in trace.samples]
    counts: dict[str, int] = {}
    for asset in trace.site.controllables:
        powers_kw = [sample.powers_kw[asset.asset_id] for sample in trace.samples]
        if max(abs(power_kw) for power_kw in powers_kw) < LEAST_KW:
            continue
        colour = _colour(asset)
        number = counts[colour] = counts.get(colour, -1) + 1
        width = 1.1 if colour == style.CHARGING else 1.8
        line = _SHADES[number % len(_SHADES)]
        axes.plot(seconds_s, powers_kw, color=colour, linewidth=width, linestyle=line, label=asset.asset_id)
    axes.set_title("true power by asset (into the asset: positive)")
    if counts:
        axes.legend(ncols=9, loc="upper center", bbox_to_anchor=(0.5, -0.02))


def _colour(asset: Controllable) -> str:
    match asset:
        case Battery():
            return style.BATTERY
        case PvPlant():
            return style.PV
        case Connector():
            return style.PEAK if asset.kind is ConnectorKind.DC else style.CHARGING


def _draw_bars(axes: Axes, trace: Trace, alarms: Spans) -> None:
    rows: list[tuple[str, Sequence[tuple[float, float]], str]] = [
        (f"fault: {_words(log.fault)}", [(log.fault.at_s, log.fault.for_s)], style.LIMIT)
        for log in trace.faults
    ]
    rows += [(alarm, spans, style.PV) for alarm, spans in list(alarms.items())[:MOST_ALARMS]]
    for place, (_, spans, colour) in enumerate(rows):
        axes.broken_barh(spans, (place - 0.32, 0.64), color=colour)
    axes.set_yticks(range(len(rows)), [text if len(text) < 46 else f"{text[:44]}…" for text, _, _ in rows])
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_title("faults and alarms" if rows else "no fault, no alarm")
    axes.tick_params(axis="y", labelsize=8.0, length=0)


def _words(fault: FaultFile) -> str:
    return f"{fault.on} {fault.kind.value.replace('_', ' ')}"
