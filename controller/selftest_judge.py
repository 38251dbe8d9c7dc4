"""The verdict of the self-test: the fewest faults that explain all that was measured, and what can't be known. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from controller.selftest_advice import advice_on, evidence_of
from controller.selftest_causes import Cause, Observed, causes_of, mismatch
from controller.selftest_counters import judge_counters
from controller.selftest_fit import completed, gain_of, levels, mean, ratio_of
from controller.selftest_order import finding_of, moves_swapped, rating_kw, rest_of, rests_swapped
from controller.selftest_phases import phase_channels, phase_view
from controller.selftest_words import (
    SWAPPED,
    Blind,
    Channel,
    Finding,
    Gain,
    Side,
    Trial,
    Verdict,
    asked,
    of_meter,
    of_moved,
)
from station.assets import Battery, PvPlant
from station.topology import Site

TIE = 0.15
"""Explanations whose cost differs by less than this are equally good."""

EXACT_ENOUGH = 0.08
"""A relative error with which no factor is taken for another."""

MOST_PAIRS = 40
"""Two faults at once are only looked for among so many of those that explain a part."""


def judge(
    site: Site, trials: Sequence[Trial], blind: Sequence[Blind] = (), before: Sequence[Finding] = ()
) -> Verdict:
    """Return what the trials say. ``blind`` is what could not be tried, ``before`` what was found at rest."""
    if not any(trial.samples for trial in trials):
        return Verdict(tuple(before), tuple(blind))
    trials = [replace(its, samples=tuple(completed(its.samples))) if its.ended else its for its in trials]
    meter_id = site.meter.asset_id
    views, orders = _views(site, trials)
    seen = [_observed(trial, views[0], view) for trial, view in zip(trials, views[1:], strict=True)]
    still = [_did_not_move(trial, its) for trial, its in zip(trials, seen, strict=True)]
    moved = [its for its, reason in zip(seen, still, strict=True) if reason is None]
    causes, ties = explain(meter_id, moved)
    counters = list(judge_counters(site, trials, views, causes))
    findings = (
        *before,
        *orders,
        *(_finding(meter_id, cause, seen, ties) for cause in causes),
        *(its for its in counters if isinstance(its, Finding)),
    )
    unknown = (
        *blind,
        *(reason for reason in still if reason is not None),
        *_unclear(seen),
        *phase_view(site, seen),
        *(its for its in counters if isinstance(its, Blind)),
    )
    return Verdict(findings, unknown, {name: gain for its in seen for name, gain in _named(its)})


def explain(meter_id: str, seen: Sequence[Observed]) -> tuple[tuple[Cause, ...], tuple[Cause, ...]]:
    """Return the cheapest set of faults that fits all gains, and the single faults that would do as well.

    A healthy station has none; where not even two faults fit, those that explain one asset each are returned.
    """
    if not seen or mismatch((), seen) is not None:
        return (), ()
    singles = sorted(_costs(meter_id, seen), key=lambda pair: pair[0])
    if singles:
        best = singles[0][0]
        return (singles[0][1],), tuple(cause for cost, cause in singles[1:] if cost <= best + TIE)
    pairs = sorted(_pair_costs(meter_id, seen), key=lambda pair: pair[0])
    if pairs:
        return pairs[0][1], ()
    alone = seen if len(seen) > 1 else ()
    return tuple(dict.fromkeys(cause for trial in alone for cause in explain(meter_id, [trial])[0])), ()


def wants_more(site: Site, trial: Trial) -> bool:
    """Return whether more of the same steps would make the verdict on an asset surer."""
    views, _ = _views(site, [trial])
    seen = _observed(trial, *views)
    gains = [gain for gain in (seen.meter_device, *(seen.phases or ())) if gain is not None]
    least = EXACT_ENOUGH * max((abs(gain.factor) for gain in gains), default=0.0) / 2.0
    return any(gain.factor_error > max(EXACT_ENOUGH * abs(gain.factor), least) for gain in gains)


def _costs(meter_id: str, seen: Sequence[Observed]) -> Iterator[tuple[float, Cause]]:
    for cause in causes_of(meter_id, seen):
        doubt = mismatch((cause,), seen)
        if doubt is not None:
            yield cause.cost + doubt, cause


def _pair_costs(meter_id: str, seen: Sequence[Observed]) -> Iterator[tuple[float, tuple[Cause, Cause]]]:
    """Yield the pairs that fit, of faults that each explain at least one trial."""
    partly = [
        cause
        for cause in causes_of(meter_id, seen)
        if any(mismatch((cause,), [trial]) is not None and mismatch((), [trial]) is None for trial in seen)
    ]
    partly = partly or list(causes_of(meter_id, seen))
    for first, second in combinations(sorted(partly, key=lambda cause: cause.cost)[:MOST_PAIRS], 2):
        doubt = mismatch((first, second), seen)
        if doubt is not None:
            yield first.cost + second.cost + doubt, (first, second)


def _finding(meter_id: str, cause: Cause, seen: Sequence[Observed], ties: Sequence[Cause]) -> Finding:
    others = [tie for tie in ties if (tie.kind, tie.where) != (cause.kind, cause.where)]
    confidence = 0.97 / (1 + len({(tie.kind, tie.where) for tie in others}))
    evidence = evidence_of(cause, seen)
    suspects = tuple(dict.fromkeys(its.where for its in (cause, *ties)))
    advice = advice_on(meter_id, (cause, *ties))
    return Finding(cause.kind, cause.where, cause.point, confidence, evidence, advice, suspects)


def _views(site: Site, trials: Sequence[Trial]) -> tuple[tuple[str, ...], list[Finding]]:
    """Return the points that hold the power: of the meter, then of the asset in each trial.

    Each is as the profile says, or swapped: then there is a finding too.
    """
    most_kw = site.base_load.max_kw + sum(rating_kw(asset) for asset in site.controllables)
    meter, findings = _view(site.meter.asset_id, trials, asked, of_meter, most_kw)
    views = [meter]
    for trial in trials:
        view, found = _view(trial.asset.asset_id, [trial], of_meter(meter), of_moved, most_kw)
        views.append(view)
        findings += found
    return tuple(views), findings


def _view(
    where: str, trials: Sequence[Trial], cause: Channel, side: Side, most_kw: float
) -> tuple[str, list[Finding]]:
    swapped = f"{SWAPPED}power_kw"
    moves = moves_swapped(trials, "power_kw", cause, side)
    if moves is not None:
        plain, other = moves
        told = "nothing usable" if plain is None else f"{plain} kW per kW"
        evidence = f"as the profile reads it power_kw gives {told}; with its words swapped {other}"
        return swapped, [finding_of(where, "power_kw", (evidence,), is_measured=True)]
    resting = [sample for trial in trials for sample in rest_of(trial.samples)]
    rests = rests_swapped(resting, side("power_kw"), side(swapped), most_kw)
    if rests is not None:
        evidence = f"at rest power_kw reads {rests[0]:.6g} kW; with its words swapped {rests[1]:.4g} kW"
        return swapped, [finding_of(where, "power_kw", (evidence,), is_measured=False)]
    return "power_kw", []


def _observed(trial: Trial, meter: str, moved: str) -> Observed:
    """Return the gains of a trial, of the points that hold the powers.

    Where the device's own power says nothing, the meter is held against what was asked.
    """
    samples, asset, power = trial.samples, trial.asset, of_moved(moved)
    is_pv = isinstance(asset, PvPlant)
    device_asked = _level_gain(trial, power) if is_pv else gain_of(samples, asked, power)
    is_mute = device_asked is None or (device_asked.is_nil and not is_pv)
    cause = asked if is_mute else power
    phases = [gain_of(samples, cause, channel) for channel in phase_channels(trial, of_meter(meter))]
    whole = tuple(gain for gain in phases if gain is not None)
    return Observed(
        asset,
        device_asked,
        gain_of(samples, cause, of_meter(meter)),
        whole if len(whole) == 3 else None,
        not isinstance(asset, Battery),
    )


def _level_gain(trial: Trial, power: Channel) -> Gain | None:
    """Return how a PV plant's power compares with the bound that was asked, at the levels that bound it."""
    pairs = []
    for held in levels(trial.samples):
        bound_kw, shown_kw = mean(held, asked), mean(held, power)
        if bound_kw is None or shown_kw is None or bound_kw <= trial.asset.nameplate.min_kw + 1e-6:
            continue
        pairs.append((bound_kw, shown_kw))
    return ratio_of(pairs)


