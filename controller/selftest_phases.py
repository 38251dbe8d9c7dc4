"""The meter's three phases as powers, and when they say nothing about the order of phases. Pure."""

from collections.abc import Iterator, Sequence

from controller.selftest_causes import Observed
from controller.selftest_fit import levels, mean
from controller.selftest_words import Blind, Channel, Sample, Trial
from station.assets import Connector
from station.topology import Site

VOLTAGE_V = 230.0
"""Where the meter tells no voltage."""

CROSSING_KW = 1.0


def phase_channels(trial: Trial, power: Channel) -> tuple[Channel, ...]:
    """Return the power of each phase of the meter, kW; nothing where it tells none, or without a sign that is needed.

    Many meters tell the current as a magnitude: then it rises with the flow in both directions, and near a change of
    direction it means nothing.
    """
    channels = tuple(_phase(number) for number in (1, 2, 3))
    samples = trial.samples
    if not all(any(channel(sample) is not None for sample in samples) for channel in channels):
        return ()
    if _is_magnitude(samples, channels) and not _keeps_direction(samples, power):
        return ()
    return channels


def phase_view(site: Site, seen: Sequence[Observed]) -> Iterator[Blind]:
    """Yield why the order of the phases stays unknown."""
    what = "order of the phases"
    told = [its for its in seen if its.phases is not None]
    if not told:
        reason = "the meter's profile has no current or power of each phase, or they carry no sign and the flow turned"
        yield Blind(what, reason)
        return
    singles = [its.asset for its in told if isinstance(its.asset, Connector) and len(its.asset.phases) == 1]
    if not singles:
        has_any = any(len(connector.phases) == 1 for connector in site.connectors)
        reason = "no one-phase load was moved" if has_any else "the site has no one-phase load to move"
        yield Blind(what, reason)


def _phase(number: int) -> Channel:
    def power_kw(sample: Sample) -> float | None:
        meter = sample.meter
        if (own_kw := meter.get(f"power_l{number}_kw")) is not None:
            return own_kw
        current_a = meter.get(f"current_l{number}_a")
        if current_a is None:
            return None
        return current_a * meter.get(f"voltage_l{number}_v", VOLTAGE_V) / 1000.0

    return power_kw


def _is_magnitude(samples: Sequence[Sample], channels: Sequence[Channel]) -> bool:
    values = [value for sample in samples for channel in channels if (value := channel(sample)) is not None]
    return min(values, default=0.0) >= 0.0


def _keeps_direction(samples: Sequence[Sample], power: Channel) -> bool:
    """Return whether the total flowed the same way, well away from zero, at every level."""
    means = [value for held in levels(samples) if (value := mean(held, power)) is not None]
    return min(means, default=0.0) > CROSSING_KW or max(means, default=0.0) < -CROSSING_KW
