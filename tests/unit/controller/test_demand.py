"""The billed mean that is being formed, and what may still flow in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.demand import HEADROOM_FACTOR, advance, allowed_kw
from station.clock import Instant
from station.decision import ControlState, DemandWindow
from station.limits import Direction, LimitClass, PowerLimit
from tests.factories import a_site

SITE = a_site()
BLOCK_AT = datetime(2019, 9, 16, 15, 0, tzinfo=UTC)


def after_s(seconds: float, from_at: datetime = BLOCK_AT) -> Instant:
    return Instant(from_at + timedelta(seconds=seconds), 1000.0 + seconds)


def advanced(
    old: DemandWindow | None, grid_kw: float, now: Instant, *, is_measured: bool = True
) -> DemandWindow:
    return advance(SITE, ControlState(0.0, window=old), grid_kw, now, is_measured=is_measured)


def a_window(energy_kwh: float = 0.0, covered_s: float = 0.0, peak_kw: float = 0.0) -> DemandWindow:
    return DemandWindow(BLOCK_AT, energy_kwh, covered_s, (2019, 9), peak_kw)


def test_windows_begin_at_the_quarters_of_the_hour() -> None:
    for seconds, start_s in ((0.0, 0.0), (899.0, 0.0), (900.0, 900.0), (2699.0, 1800.0)):
        assert advanced(None, 10.0, after_s(seconds)).starts_at == BLOCK_AT + timedelta(seconds=start_s)


def test_import_adds_up_and_export_is_taken_off() -> None:
    window = advanced(a_window(), 36.0, after_s(100.0))
    assert (window.energy_kwh, window.covered_s) == (pytest.approx(1.0), 100.0)
    window = advanced(window, -36.0, after_s(150.0))
    assert (window.energy_kwh, window.covered_s) == (pytest.approx(0.5), 150.0)


def test_a_start_in_mid_window_counts_what_it_missed_at_what_it_sees() -> None:
    assert advanced(None, 20.0, after_s(450.0)).energy_kwh == pytest.approx(2.5)
    assert advanced(None, -20.0, after_s(450.0)).energy_kwh == 0.0


def test_a_restart_in_mid_window_goes_on_with_what_was_counted() -> None:
    window = advanced(a_window(5.0, 300.0, 44.0), 20.0, after_s(480.0))
    assert (window.energy_kwh, window.month_peak_kw) == (pytest.approx(6.0), 44.0)


def test_at_its_end_a_window_may_make_the_months_peak() -> None:
    last = a_window(10.0, 890.0, 30.0)
    window = advanced(last, 36.0, after_s(905.0))
    assert window.month_peak_kw == pytest.approx(40.4), "10 kWh and 10 s of 36 kW in a quarter of an hour"
    assert (window.energy_kwh, window.covered_s) == (pytest.approx(0.05), 5.0)
    assert advanced(replace(last, month_peak_kw=50.0), 36.0, after_s(905.0)).month_peak_kw == 50.0


def test_a_new_month_begins_without_a_peak() -> None:
    midnight_at = datetime(2019, 10, 1, tzinfo=UTC)
    last = DemandWindow(midnight_at - timedelta(seconds=900), 20.0, 900.0, (2019, 9), 60.0)
    window = advanced(last, 10.0, after_s(1.0, midnight_at))
    assert (window.month, window.month_peak_kw) == ((2019, 10), 0.0)


def test_what_is_only_assumed_is_counted_but_makes_no_peak() -> None:
    window = advanced(a_window(2.0, 400.0), 36.0, after_s(500.0), is_measured=False)
    assert (window.energy_kwh, window.assumed_kwh) == (pytest.approx(3.0), pytest.approx(1.0))
    window = advanced(window, 36.0, after_s(600.0))
    assert (window.energy_kwh, window.assumed_kwh) == (pytest.approx(4.0), pytest.approx(1.0))
    closed = advanced(window, 0.0, after_s(901.0))
    assert closed.month_peak_kw == pytest.approx(3.0 * 4.0)
    assert closed.assumed_kwh == 0.0


def test_a_window_that_begins_or_ends_without_a_meter_makes_no_peak_of_it() -> None:
    ends = advanced(a_window(4.0, 800.0), 90.0, after_s(910.0), is_measured=False)
    assert ends.month_peak_kw == pytest.approx(16.0)
    assert ends.assumed_kwh == ends.energy_kwh == pytest.approx(0.25)
    first = advanced(None, 90.0, after_s(450.0), is_measured=False)
    assert first.assumed_kwh == first.energy_kwh > 0.0
    assert advanced(first, 10.0, after_s(900.0)).month_peak_kw == pytest.approx(5.0), (
        "ten kW in its second half"
    )


def test_a_wall_clock_that_falls_back_within_a_window_adds_nothing() -> None:
    assert advanced(a_window(5.0, 600.0), 36.0, after_s(500.0)).energy_kwh == 5.0


def test_what_is_left_of_the_budget_may_flow_in_what_is_left_of_the_window() -> None:
    assert allowed_kw(SITE, a_window(4.0, 450.0), 40.0) == pytest.approx((10.0 - 4.0) * 8.0)
    assert allowed_kw(SITE, a_window(12.0, 450.0), 40.0) == pytest.approx(-16.0), (
        "too much has flowed already"
    )


def test_the_instant_stays_below_a_multiple_of_the_target_and_a_small_rest_demands_nothing_impossible() -> (
    None
):
    assert allowed_kw(SITE, a_window(0.0, 600.0), 40.0) == HEADROOM_FACTOR * 40.0
    assert allowed_kw(SITE, a_window(10.5, 899.0), 40.0) == pytest.approx(-0.5 * 3600.0 / 120.0)


def test_without_a_target_anything_may_flow() -> None:
    assert allowed_kw(SITE, a_window(50.0, 450.0), float("inf")) == float("inf")


def test_a_contracted_mean_lowers_every_target() -> None:
    contract = PowerLimit(LimitClass.WINDOW, Direction.IMPORT, 30.0, 30.0, 0.0, "contract")
    root = replace(SITE.nodes[0], limits=(*SITE.nodes[0].limits, contract))
    site = replace(SITE, nodes=(root, *SITE.nodes[1:]))
    for target_kw in (float("inf"), 80.0):
        assert allowed_kw(site, a_window(), target_kw) == pytest.approx(30.0)
    assert allowed_kw(site, a_window(), 20.0) == pytest.approx(20.0)
