"""What is known of the past and expected of the future, on one grid of slots."""

from dataclasses import dataclass, field
from datetime import datetime

from station.session import PastSession


@dataclass(frozen=True, slots=True)
class History:
    """What the station has seen: means per slot of ``slot_s``, the oldest first, without a gap.

    ``load_kw`` is the base load, ``pv_kw`` the PV power in load convention (<= 0), both starting at ``starts_at``;
    NaN marks a slot that nobody measured. ``sessions`` have ended.
    """

    starts_at: datetime
    slot_s: float
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    sessions: tuple[PastSession, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedSession:
    """A car that is expected but not there yet, from what the past shows."""

    connector_id: str
    arrives_at: datetime
    leaves_at: datetime
    energy_kwh: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected means per slot from ``starts_at``; load convention, so ``pv_kw`` is <= 0."""

    starts_at: datetime
    slot_s: float
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    arrivals: tuple[ExpectedSession, ...] = field(default=())
