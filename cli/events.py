"""What has happened at a station, in words for people: from one cycle to the next. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controller.loop import Cycle
from station.assets import PvPlant
from station.decision import Setpoint
from station.plan import PlanOrigin
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``kind``: alarm, clear, plan, session, command or log."""

    at: datetime
    kind: str
    text: str


def events_between(site: Site, before: Cycle | None, cycle: Cycle, at: datetime) -> Iterable[Event]:
    """Yield what a cycle has changed against the one before it."""
    old_alarms = before.decision.state.alarms if before else frozenset()
    alarms = cycle.decision.state.alarms
    yield from (Event(at, "alarm", alarm) for alarm in sorted(alarms - old_alarms))
    yield from (Event(at, "clear", f"over: {alarm}") for alarm in sorted(old_alarms - alarms))
    if cycle.plan is not None and (before is None or cycle.plan is not before.plan):
        plan = cycle.plan
        note = f", {plan.note}" if plan.note and plan.origin is not PlanOrigin.OPTIMIZER else ""
        made = f"plan made by {plan.origin.replace('_', ' ')} in {plan.solve_ms:.0f} ms"
        yield Event(at, "plan", f"{made}, peak {plan.peak_kw:.0f} kW{note}")
    sessions = cycle.decision.state.sessions
    known = {s.session_id for s in before.decision.state.sessions.values()} if before else set()
    for session in sessions.values():
        if session.session_id not in known:
            asks = "" if session.requested_kwh is None else f", asks for {session.requested_kwh:.1f} kWh"
            yield Event(at, "session", f"{session.connector_id}: a car is plugged in{asks}")
    for past in cycle.ended:
        yield Event(at, "session", f"{past.connector_id}: the car leaves with {past.energy_kwh:.1f} kWh")
    if before is not None:
        yield from _commands(site, before, cycle, at)


def _commands(site: Site, before: Cycle, cycle: Cycle, at: datetime) -> Iterable[Event]:
    """Yield the setpoints that changed by much and have a reason that is not the plan's."""
    for asset in site.controllables:
        old = before.decision.setpoints.get(asset.asset_id)
        new = cycle.decision.setpoints[asset.asset_id]
        if not (isinstance(old, Setpoint) and isinstance(new, Setpoint)):
            continue
        span_kw = asset.nameplate.max_kw - asset.nameplate.min_kw
        reason = reason_of(cycle, asset.asset_id)
        if reason and abs(new.power_kw - old.power_kw) > max(0.1 * span_kw, 1.0):
            sign = -1.0 if isinstance(asset, PvPlant) else 1.0
            change = f"{sign * old.power_kw + 0.0:.1f} → {sign * new.power_kw + 0.0:.1f} kW"
            yield Event(at, "command", f"{asset.asset_id} {change}: {reason}")


def reason_of(cycle: Cycle, asset_id: str) -> str:
    """Return the last reason that a cycle gives for what an asset does; empty where it has none."""
    found = [r for r in cycle.decision.reasons if r.asset_id == asset_id and r.rule != "car_present"]
    return found[-1].detail if found else ""
