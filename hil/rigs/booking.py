"""The booked worst case, told from a decision's grants and the true base load, apart from the controller's own books.

Invariant I4: for every limit, in its direction, the sum over all assets of the worst of (live grant, fallback), and the
base load. That is the true one of this moment: the growth that the controller reserves is there to be used up. PV and a
battery that surely discharges are credited against import with what they are measured to give, no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.judge import Seen, judge
from controller.leases import live_interval
from station.assets import Battery, Connector, Controllable, PvPlant
from station.decision import Decision
from station.limits import Direction, Interval
from station.measurement import Snapshot
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Bookings:
    """``totals`` for each of ``site.constraints`` in its kW or A; ``assets_kw`` is each asset's range."""

    totals: tuple[float, ...]
    assets_kw: Mapping[str, Interval]
    lost: frozenset[str]


def bookings(site: Site, decision: Decision, snapshot: Snapshot, load_kw: float) -> Bookings:
    """Return what is booked after a decision, with the true base load."""
    seen = judge(site, snapshot, snapshot.taken)
    live = {
        asset.asset_id: live_interval(
            asset, decision.state.grants.get(asset.asset_id, ()), snapshot.unarmed, snapshot.taken
        )
        for asset in site.controllables
    }
    totals = []
    for constraint in site.constraints:
        total = constraint.base_weight * (load_kw if constraint.direction is Direction.IMPORT else -load_kw)
        for asset_id, weight in constraint.weights.items():
            asset = site.by_id[asset_id]
            total += weight * _worst_kw(asset, live[asset_id], seen, constraint.direction)
        totals.append(total)
    ranges = {asset.asset_id: _range_kw(asset, live[asset.asset_id], seen) for asset in site.controllables}
    return Bookings(tuple(totals), ranges, frozenset(seen.lost))


def _worst_kw(asset: Controllable, live: Interval | None, seen: Seen, direction: Direction) -> float:
    reading = seen.reading(asset.asset_id)
    if reading is not None and reading.is_local:
        return reading.power_kw if direction is Direction.IMPORT else -reading.power_kw
    worst = asset.fallback if live is None else live.hull(asset.fallback)
    worst_kw = max(worst.max_kw, 0.0) if direction is Direction.IMPORT else max(-worst.min_kw, 0.0)
    if reading is None or live is None:
        return worst_kw
    match asset, direction:
        case PvPlant(), Direction.IMPORT:
            return min(0.0, max(reading.power_kw, asset.nameplate.min_kw))
        case Battery(), Direction.IMPORT if live.max_kw < 0.0:
            return min(0.0, max(reading.power_kw, live.max_kw))
        case Battery(), Direction.EXPORT if live.min_kw > 0.0:
            return -max(0.0, min(reading.power_kw, live.min_kw))
        case Connector(), Direction.EXPORT:
            return -max(0.0, min(reading.power_kw, live.max_kw))
        case _:
            return worst_kw


def _range_kw(asset: Controllable, live: Interval | None, seen: Seen) -> Interval:
    reading = seen.reading(asset.asset_id)
    if reading is not None and reading.is_local:
        return asset.nameplate
    return asset.fallback if live is None else live.hull(asset.fallback)
