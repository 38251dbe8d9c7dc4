"""What a store knows of the grid meter, as a bill reads it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from northbound.reader import StoreReader
from station.clock import slot_start
from station.meter_record import LEAST_MEASURED, MeterRecord

SIGNAL = "grid_kw"
SLOT_S = 900.0
"""What ``StoreReader.means`` gives."""
MINUTE_S = 60.0
WHOLE = 0.95
"""A step of which so much was measured counts as whole; a cycle may come late."""


@dataclass(frozen=True, slots=True)
class RecordedMeter:
    """The record, and the starts of steps of which only a part was measured: that part stands for all of them."""

    record: MeterRecord
    partly: tuple[datetime, ...]


def recorded_meter(
    store: StoreReader, from_at: datetime, until_at: datetime, *, step_s: float, cycle_s: float
) -> RecordedMeter:
    """Return the means of ``grid_kw`` per ``step_s`` (a slot of the store, or a minute).

    NaN where less than half of a step was measured.
    """
    first_at = slot_start(from_at, step_s)
    steps = max(0, -int((first_at - until_at).total_seconds() // step_s))
    sums: dict[int, tuple[float, int]] = {}
    for at, mean_kw, count in _means(store, first_at, until_at, step_s):
        if count > 0:
            step = int((at - first_at).total_seconds() // step_s)
            total_kw, so_far = sums.get(step, (0.0, 0))
            sums[step] = total_kw + mean_kw * count, so_far + count
    expected = step_s / cycle_s
    good = {
        step: total_kw / count
        for step, (total_kw, count) in sums.items()
        if count >= LEAST_MEASURED * expected
    }
    partly = [step for step in sorted(good) if sums[step][1] < WHOLE * expected]
    return RecordedMeter(
        MeterRecord(first_at, step_s, tuple(good.get(step, float("nan")) for step in range(steps))),
        tuple(first_at + timedelta(seconds=step_s * step) for step in partly),
    )


def step_for(window_s: float, *, is_sliding: bool) -> float:
    """Return the step that a demand window needs: the store's slots where they fit, else minutes."""
    return MINUTE_S if is_sliding or window_s % SLOT_S else SLOT_S


def _means(
    store: StoreReader, from_at: datetime, until_at: datetime, step_s: float
) -> Iterable[tuple[datetime, float, int]]:
    """Return (time, mean, cycles measured); of minutes each cycle by itself."""
    if step_s == SLOT_S:
        return store.means(SIGNAL, from_at, until_at)
    values = store.values(SIGNAL, from_at, until_at)
    return ((at, power_kw, int(isfinite(power_kw))) for at, power_kw in values)
