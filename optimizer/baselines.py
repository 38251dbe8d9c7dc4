"""Simple strategies that look at this moment only: for comparison, and as the last rung of the planner's ladder.

They take the driver's request for the need and the estimated departure for the deadline (or what a study reveals).
Every strategy but ``uncontrolled`` keeps the limits of the tree and the connectors' minimum powers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from station.clock import slot_start
from station.limits import Direction
from station.plan import Plan, PlanOrigin
from station.session import Session
from station.topology import Site

DEFAULT_STAY_H = 6.0
"""Stay of a car whose driver said nothing."""
DEFAULT_NEED_KWH = 15.0
OUTSTAYED_H = 0.25
URGENT_H = 0.5
TOP_UP_KWH = 1.0
"""A car that has all that was asked for and still draws gets this much more, again and again."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a simple strategy sees: plugged cars, base load (>= 0), PV (<= 0) and SoC by battery id.

    ``cap_kw`` is an import that it keeps below the limits of the tree, or None.
    """

    site: Site
    now: datetime
    sessions: tuple[Session, ...]
    load_kw: float
    pv_kw: float
    soc: Mapping[str, float] = field(default_factory=dict)
    unavailable: frozenset[str] = frozenset()
    cap_kw: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """One car: the most that it may draw now, the least that makes sense, and how urgent it is."""

    session: Session
    max_kw: float
    min_kw: float
    left_h: float
    laxity_h: float


def uncontrolled(moment: Moment) -> Plan:
    """Let every car draw what it can, the battery rest and the sun shine: no limit is looked at."""
    powers = {wish.session.connector_id: wish.max_kw for wish in _wishes(moment)}
    return _plan(moment, powers, {})


def edf(moment: Moment) -> Plan:
    """Serve cars by earliest departure, each with all that is free."""
    return _plan(moment, _in_order(moment, lambda wish: wish.left_h, _room(moment)), {})


def llf(moment: Moment) -> Plan:
    """Serve cars by least laxity: time left less the time that its energy takes at full power."""
    return _plan(moment, _in_order(moment, lambda wish: wish.laxity_h, _room(moment)), {})


def round_robin(moment: Moment) -> Plan:
    """Raise all cars in equal steps until a limit is met."""
    room, wishes = _room(moment), sorted(_wishes(moment), key=lambda wish: wish.session.plugged_in_at)
    powers = {}
    for wish in wishes:
        if room.fits(wish.session.connector_id, wish.min_kw):
            powers[wish.session.connector_id] = wish.min_kw
            room.take(wish.session.connector_id, wish.min_kw)
    rising = [wish for wish in wishes if wish.session.connector_id in powers]
    while rising:
        kept = []
        for wish in rising:
            name = wish.session.connector_id
            step = min(0.25, wish.max_kw - powers[name])
            if step > 1e-9 and room.fits(name, step):
                powers[name] += step
                room.take(name, step)
                kept.append(wish)
        rising = kept
    return _plan(moment, powers, {})


def capped_llf(moment: Moment) -> Plan:
    """LLF under a constant cap; the battery discharges to hold it and is charged below it.

    The battery is counted on while it lasts, so cars may use its power above the cap.
    """
    return _with_battery(moment, urgent=False)


def rules(moment: Moment) -> Plan:
    """LLF under the cap with the battery's help; a car that can't wait gets what the limits leave above the cap."""
    return _with_battery(moment, urgent=True)


def _with_battery(moment: Moment, *, urgent: bool) -> Plan:
    """Share the cap and what the battery gives among cars, then let the battery close the gap to the cap.

    With ``urgent`` a car that can't wait may use what the limits of the tree leave above the cap.
    """
    limit = moment.site.continuous_kw(Direction.IMPORT)
    cap_kw = min(limit, moment.cap_kw if moment.cap_kw is not None else limit)
    support = sum(_discharge_kw(moment, battery.asset_id) for battery in moment.site.batteries)
    room = _room(moment, min(limit, cap_kw + 0.8 * support))
    powers = _in_order(moment, lambda wish: wish.laxity_h, room)
    if urgent:
        pressed = [wish for wish in _wishes(moment) if wish.laxity_h < URGENT_H]
        free = _room(moment, limit)
        for name, power in powers.items():
            free.take(name, power)
        for wish in sorted(pressed, key=lambda wish: wish.laxity_h):
            name = wish.session.connector_id
            more = min(wish.max_kw - powers[name], free.free_kw(name))
            if powers[name] + more >= wish.min_kw:
                powers[name] += more
                free.take(name, more)
    return _plan(
        moment, powers, _battery_powers(moment, cap_kw, moment.load_kw + moment.pv_kw + sum(powers.values()))
    )


def _battery_powers(moment: Moment, cap_kw: float, net_kw: float) -> dict[str, float]:
    """Return what batteries do about a net load: shave it to the cap, or fill up below it, else from spare sun only."""
    powers = {}
    for battery in moment.site.batteries:
        soc = moment.soc.get(battery.asset_id)
        if soc is None or battery.asset_id in moment.unavailable:
            continue
        if net_kw > cap_kw:
            power = -min(net_kw - cap_kw, _discharge_kw(moment, battery.asset_id))
        else:
            wanted = max(-net_kw, 0.0) if moment.cap_kw is None else cap_kw - net_kw
            room_kwh = max(0.0, (battery.soc_max - soc) * battery.capacity_kwh) / max(
                battery.charge_efficiency, 0.01
            )
            power = min(wanted, battery.max_charge_kw, room_kwh / _slot_h(moment))
        powers[battery.asset_id] = power
        net_kw += power
    return powers


def _discharge_kw(moment: Moment, battery_id: str) -> float:
    """Return what a battery can give for a whole slot."""
    battery = next(b for b in moment.site.batteries if b.asset_id == battery_id)
    soc = moment.soc.get(battery_id)
    if soc is None or battery_id in moment.unavailable:
        return 0.0
    stored = max(0.0, (soc - battery.soc_min) * battery.capacity_kwh) * battery.discharge_efficiency
    return min(battery.max_discharge_kw, stored / _slot_h(moment))


def _slot_h(moment: Moment) -> float:
    return moment.site.planning.slot_s / 3600.0


def _wishes(moment: Moment) -> list[Wish]:
    """Return what each plugged car that can be controlled would like."""
    connectors = {connector.asset_id: connector for connector in moment.site.connectors}
    found = []
    for session in moment.sessions:
        connector = connectors.get(session.connector_id)
        if connector is None or session.is_satisfied or session.connector_id in moment.unavailable:
            continue
        need = next(
            (kwh for kwh in (session.known_kwh, session.requested_kwh) if kwh is not None), DEFAULT_NEED_KWH
        )
        left_kwh = need - session.delivered_kwh
        if left_kwh <= 0 and session.known_kwh is not None:
            continue
        left_kwh = max(left_kwh, TOP_UP_KWH) if session.known_kwh is None else left_kwh
        leaves_at = session.estimated_unplug_at or session.plugged_in_at + timedelta(hours=DEFAULT_STAY_H)
        left_h = max((leaves_at - moment.now).total_seconds() / 3600.0, OUTSTAYED_H)
        fastest_h = left_kwh / max(connector.max_kw * connector.efficiency, 1e-9)
        found.append(Wish(session, connector.max_kw, connector.min_kw, left_h, left_h - fastest_h))
    return sorted(found, key=lambda wish: wish.session.session_id)


class _Room:
    """What is free under each import bound of the tree."""

    def __init__(self, bounds: list[tuple[Mapping[str, float], float]]) -> None:
        self.bounds = [(weights, free) for weights, free in bounds]

    def free_kw(self, name: str) -> float:
        """Return the most that ``name`` may still draw."""
        return max(0.0, min((free / w[name] for w, free in self.bounds if w.get(name)), default=float("inf")))

    def fits(self, name: str, power_kw: float) -> bool:
        """Return whether ``name`` may draw so much more."""
        return power_kw <= self.free_kw(name) + 1e-9

    def take(self, name: str, power_kw: float) -> None:
        """Book a power of ``name``."""
        self.bounds = [(weights, free - weights.get(name, 0.0) * power_kw) for weights, free in self.bounds]


def _room(moment: Moment, cap_kw: float | None = None) -> _Room:
    """Return what is free for cars: PV and load as they are, the battery at rest."""
    rated_kw = sum(plant.rated_kw for plant in moment.site.pv_plants)
    bounds: list[tuple[Mapping[str, float], float]] = []
    for constraint in moment.site.constraints:
        if constraint.direction is not Direction.IMPORT:
            continue
        inside = sum(p.rated_kw * constraint.weights.get(p.asset_id, 0.0) for p in moment.site.pv_plants)
        sun_kw = -moment.pv_kw * inside / rated_kw if rated_kw > 0 else 0.0
        bounds.append(
            (constraint.weights, constraint.bound - constraint.base_weight * moment.load_kw + sun_kw)
        )
    if cap_kw is not None:
        everyone = {connector.asset_id: 1.0 for connector in moment.site.connectors}
        bounds.append((everyone, cap_kw - moment.load_kw - moment.pv_kw))
    return _Room(bounds)


def _in_order(moment: Moment, key: Callable[[Wish], float], room: _Room) -> dict[str, float]:
    """Give each car in order of ``key`` all that is free, or nothing where that is below its minimum."""
    powers = {}
    for wish in sorted(_wishes(moment), key=key):
        name = wish.session.connector_id
        power = min(wish.max_kw, room.free_kw(name))
        powers[name] = power if power >= wish.min_kw and power > 0 else 0.0
        room.take(name, powers[name])
    return powers


def _plan(moment: Moment, powers: Mapping[str, float], batteries: Mapping[str, float]) -> Plan:
    """Return a plan of one slot."""
    site, slot_s = moment.site, moment.site.planning.slot_s
    starts_at = slot_start(moment.now, slot_s)
    targets = {battery.asset_id: (batteries.get(battery.asset_id, 0.0),) for battery in site.batteries}
    targets |= {plant.asset_id: (-plant.rated_kw,) for plant in site.pv_plants}
    targets |= {connector.asset_id: (powers.get(connector.asset_id, 0.0),) for connector in site.connectors}
    net = moment.load_kw + moment.pv_kw + sum(powers.values()) + sum(batteries.values())
    return Plan(
        made_at=moment.now,
        starts_at=starts_at,
        slot_s=slot_s,
        valid_until=starts_at + timedelta(seconds=slot_s),
        targets_kw=targets,
        sessions={session.connector_id: session.session_id for session in moment.sessions},
        peak_kw=max(net, moment.cap_kw or 0.0),
        origin=PlanOrigin.BASELINE,
        grid_kw=(net,),
        load_kw=(moment.load_kw,),
        pv_kw=(moment.pv_kw,),
    )
