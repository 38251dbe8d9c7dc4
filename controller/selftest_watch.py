"""When a trial must stop: a device in trouble, a reading that is gone, a limit at the meter. Pure."""

from collections.abc import Sequence

from controller.selftest_fit import completed, gain_of, mean
from controller.selftest_order import rest_of
from controller.selftest_words import SWAPPED, Channel, Sample, asked, of_meter
from station.limits import Direction
from station.topology import Site

OVER = 1.01
"""More than 1 % over a limit is over it, as everywhere."""

SILENT_S = 5.0
OVER_SAMPLES = 2
GARBLED = 20.0
"""A meter that shows more than so many times the site's limit has its words swapped; the other order is looked at."""


FAR = 1.5
"""A meter that shows more than so many times what was asked is not believed about limits as it is."""


def alarm(site: Site, samples: Sequence[Sample], meter_factor: float = 1.0) -> str:
    """Return why the trial must stop now, empty where it may go on.

    ``meter_factor`` is by how much earlier trials found the meter to show too much.
    """
    last = samples[-1]
    if last.trouble:
        return last.trouble
    for name, side in ((site.meter.asset_id, "meter"), ("the device", "moved")):
        seen = [s.mono_s for s in samples if "power_kw" in getattr(s, side)]
        if last.mono_s - (seen[-1] if seen else samples[0].mono_s) > SILENT_S:
            return f"{name} gave no power for {SILENT_S:g} s"
    return _over_limit(site, samples, meter_factor)


def _over_limit(site: Site, samples: Sequence[Sample], meter_factor: float) -> str:
    """Return the limit that the meter is over.

    A meter that shows too much while nothing moves is either on trial itself, or the site was over its limit before;
    it is believed, once it is known by how much it is wrong.
    """
    import_kw, export_kw = (site.continuous_kw(direction) for direction in Direction)
    shown_kw = [sample.meter.get("power_kw", 0.0) for sample in samples[-OVER_SAMPLES:]]
    if all(-OVER * export_kw <= power_kw <= OVER * import_kw for power_kw in shown_kw):
        return ""
    power, factor = _believed(site, samples, meter_factor)
    if not factor:
        return ""
    flows_kw = [value / factor for s in samples[-OVER_SAMPLES:] if (value := power(s)) is not None]
    if len(flows_kw) < OVER_SAMPLES:
        return ""
    if min(flows_kw) > OVER * import_kw:
        return f"the meter shows {min(flows_kw):.1f} kW import, the limit is {import_kw:g} kW"
    if max(flows_kw) < -OVER * export_kw:
        return f"the meter shows {-max(flows_kw):.1f} kW export, the limit is {export_kw:g} kW"
    return ""


def _believed(site: Site, samples: Sequence[Sample], meter_factor: float) -> tuple[Channel, float]:
    """Return which of the meter's values to look at, and by what to divide it; by 0 where nothing is known yet."""
    power = of_meter("power_kw")
    limit_kw = max(site.continuous_kw(direction) for direction in Direction)
    if abs(_mean_at_rest(samples, power) or 0.0) > GARBLED * limit_kw:
        swapped = of_meter(f"{SWAPPED}power_kw")
        if abs(_mean_at_rest(samples, swapped) or limit_kw) < limit_kw:
            return swapped, 1.0
    if meter_factor != 1.0:
        return power, meter_factor
    rest_kw = _mean_at_rest(samples, power)
    is_plausible = rest_kw is not None and -limit_kw <= rest_kw <= limit_kw
    if (factor := meter_factor_of(completed(samples))) != 1.0:
        return power, factor
    return power, 1.0 if is_plausible else 0.0


def meter_factor_of(samples: Sequence[Sample]) -> float:
    """Return by how much the meter shows too much, by what was asked; 1 unless that is clear and far from 1."""
    gain = gain_of(samples, asked, of_meter("power_kw"))
    is_far = gain is not None and gain.is_clear and not gain.is_nil and abs(gain.factor) > FAR
    return abs(gain.factor) if gain is not None and is_far else 1.0


def _mean_at_rest(samples: Sequence[Sample], power: Channel) -> float | None:
    return mean(rest_of(samples), power)