def _did_not_move(trial: Trial, seen: Observed) -> Blind | None:
    """Return that an asset did not follow at all: then nothing else can be said of it."""
    own, meter = seen.device_asked, seen.meter_device
    if seen.is_bound and own is not None and own.is_nil and isinstance(trial.asset, PvPlant):
        return None
    if own is not None and not own.is_nil:
        return None
    if meter is not None and not meter.is_nil:
        return None
    reason = "it did not follow its setpoints: neither its own power nor the meter moved along"
    if trial.ended:
        reason = f"the trial ended early: {trial.ended}{_so_far(trial)}"
    return Blind(f"{trial.asset.asset_id}: power, sign and scale", reason)


def _so_far(trial: Trial) -> str:
    """Return how far things had moved when a trial was ended, in words."""
    if not trial.samples:
        return ""
    first, last = trial.samples[0], trial.samples[-1]
    ways_kw = [
        end["power_kw"] - begin["power_kw"]
        for begin, end in ((first.moved, last.moved), (first.meter, last.meter))
        if "power_kw" in begin and "power_kw" in end
    ]
    if len(ways_kw) < 2:
        return ""
    return f" (it had moved by {ways_kw[0]:.3g} kW and the meter by {ways_kw[1]:.3g} kW)"


def _unclear(seen: Sequence[Observed]) -> Iterator[Blind]:
    for trial in seen:
        gain = trial.meter_device
        if gain is not None and not gain.is_clear:
            reason = (
                f"the meter moved by {gain} of it: the base load is too restless for these steps; "
                "try again at a quiet time"
            )
            yield Blind(f"{trial.asset.asset_id}: scale and sign at the meter", reason)


def _named(seen: Observed) -> Iterator[tuple[str, Gain]]:
    name = seen.asset.asset_id
    if seen.device_asked is not None:
        yield f"{name} per setpoint", seen.device_asked
    if seen.meter_device is not None:
        yield f"meter per {name}", seen.meter_device
    for number, gain in enumerate(seen.phases or (), 1):
        yield f"meter L{number} per {name}", gain
