"""Which devices do not do what they are told (I15): they count as they are measured, and may do anything. Pure.

A read-back says what a device holds, not what it does. A charger that ignores its limit would else be booked at the
limit, while all it draws beyond that would be given away once more to others.
"""

from collections.abc import Mapping

from controller.judge import Seen
from controller.leases import LANDING_CYCLES
from station.assets import Controllable
from station.clock import Instant
from station.decision import ControlState
from station.limits import ZERO, Interval
from station.topology import REACTION_S, Site

STRAY_SHARE = 0.1
STRAY_KW = 0.5
"""A device may miss its setpoint by this share of its rating (a charger limits the current, not the power) and more."""


def astray_since_s(
    site: Site, state: ControlState, seen: Seen, live: Mapping[str, Interval | None], now: Instant
) -> dict[str, float]:
    """Return the devices that do what neither a live grant nor their fallback permits, and since when."""
    since_s = {}
    for asset in site.controllables:
        reading = seen.reading(asset.asset_id)
        if reading is None or reading.is_local or not strays(asset, live[asset.asset_id], reading.power_kw):
            continue
        since_s[asset.asset_id] = state.astray_s.get(asset.asset_id, now.mono_s)
    return since_s


def strays(asset: Controllable, live: Interval | None, power_kw: float) -> bool:
    """Return whether a measured power is one that nothing permits, beyond tolerance."""
    permitted = asset.fallback if live is None else live.hull(asset.fallback)
    rating_kw = max(-asset.nameplate.min_kw, asset.nameplate.max_kw)
    return not permitted.hull(ZERO).holds(power_kw, STRAY_SHARE * rating_kw + STRAY_KW)


def disobedient(site: Site, astray_s: Mapping[str, float], now: Instant) -> frozenset[str]:
    """Return the devices that had time to follow their setpoint and do not."""
    patience_s = max(REACTION_S, LANDING_CYCLES * site.control.cycle_s)
    return frozenset(asset_id for asset_id, since_s in astray_s.items() if now.mono_s - since_s >= patience_s)
