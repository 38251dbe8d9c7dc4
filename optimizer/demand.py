"""The peak that a month will have anyway, learnt from the weeks before it.

At the start of a month nothing is paid yet, and a planner that fears every kW equally drives the battery empty for
peaks that the month will exceed later whatever it does. So it is told what perfect foresight would have reached.
"""

from datetime import datetime, timedelta

import numpy as np

from optimizer.forecast import forecast
from optimizer.matrix import Floats
from optimizer.oracle import Stretch, best_course
from station.clock import slot_start
from station.forecast import History
from station.topology import Site

WEEKS = 3
STEP_S = 1800.0
LEAST_DAYS = 3


def expected_peak_kw(site: Site, history: History, now: datetime) -> float:
    """Return the peak that perfect foresight would have had in the last weeks.

    With too little history it is the building's declared maximum: a new station would otherwise begin each month by
    leaving its first cars empty to save a peak that the building alone will make.

    Takes up to a second or two: ask once a day and keep it.
    """
    starts_at = max(slot_start(now - timedelta(weeks=WEEKS), 3600.0), slot_start(history.starts_at, 3600.0))
    stretch = _stretch(site, history, starts_at, now)
    if len(stretch.load_kw) * STEP_S < LEAST_DAYS * 86_400.0:
        return site.base_load.max_kw
    found = best_course(site, stretch)
    return site.base_load.max_kw if found is None else found.peak_kw


def _stretch(site: Site, history: History, starts_at: datetime, now: datetime) -> Stretch:
    """Return what the history knows of the time from ``starts_at``, with gaps filled by the usual day."""
    slots = max(0, int((now - starts_at).total_seconds() // STEP_S))
    week = round(7 * 86_400.0 / STEP_S)
    coming = forecast(site, history, starts_at + timedelta(seconds=slots * STEP_S), week, STEP_S)
    same = (
        np.arange(slots) - slots
    ) % week  # the step of the coming week at the same hour of the same weekday
    load = _means(history, history.load_kw, starts_at, slots)
    sun = -_means(history, history.pv_kw, starts_at, slots)
    sessions = tuple(s for s in history.sessions if s.unplugged_at > starts_at and s.unplugged_at <= now)
    half = {battery.asset_id: (battery.soc_min + battery.soc_max) / 2.0 for battery in site.batteries}
    return Stretch(
        starts_at,
        STEP_S,
        np.where(np.isfinite(load), load, coming.load_kw[same]),
        -np.where(np.isfinite(sun), sun, coming.pv_kw[same]),
        sessions,
        half,
        one_month=True,
    )


def _means(history: History, values: tuple[float, ...], starts_at: datetime, slots: int) -> Floats:
    """Return means of the measured values per step; NaN where nothing was measured."""
    measured = np.array(values, dtype=np.float64)
    offset_s = (history.starts_at - starts_at).total_seconds()
    step = ((np.arange(len(measured)) + 0.5) * history.slot_s + offset_s) // STEP_S
    good = np.isfinite(measured) & (step >= 0) & (step < slots)
    where = step[good].astype(np.int64)
    count = np.bincount(where, minlength=slots)
    total = np.bincount(where, weights=measured[good], minlength=slots)
    means: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
