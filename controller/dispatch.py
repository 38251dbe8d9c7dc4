"""The battery's part of this second: the plan's power, plus what holds the billed mean and the hard limit. Pure.

Feed-forward: the base load is known (aligned in time), so the battery is told what is missing and no loop is closed
over the lagging meter. Support rises at once and falls slowly, with a dead band, so that an error of the lag does not
make it hunt (the design's section 4.6; invariant I11).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.follow import Wanted
from station.assets import Battery
from station.clock import Instant
from station.limits import Interval
from station.topology import Site

RELEASE_KW_PER_S = 0.5
"""Support is given back so slowly; a lag that is believed too long then does no harm."""

HOLD_S = 10.0
"""After a rise nothing is given back for so long: until meter, lag error and converter have shown all of it."""

DEAD_BAND_KW = 0.5
"""A rise smaller than this does not start the hold anew."""


SMOOTH_S = 20.0
"""What only saves money (using the sun, not feeding in) follows the net load so slowly; it must not swing."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What flows beside the battery: kW, load convention. ``smooth_net_kw`` is the net load without its quick moves."""

    base_kw: float
    pv_kw: float
    charging_kw: float
    smooth_net_kw: float

    @property
    def net_kw(self) -> float:
        """Return what the meter would see without the batteries."""
        return self.base_kw + self.pv_kw + self.charging_kw


def smooth(old_kw: float | None, new_kw: float, dt_s: float) -> float:
    """Return the power that follows ``new_kw`` within about ``SMOOTH_S``; coarse cycles follow at once."""
    return new_kw if old_kw is None else old_kw + (new_kw - old_kw) * min(1.0, dt_s / SMOOTH_S)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Battery powers in kW by id, and the support in them."""

    batteries_kw: Mapping[str, float]
    support: "Support"


@dataclass(frozen=True, slots=True)
class Support:
    """What the batteries add against a limit, and the monotonic instant of its last rise."""

    power_kw: float
    rose_s: float


def dispatch(
    site: Site,
    wanted: Wanted,
    flows: Flows,
    intervals: Mapping[str, Interval],
    *,
    cap_kw: float,
    old: Support,
    now: Instant,
    dt_s: float,
) -> Dispatch:
    """Return the batteries' powers so that ``net + batteries <= cap_kw`` as far as they can.

    ``intervals`` is what each battery may do; ``dt_s`` the time since the last cycle.
    """
    target_kw = sum(wanted.powers_kw[battery.asset_id] for battery in site.batteries)
    if wanted.follows_rules:
        target_kw = -flows.smooth_net_kw
    else:
        target_kw = _no_needless_flow(target_kw, flows.smooth_net_kw, wanted.planned_grid_kw)
    support = _support(flows.net_kw + target_kw - cap_kw, old, now, dt_s)
    batteries_kw = _split(site.batteries, target_kw - support.power_kw, intervals)
    return Dispatch(batteries_kw, support)


def excess_kw(site: Site, net_kw: float, intervals: Mapping[str, Interval], cap_kw: float) -> float:
    """Return what ``net_kw`` passes the cap by although the batteries help with all they have."""
    most_kw = sum(min(intervals[battery.asset_id].min_kw, 0.0) for battery in site.batteries)
    return max(net_kw + most_kw - cap_kw, 0.0)


def _no_needless_flow(target_kw: float, net_kw: float, planned_grid_kw: float | None) -> float:
    """Return the target without discharging into the grid and without giving away sun, unless the plan means to."""
    floor_kw = min(planned_grid_kw or 0.0, 0.0)
    if net_kw + target_kw >= floor_kw:
        return target_kw
    return floor_kw - net_kw


def _support(needed_kw: float, old: Support, now: Instant, dt_s: float) -> Support:
    needed_kw = max(needed_kw, 0.0)
    if needed_kw > old.power_kw:
        is_real_rise = needed_kw - old.power_kw > DEAD_BAND_KW
        return Support(needed_kw, now.mono_s if is_real_rise else old.rose_s)
    if now.mono_s - old.rose_s < HOLD_S:
        return old
    return Support(max(needed_kw, old.power_kw - RELEASE_KW_PER_S * dt_s), old.rose_s)


def _split(
    batteries: tuple[Battery, ...], total_kw: float, intervals: Mapping[str, Interval]
) -> dict[str, float]:
    """Share a total in proportion to what each battery can still do in its direction."""
    shares_kw = {
        battery.asset_id: intervals[battery.asset_id].max_kw
        if total_kw > 0
        else -intervals[battery.asset_id].min_kw
        for battery in batteries
    }
    capability_kw = sum(max(share_kw, 0.0) for share_kw in shares_kw.values())
    if capability_kw <= 0.0:
        return dict.fromkeys(shares_kw, 0.0)
    return {
        asset_id: intervals[asset_id].clamp(total_kw * max(share_kw, 0.0) / capability_kw)
        for asset_id, share_kw in shares_kw.items()
    }
