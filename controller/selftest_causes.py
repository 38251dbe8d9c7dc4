"""What a single fault of wiring or profile would make of the measured gains. Pure.

Three things can be wrong about a moved asset: what the meter shows, what the device shows of itself, and what it makes
of a setpoint. The gains between the three tell the culprit, because every fault bends them in its own way:

    device vs asked = device × setpoint    meter vs device = meter / device    phase vs device = current / device

where each word is the factor by which that quantity is wrong, 1 for a healthy one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import sqrt

from controller.selftest_words import Gain, Kind
from station.assets import Connector, Controllable
from station.quantities import ALL_PHASES, Phase
from station.topology import phases_of

FACTORS = (10.0, 100.0, 1000.0, sqrt(3.0), 3.0)
"""Scales that are mistaken for one another: a decimal point, W for kW, phase for line, one phase for three."""

NAMES = {10.0: "10", 100.0: "100", 1000.0: "1000", sqrt(3.0): "√3", 3.0: "3"}
TOLERANCE = 0.11
"""Two meters of the same power differ by less: their classes, and a converter's losses."""

FREE_ORDERS = [order for order in permutations(range(3)) if order != (0, 1, 2)]


@dataclass(frozen=True, slots=True)
class Cause:
    """One fault. Factors are 1 where it leaves a quantity alone; ``signs`` and ``order`` are of the meter's phases.

    ``order[p]`` is the conductor that shows at the meter's phase p. ``asset_id`` is whom ``device_factor``,
    ``setpoint_factor`` and ``phases`` concern. ``cost`` grows as the fault is rarer.
    """

    kind: Kind
    where: str
    point: str
    cost: float
    meter_factor: float = 1.0
    current_factor: float = 1.0
    device_factor: float = 1.0
    setpoint_factor: float = 1.0
    asset_id: str = ""
    signs: tuple[int, int, int] = (1, 1, 1)
    order: tuple[int, ...] = (0, 1, 2)
    phases: tuple[Phase, ...] = ()

    @property
    def factor(self) -> float:
        """Return the factor by which the guilty quantity is wrong."""
        changed = (self.meter_factor, self.current_factor, self.device_factor, self.setpoint_factor)
        return next((factor for factor in changed if factor != 1.0), 1.0)


