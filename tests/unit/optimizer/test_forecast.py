"""Forecasts look at the past alone and bear its gaps."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from optimizer.forecast import clear_sky, forecast
from station.forecast import History
from tests.unit.optimizer.cases import MONDAY, history, load_kw, site, sun_kw


def test_days_that_are_all_alike_are_foretold_exactly() -> None:
    seen = forecast(site(), history(), MONDAY, 96, 900.0)
    hours = [(7 + slot / 4.0) % 24 for slot in range(96)]
    assert seen.pv_kw == pytest.approx([-sun_kw(hour) for hour in hours], abs=0.01)
    assert seen.load_kw[:40] == pytest.approx([load_kw(hour) for hour in hours[:40]], abs=0.01)


def test_weekends_and_working_days_have_their_own_profile() -> None:
    past = history()
    quiet = tuple(
        5.0 if (past.starts_at + timedelta(minutes=15 * slot)).weekday() >= 5 else value
        for slot, value in enumerate(past.load_kw)
    )
    seen = forecast(site(), replace(past, load_kw=quiet), MONDAY, 6 * 96, 900.0)
    assert seen.load_kw[20] == pytest.approx(20.0, abs=0.1)  # Monday noon
    assert seen.load_kw[5 * 96 + 20] == pytest.approx(5.0, abs=0.1)  # Saturday noon


def test_a_load_above_its_habit_stays_there_for_a_while() -> None:
    past = history()
    raised = (*past.load_kw[:-4], *(value + 10.0 for value in past.load_kw[-4:]))
    seen = forecast(site(), replace(past, load_kw=raised), MONDAY, 96, 900.0)
    usual = forecast(site(), past, MONDAY, 96, 900.0)
    assert 7.0 < seen.load_kw[0] - usual.load_kw[0] < 10.0
    assert seen.load_kw[80] == pytest.approx(usual.load_kw[80], abs=1.0)


def test_clouds_in_the_last_hours_dim_the_next_ones() -> None:
    noon = MONDAY.replace(hour=12)
    past = history(until=noon)
    cloudy = (*past.pv_kw[:-12], *(0.3 * value for value in past.pv_kw[-12:]))
    seen = forecast(site(), replace(past, pv_kw=cloudy), noon, 96, 900.0)
    assert seen.pv_kw[0] < 0.6 * 40.0
    assert seen.pv_kw[95] > 0.8 * 40.0


def test_what_was_measured_after_the_start_is_not_looked_at() -> None:
    past = history(until=MONDAY + timedelta(hours=6))
    wild = (*past.load_kw[:-24], *(99.0 for _ in range(24)))
    seen = forecast(site(), replace(past, load_kw=wild), MONDAY, 96, 900.0)
    assert seen.load_kw == pytest.approx(forecast(site(), past, MONDAY, 96, 900.0).load_kw)


def test_gaps_count_for_nothing() -> None:
    past = history()
    gaps = tuple(float("nan") if slot % 5 else value for slot, value in enumerate(past.load_kw))
    seen = forecast(site(), replace(past, load_kw=gaps), MONDAY, 96, 900.0)
    assert seen.load_kw[:40] == pytest.approx(forecast(site(), past, MONDAY, 96, 900.0).load_kw[:40], abs=0.5)


def test_without_history_load_and_sun_have_cautious_defaults() -> None:
    seen = forecast(site(), History(MONDAY, 900.0, (), ()), MONDAY, 96, 900.0)
    assert set(seen.load_kw) == {20.0}  # half of the declared maximum
    assert 15.0 < seen.pv_kw.max() < 30.0
    assert seen.pv_kw[68:80].max() == 0.0  # midnight


@pytest.mark.parametrize("slot_s", [300.0, 1800.0])
def test_history_on_other_slots_is_read_too(slot_s: float) -> None:
    past = history()
    count = int(len(past.load_kw) * 900.0 / slot_s)
    step = slot_s / 900.0
    other = History(
        past.starts_at,
        slot_s,
        tuple(past.load_kw[int(i * step)] for i in range(count)),
        tuple(past.pv_kw[int(i * step)] for i in range(count)),
    )
    seen = forecast(site(), other, MONDAY, 96, 900.0)
    assert np.abs(seen.load_kw - forecast(site(), past, MONDAY, 96, 900.0).load_kw).mean() < 1.0


def test_the_clear_sky_agrees_with_pvlib() -> None:
    import pandas as pd
    import pvlib

    times = pd.date_range("2024-06-03", periods=96, freq="15min", tz="UTC")
    position = pvlib.solarposition.get_solarposition(times, 48.0, 11.0)
    theirs = pvlib.clearsky.haurwitz(position["apparent_zenith"])["ghi"].to_numpy() / 1000.0
    ours = clear_sky(48.0, 11.0, MONDAY.replace(hour=0).timestamp() + 900.0 * np.arange(96))
    assert np.abs(ours - theirs).max() < 0.02
