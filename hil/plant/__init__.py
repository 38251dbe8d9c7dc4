"""The physics of a station as pure functions; no clock, no chance, no I/O.

Load convention: power into an asset is positive, PV is <= 0, and ``grid_kw = load_kw + sum of all assets``. Powers are
constant within a step and energies follow from them exactly, so nothing is made or lost.
"""

from hil.plant.device import Command
from hil.plant.measure import measure
from hil.plant.params import PlantParams
from hil.plant.state import (
    BatteryState,
    Car,
    ConnectorStatus,
    PlantState,
    PvState,
    initial_state,
    plug_in,
    powers_kw,
    set_fallback_kw,
    set_local,
    unplug,
)
from hil.plant.step import accept, advance

__all__ = [
    "BatteryState",
    "Car",
    "Command",
    "ConnectorStatus",
    "PlantParams",
    "PlantState",
    "PvState",
    "accept",
    "advance",
    "initial_state",
    "measure",
    "plug_in",
    "powers_kw",
    "set_fallback_kw",
    "set_local",
    "unplug",
]
