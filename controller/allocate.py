"""What the cars get: the wish, cut to what the site may import, as 0 or at least the minimum, and calm. Pure.

Minimum first to as many as possible in the order of urgency, then the rest in the same order. Chargers are changed at
most every 5 s and switched at most every 5 minutes and 4 times an hour; the safety gate may always cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.envelope import Books
from controller.leases import grant_interval
from station.assets import Connector, ConnectorKind
from station.clock import Instant
from station.decision import ConnectorMemory, Reason
from station.limits import Direction, Interval

CHANGE_S = 5.0
"""Least time between two changes of an AC charger (its pilot and the car need about as long to follow)."""

SWITCH_S = 300.0
"""Least time on and least time off."""

STARTS_PER_HOUR = 4
"""Contactor closings that a charger permits in an hour."""

STEP_KW = 0.05
"""A smaller change is not made."""


@dataclass(frozen=True, slots=True)
class Cap:
    """The import to hold now in kW, and what sets it: the code and the words of a reason."""

    power_kw: float
    code: str = "demand window"
    words: str = "to hold the billed mean"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The connectors in the order of urgency, most urgent first, with their wishes, limits and memories.

    ``cap`` is what cars give way to. ``idle`` cars want nothing now: they are offered what the others leave.
    """

    order: Sequence[Connector]
    wishes_kw: Mapping[str, float]
    last_kw: Mapping[str, float]
    intervals: Mapping[str, Interval]
    memories: Mapping[str, ConnectorMemory]
    cap: Cap = Cap(float("inf"))
    idle: frozenset[str] = frozenset()


def allocate(
    fleet: Fleet, books: Books, excess_kw: float, now: Instant
) -> tuple[dict[str, float], list[Reason]]:
    """Return an offer in kW for each connector, and why it differs from the wish.

    ``books`` must hold every connector at its fallback; offers are booked into it. ``excess_kw`` is taken off the
    least urgent cars first, down to their minimum.
    """
    reasons: list[Reason] = []
    offers_kw = _cut(fleet, excess_kw, reasons)
    for connector in fleet.order:
        offers_kw[connector.asset_id] = _calm(connector, offers_kw[connector.asset_id], fleet, now, reasons)
    granted_kw = dict.fromkeys(offers_kw, 0.0)
    hungry = [connector for connector in fleet.order if connector.asset_id not in fleet.idle]
    for connectors in (hungry, [connector for connector in fleet.order if connector.asset_id in fleet.idle]):
        for connector in connectors:
            if offers_kw[connector.asset_id] > 0.0:
                granted_kw[connector.asset_id] = _minimum(connector, books, reasons)
        for connector in connectors:
            if granted_kw[connector.asset_id] > 0.0:
                offer_kw = offers_kw[connector.asset_id]
                granted_kw[connector.asset_id] = _top_up(connector, offer_kw, books, reasons)
    return granted_kw, reasons


def _cut(fleet: Fleet, excess_kw: float, reasons: list[Reason]) -> dict[str, float]:
    offers_kw = {
        connector.asset_id: fleet.intervals[connector.asset_id].clamp(fleet.wishes_kw[connector.asset_id])
        for connector in fleet.order
    }
    for connector in reversed(fleet.order):
        offer_kw = offers_kw[connector.asset_id]
        give_kw = min(excess_kw, max(offer_kw - connector.min_kw, 0.0))
        if give_kw > STEP_KW:
            offers_kw[connector.asset_id] = offer_kw - give_kw
            excess_kw -= give_kw
            reasons.append(
                Reason(fleet.cap.code, connector.asset_id, f"gives {give_kw:.1f} kW {fleet.cap.words}")
            )
    return offers_kw


def _calm(connector: Connector, offer_kw: float, fleet: Fleet, now: Instant, reasons: list[Reason]) -> float:
    """Return the offer as 0 or at least the minimum, and unchanged where a timer says so."""
    last_kw = fleet.last_kw.get(connector.asset_id, 0.0)
    memory = fleet.memories.get(connector.asset_id, ConnectorMemory())
    interval = fleet.intervals[connector.asset_id]
    offer_kw = _valid(connector, offer_kw)
    if abs(offer_kw - last_kw) < STEP_KW:
        return _valid(connector, interval.clamp(last_kw))
    if (offer_kw > 0.0) != (last_kw > 0.0):
        switches = connector.kind is ConnectorKind.AC and connector.asset_id not in fleet.idle
        held = _switch_is_held(memory, offer_kw > 0.0, now) if switches else ""
        if held:
            reasons.append(Reason("calm", connector.asset_id, held))
            offer_kw = connector.min_kw if last_kw > 0.0 else 0.0
    elif connector.kind is ConnectorKind.AC and now.mono_s - memory.changed_s < CHANGE_S:
        offer_kw = last_kw
    return _valid(connector, interval.clamp(offer_kw))


def _switch_is_held(memory: ConnectorMemory, to_on: bool, now: Instant) -> str:
    if now.mono_s - memory.switched_s < SWITCH_S:
        return "stays on for 5 minutes" if not to_on else "stays off for 5 minutes"
    recent = sum(1 for start_s in memory.starts_s if now.mono_s - start_s < 3600.0)
    if not to_on and recent >= STARTS_PER_HOUR:
        return "stays on: no further contactor operation this hour"
    return ""


def _valid(connector: Connector, offer_kw: float) -> float:
    """Return the offer as a charger can take it: nothing, or at least the minimum."""
    if offer_kw >= connector.min_kw:
        return offer_kw
    return connector.min_kw if offer_kw >= 0.5 * connector.min_kw else 0.0


def _minimum(connector: Connector, books: Books, reasons: list[Reason]) -> float:
    live = grant_interval(connector, connector.min_kw)
    if books.fits(connector, live):
        books.book(connector, live)
        return connector.min_kw
    reasons.append(Reason("limit", connector.asset_id, "no room for the minimum"))
    return 0.0


def _top_up(connector: Connector, offer_kw: float, books: Books, reasons: list[Reason]) -> float:
    booked_kw = max(connector.min_kw, connector.fallback_kw)
    room_kw = max(books.room_kw(connector, Direction.IMPORT), 0.0)
    granted_kw = min(offer_kw, booked_kw + room_kw)
    if granted_kw < offer_kw - STEP_KW:
        reasons.append(
            Reason("limit", connector.asset_id, f"{granted_kw:.1f} kW instead of {offer_kw:.1f} kW")
        )
    books.book(connector, grant_interval(connector, granted_kw))
    return max(granted_kw, connector.min_kw)


def remember(
    memory: ConnectorMemory,
    *,
    old_kw: float,
    new_kw: float,
    is_new_car: bool,
    draws: bool,
    now: Instant,
) -> ConnectorMemory:
    """Return a connector's timers after this cycle's offer."""
    if is_new_car:
        memory = ConnectorMemory()
    changed_s = now.mono_s if abs(new_kw - old_kw) >= STEP_KW else memory.changed_s
    switched_s, starts_s = memory.switched_s, memory.starts_s
    if (new_kw > 0.0) != (old_kw > 0.0):
        switched_s = now.mono_s
        if new_kw > 0.0:
            starts_s = (*(start_s for start_s in starts_s if now.mono_s - start_s < 3600.0), now.mono_s)
    idle_since_s = memory.idle_since_s
    if draws or old_kw <= 0.0:
        idle_since_s = None
    elif idle_since_s is None:
        idle_since_s = now.mono_s
    return ConnectorMemory(changed_s, switched_s, starts_s, idle_since_s)
