"""The part of the control state that outlives the process, as plain data.

The monotonic clock begins anew with each boot, so a lease is kept as the seconds that it had left. A restored grant
gets them all again: time that passed in between only made it shorter, so erring this way is safe.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from station.clock import Instant
from station.decision import ControlState, DemandWindow, Grant
from station.limits import Interval
from station.session import Session


def durable_of(state: ControlState, now: Instant) -> dict[str, Any]:
    """Return what a restart needs, ready for JSON; ``now`` is on the clock of ``state``."""
    return {
        "saved_at": now.at.isoformat(),
        "lag_s": state.lag_s,
        "window": None if state.window is None else _window(state.window),
        "grants": {
            asset_id: [_grant(grant, now) for grant in grants] for asset_id, grants in state.grants.items()
        },
        "sessions": {connector_id: _session(session) for connector_id, session in state.sessions.items()},
        "alarms": sorted(state.alarms),
    }


def restored(data: Mapping[str, Any], now: Instant) -> ControlState:
    """Return the remembered state for a process that starts at ``now``."""
    window = data["window"]
    return ControlState(
        started_s=now.mono_s,
        grants={
            asset_id: tuple(_grant_back(grant, now) for grant in grants)
            for asset_id, grants in data["grants"].items()
        },
        sessions={connector_id: _session_back(session) for connector_id, session in data["sessions"].items()},
        lag_s=data["lag_s"],
        window=None if window is None else _window_back(window),
        alarms=frozenset(data["alarms"]),
    )


def _window(window: DemandWindow) -> dict[str, Any]:
    return {
        "starts_at": window.starts_at.isoformat(),
        "energy_kwh": window.energy_kwh,
        "covered_s": window.covered_s,
        "month": list(window.month),
        "month_peak_kw": window.month_peak_kw,
    }


def _window_back(data: Mapping[str, Any]) -> DemandWindow:
    year, month = data["month"]
    return DemandWindow(
        starts_at=datetime.fromisoformat(data["starts_at"]),
        energy_kwh=data["energy_kwh"],
        covered_s=data["covered_s"],
        month=(year, month),
        month_peak_kw=data["month_peak_kw"],
    )


def _grant(grant: Grant, now: Instant) -> dict[str, float]:
    return {
        "left_s": grant.expires_s - now.mono_s,
        "min_kw": grant.interval.min_kw,
        "max_kw": grant.interval.max_kw,
    }


def _grant_back(data: Mapping[str, float], now: Instant) -> Grant:
    return Grant(now.mono_s, now.mono_s + data["left_s"], Interval(data["min_kw"], data["max_kw"]))


def _session(session: Session) -> dict[str, Any]:
    estimate_at = session.estimated_unplug_at
    return {
        "session_id": session.session_id,
        "connector_id": session.connector_id,
        "plugged_in_at": session.plugged_in_at.isoformat(),
        "delivered_kwh": session.delivered_kwh,
        "requested_kwh": session.requested_kwh,
        "estimated_unplug_at": None if estimate_at is None else estimate_at.isoformat(),
        "known_kwh": session.known_kwh,
        "soc": session.soc,
        "capacity_kwh": session.capacity_kwh,
        "is_satisfied": session.is_satisfied,
    }


def _session_back(data: Mapping[str, Any]) -> Session:
    times = {
        "plugged_in_at": datetime.fromisoformat(data["plugged_in_at"]),
        "estimated_unplug_at": _time_or_none(data["estimated_unplug_at"]),
    }
    return Session(**{**data, **times})


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
