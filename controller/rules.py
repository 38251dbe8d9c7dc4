"""The rules that narrow what each asset may do, hardest first. A rule never widens (property: subset). Pure.

Order: device protection, the device's own dynamic limit, local mode, lost readings, state of charge, manual override.
The grid operator's limits and the limit tree are sums over assets and so belong to the books of ``envelope``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite

from controller.judge import Seen, stale_bound_s
from station.assets import Battery, Connector, Controllable, PvPlant
from station.clock import Instant
from station.decision import ControlState, Reason
from station.limits import ZERO, Interval
from station.measurement import BatteryReading, ConnectorReading, Snapshot
from station.request import RequestKind
from station.topology import Site

DERATE_S = 10.0
"""A dynamic limit that is no longer fresh fades to nothing over so many seconds (I5)."""

EDGE_S = 120.0
"""What is left of a battery's window of charge, or of room in it, lasts at least so long."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a rule may look at."""

    site: Site
    state: ControlState
    snapshot: Snapshot
    seen: Seen
    now: Instant


Narrowing = tuple[Interval, str]
Rule = Callable[[View, Controllable], Narrowing | None]


def envelope(view: View) -> tuple[dict[str, Interval], list[Reason]]:
    """Return what each controllable asset may do in this cycle, and every narrowing that took something away."""
    intervals: dict[str, Interval] = {}
    reasons: list[Reason] = []
    for asset in view.site.controllables:
        interval = asset.nameplate
        for rule in RULES:
            narrowing = rule(view, asset)
            if narrowing is None:
                continue
            narrowed = (
                interval.narrow(narrowing[0])
                if rule is not manual_override
                else _lower(interval, narrowing[0])
            )
            if narrowed != interval:
                reasons.append(Reason(rule.__name__, asset.asset_id, narrowing[1]))
            interval = narrowed
        intervals[asset.asset_id] = interval
    return intervals, reasons


def fallbacks_must_fit(view: View, asset: Controllable) -> Narrowing | None:
    """Hold the fallback where the fallbacks alone could pass a limit: nothing may be granted on top."""
    broken = view.site.fallback_problems
    return (asset.fallback, broken[0]) if broken else None


def dynamic_limit(view: View, asset: Controllable) -> Narrowing | None:
    """Keep within what the BMS or the charger permits right now; a stale limit fades to zero."""
    match view.seen.reading(asset.asset_id):
        case BatteryReading() as reading:
            return _bms_limits(reading), "limit of the battery management system"
        case ConnectorReading(max_kw=max_kw) if max_kw is not None and isfinite(max_kw):
            return Interval(0.0, max(max_kw, 0.0)), "limit of the charger"
        case _:
            return None


def lost_reading(view: View, asset: Controllable) -> Narrowing | None:
    """Take an asset that can't be read to its safe power: a battery fades to 0, a connector to its fallback."""
    lost = view.seen.lost.get(asset.asset_id)
    if lost is None:
        return None
    match asset:
        case Battery():
            good_s = view.state.last_good_s.get(asset.asset_id, float("-inf"))
            left = 1.0 - max(view.now.mono_s - good_s - stale_bound_s(view.site), 0.0) / DERATE_S
            last = view.state.last_limits.get(asset.asset_id, ZERO)
            left = max(left, 0.0)
            return Interval(min(last.min_kw * left, 0.0), max(last.max_kw * left, 0.0)), lost.cause
        case Connector():
            return asset.fallback, lost.cause
        case PvPlant():
            return None


def state_of_charge(view: View, asset: Controllable) -> Narrowing | None:
    """Never discharge at or below the lower end of the window, nor charge at or above the upper one (I6).

    Towards an end the power fades, so that cars can follow when a battery runs empty that supports them.
    """
    reading = view.seen.batteries.get(asset.asset_id)
    return _soc_window(asset, reading) if isinstance(asset, Battery) and reading is not None else None


def battery_may(battery: Battery, reading: BatteryReading) -> Interval:
    """Return what the BMS and the state of charge leave to a battery; this fades once it is lost."""
    interval = battery.nameplate.narrow(_bms_limits(reading))
    return interval.narrow(_soc_window(battery, reading)[0])


def _bms_limits(reading: BatteryReading) -> Interval:
    return Interval(-reading.max_discharge_kw, reading.max_charge_kw)


def _soc_window(battery: Battery, reading: BatteryReading) -> Narrowing:
    """Return the powers that leave what is left of the window for ``EDGE_S``: support must not stop at once."""
    left_kwh = max(reading.soc - battery.soc_min, 0.0) * battery.capacity_kwh * battery.discharge_efficiency
    room_kwh = max(battery.soc_max - reading.soc, 0.0) * battery.capacity_kwh / battery.charge_efficiency
    per_s = 3600.0 / EDGE_S
    return Interval(-left_kwh * per_s, room_kwh * per_s), f"state of charge {reading.soc:.1%} is near its end"


def car_present(view: View, asset: Controllable) -> Narrowing | None:
    """Offer nothing where no car is plugged in, or where the connector is out of order."""
    reading = view.seen.connectors.get(asset.asset_id)
    if reading is None or reading.is_occupied:
        return None
    return ZERO, reading.state.value


def manual_override(view: View, asset: Controllable) -> Narrowing | None:
    """Apply a person's wish until it expires; it may lower what is permitted, not raise it."""
    wishes = [
        request
        for request in view.snapshot.requests
        if request.kind is RequestKind.MANUAL
        and request.asset_id == asset.asset_id
        and request.expires_at > view.now.at
    ]
    if not wishes:
        return None
    interval = wishes[0].interval
    for wish in wishes[1:]:
        interval = interval.narrow(wish.interval)
    return interval, f"override by {wishes[-1].owner}"


RULES: tuple[Rule, ...] = (
    dynamic_limit,
    lost_reading,
    state_of_charge,
    car_present,
    fallbacks_must_fit,
    manual_override,
)


def local_assets(seen: Seen, site: Site) -> Iterable[str]:
    """Yield the assets that a person at the device controls; nothing is written to them (I8)."""
    for asset in site.controllables:
        reading = seen.reading(asset.asset_id)
        if reading is not None and reading.is_local:
            yield asset.asset_id


def _lower(interval: Interval, wish: Interval) -> Interval:
    """Return the part of ``interval`` nearest to the wish: an override stays inside what is permitted."""
    return Interval(interval.clamp(wish.min_kw), interval.clamp(wish.max_kw))
