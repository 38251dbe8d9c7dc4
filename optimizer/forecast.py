"""Forecasts of base load and PV from the station's own past: day profiles, bent towards what was seen last.

Nothing here looks beyond the end of the history. Slots that nobody measured (NaN) count for nothing.

Source: own design. A clear-sky model knows neither the roof's tilt nor its shadows, the station's own profile does; so
the model serves only where there is no history.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from station.forecast import History
from station.topology import Site

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400.0
LOAD_DAYS = 28
PV_DAYS = 21
LOAD_MEMORY_H = 3.0
PV_MEMORY_H = 6.0
RECENT_S = 3600.0
DEFAULT_LOAD_SHARE = 0.5
"""Without history the base load is taken as this share of its declared maximum, day and night."""
DEFAULT_CLEARNESS = 0.5
"""Without history PV is taken as this share of the clear-sky power of a horizontal plant."""


@dataclass(frozen=True, slots=True)
class Series:
    """Expected base load and available PV power per slot, both >= 0, kW."""

    load_kw: Floats
    pv_kw: Floats


def forecast(site: Site, history: History, starts_at: datetime, slots: int, slot_s: float) -> Series:
    """Return the expected means of ``slots`` slots from ``starts_at`` (aligned to the clock)."""
    past_load, past_pv = (np.array(values, dtype=np.float64) for values in (history.load_kw, history.pv_kw))
    past_starts_at, past_slot_s = history.starts_at, history.slot_s
    if past_slot_s != slot_s:
        past_load, past_pv = (_resampled(values, past_slot_s, slot_s) for values in (past_load, past_pv))
    # What was measured for slots that the forecast covers is no use to it.
    known = max(0, min(len(past_load), int((starts_at - past_starts_at).total_seconds() // slot_s)))
    past = _slot_seconds(past_starts_at, known, slot_s)
    future = _slot_seconds(starts_at, slots, slot_s)
    zone = ZoneInfo(site.timezone)
    load = _load(past_load[:known], _local(past, zone), _local(future, zone), slot_s)
    rated_kw = sum(plant.rated_kw for plant in site.pv_plants)
    pv = _pv(-past_pv[:known], past, future, slot_s)
    if not np.isfinite(pv).all():
        sun = clear_sky(site.latitude, site.longitude, future + slot_s / 2)
        pv = np.where(np.isfinite(pv), pv, DEFAULT_CLEARNESS * rated_kw * sun)
    default_load = DEFAULT_LOAD_SHARE * site.base_load.max_kw
    return Series(
        np.clip(np.where(np.isfinite(load), load, default_load), max(0.0, site.base_load.min_kw), np.inf),
        np.clip(pv, 0.0, rated_kw),
    )


@lru_cache(maxsize=8)
def _clear_sky(latitude: float, longitude: float, seconds: tuple[float, ...]) -> tuple[float, ...]:
    # Imported here: both cost more than a plan does, and a station with a past needs neither.
    import pandas as pd  # noqa: PLC0415
    import pvlib  # noqa: PLC0415

    times = pd.to_datetime(pd.Index(seconds), unit="s", utc=True)
    position = pvlib.solarposition.get_solarposition(times, latitude, longitude, method="ephemeris")
    ghi = pvlib.clearsky.haurwitz(position["apparent_zenith"])["ghi"]
    return tuple(float(value) / 1000.0 for value in ghi)


def clear_sky(latitude: float, longitude: float, seconds: Floats) -> Floats:
    """Return the clear-sky irradiance of a horizontal plane in kW/m2 at UTC epoch ``seconds``, by pvlib (Haurwitz)."""
    result: Floats = np.array(_clear_sky(latitude, longitude, tuple(seconds.tolist())))
    return result


def _load(past: Floats, past_local: "Local", future_local: "Local", slot_s: float) -> Floats:
    """Return the profile of working days or weekends, moved by the last hour's error, which fades."""
    profile, future = _profiles(past, past_local, future_local, LOAD_DAYS)
    recent = max(1, round(RECENT_S / slot_s))
    error = past[-recent:] - profile[-recent:]
    error = error[np.isfinite(error)]
    bias = float(error.mean()) if len(error) else 0.0
    lead_h = (np.arange(len(future)) + 0.5) * slot_s / 3600.0
    result: Floats = future + bias * np.exp(-lead_h / LOAD_MEMORY_H)
    return result


