"""The names that a profile's points may have, and the units that fit each."""

from dataclasses import fields

from station.measurement import BatteryReading, ConnectorReading, MeterReading, PvReading
from station.profile import CANONICAL_FACTORS

READINGS = {
    "meter": MeterReading,
    "battery": BatteryReading,
    "pv": PvReading,
    "connector": ConnectorReading,
}
"""The reading that each kind of device fills."""

COMMAND_NAMES = frozenset({"setpoint_kw", "lease_s", "fallback_kw"})
EXTRA_NAMES = frozenset(
    {
        *(f"current_l{phase}_a" for phase in (1, 2, 3)),
        *(f"voltage_l{phase}_v" for phase in (1, 2, 3)),
        "import_kwh",
        "export_kwh",
        "frequency_hz",
        "temperature_c",
        "uptime_s",
        "heartbeat",
    }
)
"""Points that no reading holds: for commissioning, and as evidence that the device lives."""

OPTIONAL = frozenset(
    {
        "session_id",
        "session_kwh",
        "requested_kwh",
        "estimated_unplug_at",
        "known_kwh",
        "capacity_kwh",
        "max_kw",
    }
    | {"setpoint_kw", "is_local", "max_charge_kw", "max_discharge_kw"}
)

UNITS_BY_END = {
    "_kwh": ("Wh", "kWh"),
    "_kw": ("W", "kW", "A"),
    "_s": ("s", "min"),
    "_a": ("A",),
    "_v": ("V",),
    "_hz": ("Hz",),
    "_c": ("degC",),
    "_at": ("epoch_s",),
}
FRACTIONS = ("%", "1")


def names_of_kind(kind: str) -> frozenset[str]:
    """Return every point name that a device of this kind may have."""
    own = {field.name for field in fields(READINGS[kind])} - {"measured_s"}
    commands = frozenset() if kind == "meter" else COMMAND_NAMES
    return frozenset(own) | commands | EXTRA_NAMES


def required_names(kind: str) -> frozenset[str]:
    """Return the point names without which no reading of this kind can be made."""
    own = {field.name for field in fields(READINGS[kind])} - {"measured_s"}
    optional = OPTIONAL | {"soc"} if kind == "connector" else OPTIONAL
    return frozenset(own) - optional


def units_of_name(name: str) -> tuple[str, ...]:
    """Return the units that fit a point of this name; the empty unit is for states, flags and counters."""
    if name == "soc":
        return FRACTIONS
    units = next((units for end, units in UNITS_BY_END.items() if name.endswith(end)), ("",))
    return tuple(unit for unit in units if unit in CANONICAL_FACTORS)
