"""What a bill reads from a store: means by slots or by minutes, what is missing and what was measured in part."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from pathlib import Path

import pytest

from northbound.meter import RecordedMeter, recorded_meter, step_for
from northbound.reader import StoreReader
from northbound.store import Store

START = datetime(2026, 11, 1, 10, tzinfo=UTC)


def recorded(
    directory: Path, minutes: Mapping[int, float], step_s: float, *, hours: int = 1
) -> RecordedMeter:
    """Return what a store of one cycle a minute gives for some hours."""
    store = Store(directory / "store", "demo")
    for minute, grid_kw in minutes.items():
        store.record(START + timedelta(minutes=minute), {"grid_kw": grid_kw, "pv_kw": 1.0})
    assert store.flush()
    store.close()
    with StoreReader(directory / "store") as reader:
        until_at = START + timedelta(hours=hours)
        return recorded_meter(reader, START, until_at, step_s=step_s, cycle_s=60.0)


def test_a_slot_is_the_mean_of_its_cycles(tmp_path: Path) -> None:
    found = recorded(tmp_path, {minute: float(minute) for minute in range(60)}, 900.0)
    assert found.record.mean_kw == (7.0, 22.0, 37.0, 52.0)
    assert found.partly == ()


def test_a_slot_that_was_measured_for_less_than_half_is_missing(tmp_path: Path) -> None:
    minutes = {**dict.fromkeys(range(15), 10.0), **dict.fromkeys(range(15, 22), 20.0)}
    found = recorded(tmp_path, {**minutes, **dict.fromkeys(range(37, 45), 30.0)}, 900.0)
    assert found.record.mean_kw[0] == 10.0
    assert isnan(found.record.mean_kw[1])
    assert found.record.mean_kw[2] == 30.0
    assert isnan(found.record.mean_kw[3])
    assert found.partly == (START + timedelta(minutes=30),)


def test_a_station_that_begins_inside_a_window_is_billed_by_what_it_measured(tmp_path: Path) -> None:
    found = recorded(tmp_path, dict.fromkeys(range(6, 15), 12.0), 900.0)
    assert found.record.mean_kw[0] == 12.0
    assert found.partly == (START,)


def test_a_lost_meter_is_a_gap_and_no_zero(tmp_path: Path) -> None:
    found = recorded(tmp_path, {**dict.fromkeys(range(15), nan), **dict.fromkeys(range(15, 30), 4.0)}, 900.0)
    assert isnan(found.record.mean_kw[0])
    assert found.record.mean_kw[1] == 4.0


def test_sliding_windows_get_minutes(tmp_path: Path) -> None:
    found = recorded(tmp_path, {0: 1.0, 1: 2.0, 3: 4.0}, 60.0)
    assert found.record.mean_kw[:2] == (1.0, 2.0)
    assert isnan(found.record.mean_kw[2])
    assert len(found.record.mean_kw) == 60


@pytest.mark.parametrize(
    ("window_s", "is_sliding", "step_s"),
    [
        (900.0, False, 900.0),
        (1800.0, False, 900.0),
        (3600.0, False, 900.0),
        (300.0, False, 60.0),
        (900.0, True, 60.0),
    ],
)
def test_the_step_fits_the_window(window_s: float, is_sliding: bool, step_s: float) -> None:
    assert step_for(window_s, is_sliding=is_sliding) == step_s
