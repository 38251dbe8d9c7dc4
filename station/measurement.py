"""What devices told us, each with the monotonic instant of the last evidence that the value was alive.

``measured_s`` is on the monotonic clock of station time. A device that answers with frozen values gives no new
evidence, so its reading grows old like that of a silent one. A failed read is ``NoReading`` and never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from station.clock import Instant
from station.request import Request


@dataclass(frozen=True, slots=True)
class NoReading:
    """The asset gave no usable value; ``cause`` is a phrase that an operator understands."""

    cause: str


@dataclass(frozen=True, slots=True)
class MeterReading:
    """The PCC meter; import is positive."""

    measured_s: float
    power_kw: float


@dataclass(frozen=True, slots=True)
class BatteryReading:
    """A battery. ``max_charge_kw`` and ``max_discharge_kw`` are the BMS's present limits, both
    positive; infinite where the device tells none.

    ``setpoint_kw`` is what the device holds as its command, or None where it can't be read.
    ``is_local`` says that a person at the device has taken control.
    """

    measured_s: float
    power_kw: float
    soc: float
    max_charge_kw: float
    max_discharge_kw: float
    setpoint_kw: float | None = None
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class PvReading:
    """A PV plant; ``setpoint_kw`` is the lowest power that it permits itself (load convention, so <= 0)."""

    measured_s: float
    power_kw: float
    setpoint_kw: float | None = None
    is_local: bool = False


class ConnectorState(StrEnum):
    """What a connector is doing: no car, a car that does not draw, a car that draws, out of order."""

    FREE = "free"
    PLUGGED = "plugged"
    CHARGING = "charging"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class ConnectorReading:
    """A connector and, while a car is plugged in, its session as the charger knows it.

    ``session_kwh`` is the energy metered in this session. ``requested_kwh`` and ``estimated_unplug_at`` are what the
    driver said, ``known_kwh`` is what the car will really take (only in studies that reveal it), ``soc`` and
    ``capacity_kwh`` what a DC car reports; each is None where nobody said.
    ``max_kw`` is the charger's own present limit.
    """

    measured_s: float
    power_kw: float
    state: ConnectorState
    session_id: str | None = None
    session_kwh: float = 0.0
    requested_kwh: float | None = None
    estimated_unplug_at: datetime | None = None
    known_kwh: float | None = None
    soc: float | None = None
    capacity_kwh: float | None = None
    max_kw: float | None = None
    setpoint_kw: float | None = None
    is_local: bool = False

    @property
    def is_occupied(self) -> bool:
        """Return whether a car is plugged in."""
        return self.state in (ConnectorState.PLUGGED, ConnectorState.CHARGING)


AssetReading = MeterReading | BatteryReading | PvReading | ConnectorReading
Measurement = AssetReading | NoReading


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a setpoint that was sent.

    ``sent_s`` names the decision (the monotonic instant of its cycle). ``confirmed`` says that the device echoed it
    and, where it can be read back, holds it; ``cause`` says why not.
    """

    sent_s: float
    power_kw: float
    confirmed: bool
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a cycle knows, taken once at its start. A missing asset counts as ``NoReading``.

    ``unarmed`` names assets whose device-side timer could not be verified: they are booked at their rating.
    ``errors`` counts each asset's failed reads since the process started, for records.
    """

    taken: Instant
    readings: Mapping[str, Measurement]
    writes: Mapping[str, WriteResult] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    unarmed: frozenset[str] = frozenset()
    errors: Mapping[str, int] = field(default_factory=dict)
