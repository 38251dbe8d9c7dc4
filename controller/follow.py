"""From the plan to what each asset should do now: the plan's target, or plain rules where there is no plan. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from controller.judge import Seen
from station.assets import Connector
from station.clock import Instant
from station.decision import Reason
from station.plan import Plan, PlanOrigin
from station.session import Session
from station.topology import Site

RULES_STAY_S = 4 * 3600.0
"""A driver who said nothing is taken to stay so long."""

FORGOTTEN_INTERVALS = 2.0
"""A car that no plan knows after so many planning intervals is not left at its minimum."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What each asset should do, before limits. Load convention; connectors: highest power; PV: lowest power.

    ``peak_kw`` is the billed mean to hold, ``planned_grid_kw`` what the plan expects at the meter (None without one).
    ``follows_rules`` says that there is no plan and the battery is left to the dispatch's own rule.
    """

    powers_kw: Mapping[str, float]
    peak_kw: float
    planned_grid_kw: float | None
    follows_rules: bool
    reasons: tuple[Reason, ...] = ()


def follow(
    site: Site, plan: Plan | None, sessions: Mapping[str, Session], month_peak_kw: float, now: Instant
) -> Wanted:
    """Return what is wanted now. A plan that is absent, expired or not a number gives way to rules."""
    slot = None if plan is None else plan.slot_at(now.at)
    if plan is None or slot is None:
        return _by_rules(site, sessions, month_peak_kw)
    powers_kw: dict[str, float] = {}
    reasons: list[Reason] = []
    for battery in site.batteries:
        powers_kw[battery.asset_id] = _target(plan, battery.asset_id, slot, 0.0)
    for pv_plant in site.pv_plants:
        powers_kw[pv_plant.asset_id] = _target(plan, pv_plant.asset_id, slot, -pv_plant.rated_kw)
    for connector in site.connectors:
        session = sessions.get(connector.asset_id)
        if session is not None and _is_forgotten(site, plan, session, now):
            reasons.append(Reason("no plan", connector.asset_id, "never planned for: charges at once"))
            powers_kw[connector.asset_id] = _offer(session, connector, connector.max_kw)
            continue
        powers_kw[connector.asset_id] = _for_car(plan, connector, session, slot, reasons)
    has_no_peak = plan.origin is PlanOrigin.BASELINE and plan.peak_kw == float("inf")
    peak_kw = plan.peak_kw if isfinite(plan.peak_kw) or has_no_peak else month_peak_kw
    return Wanted(powers_kw, max(peak_kw, month_peak_kw), _finite(plan.grid_kw[slot]), False, tuple(reasons))


def hold(site: Site, last_kw: Mapping[str, float]) -> Wanted:
    """Return what was found at the start, until the first plan is there: a restart must not make a power step."""
    reason = Reason("no plan", site.meter.asset_id, "just started: holds what it found until the first plan")
    return Wanted(dict(last_kw), float("inf"), None, False, (reason,))


def laxity_s(session: Session | None, connector: Connector, now: Instant) -> float:
    """Return how long charging could still be put off, in seconds; small means urgent."""
    if session is None:
        return float("inf")
    left_s = RULES_STAY_S
    if session.estimated_unplug_at is not None:
        left_s = (session.estimated_unplug_at - now.at).total_seconds()
    asked_kwh = session.known_kwh if session.known_kwh is not None else session.requested_kwh
    missing_kwh = max((asked_kwh if asked_kwh is not None else 10.0) - session.delivered_kwh, 0.5)
    return left_s - missing_kwh / (connector.max_kw * connector.efficiency) * 3600.0


def _by_rules(site: Site, sessions: Mapping[str, Session], month_peak_kw: float) -> Wanted:
    powers_kw = {battery.asset_id: 0.0 for battery in site.batteries}
    powers_kw |= {pv_plant.asset_id: -pv_plant.rated_kw for pv_plant in site.pv_plants}
    for connector in site.connectors:
        session = sessions.get(connector.asset_id)
        powers_kw[connector.asset_id] = (
            0.0 if session is None else _offer(session, connector, connector.max_kw)
        )
    reasons = (
        Reason("no plan", site.meter.asset_id, "plain rules: charge at once, battery follows the balance"),
    )
    return Wanted(powers_kw, month_peak_kw, None, True, reasons)


def _is_forgotten(site: Site, plan: Plan, session: Session, now: Instant) -> bool:
    """Return whether a car has waited for its first plan so long that the planner must be dead."""
    waited_s = (now.at - session.plugged_in_at).total_seconds()
    is_planned = plan.sessions.get(session.connector_id) == session.session_id
    return not is_planned and waited_s > FORGOTTEN_INTERVALS * site.planning.interval_s


def _for_car(
    plan: Plan, connector: Connector, session: Session | None, slot: int, reasons: list[Reason]
) -> float:
    if session is None:
        return 0.0
    if plan.sessions.get(connector.asset_id) != session.session_id:
        reasons.append(Reason("new car", connector.asset_id, "offers the minimum until it is planned for"))
        return connector.min_kw
    return _offer(session, connector, _target(plan, connector.asset_id, slot, 0.0))


def _offer(session: Session, connector: Connector, target_kw: float) -> float:
    """Return the offer for a car; one that wants nothing is offered the minimum, so that it can change its mind."""
    return connector.min_kw if session.is_satisfied else target_kw


def _target(plan: Plan, asset_id: str, slot: int, missing_kw: float) -> float:
    targets_kw = plan.targets_kw.get(asset_id, ())
    if slot >= len(targets_kw):
        return missing_kw
    target_kw = _finite(targets_kw[slot])
    return missing_kw if target_kw is None else target_kw


def _finite(power_kw: float) -> float | None:
    return power_kw if isfinite(power_kw) else None


def expected_draw_kw(connector: Connector, wanted_kw: float, last_kw: float, seen: Seen) -> float:
    """Return what a connector will probably draw once ``wanted_kw`` is offered, from what it draws at ``last_kw``."""
    reading = seen.connectors.get(connector.asset_id)
    if reading is None:
        return min(wanted_kw, connector.fallback_kw)
    if wanted_kw <= last_kw:
        return min(max(reading.power_kw, 0.0), wanted_kw)
    return min(max(reading.power_kw, 0.0) + wanted_kw - last_kw, wanted_kw)
