"""What each device may be doing by itself: its live grants, or its fallback."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.judge import judge
from controller.leases import (
    ADOPTED_S,
    LANDING_CYCLES,
    grant_interval,
    late_interval,
    lease_s,
    live_interval,
    restore,
    settle,
    still_using,
    with_grant,
)
from station.clock import Instant
from station.decision import ControlState, Grant
from station.limits import Interval
from station.measurement import Measurement, NoReading, Snapshot, WriteResult
from station.topology import Control
from tests.factories import a_site, an_instant, readings

SITE = a_site(ac=1, dc=1)
BATTERY, PV, AC = SITE.by_id["battery"], SITE.by_id["pv"], SITE.by_id["ac1"]
NOW = an_instant(1000.0)
NOBODY: frozenset[str] = frozenset()


def grants_after(
    grants: tuple[Grant, ...],
    *,
    now: Instant = NOW,
    cycles: int = 5,
    write: WriteResult | None = None,
    measured: Mapping[str, Measurement] | None = None,
    asset_id: str = "battery",
) -> tuple[Grant, ...]:
    """Return one asset's grants at the start of a cycle."""
    writes = {} if write is None else {asset_id: write}
    snapshot = Snapshot(now, measured or readings(SITE, now), writes)
    state = ControlState(0.0, cycles=cycles, grants={asset_id: grants})
    return settle(SITE, state, snapshot, judge(SITE, snapshot, now), now)[asset_id]


def sent(power_kw: float, sent_s: float = 999.0, expires_s: float = 1011.0) -> Grant:
    return Grant(sent_s, expires_s, grant_interval(BATTERY, power_kw))


def test_a_setpoint_is_one_power_for_a_battery_and_a_bound_for_others() -> None:
    assert grant_interval(BATTERY, -20.0) == Interval(-20.0, -20.0)
    assert grant_interval(PV, -20.0) == Interval(-20.0, 0.0)
    assert grant_interval(PV, 5.0) == Interval(0.0, 0.0)
    assert grant_interval(AC, 5.0) == Interval(0.0, 5.0)
    assert grant_interval(AC, -1.0) == Interval(0.0, 0.0)


def test_with_coarse_cycles_a_lease_lasts_six_of_them() -> None:
    assert lease_s(BATTERY, Control(cycle_s=1.0)) == 10.0
    assert lease_s(BATTERY, Control(cycle_s=60.0)) == 360.0


def test_a_grant_counts_until_its_device_timer_has_surely_run_out() -> None:
    grant = with_grant(BATTERY, (), 20.0, Control(), NOW)[0]
    assert grant.expires_s == NOW.mono_s + 10.0 + LANDING_CYCLES
    assert grants_after((grant,), now=an_instant(1011.9)) == (grant,)
    assert grants_after((grant,), now=an_instant(1012.0)) == ()


def test_an_older_grant_stays_booked_beside_a_newer_one() -> None:
    both = with_grant(BATTERY, (sent(50.0),), 10.0, Control(), NOW)
    assert live_interval(BATTERY, both, NOBODY, NOW) == Interval(10.0, 50.0)


def test_an_equal_grant_is_prolonged() -> None:
    again = with_grant(BATTERY, (sent(50.0), sent(10.0, 998.0)), 50.0, Control(), NOW)
    assert [(grant.sent_s, grant.interval.max_kw) for grant in again] == [(998.0, 10.0), (1000.0, 50.0)]


def test_what_the_device_holds_confirmed_is_not_sent_again_before_a_third_of_its_lease() -> None:
    held = (replace(sent(50.0, 997.0, 1009.0), is_confirmed=True),)
    assert with_grant(BATTERY, held, 50.0, Control(), NOW) is held
    assert with_grant(BATTERY, held, 50.0, Control(), an_instant(1000.4)) != held
    assert with_grant(BATTERY, (sent(50.0, 997.0),), 50.0, Control(), NOW)[0].sent_s == 1000.0, (
        "never confirmed"
    )
    assert with_grant(BATTERY, held, 40.0, Control(), NOW) != held


def test_what_was_held_before_something_else_was_sent_is_sent_again() -> None:
    held = replace(sent(50.0, 997.0, 1009.0), is_confirmed=True)
    between = sent(10.0, 998.0)
    assert with_grant(BATTERY, (held, between), 50.0, Control(), NOW)[-1].sent_s == 1000.0


def test_a_confirmed_write_replaces_what_was_sent_before_it() -> None:
    older, newer = sent(50.0, 998.0), sent(10.0, 999.0)
    confirmed = WriteResult(999.0, 10.0, confirmed=True)
    assert grants_after((older, newer), write=confirmed) == (replace(newer, is_confirmed=True),)