@dataclass(frozen=True, slots=True)
class Observed:
    """The gains of one trial; None where there is none. ``is_bound``: the device takes less than asked if it likes."""

    asset: Controllable
    device_asked: Gain | None
    meter_device: Gain | None
    phases: tuple[Gain, ...] | None
    is_bound: bool


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the gains of one trial should be."""

    device_asked_factor: float
    meter_device_factor: float
    phase_factors: tuple[float, ...]


def predict(causes: Sequence[Cause], asset: Controllable) -> Predicted:
    """Return the gains of a trial under some faults, all at once; under none those of a healthy station."""
    meter = current = device = setpoint = 1.0
    signs, order, phases = [1, 1, 1], [0, 1, 2], phases_of(asset)
    for cause in causes:
        is_own = cause.asset_id in ("", asset.asset_id)
        if is_own:
            meter *= cause.meter_factor
            current *= cause.current_factor
            device *= cause.device_factor
            setpoint *= cause.setpoint_factor
            phases = cause.phases or phases
        signs = [sign * its for sign, its in zip(signs, cause.signs, strict=True)]
        order = [order[place] for place in cause.order]
    shares = [1.0 / len(phases) if phase in phases else 0.0 for phase in ALL_PHASES]
    shown = [sign * shares[place] for sign, place in zip(signs, order, strict=True)]
    return Predicted(
        device * setpoint, meter * sum(shown) / device, tuple(current * share / device for share in shown)
    )


def mismatch(causes: Sequence[Cause], seen: Iterable[Observed]) -> float | None:
    """Return how doubtful it is that these faults made what was seen, 0 for a perfect fit; None where they did not."""
    doubt = 0.0
    for trial in seen:
        expected = predict(causes, trial.asset)
        if not _fits(trial.meter_device, expected.meter_device_factor):
            return None
        widest_factor = max((abs(factor) for factor in expected.phase_factors), default=1.0)
        for gain, factor in zip(trial.phases or (), expected.phase_factors, strict=False):
            if not _fits(gain, factor, widest_factor):
                return None
        if trial.is_bound and _is_held_back(trial.device_asked, expected.device_asked_factor):
            doubt += 0.5
        elif not _fits(trial.device_asked, expected.device_asked_factor):
            return None
    return doubt


def _fits(gain: Gain | None, factor: float, wide_factor: float = 0.0) -> bool:
    if gain is None or not gain.is_clear:
        return True
    if factor and gain.is_nil:
        return False
    slack = TOLERANCE * max(abs(factor), wide_factor) + 3.0 * gain.factor_error
    return abs(gain.factor - factor) <= max(slack, 0.02 if not factor else 0.0)


def _is_held_back(gain: Gain | None, factor: float) -> bool:
    """Return whether a device does part of what it may: a car that takes less, a sun that gives less."""
    return gain is not None and -0.1 * abs(factor) < gain.factor * (1.0 if factor > 0.0 else -1.0) < abs(
        factor
    ) * (1.0 - TOLERANCE)


def causes_of(meter_id: str, seen: Sequence[Observed]) -> Iterator[Cause]:
    """Yield every single fault that is thought of, for the assets that were moved."""
    factors = list(_factors(seen))
    for factor in factors:
        kind = Kind.REVERSED if factor == -1.0 else Kind.WRONG_SCALE
        yield Cause(kind, meter_id, "CT", 1.0, meter_factor=factor, current_factor=factor)
        yield Cause(kind, meter_id, "power_kw", 1.05, meter_factor=factor)
        yield Cause(kind, meter_id, "current", 1.1, current_factor=factor)
    for phase in range(3):
        signs = tuple(-1 if place == phase else 1 for place in range(3))
        point = f"CT of {ALL_PHASES[phase]}"
        yield Cause(Kind.REVERSED, meter_id, point, 1.0, signs=(signs[0], signs[1], signs[2]))
    for order in FREE_ORDERS:
        yield Cause(Kind.SWAPPED_PHASE, meter_id, "CT", 1.0 + 0.1 * (0 not in _still(order)), order=order)
    for trial in seen:
        yield from _own_causes(trial, factors)


def _still(order: Sequence[int]) -> list[int]:
    """Return 0 for an order that leaves one conductor in its place, else nothing."""
    return [0] if any(place == here for here, place in enumerate(order)) else []


def _own_causes(trial: Observed, factors: Sequence[float]) -> Iterator[Cause]:
    asset_id = trial.asset.asset_id
    for factor in factors:
        kind = Kind.REVERSED if factor == -1.0 else Kind.WRONG_SCALE
        yield Cause(kind, asset_id, "power_kw", 1.0, device_factor=factor, asset_id=asset_id)
        yield Cause(kind, asset_id, "setpoint_kw", 1.0, setpoint_factor=factor, asset_id=asset_id)
        both = "power_kw and setpoint_kw"
        yield Cause(
            kind, asset_id, both, 1.3, device_factor=factor, setpoint_factor=1.0 / factor, asset_id=asset_id
        )
    if isinstance(trial.asset, Connector) and len(trial.asset.phases) == 1:
        for phase in ALL_PHASES:
            if phase not in trial.asset.phases:
                yield Cause(Kind.SWAPPED_PHASE, asset_id, "phases", 1.0, asset_id=asset_id, phases=(phase,))
    yield Cause(
        Kind.NO_RESPONSE,
        asset_id,
        "power_kw",
        1.5,
        meter_factor=0.0,
        current_factor=0.0,
        asset_id=asset_id,
    )


def _factors(seen: Sequence[Observed]) -> Iterator[float]:
    """Yield -1, the known factors both ways, and the clear ones that were seen and are none of them."""
    known = [-1.0, *FACTORS, *(1.0 / factor for factor in FACTORS)]
    yield from known
    for trial in seen:
        for gain in (trial.meter_device, trial.device_asked):
            if gain is None or not gain.is_clear or gain.is_nil or trial.is_bound:
                continue
            for factor in (gain.factor, 1.0 / gain.factor):
                if not any(_is_near(abs(factor), abs(other)) for other in (*known, 1.0)):
                    known.append(factor)
                    yield factor


def _is_near(factor: float, other_factor: float) -> bool:
    return abs(factor - other_factor) <= TOLERANCE * other_factor


def name_of_factor(factor: float) -> str:
    """Return a factor as a person writes it: ``×10``, ``÷√3``, ``×−1``, or its number."""
    for known, name in NAMES.items():
        if _is_near(abs(factor), known):
            return f"×{'−' if factor < 0 else ''}{name}"
        if _is_near(abs(factor), 1.0 / known):
            return f"÷{'−' if factor < 0 else ''}{name}"
    return "×−1" if _is_near(-factor, 1.0) else f"×{factor:.3g}"
