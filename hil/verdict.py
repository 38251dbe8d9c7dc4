"""Judges a run's trace by its scenario's criteria. Pure.

Each criterion gives a value, a limit, the margin between them (negative where it fails) and the first second at which
it was broken. A run whose fault never hit anything, or whose rig was late itself, is void: it proves nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from hil.criteria import (
    CHARGING,
    GRID,
    Always,
    AtEnd,
    Criterion,
    Event,
    Moment,
    NeverLonger,
    Settles,
    Within,
    fault_of,
)
from hil.rigs.trace import Sample, Trace
from hil.scenario import RigKind, Scenario

BOOKED_SHARE = 0.01
"""The share above a limit that a booking may reach while a noisy base load is being followed."""

COVERED_KW = 0.1
LATEST_MS = 500.0
"""A rig whose control cycle began later than this has not tried the controller, but itself."""

_EPSILON = 1e-6


class Status(StrEnum):
    """What a run shows."""

    PASSED = "passed"
    FAILED = "failed"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Result:
    """One criterion's outcome. ``value`` and ``limit`` are in ``unit``; None where nothing came that could be measured.

    ``breach_s`` is the first second of the run at which it did not hold.
    """

    text: str
    value: float | None
    limit: float
    margin: float | None
    unit: str
    breach_s: float | None
    has_passed: bool
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """A whole run judged. ``void_causes`` say why it proves nothing, if so."""

    scenario: Scenario
    rig: RigKind
    trace: Trace
    results: tuple[Result, ...]
    void_causes: tuple[str, ...]

    @property
    def status(self) -> Status:
        """Return passed, failed or void; a demand that was broken counts even in a void run's table."""
        if self.void_causes:
            return Status.VOID
        return Status.PASSED if all(result.has_passed for result in self.results) else Status.FAILED


def judge(scenario: Scenario, rig: RigKind, trace: Trace) -> Verdict:
    """Return the verdict on a run."""
    results = tuple(_result(scenario, criterion, trace) for criterion in scenario.model.criteria)
    return Verdict(scenario, rig, trace, results, tuple(_void_causes(trace)))


def _void_causes(trace: Trace) -> Iterable[str]:
    for number, log in enumerate(trace.faults, 1):
        if log.hits == 0:
            yield f"fault {number} ({log.fault.kind} {log.fault.on}) never hit an exchange"
    if trace.late_ms > LATEST_MS or trace.missed:
        yield f"the rig was late: {trace.late_ms:.0f} ms at worst, {trace.missed} cycles missed"


def _result(scenario: Scenario, criterion: Criterion, trace: Trace) -> Result:
    match criterion.demand:
        case NeverLonger() as demand:
            return _never_longer(demand, trace)
        case Within() as demand:
            return _within(demand, scenario, trace)
        case Always() as demand:
            return _always(demand, trace)
        case Settles() as demand:
            return _settles(demand, scenario, trace)
        case AtEnd() as demand:
            return _at_end(demand, trace)
        case _:
            assert_never(criterion.demand)


Series = Sequence[tuple[float, float, tuple[float, ...]]]
"""(second, how long it lasts in s, a value per constraint)."""


def _never_longer(demand: NeverLonger, trace: Trace) -> Result:
    node_id = trace.site.nodes[0].node_id if demand.what == GRID else demand.what
    series = _booked(trace) if demand.of == "booked" else [(f.mono_s, f.dt_s, f.values) for f in trace.flows]
    worst_s, breach_s, fullest, note = 0.0, None, -float("inf"), ""
    for index, constraint in enumerate(trace.site.constraints):
        if not constraint.name.startswith(f"{node_id} "):
            continue
        most = constraint.bound * (1.0 + demand.over) + _EPSILON
        lasted_s, broken_s = _longest_s(series, index, most, demand)
        if lasted_s > worst_s:
            worst_s, breach_s = lasted_s, broken_s
        peak = max((values[index] for mono_s, _, values in series if mono_s >= demand.from_s), default=0.0)
        if constraint.bound > 0.0 and peak / constraint.bound > fullest:
            fullest = peak / constraint.bound
            note = f"highest {peak:.1f} of {constraint.bound:g} at {constraint.name}"
    booked = "booked " if demand.of == "booked" else ""
    text = f"never longer than {demand.s:g} s: {booked}{demand.what} above its limits + {demand.over:.0%}"
    return _below(text, worst_s, demand.s, unit="s", breach_s=breach_s, note=note)


def _longest_s(series: Series, index: int, most: float, demand: NeverLonger) -> tuple[float, float | None]:
    """Return the longest time above ``most`` without a break, and when it first had lasted too long."""
    lasted_s = longest_s = 0.0
    breach_s = None
    for mono_s, dt_s, values in series:
        if mono_s < demand.from_s or values[index] <= most:
            lasted_s = 0.0
            continue
        lasted_s += dt_s
        longest_s = max(longest_s, lasted_s)
        if breach_s is None and lasted_s > demand.s + _EPSILON:
            breach_s = mono_s + dt_s
    return longest_s, breach_s


def _booked(trace: Trace) -> Series:
    ends_s = [*(sample.mono_s for sample in trace.samples[1:]), trace.samples[-1].mono_s + 1.0]
    return [(s.mono_s, end_s - s.mono_s, s.booked) for s, end_s in zip(trace.samples, ends_s, strict=True)]


def _within(demand: Within, scenario: Scenario, trace: Trace) -> Result:
    after_s = moment_s(scenario, demand.after)
    happened, words = _event(demand.event)
    text = f"within {demand.s:g} s after {demand.after}: {words}"
    before = [sample for sample in trace.samples if sample.mono_s < after_s]
    if before and happened(before[-1]):
        return Result(text, None, demand.s, None, "s", after_s, False, "was so before already")
    came_s = next((s.mono_s for s in trace.samples if s.mono_s >= after_s and happened(s)), None)
    if came_s is None:
        return Result(text, None, demand.s, None, "s", after_s + demand.s, False, "never came")
    return _below(text, came_s - after_s, demand.s, unit="s", breach_s=after_s + demand.s)


