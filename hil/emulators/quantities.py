"""What the points of a device stand for: from the plant's readings to values by point name.

Values are in heliodock's own units (kW, kWh, A, V, fractions, seconds) and load convention; None where a real device
would say that it has none. The profile turns them into the device's units and signs.
"""

from collections.abc import Mapping
from typing import assert_never

from hil.emulators.live import LivePlant
from station.assets import Connector
from station.measurement import BatteryReading, ConnectorReading, MeterReading, NoReading, PvReading
from station.profile import Point
from station.quantities import ALL_PHASES, Phase, current_a

Quantity = float | str | None

VOLTAGE_V = 230.0
FREQUENCY_HZ = 50.0
TEMPERATURE_C = 25.0


def quantities(live: LivePlant, asset_id: str, points: Mapping[str, Point]) -> dict[str, Quantity]:
    """Return a value for each point name that the plant knows. ``points`` tell whether a session has a name."""
    reading = live.readings()[asset_id]
    match reading:
        case MeterReading():
            values = _of_meter(live, reading)
        case BatteryReading():
            values = _of_battery(reading)
        case PvReading():
            values = _of_pv(live, asset_id, reading)
        case ConnectorReading():
            values = _of_connector(live, asset_id, reading, points)
        case NoReading():
            values = {}
        case _:
            assert_never(reading)
    values["uptime_s"] = live.uptime_s
    values["temperature_c"] = TEMPERATURE_C
    return values


def _of_meter(live: LivePlant, reading: MeterReading) -> dict[str, Quantity]:
    """Currents are signed like the power; cars load their phases, everything else all three alike."""
    cars_kw = dict.fromkeys(ALL_PHASES, 0.0)
    for connector, status in zip(live.world.site.connectors, live.world.state.connectors, strict=True):
        for phase in connector.phases:
            cars_kw[phase] += status.power_kw / len(connector.phases)
    even_kw = (reading.power_kw - sum(cars_kw.values())) / len(ALL_PHASES)
    values: dict[str, Quantity] = {
        "power_kw": reading.power_kw,
        "frequency_hz": FREQUENCY_HZ,
        "import_kwh": live.imported_kwh,
        "export_kwh": live.exported_kwh,
    }
    for phase in ALL_PHASES:
        values[_current_name(phase)] = current_a(even_kw + cars_kw[phase], 1, VOLTAGE_V)
        values[f"voltage_{phase.lower()}_v"] = VOLTAGE_V
    return values


def _of_battery(reading: BatteryReading) -> dict[str, Quantity]:
    return {
        "power_kw": reading.power_kw,
        "soc": reading.soc,
        "max_charge_kw": reading.max_charge_kw,
        "max_discharge_kw": reading.max_discharge_kw,
        "setpoint_kw": reading.setpoint_kw,
        "is_local": float(reading.is_local),
    }


def _of_pv(live: LivePlant, asset_id: str, reading: PvReading) -> dict[str, Quantity]:
    return {
        "power_kw": reading.power_kw,
        "export_kwh": live.generated_kwh[asset_id],
        "setpoint_kw": reading.setpoint_kw,
        "is_local": float(reading.is_local),
    }


def _of_connector(
    live: LivePlant, asset_id: str, reading: ConnectorReading, points: Mapping[str, Point]
) -> dict[str, Quantity]:
    asset = live.world.site.by_id[asset_id]
    assert isinstance(asset, Connector)
    leaves_at = reading.estimated_unplug_at
    values: dict[str, Quantity] = {
        "state": reading.state.value,
        "is_local": float(reading.is_local),
        "power_kw": reading.power_kw,
        "max_kw": reading.max_kw,
        "session_id": _session(live, reading.session_id, points.get("session_id")),
        "session_kwh": reading.session_kwh,
        "requested_kwh": reading.requested_kwh,
        "estimated_unplug_at": None if leaves_at is None else leaves_at.timestamp(),
        "known_kwh": reading.known_kwh,
        "soc": reading.soc,
        "capacity_kwh": reading.capacity_kwh,
        "setpoint_kw": reading.setpoint_kw,
    }
    for phase in ALL_PHASES:
        share_a = current_a(reading.power_kw, len(asset.phases), asset.voltage_v)
        values[_current_name(phase)] = share_a if phase in asset.phases else 0.0
    return values


def _session(live: LivePlant, session_id: str | None, point: Point | None) -> Quantity:
    """Return the session's name where the point is a text long enough for it, else its number."""
    if session_id is None or point is None:
        return None
    if point.encoding != "string":
        return float(live.session_number(session_id))
    fits = not point.length or len(session_id) <= 2 * point.length
    return session_id if fits else f"S{live.session_number(session_id)}"


def _current_name(phase: Phase) -> str:
    return f"current_{phase.lower()}_a"
