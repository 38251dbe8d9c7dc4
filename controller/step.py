"""The control function. ``step`` is pure, total and deterministic; every rung (live, rig, twin, test) runs this one."""

from collections.abc import Mapping
from dataclasses import dataclass

from controller import balance, demand, rules
from controller.allocate import Cap, Fleet, allocate, remember
from controller.balance import BaseEstimate
from controller.dispatch import Dispatch, Flows, Support, dispatch, excess_kw, smooth
from controller.envelope import Books, constraints_in_force, settled
from controller.follow import Wanted, expected_draw_kw, follow, hold, laxity_s
from controller.judge import Seen, judge
from controller.leases import (
    grant_interval,
    late_interval,
    lease_s,
    live_interval,
    settle,
    still_using,
    with_grant,
)
from controller.obedience import astray_since_s, disobedient
from controller.replan import replan_cause
from controller.safety import Guarded, Proposal, guard
from controller.sessions import DRAWS_KW, track
from station.assets import Battery, Connector, Controllable, PvPlant
from station.clock import Instant
from station.decision import (
    Balance,
    ConnectorMemory,
    ControlState,
    Decision,
    DemandWindow,
    Grant,
    Reason,
    Setpoint,
    Withheld,
)
from station.limits import Direction, Interval
from station.measurement import Snapshot
from station.plan import Plan
from station.session import Session
from station.topology import REACTION_S, Site

KEEPS_PLACE_S = 900.0
"""A car must be so much more urgent than one that charges to take its place; else equal cars would swap for ever."""