def test_a_refused_write_replaces_nothing() -> None:
    both = (sent(50.0, 998.0), sent(10.0, 999.0))
    assert grants_after(both, write=WriteResult(999.0, 10.0, confirmed=False)) == both


def test_a_late_confirmation_of_an_older_write_leaves_the_newer_one_booked() -> None:
    oldest, older, newer = sent(60.0, 997.0), sent(50.0, 998.0), sent(10.0, 999.0)
    left = grants_after((oldest, older, newer), write=WriteResult(998.0, 50.0, confirmed=True))
    assert left == (replace(older, is_confirmed=True), newer)


def test_without_any_live_grant_a_device_is_surely_at_its_fallback() -> None:
    assert live_interval(BATTERY, (), NOBODY, NOW) is None
    assert live_interval(BATTERY, (sent(50.0, expires_s=1000.0),), NOBODY, NOW) is None


def test_a_device_without_a_verified_timer_may_do_anything() -> None:
    assert live_interval(BATTERY, (), frozenset({"battery"}), NOW) == BATTERY.nameplate


def test_a_write_that_a_lost_device_never_confirmed_is_kept_as_late() -> None:
    unseen = readings(SITE, NOW) | {"battery": NoReading("silent")}
    over = sent(50.0, expires_s=999.5)
    confirmed = replace(sent(20.0, expires_s=999.5), is_confirmed=True)
    left = grants_after((over, confirmed), measured=unseen)
    assert left == (over,)
    assert live_interval(BATTERY, left, NOBODY, NOW) is None
    assert late_interval(left, NOW) == Interval(50.0, 50.0)
    assert late_interval((sent(50.0),), NOW) is None, "it is live"
    assert late_interval((sent(50.0, expires_s=NOW.mono_s),), NOW) == Interval(50.0, 50.0)
    assert grants_after((over,)) == (), "once it is seen again, nothing is late any more"


# --- restart


def test_at_a_start_a_device_that_cannot_be_read_is_booked_at_its_rating() -> None:
    unseen = readings(SITE, NOW) | {"battery": NoReading("silent")}
    assert grants_after((), cycles=0, measured=unseen) == (Grant(ADOPTED_S, 1010.0, BATTERY.nameplate),)


def test_at_a_start_a_device_is_booked_at_what_it_holds_and_does() -> None:
    shown = readings(SITE, NOW, battery_kw=-10.0, setpoints_kw={"battery": 30.0})
    assert grants_after((), cycles=0, measured=shown)[0].interval == Interval(-10.0, 30.0)


@pytest.mark.parametrize("held", [None, float("nan")])
def test_a_device_that_does_not_say_what_it_holds_stays_booked_at_its_rating(held: float | None) -> None:
    shown = readings(SITE, NOW)
    shown["battery"] = replace(shown["battery"], setpoint_kw=held)  # type: ignore[arg-type,call-arg]
    assert grants_after((), cycles=0, measured=shown)[0].interval == BATTERY.nameplate


def test_what_is_read_later_replaces_the_booking_at_rating() -> None:
    found = grants_after((Grant(ADOPTED_S, 1010.0, BATTERY.nameplate),), cycles=3)
    assert found[0].interval == Interval(0.0, 0.0)


def test_grants_of_a_former_process_count_for_a_whole_lease_from_now() -> None:
    restored = restore(SITE, {"battery": (sent(40.0, 2.0, 3.0),)}, NOW)
    assert restored["battery"] == (Grant(ADOPTED_S, 1010.0, Interval(40.0, 40.0)),)
    assert restored["ac1"] == ()
    assert len(grants_after(restored["battery"], cycles=0)) == 2
    confirmed = WriteResult(1003.0, 0.0, confirmed=True)
    assert grants_after(restored["battery"], now=an_instant(1004.0), write=confirmed) == ()


# --- what is still drawn


def test_what_a_device_still_draws_beyond_its_grant_stays_booked() -> None:
    assert still_using(AC, Interval(0.0, 2.0), 7.0) == Interval(0.0, 7.0)
    assert still_using(AC, Interval(0.0, 2.0), 1.0) == Interval(0.0, 2.0)
    assert still_using(AC, None, 7.0) == Interval(0.0, 7.0)
    assert still_using(AC, None, 1.0) is None
    assert still_using(AC, Interval(0.0, 2.0), None) == Interval(0.0, 2.0)
    assert still_using(BATTERY, Interval(20.0, 20.0), -5.0) == Interval(-5.0, 20.0)
