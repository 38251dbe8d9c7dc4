"""Small conversions between quantities. Load convention everywhere: power into the asset is positive."""

from enum import StrEnum


class Phase(StrEnum):
    """A conductor of a three-phase system."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"


ALL_PHASES = (Phase.L1, Phase.L2, Phase.L3)


def current_a(power_kw: float, phase_count: int, voltage_v: float) -> float:
    """Return the current per phase of a balanced load at unity power factor; ``voltage_v`` is phase to neutral."""
    return power_kw * 1000.0 / (phase_count * voltage_v)


def power_kw_of(phase_current_a: float, phase_count: int, voltage_v: float) -> float:
    """Return the power of a balanced load that draws ``phase_current_a`` on each of its phases."""
    return phase_current_a * phase_count * voltage_v / 1000.0


def energy_kwh(power_kw: float, duration_s: float) -> float:
    """Return the energy of a constant power over a duration."""
    return power_kw * duration_s / 3600.0