@dataclass(frozen=True, slots=True)
class _Cycle:
    """What the parts of one cycle share."""

    site: Site
    state: ControlState
    snapshot: Snapshot
    seen: Seen
    now: Instant
    dt_s: float
    grants: Mapping[str, tuple[Grant, ...]]
    live: Mapping[str, Interval | None]
    hidden_kw: Mapping[str, float]
    intervals: Mapping[str, Interval]
    sessions: Mapping[str, Session]
    last_kw: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the cycle chose to do, and what it must remember of that."""

    support: Support
    smooth_excess_kw: float
    guarded: Guarded
    reasons: list[Reason]


def start(now: Instant, remembered: ControlState | None = None) -> ControlState:
    """Return the state of a process that starts now; ``remembered`` is what the store kept of the former one.

    Everything on the monotonic clock begins anew; the demand window, sessions and lag go on.
    """
    if remembered is None:
        return ControlState(started_s=now.mono_s)
    return ControlState(
        started_s=now.mono_s,
        sessions=remembered.sessions,
        window=remembered.window,
        lag_s=remembered.lag_s,
        grants=remembered.grants,
    )


def step(site: Site, state: ControlState, snapshot: Snapshot, plan: Plan | None, now: Instant) -> Decision:
    """Return what to command in this cycle, and all that the next one must remember.

    Nothing is read or written and no input changes. Exactly one entry per controllable asset comes back, always.
    """
    cycle, reasons = _begin(site, state, snapshot, now)
    seen = cycle.seen
    samples = balance.sample(site, state, seen, cycle.hidden_kw, now)
    lag_s = balance.estimate_lag(site, state, samples)
    base = balance.estimate_base(site, samples, lag_s)
    flows = _flows(cycle, base.base_kw)
    window = demand.advance(site, state, _grid_kw(cycle, flows), now, is_measured=not base.is_worst_case)
    wanted = _wanted(cycle, plan, window)
    cap = _cap(cycle, wanted, window)
    astray_s = astray_since_s(site, state, seen, cycle.live, now)
    books = _books(cycle, base.base_kw, astray_s)
    choice = _choose(cycle, wanted, flows, books, cap)
    guarded = choice.guarded
    setpoints, grants = _issue(cycle, guarded)
    cause = replan_cause(site, state, cycle.sessions, plan, now)
    facts = _facts(cycle, flows, samples[-1].grid_kw, base, lag_s=lag_s, cap_kw=cap.power_kw)
    new_state = ControlState(
        started_s=state.started_s,
        cycles=state.cycles + 1,
        setpoints_kw=_commanded(setpoints, seen),
        grants=grants,
        sessions=cycle.sessions,
        connectors=_memories(cycle, setpoints),
        last_good_s={**state.last_good_s, **_good(seen)},
        last_limits={**state.last_limits, **_battery_limits(site, seen)},
        believed_kw={**state.believed_kw, **_believed_kw(seen)},
        samples=samples,
        lag_s=lag_s,
        support_kw=choice.support.power_kw,
        support_rose_s=choice.support.rose_s,
        smooth_net_kw=flows.smooth_net_kw,
        smooth_excess_kw=choice.smooth_excess_kw,
        window=window,
        planned_s=state.planned_s if cause is None else now.mono_s,
        astray_s=astray_s,
        alarms=_alarms(cycle, guarded, books.astray),
        last=facts,
    )
    return Decision(
        setpoints, new_state, facts, (*wanted.reasons, *reasons, *choice.reasons, *guarded.reasons), cause
    )


def _begin(site: Site, state: ControlState, snapshot: Snapshot, now: Instant) -> tuple[_Cycle, list[Reason]]:
    """Return what all parts of the cycle look at, and why rules have narrowed anything."""
    seen = judge(site, snapshot, now)
    dt_s = (
        min(now.mono_s - state.samples[-1].mono_s, 2.0 * site.control.cycle_s)
        if state.samples
        else site.control.cycle_s
    )
    intervals, reasons = rules.envelope(rules.View(site, state, snapshot, seen, now))
    grants = settle(site, state, snapshot, seen, now)
    live = {
        a.asset_id: live_interval(a, grants[a.asset_id], snapshot.unarmed, now) for a in site.controllables
    }
    cycle = _Cycle(
        site=site,
        state=state,
        snapshot=snapshot,
        seen=seen,
        now=now,
        dt_s=max(dt_s, 0.0),
        grants=grants,
        live=live,
        hidden_kw=_hidden_kw(site, state, seen, live),
        intervals=intervals,
        sessions=track(site, state, seen, now),
        last_kw={a.asset_id: _last_kw(a, state, seen, grants[a.asset_id]) for a in site.controllables},
    )
    return cycle, reasons


def _facts(
    cycle: _Cycle, flows: Flows, grid_kw: float | None, base: BaseEstimate, *, lag_s: float, cap_kw: float
) -> Balance:
    return Balance(
        grid_kw=grid_kw,
        base_kw=base.base_kw,
        base_is_worst_case=base.is_worst_case,
        pv_kw=flows.pv_kw,
        battery_kw=sum(_power_kw(cycle, battery) for battery in cycle.site.batteries),
        charging_kw=flows.charging_kw,
        lag_s=lag_s,
        allowed_kw=cap_kw,
    )


def _wanted(cycle: _Cycle, plan: Plan | None, window: DemandWindow) -> Wanted:
    """Return what is wanted: what was found while the first plan is being made, else what ``follow`` says."""
    site, now = cycle.site, cycle.now
    if plan is None and now.mono_s - cycle.state.started_s < site.planning.timeout_s:
        return hold(site, cycle.last_kw)
    return follow(site, plan, cycle.sessions, window.month_peak_kw, now)


def _flows(cycle: _Cycle, base_kw: float) -> Flows:
    site = cycle.site
    pv_kw = sum(_power_kw(cycle, plant) for plant in site.pv_plants)
    charging_kw = sum(max(_power_kw(cycle, connector), 0.0) for connector in site.connectors)
    smooth_net_kw = smooth(cycle.state.smooth_net_kw, base_kw + pv_kw + charging_kw, cycle.dt_s)
    return Flows(base_kw, pv_kw, charging_kw, smooth_net_kw)


def _grid_kw(cycle: _Cycle, flows: Flows) -> float:
    """Return what flows at the meter now, from the aligned base load and what the assets do."""
    return flows.net_kw + sum(_power_kw(cycle, battery) for battery in cycle.site.batteries)


def _power_kw(cycle: _Cycle, asset: Controllable) -> float:
    """Return what an asset does: measured, or what it is taken to do while it can't be read."""
    measured_kw = cycle.seen.power_kw(asset.asset_id)
    return cycle.hidden_kw.get(asset.asset_id, 0.0) if measured_kw is None else measured_kw


def _hidden_kw(
    site: Site, state: ControlState, seen: Seen, live: Mapping[str, Interval | None]
) -> dict[str, float]:
    """Return what each asset that can't be read is taken to do: what it did last, as far as its grants let it.

    Without a grant a car is taken to draw nothing (its fallback is booked besides); a plant may go on.
    """
    hidden_kw = {}
    for asset in site.controllables:
        last_kw = state.believed_kw.get(asset.asset_id)
        if asset.asset_id not in seen.lost or last_kw is None:
            continue
        interval = live[asset.asset_id]
        permitted = asset.fallback if interval is None else interval.hull(asset.fallback)
        is_over = interval is None and isinstance(asset, Connector)
        hidden_kw[asset.asset_id] = 0.0 if is_over else permitted.clamp(last_kw)
    return hidden_kw


