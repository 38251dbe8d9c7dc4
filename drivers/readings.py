"""The values of a device's points become the reading of an asset. Pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from drivers import codec
from drivers.wire import Outcome
from station.errors import DriverError, Nonsense
from station.measurement import (
    AssetReading,
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    MeterReading,
    PvReading,
)
from station.profile import Profile

READ_NAMES = {
    "meter": ("power_kw",),
    "battery": ("power_kw", "soc", "max_charge_kw", "max_discharge_kw", "setpoint_kw", "is_local"),
    "pv": ("power_kw", "setpoint_kw", "is_local"),
    "connector": (
        *("power_kw", "state", "session_id", "session_kwh", "requested_kwh", "estimated_unplug_at"),
        *("known_kwh", "soc", "capacity_kwh", "max_kw", "setpoint_kw", "is_local"),
    ),
}
"""The points that fill a reading of each kind, where the profile has them."""


class Values:
    """The outcomes of one asset's points, in heliodock's units. A point that failed raises when it is asked for."""

    def __init__(
        self, device_id: str, profile: Profile, outcomes: Mapping[str, Outcome], kw_per_a: float
    ) -> None:
        self._device_id = device_id
        self._profile = profile
        self._outcomes = outcomes
        self._kw_per_a = kw_per_a

    def optional(self, name: str) -> float | None:
        """Return a number, or None where the device has none."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str):
            raise Nonsense(self._device_id, f"{value!r} is not a number", name)
        return codec.to_canonical(self._profile.points[name], value, self._kw_per_a)

    def needed(self, name: str) -> float:
        """Return a number that the reading cannot do without."""
        value = self.optional(name)
        if value is None:
            raise Nonsense(self._device_id, "the device has no value", name)
        return value

    def limit(self, name: str) -> float:
        """Return a limit; a device whose profile has none sets none (its rating in the site file still holds)."""
        return self.needed(name) if name in self._profile.points else math.inf

    def text(self, name: str) -> str | None:
        """Return a text or a whole number as text."""
        value = self.raw(name)
        return f"{value:.0f}" if isinstance(value, float) else value

    def is_set(self, name: str) -> bool:
        """Return a flag; one that the profile does not have is not set. A profile may name it ``local``."""
        value = self.raw(name)
        return value == "local" if isinstance(value, str) else bool(value)

    def time(self, name: str) -> datetime | None:
        """Return an instant given in seconds since 1970 UTC."""
        value = self.optional(name)
        try:
            return None if value is None else datetime.fromtimestamp(value, tz=UTC)
        except (OverflowError, ValueError, OSError):
            raise Nonsense(self._device_id, f"{value} is no time", name) from None

    def raw(self, name: str) -> codec.Value | None:
        """Return what the codec made of the point; None where the profile does not have it."""
        outcome = self._outcomes.get(name)
        if isinstance(outcome, DriverError):
            raise outcome
        return outcome


def reading_of(kind: str, values: Values, measured_s: float) -> AssetReading:
    """Return the reading; raise ``DriverError`` naming the point that failed."""
    match kind:
        case "meter":
            return MeterReading(measured_s, values.needed("power_kw"))
        case "battery":
            return BatteryReading(
                measured_s,
                power_kw=values.needed("power_kw"),
                soc=values.needed("soc"),
                max_charge_kw=values.limit("max_charge_kw"),
                max_discharge_kw=values.limit("max_discharge_kw"),
                setpoint_kw=values.optional("setpoint_kw"),
                is_local=values.is_set("is_local"),
            )
        case "pv":
            return PvReading(
                measured_s,
                power_kw=values.needed("power_kw"),
                setpoint_kw=values.optional("setpoint_kw"),
                is_local=values.is_set("is_local"),
            )
        case _:
            return _connector(values, measured_s)


def _connector(values: Values, measured_s: float) -> ConnectorReading:
    state = values.text("state")
    return ConnectorReading(
        measured_s,
        power_kw=values.needed("power_kw"),
        state=ConnectorState(state) if state else ConnectorState.FAULTED,
        session_id=values.text("session_id"),
        session_kwh=values.optional("session_kwh") or 0.0,
        requested_kwh=values.optional("requested_kwh"),
        estimated_unplug_at=values.time("estimated_unplug_at"),
        known_kwh=values.optional("known_kwh"),
        soc=values.optional("soc"),
        capacity_kwh=values.optional("capacity_kwh"),
        max_kw=values.optional("max_kw"),
        setpoint_kw=values.optional("setpoint_kw"),
        is_local=values.is_set("is_local"),
    )
