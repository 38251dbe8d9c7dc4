"""A station with its weather and its visitors: advances the plant and keeps account of what happened."""

from hil.world.surroundings import LoadNoise, Surroundings
from hil.world.tally import SlotMeans
from hil.world.violations import Violation
from hil.world.visits import Outcome
from hil.world.world import World, WorldResult

__all__ = [
    "LoadNoise",
    "Outcome",
    "SlotMeans",
    "Surroundings",
    "Violation",
    "World",
    "WorldResult",
]
