"""The safety gate: the last word on every setpoint. Pure, small, no third-party import, fully branch-covered.

Whatever is proposed (random, reversed, not a number), what leaves here keeps the limit tree at the worst case of live
leases and fallbacks (I4), the device envelope (I5), ramps (I12) and fresh readings (I13).

1. Ramp first, clamp last: a limit that shrinks wins over the ramp.
2. *Settled*: once all writes are confirmed, every bound holds; what does not fit is cut, least urgent first.
3. *Transient*: until then the old leases still count, so a rise takes only room that is free already; it waits for the
   writes that make room.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.envelope import Books, settled
from controller.leases import grant_interval
from station.assets import Battery, Connector, Controllable, PvPlant
from station.decision import Reason
from station.limits import Direction, Interval
from station.topology import Site

FRACTIONS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Parts of a wanted change that are tried, the whole first."""

SLACK_KW = 1e-9


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the rest of the cycle would like: powers in kW by asset, the powers last commanded, and how urgent cars are.

    ``order`` lists every controllable asset, the most important first; cuts begin at its end.
    """

    powers_kw: Mapping[str, float]
    last_kw: Mapping[str, float]
    intervals: Mapping[str, Interval]
    order: Sequence[Controllable]
    dt_s: float


@dataclass(frozen=True, slots=True)
class Guarded:
    """Setpoints that may be sent, why they differ from the proposal, and the bounds that can't be kept any more."""

    setpoints_kw: Mapping[str, float]
    reasons: tuple[Reason, ...]
    broken: tuple[str, ...]


def guard(site: Site, books: Books, proposal: Proposal) -> Guarded:
    """Return the setpoints of this cycle. ``books`` holds what every device may be using now; it is not changed."""
    reasons: list[Reason] = []
    powers_kw = {asset.asset_id: _bounded(asset, proposal) for asset in site.controllables}
    after = settled(books, {a.asset_id: grant_interval(a, powers_kw[a.asset_id]) for a in site.controllables})
    _cut_to_fit(after, proposal.order, powers_kw, reasons)
    now = settled(books, books.live)
    setpoints_kw = {}
    for asset in proposal.order:
        wanted_kw = powers_kw[asset.asset_id]
        reached_kw = _as_room_permits(asset, now, wanted_kw, proposal)
        if abs(reached_kw - wanted_kw) > SLACK_KW:
            reasons.append(
                Reason(
                    "waits for room", asset.asset_id, f"{reached_kw:.1f} kW on the way to {wanted_kw:.1f} kW"
                )
            )
        setpoints_kw[asset.asset_id] = reached_kw
    return Guarded(setpoints_kw, tuple(reasons), after.broken())


def _bounded(asset: Controllable, proposal: Proposal) -> float:
    """Ramp first, clamp last. Loads go down at once; a battery ramps both ways."""
    interval = proposal.intervals[asset.asset_id]
    power_kw = asset.nameplate.clamp(proposal.powers_kw.get(asset.asset_id, 0.0))
    last_kw = proposal.last_kw[asset.asset_id]
    if isinstance(asset, Battery):
        step_kw = asset.ramp_kw_per_s * proposal.dt_s
        power_kw = min(max(power_kw, last_kw - step_kw), last_kw + step_kw)
    elif isinstance(asset, Connector):
        start_kw = max(last_kw, asset.min_kw)
        power_kw = min(power_kw, start_kw + asset.ramp_kw_per_s * proposal.dt_s)
    return _deliverable(asset, interval.clamp(power_kw))


def _deliverable(asset: Controllable, power_kw: float) -> float:
    """Return the power as the device can take it: a connector knows nothing between 0 and its minimum (I10)."""
    return 0.0 if isinstance(asset, Connector) and power_kw < asset.min_kw else power_kw


def _cut_to_fit(
    after: Books, order: Sequence[Controllable], powers_kw: dict[str, float], reasons: list[Reason]
) -> None:
    """Lower powers until every bound holds or nothing is left to give; the least important assets give first.

    Twice, because what is given up in one direction may have been support in the other.
    """
    for direction in (*Direction, *Direction):
        for asset in reversed(order):
            over_kw = after.overrun_kw(asset, direction)
            if over_kw <= SLACK_KW:
                continue
            given_kw = _given_up(asset, powers_kw[asset.asset_id], over_kw, direction)
            is_lost = after.seen.reading(asset.asset_id) is None
            if isinstance(asset, Connector) and (is_lost or not after.stands_over(asset, direction)):
                given_kw = max(given_kw, _free_kw(asset, powers_kw[asset.asset_id]))
            if given_kw == powers_kw[asset.asset_id]:
                continue
            reasons.append(
                Reason(
                    "limit",
                    asset.asset_id,
                    f"cut from {powers_kw[asset.asset_id]:.1f} kW to {given_kw:.1f} kW",
                )
            )
            powers_kw[asset.asset_id] = given_kw
            after.book(asset, grant_interval(asset, given_kw))


def _given_up(asset: Controllable, power_kw: float, over_kw: float, direction: Direction) -> float:
    """Return the power after giving up ``over_kw`` in a direction, never beyond doing nothing."""
    if isinstance(asset, Battery):
        sign = 1.0 if direction is Direction.IMPORT else -1.0
        return sign * max(sign * power_kw - over_kw, 0.0) if sign * power_kw > 0.0 else power_kw
    if isinstance(asset, PvPlant):
        return min(power_kw + over_kw, 0.0) if direction is Direction.EXPORT else power_kw
    if direction is Direction.EXPORT:
        return power_kw
    return _deliverable(asset, max(power_kw - over_kw, 0.0))


def _free_kw(connector: Connector, power_kw: float) -> float:
    """Return the power that costs no room: the fallback is booked whatever is commanded, so stopping frees nothing."""
    return min(power_kw, connector.min_kw) if connector.fallback_kw >= connector.min_kw else 0.0


def _as_room_permits(asset: Controllable, now: Books, wanted_kw: float, proposal: Proposal) -> float:
    """Return the nearest power to ``wanted_kw`` that fits beside all old leases, and book it.

    Where not even the last power fits (its lease has run out, or the envelope has moved) the wanted one is lowered
    towards doing nothing. Doing nothing always fits, but for a battery that is forced to give less support than others
    count on: it goes on with what is left to it, and they have been cut already.
    """
    old = now.live[asset.asset_id]
    last_kw = proposal.intervals[asset.asset_id].clamp(proposal.last_kw[asset.asset_id])
    for start_kw in (last_kw, 0.0):
        for fraction in FRACTIONS:
            power_kw = _deliverable(asset, start_kw + fraction * (wanted_kw - start_kw))
            grant = grant_interval(asset, power_kw)
            live = grant if old is None else old.hull(grant)
            if now.fits(asset, live):
                now.book(asset, live)
                return power_kw
    return min((wanted_kw, 0.0), key=lambda power_kw: abs(power_kw - proposal.last_kw[asset.asset_id]))