def _cap(cycle: _Cycle, wanted: Wanted, window: DemandWindow) -> Cap:
    """Return the import to hold now: the demand window's, at most the hard limit less the base load's growth."""
    site = cycle.site
    peak_kw = float("inf") if wanted.follows_rules else wanted.peak_kw
    allowed_kw = demand.allowed_kw(site, window, peak_kw)
    limits = [
        constraint
        for constraint in constraints_in_force(site, cycle.snapshot)
        if constraint.direction is Direction.IMPORT and constraint.base_weight == 1.0
    ]
    lowest = min(limits, key=lambda constraint: constraint.bound, default=None)
    if lowest is None or lowest.bound - site.base_load.growth_kw > allowed_kw:
        return Cap(allowed_kw)
    words = f"to hold {lowest.bound:g} kW ({lowest.name})"
    return Cap(lowest.bound - site.base_load.growth_kw, "limit", words)


def _books(cycle: _Cycle, base_kw: float, astray_s: Mapping[str, float]) -> Books:
    live = {
        asset.asset_id: still_using(asset, cycle.live[asset.asset_id], cycle.seen.power_kw(asset.asset_id))
        for asset in cycle.site.controllables
    }
    constraints = constraints_in_force(cycle.site, cycle.snapshot)
    astray = disobedient(cycle.site, astray_s, cycle.now)
    late = {
        key: late_interval(cycle.grants[key], cycle.now) for key in cycle.seen.lost if key in cycle.grants
    }
    return Books(
        cycle.site,
        constraints,
        cycle.seen,
        base_kw,
        live,
        astray=astray,
        unarmed=cycle.snapshot.unarmed,
        late=late,
        hidden_kw=cycle.hidden_kw,
    )


def _choose(cycle: _Cycle, wanted: Wanted, flows: Flows, books: Books, cap: Cap) -> _Choice:
    """Battery first, cars in what is left, and the gate over both."""
    site = cycle.site
    expected_kw = sum(
        expected_draw_kw(
            c,
            cycle.intervals[c.asset_id].clamp(wanted.powers_kw[c.asset_id]),
            cycle.last_kw[c.asset_id],
            cycle.seen,
        )
        for c in site.connectors
    )
    net_kw = flows.base_kw + flows.pv_kw + expected_kw
    if site.control.cycle_s >= REACTION_S:  # the cars will have followed before the battery is asked again
        flows = Flows(flows.base_kw, flows.pv_kw, expected_kw, net_kw)
    sent = dispatch(
        site,
        wanted,
        flows,
        cycle.intervals,
        cap_kw=cap.power_kw,
        old=Support(cycle.state.support_kw, cycle.state.support_rose_s),
        now=cycle.now,
        dt_s=cycle.dt_s,
    )
    over_kw = excess_kw(site, net_kw, cycle.intervals, cap.power_kw)
    smooth_excess_kw = smooth(cycle.state.smooth_excess_kw, over_kw, cycle.dt_s)
    order = sorted(site.connectors, key=lambda c: (_urgency_s(cycle, c), c.asset_id))
    idle = frozenset(key for key, session in cycle.sessions.items() if session.is_satisfied)
    fleet = Fleet(order, wanted.powers_kw, cycle.last_kw, cycle.intervals, cycle.state.connectors, cap, idle)
    offers_kw, reasons = allocate(fleet, _before_cars(cycle, books, sent), smooth_excess_kw, cycle.now)
    proposal = Proposal(
        powers_kw={**wanted.powers_kw, **sent.batteries_kw, **offers_kw},
        last_kw=cycle.last_kw,
        intervals=cycle.intervals,
        order=(*site.pv_plants, *order, *site.batteries),
        dt_s=cycle.dt_s,
    )
    return _Choice(sent.support, smooth_excess_kw, guard(site, books, proposal), reasons)


def _urgency_s(cycle: _Cycle, connector: Connector) -> float:
    """Return the laxity by which cars are ordered; one that charges keeps its place against one hardly more urgent."""
    is_charging = cycle.last_kw[connector.asset_id] > connector.min_kw
    laxity = laxity_s(cycle.sessions.get(connector.asset_id), connector, cycle.now)
    return laxity - (KEEPS_PLACE_S if is_charging else 0.0)


def _before_cars(cycle: _Cycle, books: Books, sent: Dispatch) -> Books:
    """Return the books with the battery as dispatched (charging left out: cars come first) and no car granted."""
    live: dict[str, Interval] = {}
    for asset in cycle.site.controllables:
        if isinstance(asset, PvPlant):
            live[asset.asset_id] = grant_interval(asset, asset.nameplate.min_kw)
        else:
            live[asset.asset_id] = grant_interval(asset, min(sent.batteries_kw.get(asset.asset_id, 0.0), 0.0))
    return settled(books, live)


