"""Charging sessions: the present ones, as the controller believes them, and past ones, from which it learns."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A car at a connector. Energies are on the car's side of the charger, in kWh.

    ``requested_kwh`` and ``estimated_unplug_at`` are the driver's words; ``known_kwh`` is revealed only in studies.
    """

    session_id: str
    connector_id: str
    plugged_in_at: datetime
    delivered_kwh: float
    requested_kwh: float | None
    estimated_unplug_at: datetime | None
    known_kwh: float | None
    soc: float | None = None
    capacity_kwh: float | None = None
    is_satisfied: bool = False
    """The car has stopped drawing although power was offered: it is full, or wants no more for now."""


@dataclass(frozen=True, slots=True)
class PastSession:
    """A session that has ended: what was said and what came of it."""

    session_id: str
    connector_id: str
    plugged_in_at: datetime
    unplugged_at: datetime
    energy_kwh: float
    requested_kwh: float | None
    estimated_unplug_at: datetime | None
