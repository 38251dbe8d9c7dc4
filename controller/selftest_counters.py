"""Energy counters held against the integral of the power of the same device. Pure."""

from collections.abc import Iterator, Sequence

from controller.selftest_causes import TOLERANCE, Cause, name_of_factor
from controller.selftest_order import finding_of
from controller.selftest_words import (
    SWAPPED,
    Blind,
    Channel,
    Finding,
    Kind,
    Sample,
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

Flow = tuple[float, float, float]
"""Energy that flowed in the power's positive direction, in its negative one, and what a counter moved by; kWh."""

METER = {"import_kwh": 1, "export_kwh": -1}
MOVED = {"import_kwh": 1, "export_kwh": -1, "session_kwh": 1}
EFFICIENCY = 0.85
"""A charger's counter may count what reaches the car."""


def counted(
    site: Site, trials: Sequence[Trial], meter: str, moved: Sequence[str], causes: Sequence[Cause]
) -> tuple[tuple[Finding, ...], tuple[Blind, ...]]:
    """Return the faults of energy counters, and those that could not be compared.

    A counter that is right while its device's power was found wrong only confirms that.
    """
    findings: list[Finding] = []
    blind: list[Blind] = []
    every = tuple(sample for trial in trials for sample in trial.samples)
    meter_id = site.meter.asset_id
    for result in _compared(meter_id, [every], of_meter, meter, METER, _factor(causes, meter_id)):
        (findings if isinstance(result, Finding) else blind).append(result)  # type: ignore[arg-type]
    for trial, view in zip(trials, moved, strict=True):
        asset_id = trial.asset.asset_id
        for result in _compared(asset_id, [trial.samples], of_moved, view, MOVED, _factor(causes, asset_id)):
            (findings if isinstance(result, Finding) else blind).append(result)  # type: ignore[arg-type]
    return tuple(findings), tuple(blind)


def _factor(causes: Sequence[Cause], where: str) -> float:
    """Return by how much a device's power was found wrong, the counters of which need not be."""
    factor = 1.0
    for cause in causes:
        if cause.where == where:
            factor *= cause.meter_factor if cause.asset_id == "" else cause.device_factor
    return factor


def _compared(
    where: str,
    parts: Sequence[Sequence[Sample]],
    side: object,
    power: str,
    names: dict[str, int],
    known: float,
) -> Iterator[Finding | Blind]:
    channel = of_meter if side is of_meter else of_moved
    for name, sign in names.items():
        if not any(channel(name)(sample) is not None for part in parts for sample in part):
            continue
        yield from _of_counter(
            where, parts[0], channel(power), name, (channel(name), channel(SWAPPED + name)), sign, known
        )  # noqa: E501, PLR0917


def _of_counter(  # noqa: PLR0917
    where: str,
    samples: Sequence[Sample],
    power: Channel,
    name: str,
    counters: tuple[Channel, Channel],
    sign: int,
    known: float,
) -> Iterator[Finding | Blind]:
    plain, swapped = (flow_of(samples, power, counter) for counter in counters)
    flowed_kwh = plain[0] if sign > 0 else plain[1]
    against_kwh = plain[1] if sign > 0 else plain[0]
    step_kwh = resolution_kwh(samples, counters[0])
    what = f"{where}: {name} against the power's integral"
    if flowed_kwh < LEAST_KWH:
        yield from _nothing_flowed(what, where, name, plain, against_kwh, step_kwh)
        return
    ratio = plain[2] / flowed_kwh
    low = TOLERANCE if name != "session_kwh" else 1.0 - EFFICIENCY
    slack = (step_kwh + 0.002) / flowed_kwh
    if -low - slack <= ratio - 1.0 <= TOLERANCE + slack or abs(ratio * known - 1.0) <= TOLERANCE + slack:
        if plain[2] < LEAST_STEPS * step_kwh:
            yield Blind(what, _too_coarse(plain[2], step_kwh))
        return
    other = swapped[2] / flowed_kwh
    if abs(other - 1.0) <= low + slack + 0.1:
        evidence = f"{name} moved by {plain[2]:.6g} kWh while {flowed_kwh:.3g} kWh flowed; words swapped: {swapped[2]:.3g} kWh"  # noqa: E501
        yield finding_of(where, name, (evidence,), is_measured=True)
        return
    if abs(plain[2]) < LEAST_STEPS * step_kwh or step_kwh == 0.0:
        yield Blind(what, _too_coarse(flowed_kwh, step_kwh))
        return
    yield _finding(where, name, plain[2], flowed_kwh, against_kwh)


def _nothing_flowed(  # noqa: PLR0917
    what: str, where: str, name: str, flow: Flow, against_kwh: float, step_kwh: float
) -> Iterator[Finding | Blind]:
    """A counter that moved although nothing flowed its way counts the other direction, or something else."""
    if flow[2] > LEAST_KWH + LEAST_STEPS * step_kwh and abs(flow[2] / max(against_kwh, 1e-9) - 1.0) < 0.3:
        evidence = f"{name} moved by {flow[2]:.3g} kWh while {against_kwh:.3g} kWh flowed the other way"
        advice = f"in the profile of {where}: exchange import_kwh and export_kwh, or the sign of power_kw"
        yield Finding(Kind.REVERSED, where, name, 0.8, (evidence,), (advice,))
        return
    yield Blind(what, f"only {flow[0] + flow[1]:.3g} kWh flowed, and not that way")


def _finding(where: str, name: str, moved_kwh: float, flowed_kwh: float, against_kwh: float) -> Finding:
    factor = moved_kwh / flowed_kwh
    evidence = f"{name} moved by {moved_kwh:.4g} kWh while the power's integral is {flowed_kwh:.3g} kWh"
    if abs(moved_kwh / max(against_kwh, 1e-9) - 1.0) <= TOLERANCE:
        advice = f"in the profile of {where}: exchange import_kwh and export_kwh, or the sign of power_kw"
        evidence += f"; {against_kwh:.3g} kWh flowed the other way"
        return Finding(Kind.REVERSED, where, name, 0.7, (evidence,), (advice,))
    advice = f"in the profile of {where}: `scale` of {name} is wrong by {name_of_factor(factor)}"
    return Finding(Kind.WRONG_SCALE, where, name, 0.9, (evidence,), (advice,))


def _too_coarse(moved_kwh: float, step_kwh: float) -> str:
    if step_kwh == 0.0:
        return "the counter did not move; it may count in whole kWh"
    return f"it counts in steps of {step_kwh:.3g} kWh and only {moved_kwh:.3g} kWh flowed"


def flow_of(samples: Sequence[Sample], power: Channel, counter: Channel) -> Flow:
    """Return the energy in both directions and the counter's way, over the stretches in which both are known."""
    positive_kwh = negative_kwh = moved_kwh = 0.0
    last: tuple[float, float, float] | None = None
    for sample in samples:
        power_kw, count_kwh = power(sample), counter(sample)
        if power_kw is None or count_kwh is None:
            continue
        if last is not None and sample.mono_s - last[0] <= LONGEST_GAP_S and count_kwh >= last[2] - 1e-9:
            hours = (sample.mono_s - last[0]) / 3600.0
            mean_kw = (power_kw + last[1]) / 2.0
            positive_kwh += max(mean_kw, 0.0) * hours
            negative_kwh += max(-mean_kw, 0.0) * hours
            moved_kwh += count_kwh - last[2]
        last = sample.mono_s, power_kw, count_kwh
    return positive_kwh, negative_kwh, moved_kwh


def resolution_kwh(samples: Sequence[Sample], counter: Channel) -> float:
    """Return the smallest step that a counter was seen to make, 0 where it made none."""
    values = [value for sample in samples if (value := counter(sample)) is not None]
    steps = [
        later - earlier for earlier, later in zip(values, values[1:], strict=False) if later > earlier + 1e-9
    ]
    return min(steps, default=0.0)
