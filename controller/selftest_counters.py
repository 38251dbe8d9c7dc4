"""Energy counters held against the integral of the power of the same device. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from controller.selftest_causes import TOLERANCE, Cause, name_of_factor
from controller.selftest_order import finding_of
from controller.selftest_words import (
    SWAPPED,
    Blind,
    Channel,
    Finding,
    Kind,
    Sample,
    Side,
    Trial,
    of_meter,
    of_moved,
)
from station.topology import Site

LEAST_STEPS = 8
"""The counter must have moved by so many of its own smallest steps."""

LEAST_KWH = 0.05
LONGEST_GAP_S = 5.0
"""Over a longer gap between two samples nothing is integrated: neither energy nor counter."""

METER: Mapping[str, int] = {"import_kwh": 1, "export_kwh": -1}
MOVED: Mapping[str, int] = {**METER, "session_kwh": 1}
"""Counters, and the direction of power that each counts."""

ON_CAR_SIDE = 0.85
"""A charger may count what reaches the car: so much of its AC energy at least."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter's way beside the energy that flowed its way and the other way by the power shown, kWh.

    ``step_kwh`` is the smallest step that it was seen to make. ``power_factor`` is by how much the power was found
    to be wrong itself: then the counter may follow what it shows, or what is true.
    """

    where: str
    name: str
    moved_kwh: float
    swapped_kwh: float
    flowed_kwh: float
    against_kwh: float
    step_kwh: float
    power_factor: float

    @property
    def slack_kwh(self) -> float:
        """Return by how much the counter may be off for its steps alone."""
        return self.step_kwh + 0.002

    @property
    def true_kwh(self) -> float:
        """Return the energy that truly flowed the counter's way."""
        shown_kwh = self.flowed_kwh if self.power_factor > 0.0 else self.against_kwh
        return shown_kwh / abs(self.power_factor)

    @property
    def is_right(self) -> bool:
        """Return whether the counter counts what is shown, or what flows."""
        low = 1.0 - ON_CAR_SIDE if self.name == "session_kwh" else TOLERANCE
        return any(
            -low * kwh - self.slack_kwh <= self.moved_kwh - kwh <= TOLERANCE * kwh + self.slack_kwh
            for kwh in (self.flowed_kwh, self.true_kwh)
        )

    @property
    def is_coarse(self) -> bool:
        """Return whether the counter moved by too few of its steps to be judged."""
        return self.step_kwh == 0.0 or abs(self.moved_kwh) < LEAST_STEPS * self.step_kwh

    @property
    def counts_backwards(self) -> bool:
        """Return whether the counter counts the other direction."""
        return (
            self.against_kwh > LEAST_KWH and abs(self.moved_kwh / self.against_kwh - 1.0) <= 2.0 * TOLERANCE
        )


def judge_counters(
    site: Site, trials: Sequence[Trial], views: Sequence[str], causes: Sequence[Cause]
) -> Iterator[Finding | Blind]:
    """Yield the faults of energy counters, and those that could not be compared.

    ``views`` are the points that hold the power: of the meter, then of the asset in each trial. A counter that is right
    while its device's power was found wrong only confirms that.
    """
    every = tuple(sample for trial in trials for sample in trial.samples)
    yield from _judged(counted(site.meter.asset_id, every, of_meter, views[0], causes))
    for trial, view in zip(trials, views[1:], strict=True):
        yield from _judged(counted(trial.asset.asset_id, trial.samples, of_moved, view, causes))


def counted(
    where: str, samples: Sequence[Sample], side: Side, power: str, causes: Sequence[Cause]
) -> Iterator[Counted]:
    """Yield what each counter of a device did during some samples."""
    for name, sign in (METER if side is of_meter else MOVED).items():
        plain, swapped = side(name), side(SWAPPED + name)
        if not any(plain(sample) is not None for sample in samples):
            continue
        positive_kwh, negative_kwh, moved_kwh = _flow(samples, side(power), plain)
        flowed_kwh, against_kwh = (positive_kwh, negative_kwh) if sign > 0 else (negative_kwh, positive_kwh)
        other_kwh = _flow(samples, side(power), swapped)[2]
        step_kwh, factor = _step_kwh(samples, plain), _power_factor(causes, where)
        yield Counted(where, name, moved_kwh, other_kwh, flowed_kwh, against_kwh, step_kwh, factor)


