"""When a new plan is due, and why. Pure, so that the twin and the live loop plan at the same moments."""

from collections.abc import Mapping

from station.clock import Instant
from station.decision import ControlState
from station.plan import Plan
from station.session import Session
from station.topology import Site

LEAST_S = 10.0
"""Events that come close together share one plan."""


def replan_cause(
    site: Site, state: ControlState, sessions: Mapping[str, Session], plan: Plan | None, now: Instant
) -> str | None:
    """Return why a plan should be made now, or None. ``state`` is that of the last cycle."""
    since_s = now.mono_s - state.planned_s
    if since_s < LEAST_S:
        return None
    if since_s >= site.planning.interval_s:
        return "interval"
    if plan is None or plan.slot_at(now.at) is None:
        return "no plan" if since_s >= site.planning.timeout_s else None
    for connector in site.connectors:
        session = sessions.get(connector.asset_id)
        if session is not None and plan.sessions.get(connector.asset_id) != session.session_id:
            if session.plugged_in_at > plan.made_at:
                return f"arrival at {connector.asset_id}"
        elif session is None and connector.asset_id in plan.sessions and connector.asset_id in state.sessions:
            return f"departure from {connector.asset_id}"
    return None