def _pv(past: Floats, past_s: Floats, future_s: Floats, slot_s: float) -> Floats:
    """Return the mean day of the last weeks, scaled by the last two hours' and yesterday's ratio to it."""
    per_day = round(DAY_S / slot_s)
    past_slot = ((past_s % DAY_S) // slot_s).astype(np.int64)
    future_slot = ((future_s % DAY_S) // slot_s).astype(np.int64)
    window = past[-PV_DAYS * per_day :]
    where = past_slot[-PV_DAYS * per_day :]
    mean = _bridged(_mean_by(window, where, per_day))
    ratio_now = _ratio(past, past_slot, mean, round(2 * 3600.0 / slot_s))
    ratio_day = _ratio(past, past_slot, mean, per_day)
    lead_h = (np.arange(len(future_s)) + 0.5) * slot_s / 3600.0
    fade = np.exp(-lead_h / PV_MEMORY_H)
    ratio = 1.0 + fade * (ratio_now - 1.0) + 0.2 * (1.0 - fade) * (ratio_day - 1.0)
    best = np.maximum(_highest_by(window, where, per_day), np.nan_to_num(mean))
    result: Floats = np.minimum(mean[future_slot] * np.maximum(ratio, 0.0), best[future_slot])
    return result


def _ratio(past: Floats, past_slot: Ints, mean: Floats, slots: int) -> float:
    """Return measured over mean energy in the last ``slots`` slots, drawn to 1 where there was little sun."""
    last = past[-slots:]
    usual = mean[past_slot[-slots:]]
    good = np.isfinite(last) & np.isfinite(usual)
    guard = 0.1 * float(np.nanmax(mean)) * 4.0 if np.isfinite(mean).any() else 0.0
    total = float(usual[good].sum())
    return (float(last[good].sum()) + guard) / (total + guard) if total + guard > 0 else 1.0


@dataclass(frozen=True, slots=True)
class Local:
    """Local wall time of slots: day number since 1970, whether it is a weekend, second of the day."""

    day: Ints
    weekend: NDArray[np.bool_]
    second: Floats


def _local(seconds: Floats, zone: ZoneInfo) -> Local:
    """Return the local wall time of UTC epoch ``seconds``, with one offset per UTC day (that of its noon)."""
    day = np.floor(seconds / DAY_S).astype(np.int64)
    unique, inverse = np.unique(day, return_inverse=True)
    offsets = np.array([_offset_s(float(number) * DAY_S + DAY_S / 2, zone) for number in unique])
    local = seconds + (offsets[inverse] if len(unique) else 0.0)
    local_day = np.floor(local / DAY_S).astype(np.int64)
    return Local(local_day, (local_day + 3) % 7 >= 5, local % DAY_S)


def _offset_s(seconds: float, zone: ZoneInfo) -> float:
    """Return the zone's offset from UTC in seconds."""
    offset = datetime.fromtimestamp(seconds, tz=zone).utcoffset()
    return (offset or timedelta()).total_seconds()


def _profiles(past: Floats, past_local: Local, future_local: Local, days: int) -> tuple[Floats, Floats]:
    """Return the mean of the same kind of day at the same local time, for the past and the future slots."""
    if not len(past):
        return past, np.full(len(future_local.day), np.nan)
    slot_s = DAY_S / 96
    kinds = [
        local.weekend * 96 + (local.second // slot_s).astype(np.int64) for local in (past_local, future_local)
    ]
    recent = past_local.day > past_local.day[-1] - days
    mean = _mean_by(past[recent], kinds[0][recent], 192)
    other = np.concatenate([mean[96:], mean[:96]])
    mean = np.where(np.isfinite(mean), mean, other)
    mean = np.concatenate([_bridged(mean[:96]), _bridged(mean[96:])])
    return mean[kinds[0]], mean[kinds[1]]


def _bridged(day: Floats) -> Floats:
    """Return a day profile with its gaps bridged by straight lines, midnight included."""
    good = np.flatnonzero(np.isfinite(day))
    if not len(good):
        return day
    slots = np.arange(len(day))
    bridged: Floats = np.interp(slots, good, day[good], period=len(day))
    return bridged


def _mean_by(values: Floats, where: Ints, count: int) -> Floats:
    """Return the mean of the finite ``values`` that share a number in ``where``; NaN where there is none."""
    good = np.isfinite(values)
    number = np.bincount(where[good], minlength=count)
    total = np.bincount(where[good], weights=values[good], minlength=count)
    mean: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return mean


def _highest_by(values: Floats, where: Ints, count: int) -> Floats:
    """Return the highest finite value that shares a number in ``where``; 0 where there is none."""
    good = np.isfinite(values)
    result = np.zeros(count)
    np.maximum.at(result, where[good], values[good])
    return result


def _slot_seconds(starts_at: datetime, slots: int, slot_s: float) -> Floats:
    """Return the UTC epoch seconds of the starts of ``slots`` slots."""
    return starts_at.timestamp() + slot_s * np.arange(slots, dtype=np.float64)


def _resampled(values: Floats, from_s: float, to_s: float) -> Floats:
    """Return ``values`` on slots of another length: means of shorter slots, repeats of longer ones."""
    middle = (np.arange(int(len(values) * from_s // to_s)) + 0.5) * to_s
    if to_s <= from_s:
        return values[(middle // from_s).astype(np.int64)]
    group = (np.arange(len(values)) * from_s // to_s).astype(np.int64)
    keep = group < len(middle)
    return _mean_by(values[keep], group[keep], len(middle))
