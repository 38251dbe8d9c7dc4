"""The words of the guided self-test: what was seen while a known power moved, and what follows from it. Pure.

Powers are kW in load convention, energies kWh, currents A, voltages V, as the profile makes them of what the device
says. That profile, and the wiring behind the device, are what is on trial.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from station.assets import Controllable

SWAPPED = "swapped_"
"""Before a point's name: the same registers with their words in the other order."""

Values = Mapping[str, float]
"""What one device says, by point; a point that gave nothing is not there."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the meter and at the asset that is moved.

    ``step`` is the number of the level that was asked; ``others_kw`` is the sum of what the other assets say of
    themselves. ``trouble`` is why the test must end, empty while all is well.
    """

    mono_s: float
    step: int
    asked_kw: float
    meter: Values
    moved: Values
    others_kw: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One asset moved to and fro. ``ended`` is why it stopped early, empty where it was carried out whole."""

    asset: Controllable
    samples: tuple[Sample, ...]
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Gain:
    """How much one quantity moves per kW (or kWh) of another; ``factor_error`` is its standard error."""

    factor: float
    factor_error: float
    count: int = 0

    @property
    def is_clear(self) -> bool:
        """Return whether the factor is known well enough to tell it from others, zero included."""
        return self.factor_error <= max(0.15 * abs(self.factor), 0.05)

    @property
    def is_nil(self) -> bool:
        """Return whether nothing moved along."""
        return abs(self.factor) <= 3.0 * self.factor_error and self.factor_error <= 0.1

    def __str__(self) -> str:
        return f"{self.factor:.3g} ± {self.factor_error:.1g}"


class Kind(StrEnum):
    """What can be wrong."""

    REVERSED = "reversed"
    SWAPPED_PHASE = "swapped phase"
    WRONG_SCALE = "wrong scale"
    WORD_ORDER = "wrong word order"
    NO_RESPONSE = "no response"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault. ``where`` is the asset (the grid meter's id for the meter), ``point`` the quantity.

    ``evidence`` are sentences with the numbers, ``advice`` what to change, the most probable first. ``confidence`` is
    0..1: it is below 0.6 where another single fault would explain the same numbers. ``suspects`` are the assets at
    which such a fault would be, the most probable first.
    """

    kind: Kind
    where: str
    point: str
    confidence: float
    evidence: tuple[str, ...]
    advice: tuple[str, ...]
    suspects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blind:
    """Something that this site gives no way to know, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result: faults, what stays unknown, and the measured gains by what was compared."""

    findings: tuple[Finding, ...]
    unobservable: tuple[Blind, ...]
    gains: Mapping[str, Gain] = field(default_factory=dict)


Channel = Callable[[Sample], float | None]
"""Takes one quantity out of a sample; None where it gave nothing."""

Side = Callable[[str], Channel]
"""``of_meter`` or ``of_moved``: takes a point of that device."""


def of_meter(name: str) -> Channel:
    """Return the meter's point of that name."""
    return lambda sample: sample.meter.get(name)


def of_moved(name: str) -> Channel:
    """Return the moved device's point of that name."""
    return lambda sample: sample.moved.get(name)


def asked(sample: Sample) -> float | None:
    """Return what was asked of the moved asset."""
    return sample.asked_kw
