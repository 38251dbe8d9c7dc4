"""Recorded days move to today and keep their weekday and clock time."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from hil.shift import join_late, shift_series, shift_sessions, weeks_until
from station.inputs import Series, SessionRow

ZONE = "America/Los_Angeles"
FIRST = date(2019, 9, 2)


def car(plugged_in_at: datetime, hours: float = 8.0) -> SessionRow:
    return SessionRow(
        "car",
        "ac1",
        plugged_in_at,
        plugged_in_at + timedelta(hours=hours),
        20.0,
        requested_kwh=30.0,
        estimated_unplug_at=plugged_in_at + timedelta(hours=7),
        arrival_soc=0.3,
    )


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("day", range(1, 8))
def test_weekday_and_clock_time_stay_whatever_the_season(month: int, day: int) -> None:
    now_at = datetime(2027, month, day, 17, 12, tzinfo=UTC)
    there = (now_at - weeks_until(now_at, FIRST, ZONE)).astimezone(ZoneInfo(ZONE))
    here = now_at.astimezone(ZoneInfo(ZONE))
    assert (there.weekday(), there.time()) == (here.weekday(), here.time())
    assert timedelta(0) <= there.date() - FIRST < timedelta(days=7)


def test_what_drivers_said_moves_with_them() -> None:
    row = car(datetime(2019, 9, 3, 15, tzinfo=UTC))
    by = timedelta(weeks=300)
    (moved,) = shift_sessions([row], by)
    assert moved.plugged_in_at - row.plugged_in_at == moved.unplugged_at - row.unplugged_at == by
    assert moved.estimated_unplug_at == datetime(2019, 9, 3, 22, tzinfo=UTC) + by
    assert moved.energy_kwh == row.energy_kwh


def test_a_driver_who_said_nothing_still_says_nothing() -> None:
    silent = SessionRow(
        "car", "", datetime(2019, 9, 3, tzinfo=UTC), datetime(2019, 9, 4, tzinfo=UTC), energy_kwh=5.0
    )
    assert shift_sessions([silent], timedelta(days=7))[0].estimated_unplug_at is None


def test_a_series_keeps_its_values() -> None:
    series = Series(datetime(2019, 9, 2, tzinfo=UTC), 900.0, (1.0, 2.0), (3.0, 4.0))
    moved = shift_series(series, timedelta(weeks=1))
    assert moved.starts_at == datetime(2019, 9, 9, tzinfo=UTC)
    assert (moved.load_kw, moved.pv_kw) == (series.load_kw, series.pv_kw)


def test_a_car_that_is_there_at_the_start_arrives_then_with_what_it_still_needs() -> None:
    row = car(datetime(2019, 9, 3, 15, tzinfo=UTC))
    at = row.plugged_in_at + timedelta(hours=6)
    (late,) = join_late([row], at)
    assert late.plugged_in_at == at
    assert late.energy_kwh == pytest.approx(5.0)
    assert late.requested_kwh == pytest.approx(7.5)
    assert late.arrival_soc is None


def test_cars_before_and_after_are_left_alone() -> None:
    row = car(datetime(2019, 9, 3, 15, tzinfo=UTC))
    for at in (row.plugged_in_at, row.unplugged_at, row.plugged_in_at - timedelta(days=1)):
        assert join_late([row], at) == (row,)
