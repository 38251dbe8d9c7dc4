"""How much one quantity moves with another, from levels that alternate. Pure.

The last seconds of each level are averaged, when device and meter have settled, and each level is held against the mean
of its two neighbours: a drift of the base load drops out. Leaving out the extremes makes a car that comes, or a
compressor that starts, harmless.
"""

from collections.abc import Sequence
from itertools import groupby
from statistics import stdev

from controller.selftest_words import Channel, Gain, Sample

WINDOW_S = 6.0
"""The end of a level that is averaged. What comes before is left to the device's delay and the meter's lag."""

LEAST_SAMPLES = 2
LEAST_SHARE = 0.4
"""A contrast of the cause smaller than this share of the largest says too little."""

OTHERS_SHARE = 0.3
"""Where the other assets moved by more than this share of the cause, the level is left out."""

TRIM_SHARE = 0.25
"""So much is left out at either end: a car that comes spoils two contrasts."""

OVERLAP = 1.3
"""Contrasts share levels with their neighbours, so that their mean is less exact than their number says."""

EXACT = 0.004
"""Meters are no better than this: no factor is known more exactly."""

FEW = 3
FEW_ERROR = 0.08
"""Relative error of a factor that rests on fewer than ``FEW`` contrasts: their scatter is not known."""


Contrast = float | None
Pair = tuple[float, float]
"""By how much a cause and its response moved, each in its own unit."""


def completed(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples without those of the last level, which was cut short or is not over."""
    return [sample for sample in samples if sample.step < samples[-1].step]


def levels(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return the settled end of each level, in order; a level that was cut short may be empty."""
    ends = []
    for step, group in groupby((s for s in samples if s.step >= 0), key=lambda s: s.step):
        held = list(group)
        last_s = held[-1].mono_s
        settled = [s for s in held if s.mono_s > last_s - WINDOW_S]
        ends.append(settled if step or len(settled) >= LEAST_SAMPLES else [])
    return ends


def mean(samples: Sequence[Sample], channel: Channel) -> float | None:
    """Return the mean of a quantity, or None where more than half of its values are missing."""
    values = [value for sample in samples if (value := channel(sample)) is not None]
    if len(values) < LEAST_SAMPLES or 2 * len(values) <= len(samples):
        return None
    return sum(values) / len(values)


def contrasts(ends: Sequence[Sequence[Sample]], channel: Channel) -> list[Contrast]:
    """Return what each inner level differs by from the mean of its neighbours."""
    means = [mean(samples, channel) for samples in ends]
    found: list[Contrast] = []
    for before, here, after in zip(means, means[1:], means[2:], strict=False):
        is_whole = before is not None and here is not None and after is not None
        found.append(here - (before + after) / 2.0 if is_whole else None)  # type: ignore[operator]
    return found


def gain_of(samples: Sequence[Sample], cause: Channel, response: Channel) -> Gain | None:
    """Return the factor between two quantities, or None where the cause did not move or one of them gave nothing."""
    ends = levels(samples)
    others = contrasts(ends, lambda sample: sample.others_kw)
    pairs = [
        (x, y, z or 0.0)
        for x, y, z in zip(contrasts(ends, cause), contrasts(ends, response), others, strict=True)
        if x is not None and y is not None
    ]
    largest = max((abs(x) for x, _, _ in pairs), default=0.0)
    if largest <= 0.0:
        return None
    strong = [(x, y, z) for x, y, z in pairs if abs(x) >= LEAST_SHARE * largest]
    calm = [pair for pair in strong if abs(pair[2]) <= OTHERS_SHARE * abs(pair[0])]
    kept = calm if len(calm) >= FEW else strong
    return ratio_of([(x, y) for x, y, _ in kept])


def ratio_of(pairs: Sequence[Pair]) -> Gain | None:
    """Return y / x as a weighted mean without its extremes, with its error; None without pairs.

    The error is that of a trimmed mean: the standard deviation with the extremes moved to the nearest kept values,
    by the share that is kept (Tukey and McLaughlin 1963).
    """
    ratios = sorted((y / x, abs(x)) for x, y in pairs if x)
    count = len(ratios)
    if not count:
        return None
    cut = int(TRIM_SHARE * count)
    kept = ratios[cut : count - cut]
    factor = sum(ratio * weight for ratio, weight in kept) / sum(weight for _, weight in kept)
    if count < FEW:
        widest = max(abs(ratio - factor) for ratio, _ in ratios)
        error = max(widest, FEW_ERROR * abs(factor))
    else:
        moved = [min(max(ratio, kept[0][0]), kept[-1][0]) for ratio, _ in ratios]
        error = OVERLAP * stdev(moved) / (1.0 - 2.0 * cut / count) / count**0.5
    return Gain(factor, max(error, EXACT * abs(factor)), count)
