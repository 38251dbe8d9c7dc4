"""Who is plugged in, from what the chargers say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from controller.judge import Seen
from station.clock import Instant
from station.decision import ConnectorMemory, ControlState
from station.measurement import ConnectorReading
from station.session import PastSession, Session
from station.topology import Site

SATISFIED_AFTER_S = 60.0
"""A car that draws nothing for so long although power is offered wants none."""

DRAWS_KW = 0.1
"""Less than this is the charger's own consumption and not a charging car."""

FALLS_KWH = 0.5
"""A session's energy never falls; where it does by so much, another car has come unseen."""


def track(site: Site, state: ControlState, seen: Seen, now: Instant) -> dict[str, Session]:
    """Return the session of each occupied connector. A connector that can't be read keeps its session."""
    sessions: dict[str, Session] = {}
    for connector in site.connectors:
        connector_id = connector.asset_id
        old = state.sessions.get(connector_id)
        reading = seen.connectors.get(connector_id)
        if reading is None:
            if old is not None:
                sessions[connector_id] = old
        elif reading.is_occupied:
            memory = state.connectors.get(connector_id, ConnectorMemory())
            idle = _Idle(memory.idle_since_s, max(SATISFIED_AFTER_S, site.control.cycle_s), now)
            sessions[connector_id] = _update(connector_id, old, reading, idle)
    return sessions


def ended(old: Mapping[str, Session], new: Mapping[str, Session], now: Instant) -> tuple[PastSession, ...]:
    """Return the sessions of ``old`` that are over, for the history."""
    return tuple(
        PastSession(
            session.session_id,
            connector_id,
            session.plugged_in_at,
            now.at,
            session.delivered_kwh,
            session.requested_kwh,
            session.estimated_unplug_at,
        )
        for connector_id, session in old.items()
        if connector_id not in new or new[connector_id].session_id != session.session_id
    )


@dataclass(frozen=True, slots=True)
class _Idle:
    """Since when an offer was not taken up (None: it is, or there is none), and how long makes a car satisfied."""

    since_s: float | None
    patience_s: float
    now: Instant


def _update(connector_id: str, old: Session | None, reading: ConnectorReading, idle: _Idle) -> Session:
    at = idle.now.at
    kept_kwh = 0.0 if old is None else old.delivered_kwh
    delivered_kwh = reading.session_kwh if isfinite(reading.session_kwh) else kept_kwh
    if old is not None and reading.session_id is None and delivered_kwh < kept_kwh - FALLS_KWH:
        old = None
    session_id = reading.session_id or (old.session_id if old else f"{connector_id}@{at:%Y%m%dT%H%M%S}")
    if old is None or old.session_id != session_id:
        old = Session(session_id, connector_id, at, 0.0, None, None, None)
    return replace(
        old,
        delivered_kwh=delivered_kwh,
        requested_kwh=reading.requested_kwh,
        estimated_unplug_at=reading.estimated_unplug_at,
        known_kwh=reading.known_kwh,
        soc=reading.soc,
        capacity_kwh=reading.capacity_kwh,
        is_satisfied=_is_satisfied(old, reading, idle),
    )


def _is_satisfied(old: Session, reading: ConnectorReading, idle: _Idle) -> bool:
    if reading.power_kw > DRAWS_KW:
        return False
    if idle.since_s is None:
        return old.is_satisfied
    return old.is_satisfied or idle.now.mono_s - idle.since_s >= idle.patience_s