def _issue(
    cycle: _Cycle, guarded: Guarded
) -> tuple[dict[str, Setpoint | Withheld], dict[str, tuple[Grant, ...]]]:
    """Return a setpoint with its lease for each asset, or why nothing is written, and the grants then in force."""
    control = cycle.site.control
    local = set(rules.local_assets(cycle.seen, cycle.site))
    setpoints: dict[str, Setpoint | Withheld] = {}
    grants = dict(cycle.grants)
    for asset in cycle.site.controllables:
        asset_id = asset.asset_id
        if cycle.state.cycles < control.restart_shadow_cycles:
            setpoints[asset_id] = Withheld("just started: watching")
        elif asset_id in local:
            setpoints[asset_id] = Withheld("local mode")
        else:
            power_kw = guarded.setpoints_kw[asset_id]
            old = cycle.live[asset_id] or asset.fallback
            new = grant_interval(asset, power_kw)
            makes_room = new.max_kw < old.max_kw or new.min_kw > old.min_kw
            grants[asset_id] = with_grant(asset, cycle.grants[asset_id], power_kw, control, cycle.now)
            is_due = grants[asset_id] != cycle.grants[asset_id]
            setpoints[asset_id] = Setpoint(power_kw, lease_s(asset, control), makes_room, is_due)
    return setpoints, grants


def _last_kw(asset: Controllable, state: ControlState, seen: Seen, grants: tuple[Grant, ...]) -> float:
    """Return the power to ramp from: what was commanded while that holds, else what the device says it permits or does.

    A connector and a PV plant permit powers, a battery has one.
    """
    commanded_kw = state.setpoints_kw.get(asset.asset_id)
    if commanded_kw is not None and grants:
        return commanded_kw
    reading = seen.reading(asset.asset_id)
    if reading is None:
        return 0.0 if isinstance(asset, Battery) else asset.fallback_kw
    if isinstance(asset, Battery):
        return asset.nameplate.clamp(reading.power_kw)
    unknown_kw = asset.nameplate.min_kw if isinstance(asset, PvPlant) else reading.power_kw
    return asset.nameplate.clamp(unknown_kw if reading.setpoint_kw is None else reading.setpoint_kw)


def _commanded(setpoints: Mapping[str, Setpoint | Withheld], seen: Seen) -> dict[str, float]:
    """Return the powers to ramp from in the next cycle; what nothing was written to, or nobody saw, is forgotten."""
    return {
        asset_id: entry.power_kw
        for asset_id, entry in setpoints.items()
        if isinstance(entry, Setpoint) and asset_id not in seen.lost
    }


def _memories(cycle: _Cycle, setpoints: Mapping[str, Setpoint | Withheld]) -> dict[str, ConnectorMemory]:
    memories = {}
    for connector in cycle.site.connectors:
        connector_id = connector.asset_id
        old, session = cycle.state.sessions.get(connector_id), cycle.sessions.get(connector_id)
        reading = cycle.seen.connectors.get(connector_id)
        entry = setpoints[connector_id]
        memory = cycle.state.connectors.get(connector_id, ConnectorMemory())
        if reading is None:
            memories[connector_id] = memory
            continue
        memories[connector_id] = remember(
            memory,
            old_kw=cycle.last_kw[connector_id],
            new_kw=entry.power_kw if isinstance(entry, Setpoint) else cycle.last_kw[connector_id],
            is_new_car=session is not None and (old is None or old.session_id != session.session_id),
            draws=reading.power_kw > DRAWS_KW,
            now=cycle.now,
        )
    return memories


def _good(seen: Seen) -> dict[str, float]:
    return {asset_id: reading.measured_s for asset_id, reading in seen.batteries.items()}


def _believed_kw(seen: Seen) -> dict[str, float]:
    return {
        **{asset_id: reading.power_kw for asset_id, reading in seen.batteries.items()},
        **{asset_id: reading.power_kw for asset_id, reading in seen.pv_plants.items()},
        **{asset_id: reading.power_kw for asset_id, reading in seen.connectors.items()},
    }


def _battery_limits(site: Site, seen: Seen) -> dict[str, Interval]:
    return {
        battery.asset_id: rules.battery_may(battery, reading)
        for battery in site.batteries
        if (reading := seen.batteries.get(battery.asset_id)) is not None
    }


def _alarms(cycle: _Cycle, guarded: Guarded, astray: frozenset[str]) -> frozenset[str]:
    lost = {f"{asset_id}: {reading.cause}" for asset_id, reading in cycle.seen.lost.items()}
    infeasible = {f"infeasible: {name}" for name in guarded.broken}
    unarmed = {f"{asset_id}: no device timer, booked at its rating" for asset_id in cycle.snapshot.unarmed}
    local = {f"{asset_id}: local mode" for asset_id in rules.local_assets(cycle.seen, cycle.site)}
    disobedient = {f"{asset_id}: does not follow its setpoint" for asset_id in astray}
    return frozenset(lost | infeasible | unarmed | local | disobedient | set(cycle.site.fallback_problems))
