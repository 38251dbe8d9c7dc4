"""What plugged cars still need and how long they stay, and which cars are still to come: learnt from past sessions.

Drivers ask for about twice what they take and leave hours before or after they said so. So a need is a falling chain
of blocks, each with the probability that the car really takes it, and a departure is a survival curve.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from optimizer.problem import ArrivalGroup, Car, Grid
from station.assets import Connector
from station.forecast import ExpectedSession
from station.session import PastSession, Session
from station.topology import Site

Floats = NDArray[np.float64]

NEIGHBOURS = 80
"""How many of the past sessions, those most alike, speak for one car."""
MEMORY_SESSIONS = 1000
BLOCK_QUANTILES = (0.25, 0.5, 0.75, 0.95)
SMALLEST_KWH = 0.05
SHIFT_H = 1.0
"""Where nobody said a like stay, the stays of those who came nearest count as they were, moved by so much at most."""
OVERSTAY_H = 0.75
"""A car that outstays all that the past knows is expected to stay this much longer (mean)."""
ARRIVAL_WEEKS = 4
FASTEST_ARRIVAL_H = 1.0
"""Expected cars are averages: however many connectors they may take, they need at least this long."""


class Past:
    """The past sessions as arrays, made once per plan."""

    def __init__(self, sessions: Sequence[PastSession], zone: ZoneInfo) -> None:
        recent = sorted(sessions, key=lambda s: s.unplugged_at)[-MEMORY_SESSIONS:]
        self.sessions = recent
        self.energy = np.array([s.energy_kwh for s in recent])
        self.stay_h = np.array([_hours(s.plugged_in_at, s.unplugged_at) for s in recent])
        self.requested = np.array([_number(s.requested_kwh) for s in recent])
        self.said_h = np.array(
            [
                np.nan if s.estimated_unplug_at is None else _hours(s.plugged_in_at, s.estimated_unplug_at)
                for s in recent
            ]
        )
        self.clock_h = np.array([_clock_h(s.plugged_in_at, zone) for s in recent])


def cars(site: Site, sessions: Sequence[Session], past: Past, grid: Grid) -> tuple[Car, ...]:
    """Return the plugged cars that may still take energy."""
    connectors = {connector.asset_id: connector for connector in site.connectors}
    zone = ZoneInfo(site.timezone)
    found = []
    for session in sorted(sessions, key=lambda s: s.connector_id):
        connector = connectors.get(session.connector_id)
        if connector is None:
            continue
        kwh, p = need_blocks(session, past)
        if kwh:
            stay = stay_probability(session, past, grid, zone)
            found.append(_car(session, connector, kwh, p, stay))
    return tuple(found)


def _car(
    session: Session, connector: Connector, kwh: Sequence[float], p: Sequence[float], stay_p: Floats
) -> Car:
    return Car(
        session.session_id,
        session.connector_id,
        connector.max_kw,
        connector.min_kw,
        max(connector.efficiency, 0.01),
        tuple(kwh),
        tuple(p),
        stay_p,
    )


def need_blocks(session: Session, past: Past) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return energy blocks (kWh, car's side) and the probability that the car needs each, falling.

    A revealed need is exact. Otherwise the past ratios taken / requested speak, given what it has taken and that it
    still draws; a DC car never gets planned beyond its full battery.
    """
    if session.is_satisfied:
        return (), ()
    taken = max(0.0, session.delivered_kwh)
    room = float("inf")
    if session.soc is not None and session.capacity_kwh is not None:
        room = max(0.0, (1.0 - session.soc) * session.capacity_kwh)
    if session.known_kwh is not None:
        left = min(session.known_kwh - taken, room)
        return ((left,), (1.0,)) if left > SMALLEST_KWH else ((), ())
    remaining = _remaining_samples(session, past, taken)
    return _blocks(np.minimum(remaining, room))


def _remaining_samples(session: Session, past: Past, taken: float) -> Floats:
    """Return equally likely values of the energy still needed."""
    if session.requested_kwh is not None and session.requested_kwh > 0:
        requested = session.requested_kwh
        good = np.flatnonzero(np.isfinite(past.requested) & (past.requested > 0))
        if not len(good):
            return np.array([max(requested - taken, SMALLEST_KWH * 2)])
        distance = np.abs(np.log(past.requested[good]) - np.log(requested))
        near = good[np.argsort(distance, kind="stable")[:NEIGHBOURS]]
        total = np.minimum(past.energy[near] / past.requested[near], 1.1) * requested
        scale = requested
    else:
        total = past.energy[-4 * NEIGHBOURS :]
        scale = float(np.median(total)) if len(total) else 10.0
        total = total if len(total) else np.array([scale])
    left = total[total > taken] - taken
    # It has taken more than any like it did, and still draws: a little more, again and again.
    return left if len(left) else np.array([max(0.05 * scale, 0.5)])


