"""The base load behind the meter, from samples that are aligned in time. Pure.

``base = grid - sum(assets)`` is right only if both were sampled at the same instant. A meter that lags by 1-3 s makes
the naive sum swing; so the assets' sum is looked up where the meter's value was true (the design's section 4.6).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.judge import Seen
from station.clock import Instant
from station.decision import ControlState, PowerSample
from station.measurement import MeterReading
from station.topology import Site

MEMORY_S = 90.0
"""How far back samples are kept."""

ESTIMATE_EVERY = 10
"""The lag is estimated anew every so many cycles."""

CANDIDATES_S = tuple(0.5 * step for step in range(13))
"""Lags that the estimator tries, 0-6 s."""

LAG_MARGIN_S = 1.0
"""Added to the estimate: a lag believed too long is nearly harmless, one too short makes the loop swing."""

EXCITATION_KW = 8.0
"""The assets must have moved by so much within the memory before an estimate means anything."""

FIT_RATIO = 0.25
"""Another lag must fit so much better than the present one, else that stays."""

NOTICEABLE_KW2 = 1.0
"""A base load that is smoother than this already needs no other lag."""

LOAD_STEPS = 2
"""The largest steps of the base load are left out of the fit: they may be real, and what the battery answers to."""


@dataclass(frozen=True, slots=True)
class BaseEstimate:
    """The base load in kW; where the meter is lost it is the declared maximum and ``is_worst_case``."""

    base_kw: float
    is_worst_case: bool


def sample(
    site: Site, state: ControlState, seen: Seen, hidden_kw: Mapping[str, float], now: Instant
) -> tuple[PowerSample, ...]:
    """Return the kept samples with this cycle's appended, old ones dropped.

    ``hidden_kw`` is what the assets that can't be read are taken to do; else the base load would seem to jump.
    """
    readings = [
        reading for asset in site.controllables if (reading := seen.reading(asset.asset_id)) is not None
    ]
    assets_kw = sum(reading.power_kw for reading in readings) + sum(hidden_kw.values())
    assets_s = sum(reading.measured_s for reading in readings) / len(readings) if readings else now.mono_s
    if state.samples:
        assets_s = max(assets_s, state.samples[-1].assets_s)
    meter_s, grid_kw = _meter(seen, now)
    keep_from_s = now.mono_s - MEMORY_S
    kept = state.samples[1:] if state.samples and state.samples[0].mono_s < keep_from_s else state.samples
    return (*kept, PowerSample(now.mono_s, meter_s, assets_s, grid_kw, assets_kw))


def estimate_base(site: Site, samples: Sequence[PowerSample], lag_s: float) -> BaseEstimate:
    """Return the base load of the latest sample; the newest one must be of this cycle."""
    latest = samples[-1]
    if latest.grid_kw is None:
        return BaseEstimate(site.base_load.max_kw, True)
    aligned_kw = assets_at(samples, latest.meter_s - lag_s)
    base_kw = max(latest.grid_kw - aligned_kw, site.base_load.min_kw)
    return BaseEstimate(base_kw, False)


def assets_at(samples: Sequence[PowerSample], mono_s: float) -> float:
    """Return the assets' sum at an instant, linear between samples and constant beyond them."""
    if mono_s >= samples[-1].assets_s:
        return samples[-1].assets_kw
    for index in range(len(samples) - 2, -1, -1):
        earlier = samples[index]
        if earlier.assets_s <= mono_s:
            later = samples[index + 1]
            share = (mono_s - earlier.assets_s) / (later.assets_s - earlier.assets_s)
            return earlier.assets_kw + share * (later.assets_kw - earlier.assets_kw)
    return samples[0].assets_kw


def estimate_lag(site: Site, state: ControlState, samples: Sequence[PowerSample]) -> float:
    """Return the meter's lag in seconds: declared at first, then the one that makes the base load smoothest.

    Only every few cycles, only at fine cycles, and only after the assets have moved; it errs long.
    """
    current_s = site.meter.lag_s if state.lag_s is None else state.lag_s
    if state.cycles % ESTIMATE_EVERY or site.control.cycle_s > 2.0 or len(samples) < 2 * ESTIMATE_EVERY:
        return current_s
    powers_kw = [entry.assets_kw for entry in samples]
    if max(powers_kw) - min(powers_kw) < EXCITATION_KW:
        return current_s
    present_s = current_s - LAG_MARGIN_S
    present_kw2 = min(_roughness(samples, present_s), _roughness(samples, current_s))
    if present_kw2 < NOTICEABLE_KW2:
        return current_s
    roughness = {lag_s: _roughness(samples, lag_s) for lag_s in CANDIDATES_S}
    best_s = min(roughness, key=lambda lag_s: (roughness[lag_s], abs(lag_s - present_s)))
    if roughness[best_s] >= FIT_RATIO * present_kw2:
        return current_s
    return max(best_s + LAG_MARGIN_S, current_s - 0.5)


def _meter(seen: Seen, now: Instant) -> tuple[float, float | None]:
    match seen.meter:
        case MeterReading(measured_s=measured_s, power_kw=power_kw):
            return measured_s, power_kw
        case _:
            return now.mono_s, None


def _roughness(samples: Sequence[PowerSample], lag_s: float) -> float:
    """Return the sum of squared steps of the base load that this lag would imply, kW^2, the largest left out."""
    steps_kw: list[float] = []
    previous = None
    for index in range(len(samples) // 4, len(samples)):
        entry = samples[index]
        if entry.grid_kw is None:
            previous = None
            continue
        base_kw = entry.grid_kw - assets_at(samples, entry.meter_s - lag_s)
        if previous is not None:
            steps_kw.append(abs(base_kw - previous))
        previous = base_kw
    return sum(step_kw**2 for step_kw in sorted(steps_kw)[:-LOAD_STEPS])
