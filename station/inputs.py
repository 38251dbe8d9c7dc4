"""What a twin plays: the cars as they really came, and measured series of load and sun."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One car. Energies are on the car's side, in kWh; times are UTC.

    ``connector_id`` is empty where the car takes any free one. ``energy_kwh`` (what it can take) and ``unplugged_at``
    (when it really leaves) belong to the plant; ``requested_kwh`` and ``estimated_unplug_at`` are what its driver says.
    ``arrival_soc`` is 0..1, ``max_power_kw`` is what the car takes at most.
    """

    session_id: str
    connector_id: str
    plugged_in_at: datetime
    unplugged_at: datetime
    energy_kwh: float
    requested_kwh: float | None = None
    estimated_unplug_at: datetime | None = None
    max_power_kw: float | None = None
    arrival_soc: float | None = None
    capacity_kwh: float | None = None
    v2g: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Means over steps of ``step_s`` seconds without a gap, the first starting at ``starts_at`` (UTC).

    Here generation and consumption are both positive, as in the file. A column that the file lacks is None;
    ``load_kw`` and ``pv_kw`` are then zero. ``load_forecast_kw`` and ``pv_forecast_kw`` are what somebody foretold.
    """

    starts_at: datetime
    step_s: float
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    price_per_kwh: tuple[float, ...] | None = None
    export_price_per_kwh: tuple[float, ...] | None = None
    kg_co2_per_kwh: tuple[float, ...] | None = None
    temperature_c: tuple[float, ...] | None = None
    load_forecast_kw: tuple[float, ...] | None = None
    pv_forecast_kw: tuple[float, ...] | None = None

    @property
    def ends_at(self) -> datetime:
        """Return the end of the last step."""
        return self.starts_at + timedelta(seconds=self.step_s * len(self.load_kw))

    def index_at(self, at: datetime) -> int | None:
        """Return the index of the step that holds ``at``, or None outside the series."""
        index = int((at - self.starts_at).total_seconds() // self.step_s)
        return index if 0 <= index < len(self.load_kw) else None

    def scaled(self, load_factor: float, pv_factor: float, load_max_kw: float = float("inf")) -> "Series":
        """Return the series for a larger or smaller station; the load is clipped at ``load_max_kw``."""
        forecast = self.load_forecast_kw
        return replace(
            self,
            load_kw=_times(self.load_kw, load_factor, load_max_kw),
            pv_kw=_times(self.pv_kw, pv_factor),
            load_forecast_kw=None if forecast is None else _times(forecast, load_factor, load_max_kw),
            pv_forecast_kw=None if self.pv_forecast_kw is None else _times(self.pv_forecast_kw, pv_factor),
        )


def _times(
    powers_kw: tuple[float, ...], factor: float, highest_kw: float = float("inf")
) -> tuple[float, ...]:
    return tuple(min(power_kw * factor, highest_kw) for power_kw in powers_kw)