def _event(event: Event) -> tuple[Callable[[Sample], bool], str]:
    if event.alarm is not None:
        alarm = event.alarm
        return lambda sample: any(alarm in text for text in sample.alarms), f"alarm '{alarm}'"
    if event.cleared is not None:
        cleared = event.cleared
        return lambda sample: not any(cleared in text for text in sample.alarms), f"no alarm '{cleared}'"
    if event.booked is not None:
        asset_id = event.booked
        return (
            lambda sample: asset_id in sample.lost and _uncovered_kw(sample, asset_id) <= COVERED_KW,
            f"{asset_id} booked at its worst",
        )
    is_worst = event.worst_case
    words = "base load at its declared worst" if is_worst else "base load believed again"
    return lambda sample: sample.base_is_worst_case is is_worst, words


def _always(demand: Always, trace: Trace) -> Result:
    samples = [sample for sample in trace.samples if sample.mono_s >= demand.from_s]
    if demand.what == "lost_covered":
        gaps = [
            (_uncovered_kw(sample, asset_id), sample.mono_s, asset_id)
            for sample in samples
            for asset_id in sample.lost
            if asset_id in sample.booked_kw
        ]
        text, limit, unit = "always: lost devices are booked at no less than they draw", COVERED_KW, "kW"
    else:
        gaps = [
            (100.0 * (value / constraint.bound - 1.0), sample.mono_s, constraint.name)
            for sample in samples
            for value, constraint in zip(sample.booked, trace.site.constraints, strict=True)
            if constraint.bound > 0.0
        ]
        text, limit, unit = "always: booked worst case within every limit", 100.0 * BOOKED_SHARE, "% over"
    if not gaps:
        return Result(text, None, limit, None, unit, None, True, "nothing was lost")
    worst = max(gaps)
    breach_s = next((mono_s for gap, mono_s, _ in gaps if gap > limit), None)
    return _below(text, worst[0], limit, unit=unit, breach_s=breach_s, note=f"closest at {worst[2]}")


def _uncovered_kw(sample: Sample, asset_id: str) -> float:
    """Return by how much an asset's true power lies beyond its booking, negative where it lies inside."""
    power_kw, booked = sample.powers_kw[asset_id], sample.booked_kw[asset_id]
    return max(power_kw - booked.max_kw, booked.min_kw - power_kw)


def _settles(demand: Settles, scenario: Scenario, trace: Trace) -> Result:
    after_s = moment_s(scenario, demand.after)
    low = -float("inf") if demand.at_least_kw is None else demand.at_least_kw
    high = float("inf") if demand.at_most_kw is None else demand.at_most_kw
    bounds = [f"at least {low:g}"] * (demand.at_least_kw is not None)
    bounds += [f"at most {high:g}"] * (demand.at_most_kw is not None)
    text = f"settles within {demand.s:g} s after {demand.after}: {demand.what} {' and '.join(bounds)} kW"
    later = [sample for sample in trace.samples if sample.mono_s >= after_s]
    outside = [s.mono_s for s in later if not low <= signal_kw(s, trace, demand.what) <= high]
    if not later or (outside and outside[-1] == later[-1].mono_s):
        last = f"{signal_kw(trace.samples[-1], trace, demand.what):.1f} kW at the end"
        return Result(text, None, demand.s, None, "s", after_s + demand.s, False, f"never did: {last}")
    settled_s = next((s.mono_s for s in later if not outside or s.mono_s > outside[-1]), after_s)
    return _below(text, settled_s - after_s, demand.s, unit="s", breach_s=after_s + demand.s)


def _at_end(demand: AtEnd, trace: Trace) -> Result:
    last = trace.samples[-1]
    values = {
        "alarms": (float(len(last.alarms)), "", "; ".join(sorted(last.alarms))),
        "violations": (float(trace.result.violation_count), "", ""),
        "delivered_kwh": (sum(trace.result.delivered_kwh.values()), "kWh", ""),
    }
    value, unit, note = values[demand.what]
    text = f"at the end: {demand.what.replace('_', ' ')}"
    if demand.at_most is not None:
        return _below(
            f"{text} at most {demand.at_most:g}",
            value,
            demand.at_most,
            unit=unit,
            breach_s=last.mono_s,
            note=note,
        )
    limit = demand.at_least or 0.0
    has_passed = value >= limit
    breach_s = None if has_passed else last.mono_s
    return Result(f"{text} at least {limit:g}", value, limit, value - limit, unit, breach_s, has_passed, note)


def signal_kw(sample: Sample, trace: Trace, what: str) -> float:
    """Return a true power: of an asset, of the grid, or of all connectors."""
    if what == GRID:
        return sample.grid_kw
    if what == CHARGING:
        return sum(sample.powers_kw[connector.asset_id] for connector in trace.site.connectors)
    return sample.powers_kw[what]


def moment_s(scenario: Scenario, moment: Moment) -> float:
    """Return the second of the run at which a moment is."""
    named = fault_of(moment)
    if named is None:
        return 0.0
    fault = scenario.model.faults[named[0]]
    return fault.ends_s if named[1] else fault.at_s


def _below(
    text: str, value: float, limit: float, *, unit: str, breach_s: float | None, note: str = ""
) -> Result:
    has_passed = value <= limit + _EPSILON
    return Result(text, value, limit, limit - value, unit, None if has_passed else breach_s, has_passed, note)