def _blocks(remaining: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the blocks between quantiles of ``remaining`` and how likely each is needed (mean share of it)."""
    edges = np.unique(np.round(np.quantile(remaining, BLOCK_QUANTILES), 3))
    kwh, p, low = [], [], 0.0
    for high in edges:
        if high - low > SMALLEST_KWH:
            kwh.append(float(high - low))
            p.append(float(np.clip(remaining - low, 0.0, high - low).mean() / (high - low)))
            low = float(high)
    return tuple(kwh), tuple(p)


def stay_probability(session: Session, past: Past, grid: Grid, zone: ZoneInfo) -> Floats:
    """Return for each step the probability that the car is still plugged in at its middle, given that it is now."""
    passed_h = max(0.0, _hours(session.plugged_in_at, grid.now))
    clock_h = _clock_h(session.plugged_in_at, zone)
    if session.estimated_unplug_at is None:
        stays = _nearest(past.stay_h, _around(past.clock_h - clock_h))
    else:
        said_h = _hours(session.plugged_in_at, session.estimated_unplug_at)
        good = np.isfinite(past.said_h)
        distance = np.abs(past.said_h[good] - said_h) + 0.5 * _around(past.clock_h[good] - clock_h)
        shift = np.clip(said_h - past.said_h[good], -SHIFT_H, SHIFT_H)
        stays = _nearest(past.stay_h[good] + shift, distance)
        stays = stays if len(stays) else np.array([said_h])
    left_h = stays[stays > passed_h] - passed_h
    if not len(left_h):
        return np.exp(-np.maximum(grid.middle_h, 0.0) / OVERSTAY_H)
    stay: Floats = (left_h[:, None] > grid.middle_h[None, :]).mean(axis=0)
    return stay


def expected_sessions(site: Site, past: Past, now: datetime, horizon_h: float) -> tuple[ExpectedSession, ...]:
    """Return the sessions of the same kind of day in the last weeks, moved to the coming days, energy shared.

    A day like the coming one counts with weight 1 / (number of such days); the energy of each session is scaled by it.
    Working days speak for working days, Saturdays for Saturdays and Sundays for Sundays.
    """
    zone = ZoneInfo(site.timezone)
    today = now.astimezone(zone).date()
    by_day: dict[int, list[PastSession]] = {}
    for session in past.sessions:
        age = (today - session.plugged_in_at.astimezone(zone).date()).days
        if 0 < age <= 7 * ARRIVAL_WEEKS:
            by_day.setdefault(age, []).append(session)
    if not by_day:
        return ()
    oldest = max(by_day)
    found = []
    for ahead in range(int(horizon_h // 24) + 2):
        weekday = (today + timedelta(days=ahead)).weekday()
        alike = [
            age for age in range(1, oldest + 1) if _alike((today - timedelta(days=age)).weekday(), weekday)
        ]
        for age in alike:
            shift = timedelta(days=age + ahead)
            found += [_moved(session, shift, 1.0 / len(alike)) for session in by_day.get(age, ())]
    until = now + timedelta(hours=horizon_h)
    return tuple(s for s in found if now < s.arrives_at < until)


def _moved(session: PastSession, shift: timedelta, weight: float) -> ExpectedSession:
    return ExpectedSession(
        session.connector_id,
        session.plugged_in_at + shift,
        session.unplugged_at + shift,
        session.energy_kwh * weight,
    )


def _alike(weekday: int, other: int) -> bool:
    """Return whether two days of the week count as the same kind."""
    return weekday == other or (weekday < 5 and other < 5)


def arrival_groups(site: Site, expected: Sequence[ExpectedSession], grid: Grid) -> tuple[ArrivalGroup, ...]:
    """Gather expected sessions into groups that arrive in the same hour and leave in the same few hours."""
    connectors = {connector.asset_id: connector for connector in site.connectors}
    gathered: dict[tuple[int, int], list[float]] = {}
    for session in expected:
        connector = connectors.get(session.connector_id)
        if connector is None or session.energy_kwh <= 0:
            continue
        first, last = grid.step_at(session.arrives_at), grid.step_at(session.leaves_at) - 1
        first, last = max(first, 0), min(last, grid.steps - 1)
        if first > last or first >= grid.steps:
            continue
        group = gathered.setdefault(
            (_coarser(grid, first, up=True), _coarser(grid, last, up=False)), [0.0, 0.0]
        )
        group[0] += session.energy_kwh / max(connector.efficiency, 0.01)
        group[1] += connector.max_kw
    return tuple(
        ArrivalGroup(min(span), max(span), energy, min(power, energy / FASTEST_ARRIVAL_H))
        for span, (energy, power) in sorted(gathered.items())
    )


def _coarser(grid: Grid, step: int, *, up: bool) -> int:
    """Return ``step`` rounded to the hour (arrivals, up) or to two (departures, down), so that few groups remain."""
    width = (1 if grid.hours[step] > 0.9 else 4) * (1 if up else 2)
    return min(grid.steps - 1, step + (-step % width if up else -(step % width)))


def _nearest(values: Floats, distance: Floats) -> Floats:
    """Return the values of the smallest distances."""
    return values[np.argsort(distance, kind="stable")[:NEIGHBOURS]]


def _around(hours: Floats) -> Floats:
    """Return the distance of clock hours the short way round the day."""
    apart = np.abs(hours) % 24.0
    return np.minimum(apart, 24.0 - apart)


def _hours(first: datetime, second: datetime) -> float:
    return (second - first).total_seconds() / 3600.0


def _clock_h(at: datetime, zone: ZoneInfo) -> float:
    local = at.astimezone(zone)
    return local.hour + local.minute / 60.0


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
