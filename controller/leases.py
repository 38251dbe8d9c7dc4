"""What each device may be doing by itself: its live grants, or its fallback. The heart of invariant I4.

A grant counts from the cycle that sent it until it expires at the device, or until a later grant is confirmed. So a
lost message, a late message and a lost answer are all booked at their worst.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from controller.judge import Seen
from station.assets import Battery, Connector, Controllable, PvPlant
from station.clock import Instant
from station.decision import ControlState, Grant
from station.limits import Interval
from station.measurement import Snapshot, WriteResult
from station.topology import Control, Site

LEASE_CYCLES = 6
"""With coarse cycles a lease lasts at least so many of them, so that one lost write does not end it."""

LANDING_CYCLES = 2
"""A write may reach the device so many cycles after it was decided; only then does the device's timer start."""

REFRESH_SHARE = 1.0 / 3.0
"""An unchanged setpoint is sent again when this share of its lease has passed."""

ADOPTED_S = float("-inf")
"""``sent_s`` of what was found at a restart: older than everything that is sent later."""


def lease_s(asset: Controllable, control: Control) -> float:
    """Return how long a setpoint for this asset holds at the device, in seconds."""
    return max(asset.lease_s, LEASE_CYCLES * control.cycle_s)


def grant_interval(asset: Controllable, setpoint_kw: float) -> Interval:
    """Return the powers that a setpoint lets the asset use by itself."""
    match asset:
        case Battery():
            return Interval(setpoint_kw, setpoint_kw)
        case PvPlant():
            return Interval(min(setpoint_kw, 0.0), 0.0)
        case Connector():
            return Interval(0.0, max(setpoint_kw, 0.0))


def settle(
    site: Site, state: ControlState, snapshot: Snapshot, seen: Seen, now: Instant
) -> dict[str, tuple[Grant, ...]]:
    """Return the grants that still count at the start of this cycle."""
    grants = {}
    for asset in site.controllables:
        asset_id = asset.asset_id
        is_lost = asset_id in seen.lost
        live = tuple(
            grant
            for grant in state.grants.get(asset_id, ())
            if grant.expires_s > now.mono_s or (is_lost and not grant.is_confirmed)
        )
        live = _confirm(live, snapshot.writes.get(asset_id))
        if state.cycles == 0:
            live = (*live, _at_rating(asset, site.control, now))
        grants[asset_id] = _adopt(asset, live, seen)
    return grants


def live_interval(
    asset: Controllable, grants: tuple[Grant, ...], unarmed: frozenset[str], now: Instant
) -> Interval | None:
    """Return the hull of all grants that may be in force, or None where the device is at its fallback for sure."""
    if asset.asset_id in unarmed:
        return asset.nameplate
    return _hull(grant.interval for grant in grants if grant.expires_s > now.mono_s)


def late_interval(grants: tuple[Grant, ...], now: Instant) -> Interval | None:
    """Return the hull of the writes that a silent device may still execute when it wakes up, or None.

    Such a write holds for one lease at most and is seen at once, so it is booked like support that may fail: only
    against the short-time overload.
    """
    return _hull(grant.interval for grant in grants if grant.expires_s <= now.mono_s)


def _hull(intervals: Iterable[Interval]) -> Interval | None:
    hull: Interval | None = None
    for interval in intervals:
        hull = interval if hull is None else hull.hull(interval)
    return hull


def still_using(asset: Controllable, live: Interval | None, power_kw: float | None) -> Interval | None:
    """Return ``live`` and what the asset is still measured to do beyond it: it follows a confirmed write seconds later.

    Until it does, that room is not free for others.
    """
    if power_kw is None or (live is None and asset.fallback.holds(power_kw)):
        return live
    return (live or asset.fallback).hull(Interval(power_kw, power_kw))


def with_grant(
    asset: Controllable, grants: tuple[Grant, ...], setpoint_kw: float, control: Control, now: Instant
) -> tuple[Grant, ...]:
    """Return the grants after sending ``setpoint_kw`` now. An equal earlier grant is prolonged, others stay booked.

    Where the device holds this very setpoint and most of its lease is left, nothing is sent and nothing changes.
    """
    interval = grant_interval(asset, setpoint_kw)
    if _is_held(grants, interval, REFRESH_SHARE * lease_s(asset, control), now):
        return grants
    expires_s = now.mono_s + lease_s(asset, control) + LANDING_CYCLES * control.cycle_s
    others = tuple(grant for grant in grants if grant.interval != interval)
    return (*others, Grant(now.mono_s, expires_s, interval))


def restore(
    site: Site, grants: Mapping[str, tuple[Grant, ...]], now: Instant
) -> dict[str, tuple[Grant, ...]]:
    """Return grants from the ledger of a former process, on this process's monotonic clock.

    The time between the two is not trusted: each grant counts for a whole lease from now.
    """
    return {
        asset.asset_id: tuple(
            Grant(ADOPTED_S, now.mono_s + lease_s(asset, site.control), grant.interval)
            for grant in grants.get(asset.asset_id, ())
        )
        for asset in site.controllables
    }


def _confirm(grants: tuple[Grant, ...], result: WriteResult | None) -> tuple[Grant, ...]:
    """Drop what a confirmed write has replaced at the device."""
    if result is None or not result.confirmed:
        return grants
    return tuple(
        replace(grant, is_confirmed=True) if grant.sent_s == result.sent_s else grant
        for grant in grants
        if grant.sent_s >= result.sent_s
    )


def _is_held(grants: tuple[Grant, ...], interval: Interval, fresh_s: float, now: Instant) -> bool:
    """Return whether the newest grant is this one, confirmed, and young."""
    newest = max(grants, key=lambda grant: grant.sent_s, default=None)
    return (
        newest is not None
        and newest.interval == interval
        and newest.is_confirmed
        and now.mono_s - newest.sent_s < fresh_s
    )


def _at_rating(asset: Controllable, control: Control, now: Instant) -> Grant:
    """Return the booking of a device of which nothing is known yet: its rating, for its longest lease."""
    return Grant(ADOPTED_S, now.mono_s + lease_s(asset, control), asset.nameplate)


def _adopt(asset: Controllable, grants: tuple[Grant, ...], seen: Seen) -> tuple[Grant, ...]:
    """Replace a booking at rating by what the device says that it holds and does, once it can be read."""
    reading = seen.reading(asset.asset_id)
    if reading is None or reading.setpoint_kw is None:
        return grants
    held = grant_interval(asset, asset.nameplate.clamp(reading.setpoint_kw))
    measured_kw = asset.nameplate.clamp(reading.power_kw)
    found = held.hull(Interval(measured_kw, measured_kw))
    return tuple(
        Grant(grant.sent_s, grant.expires_s, found, is_confirmed=True)
        if grant.sent_s == ADOPTED_S and grant.interval == asset.nameplate
        else grant
        for grant in grants
    )