def _power_factor(causes: Sequence[Cause], where: str) -> float:
    factor = 1.0
    for cause in causes:
        if cause.where == where:
            factor *= cause.meter_factor if cause.asset_id == "" else cause.device_factor
    return factor or 1.0


def _judged(every: Iterator[Counted]) -> Iterator[Finding | Blind]:
    for its in every:
        what = f"{its.where}: {its.name} against the power's integral"
        if its.flowed_kwh < LEAST_KWH:
            if its.counts_backwards and not its.is_coarse and not its.is_right:
                yield _backwards(its)
            else:
                yield Blind(what, f"only {its.flowed_kwh:.3f} kWh flowed its way")
        elif its.is_right:
            if its.is_coarse:
                yield Blind(what, _too_coarse(its))
        elif abs(its.swapped_kwh / its.flowed_kwh - 1.0) <= 2.0 * TOLERANCE + its.slack_kwh / its.flowed_kwh:
            evidence = (
                f"{its.name} moved by {its.moved_kwh:.6g} kWh while {its.flowed_kwh:.3g} kWh flowed; "
                f"with its words swapped by {its.swapped_kwh:.3g} kWh"
            )
            yield finding_of(its.where, its.name, (evidence,), is_measured=True)
        elif its.is_coarse:
            yield Blind(what, _too_coarse(its))
        else:
            yield _backwards(its) if its.counts_backwards else _wrong_scale(its)


def _backwards(its: Counted) -> Finding:
    evidence = (
        f"{its.name} moved by {its.moved_kwh:.3g} kWh while {its.against_kwh:.3g} kWh flowed the other way"
    )
    advice = f"in the profile of {its.where}: exchange import_kwh and export_kwh, or flip `sign` of power_kw"
    return Finding(Kind.REVERSED, its.where, its.name, 0.8, (evidence,), (advice,), (its.where,))


def _wrong_scale(its: Counted) -> Finding:
    evidence = f"{its.name} moved by {its.moved_kwh:.4g} kWh while {its.flowed_kwh:.3g} kWh flowed"
    by = name_of_factor(its.moved_kwh / its.flowed_kwh)
    advice = f"in the profile of {its.where}: `scale` (or `unit`) of {its.name} is wrong by {by}"
    return Finding(Kind.WRONG_SCALE, its.where, its.name, 0.9, (evidence,), (advice,), (its.where,))


def _too_coarse(its: Counted) -> str:
    if its.step_kwh == 0.0:
        return f"it did not move while {its.flowed_kwh:.3g} kWh flowed; it may count in whole kWh"
    return f"it counts in steps of {its.step_kwh:.3g} kWh, and only {its.flowed_kwh:.3g} kWh flowed"


def _flow(samples: Sequence[Sample], power: Channel, counter: Channel) -> tuple[float, float, float]:
    """Return the energy in both directions and the counter's way, over the stretches in which both are known."""
    positive_kwh = negative_kwh = moved_kwh = 0.0
    whole = [
        (sample.mono_s, power_kw, count_kwh)
        for sample in samples
        if (power_kw := power(sample)) is not None and (count_kwh := counter(sample)) is not None
    ]
    for (from_s, from_kw, from_kwh), (to_s, to_kw, to_kwh) in pairwise(whole):
        if to_s - from_s > LONGEST_GAP_S or to_kwh < from_kwh - 1e-9:
            continue
        mean_kwh = (from_kw + to_kw) / 2.0 * (to_s - from_s) / 3600.0
        positive_kwh += max(mean_kwh, 0.0)
        negative_kwh += max(-mean_kwh, 0.0)
        moved_kwh += to_kwh - from_kwh
    return positive_kwh, negative_kwh, moved_kwh


def _step_kwh(samples: Sequence[Sample], counter: Channel) -> float:
    values = [value for sample in samples if (value := counter(sample)) is not None]
    return min(
        (later - earlier for earlier, later in pairwise(values) if later > earlier + 1e-9), default=0.0
    )
