"""The battery's part: the plan's power, and what holds the billed mean and the limit."""

from dataclasses import replace

import pytest

from controller.dispatch import Dispatch, Flows, Support, dispatch, excess_kw, smooth
from controller.follow import Wanted
from station.limits import Interval
from station.topology import Site
from tests.factories import a_battery, a_site, an_instant

SITE = a_site(ac=0, dc=0)
TWINS = (a_battery(), replace(a_battery(), asset_id="second"))
NOW = an_instant(1000.0)
LONG_AGO = Support(0.0, float("-inf"))
FULL = Interval(-100.0, 100.0)


def dispatched(
    target_kw: float,
    net_kw: float,
    *,
    cap_kw: float = 1000.0,
    old: Support = LONG_AGO,
    site: Site = SITE,
    intervals: dict[str, Interval] | None = None,
    grid_kw: float | None = 20.0,
    follows_rules: bool = False,
    smooth_kw: float | None = None,
) -> Dispatch:
    wanted = Wanted(
        {b.asset_id: target_kw / len(site.batteries) for b in site.batteries}, 0.0, grid_kw, follows_rules
    )
    flows = Flows(net_kw, 0.0, 0.0, net_kw if smooth_kw is None else smooth_kw)
    ranges = {b.asset_id: FULL for b in site.batteries} | (intervals or {})
    return dispatch(site, wanted, flows, ranges, cap_kw=cap_kw, old=old, now=NOW, dt_s=1.0)


def test_the_plans_power_is_given_where_no_cap_is_in_the_way() -> None:
    assert dispatched(-20.0, 50.0).batteries_kw == {"battery": -20.0}
    assert dispatched(30.0, 50.0).batteries_kw == {"battery": 30.0}


def test_what_would_pass_the_cap_is_given_on_top_at_once() -> None:
    sent = dispatched(10.0, 70.0, cap_kw=60.0)
    assert sent.batteries_kw == {"battery": -10.0}
    assert sent.support == Support(20.0, NOW.mono_s)


def test_support_holds_for_ten_seconds_and_then_falls_slowly() -> None:
    held = dispatched(0.0, 50.0, cap_kw=60.0, old=Support(20.0, NOW.mono_s - 9.9))
    assert held.batteries_kw == {"battery": -20.0}
    released = dispatched(0.0, 50.0, cap_kw=60.0, old=Support(20.0, NOW.mono_s - 10.0))
    assert released.support == Support(19.5, NOW.mono_s - 10.0)
    over = dispatched(0.0, 50.0, cap_kw=60.0, old=Support(0.2, NOW.mono_s - 10.0))
    assert over.support.power_kw == 0.0


def test_a_rise_within_the_dead_band_does_not_begin_the_hold_anew() -> None:
    old = Support(20.0, NOW.mono_s - 8.0)
    assert dispatched(0.0, 80.4, cap_kw=60.0, old=old).support == Support(pytest.approx(20.4), old.rose_s)
    assert dispatched(0.0, 80.6, cap_kw=60.0, old=old).support.rose_s == NOW.mono_s


def test_a_plan_does_not_discharge_into_the_grid_unless_it_means_to() -> None:
    assert dispatched(-50.0, 30.0).batteries_kw == {"battery": -30.0}
    assert dispatched(-50.0, 30.0, grid_kw=-10.0).batteries_kw == {"battery": -40.0}
    assert dispatched(-50.0, 30.0, grid_kw=None).batteries_kw == {"battery": -30.0}


def test_sun_that_would_be_given_away_is_stored() -> None:
    assert dispatched(0.0, -25.0).batteries_kw == {"battery": 25.0}
    assert dispatched(0.0, -25.0, grid_kw=-40.0).batteries_kw == {"battery": 0.0}


def test_without_a_plan_the_battery_evens_out_the_smoothed_balance() -> None:
    assert dispatched(0.0, 30.0, follows_rules=True, smooth_kw=25.0).batteries_kw == {"battery": -25.0}
    assert dispatched(0.0, -30.0, follows_rules=True, smooth_kw=-20.0).batteries_kw == {"battery": 20.0}


def test_two_batteries_share_in_proportion_to_what_they_can() -> None:
    site = replace(SITE, batteries=TWINS)
    assert dispatched(-60.0, 90.0, site=site).batteries_kw == {"battery": -30.0, "second": -30.0}
    weak = {"second": Interval(-20.0, 100.0)}
    assert dispatched(-60.0, 90.0, site=site, intervals=weak).batteries_kw == {
        "battery": -50.0,
        "second": -10.0,
    }
    full = {"second": Interval(-100.0, 0.0)}
    assert dispatched(60.0, 90.0, site=site, intervals=full).batteries_kw == {"battery": 60.0, "second": 0.0}


def test_where_no_battery_can_help_none_is_asked() -> None:
    assert dispatched(-60.0, 90.0, intervals={"battery": Interval(0.0, 0.0)}).batteries_kw == {"battery": 0.0}
    nobody = dispatch(
        replace(SITE, batteries=()),
        Wanted({}, 0.0, None, False),
        Flows(10.0, -5.0, 20.0, 25.0),
        {},
        cap_kw=20.0,
        old=LONG_AGO,
        now=NOW,
        dt_s=1.0,
    )
    assert nobody.batteries_kw == {}


def test_the_net_load_is_what_the_meter_would_see_without_batteries() -> None:
    assert Flows(10.0, -5.0, 20.0, 0.0).net_kw == 25.0


def test_what_batteries_cannot_hold_below_the_cap_is_excess() -> None:
    assert excess_kw(SITE, 150.0, {"battery": Interval(-30.0, 100.0)}, 60.0) == 60.0
    assert excess_kw(SITE, 80.0, {"battery": Interval(-30.0, 100.0)}, 60.0) == 0.0
    assert excess_kw(SITE, 80.0, {"battery": Interval(10.0, 100.0)}, 60.0) == 20.0, (
        "a forced charge is no help"
    )


def test_savings_follow_slowly_and_coarse_cycles_at_once() -> None:
    assert smooth(None, 40.0, 1.0) == 40.0
    assert smooth(20.0, 40.0, 1.0) == 21.0
    assert smooth(20.0, 40.0, 60.0) == 40.0
