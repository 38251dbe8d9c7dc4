"""The books: what stands, what a loss would bring, and the room that is left."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.envelope import Books, constraints_in_force, settled
from controller.leases import grant_interval
from station.limits import Direction, Interval
from station.measurement import Measurement, NoReading, Snapshot
from station.request import Request, RequestKind
from tests.factories import a_battery, a_site, an_instant, readings
from tests.unit.controller.ledger import EXPORT, IMPORT, NOW, books_of, local, room_kw

SITE = a_site(ac=1, dc=1, limit_kw=60.0, short_time_kw=78.0, feeder_a=40.0, growth_kw=2.0)
"""Fallbacks: 1.38 kW (ac1) and 5 kW (dc1). The base load is 0 to 30 kW and may grow by 2 kW."""

FALLBACKS_KW = 1.38 + 5.0


def shown(**changes: float) -> dict[str, Measurement]:
    """Return readings with these powers in kW."""
    measured = readings(SITE, NOW, cars_kw={"ac1": 0.0, "dc1": 0.0})
    return measured | {key: replace(measured[key], power_kw=kw) for key, kw in changes.items()}  # type: ignore[arg-type,call-arg]


def taken(books: Books, name: str = IMPORT) -> tuple[float, float]:
    """Return (standing, loss) of a constraint."""
    standing_room, loss_room = room_kw(books, name)
    bound = next(c for c in books.constraints if c.name == name)
    return bound.bound - standing_room, bound.short_time_bound - loss_room


def test_the_base_load_counts_with_its_growth_and_devices_with_their_fallback() -> None:
    assert taken(books_of(SITE)) == pytest.approx((12.0 + FALLBACKS_KW,) * 2)


def test_growth_ends_at_the_declared_maximum_and_never_below_what_is_measured() -> None:
    assert taken(books_of(SITE, base_kw=29.0))[0] == pytest.approx(30.0 + FALLBACKS_KW)
    assert taken(books_of(SITE, base_kw=40.0))[0] == pytest.approx(40.0 + FALLBACKS_KW)


def test_against_export_only_the_least_of_the_base_load_helps() -> None:
    free = 50.0
    assert taken(books_of(SITE), EXPORT)[0] == pytest.approx(free - 8.0)
    assert taken(books_of(SITE, base_kw=1.0), EXPORT)[0] == pytest.approx(free - 0.0)
    assert taken(books_of(SITE, base_kw=99.0), EXPORT)[0] == pytest.approx(free - 28.0)


def test_without_a_meter_either_direction_is_booked_at_its_own_worst_case() -> None:
    blind = readings(SITE, NOW) | {"grid": NoReading("silent")}
    books = books_of(SITE, base_kw=30.0, measured=blind)
    assert taken(books)[0] == pytest.approx(30.0 + FALLBACKS_KW)
    assert taken(books, EXPORT)[0] == pytest.approx(50.0), "a base load that nobody sees helps nobody"


def test_a_car_counts_with_its_grant_whatever_it_draws() -> None:
    for drawn_kw in (0.0, 40.0):
        books = books_of(SITE, granted_kw={"dc1": 40.0}, measured=shown(dc1=drawn_kw))
        assert taken(books) == pytest.approx((12.0 + 1.38 + 40.0,) * 2)


def test_a_discharging_battery_is_credited_with_what_it_gives_but_not_against_its_loss() -> None:
    books = books_of(SITE, granted_kw={"battery": -30.0}, measured=shown(battery=-20.0))
    assert taken(books) == pytest.approx((12.0 + FALLBACKS_KW - 20.0, 12.0 + FALLBACKS_KW))
    more = books_of(SITE, granted_kw={"battery": -30.0}, measured=shown(battery=-45.0))
    assert taken(more)[0] == pytest.approx(12.0 + FALLBACKS_KW - 30.0), "no more than it is told to give"


def test_a_battery_that_may_stop_giving_is_not_credited() -> None:
    books = books_of(SITE, live={"battery": Interval(-30.0, 0.0)}, measured=shown(battery=-30.0))
    assert taken(books) == pytest.approx((12.0 + FALLBACKS_KW,) * 2)


def test_pv_is_credited_with_what_it_gives_at_most_with_what_it_is_let() -> None:
    books = books_of(SITE, granted_kw={"pv": -50.0}, measured=shown(pv=-35.0))
    assert taken(books)[0] == pytest.approx(12.0 + FALLBACKS_KW - 35.0)
    curtailed = books_of(SITE, granted_kw={"pv": -10.0}, measured=shown(pv=-35.0))
    assert taken(curtailed)[0] == pytest.approx(12.0 + FALLBACKS_KW - 10.0)


def test_against_export_pv_counts_with_its_bound_and_charging_is_credited() -> None:
    granted = {"pv": -40.0, "battery": 30.0, "dc1": 20.0}
    books = books_of(SITE, granted_kw=granted, measured=shown(battery=25.0, dc1=15.0, pv=-10.0))
    assert taken(books, EXPORT) == pytest.approx((50.0 - 8.0 - 25.0 - 15.0, 50.0 - 8.0)), (
        "its fallback is booked too"
    )


def test_a_device_in_local_mode_stands_as_measured_and_may_do_anything() -> None:
    books = books_of(SITE, granted_kw={"battery": 0.0}, measured=local(shown(battery=-20.0), "battery"))
    assert taken(books) == pytest.approx((12.0 + FALLBACKS_KW - 20.0, 12.0 + FALLBACKS_KW + 100.0))
    assert taken(books, EXPORT) == pytest.approx((50.0 - 8.0 + 20.0, 50.0 - 8.0 + 100.0))


def test_a_device_that_does_not_obey_stands_as_measured_and_may_do_anything() -> None:
    books = books_of(SITE, granted_kw={"dc1": 5.0}, measured=shown(dc1=50.0), astray=frozenset({"dc1"}))
    assert taken(books) == pytest.approx((12.0 + 1.38 + 50.0, 12.0 + 1.38 + 60.0))


def test_a_device_that_does_not_obey_is_booked_at_its_grant_too() -> None:
    books = books_of(
        SITE, granted_kw={"battery": -60.0}, measured=shown(battery=50.0), astray=frozenset({"battery"})
    )
    assert taken(books, EXPORT) == pytest.approx((50.0 - 8.0 + 60.0, 50.0 - 8.0 + 100.0))


def test_the_short_time_overload_serves_a_loss_only_where_loads_can_be_shed_in_time() -> None:
    assert SITE.shed_s == 30.0 + 3.0 + 12.0
    long_enough = a_site(ac=1, dc=1, limit_kw=60.0, short_time_kw=78.0, short_time_s=45.0)
    too_short = a_site(ac=1, dc=1, limit_kw=60.0, short_time_kw=78.0, short_time_s=44.9)
    assert room_kw(books_of(long_enough))[1] == pytest.approx(78.0 - 12.0 - FALLBACKS_KW)
    assert room_kw(books_of(too_short))[1] == pytest.approx(60.0 - 12.0 - FALLBACKS_KW)


def test_room_is_the_least_of_all_constraints_above_an_asset() -> None:
    books = books_of(SITE, base_kw=30.0)
    feeder_kw = (40.0 - 6.0) * 0.23
    assert books.room_kw(SITE.by_id["ac1"], Direction.IMPORT) == pytest.approx(feeder_kw)
    assert books.room_kw(SITE.by_id["dc1"], Direction.IMPORT) == pytest.approx(60.0 - 30.0 - FALLBACKS_KW)
    assert books.overrun_kw(SITE.by_id["dc1"], Direction.IMPORT) == 0.0


def test_a_loss_that_does_not_fit_leaves_no_room_either() -> None:
    support = {"battery": -60.0, "dc1": 50.0}
    books = books_of(SITE, base_kw=28.0, granted_kw=support, measured=shown(battery=-60.0, dc1=50.0))
    assert room_kw(books) == pytest.approx((60.0 + 60.0 - 30.0 - 51.38, 78.0 - 30.0 - 51.38))
    assert books.room_kw(SITE.by_id["dc1"], Direction.IMPORT) == pytest.approx(78.0 - 30.0 - 51.38)
    assert books.overrun_kw(SITE.by_id["dc1"], Direction.IMPORT) == pytest.approx(3.38)
    assert not books.stands_over(SITE.by_id["dc1"], Direction.IMPORT)
    assert IMPORT in books.broken()


def test_what_stands_over_a_bound_is_told_from_what_only_a_loss_would_bring() -> None:
    books = books_of(SITE, base_kw=40.0, granted_kw={"dc1": 40.0}, measured=shown(dc1=40.0))
    assert books.stands_over(SITE.by_id["dc1"], Direction.IMPORT)
    assert not books.stands_over(SITE.by_id["dc1"], Direction.EXPORT)
    assert books.broken() == (IMPORT,)


def test_what_fits_is_what_takes_no_constraint_beyond_its_bound() -> None:
    books, car = books_of(SITE), SITE.by_id["dc1"]
    most_kw = 60.0 - 12.0 - 1.38
    assert books.fits(car, Interval(0.0, most_kw))
    assert not books.fits(car, Interval(0.0, most_kw + 0.01))


def test_what_raises_nothing_fits_even_beyond_the_bound() -> None:
    books, car = books_of(SITE, base_kw=55.0, granted_kw={"dc1": 30.0}), SITE.by_id["dc1"]
    assert books.broken() == (IMPORT,)
    assert books.fits(car, Interval(0.0, 30.0))
    assert books.fits(car, Interval(0.0, 20.0))
    assert not books.fits(car, Interval(0.0, 31.0))


def test_a_loss_alone_can_forbid_a_rise() -> None:
    books = books_of(SITE, base_kw=28.0, granted_kw={"battery": -60.0}, measured=shown(battery=-60.0))
    most_kw = 78.0 - 30.0 - 1.38
    assert books.fits(SITE.by_id["dc1"], Interval(0.0, most_kw))
    assert not books.fits(SITE.by_id["dc1"], Interval(0.0, most_kw + 0.01))


def test_less_support_is_a_rise() -> None:
    granted = {"battery": -30.0, "dc1": 48.0}
    books = books_of(SITE, base_kw=30.0, granted_kw=granted, measured=shown(battery=-30.0))
    battery = SITE.by_id["battery"]
    assert not books.fits(battery, Interval(-30.0, 0.0))
    assert books.fits(battery, Interval(-35.0, -30.0)), "the hull still gives 30 kW for sure"


def test_a_booking_replaces_what_an_asset_may_be_using() -> None:
    books, car = books_of(SITE), SITE.by_id["dc1"]
    before = taken(books)
    books.book(car, Interval(0.0, 25.0))
    assert taken(books) == pytest.approx((12.0 + 1.38 + 25.0,) * 2)
    books.book(car, None)
    assert taken(books) == pytest.approx(before)


def test_settled_books_are_those_after_all_writes_and_leave_the_first_alone() -> None:
    books = books_of(SITE, live={"dc1": Interval(0.0, 40.0)})
    ranges: dict[str, Interval | None] = {**books.live, "dc1": Interval(0.0, 10.0)}
    after = settled(books, ranges)
    assert taken(after) == pytest.approx((12.0 + 1.38 + 10.0,) * 2)
    assert taken(books) == pytest.approx((12.0 + 1.38 + 40.0,) * 2)


def operator(kind: RequestKind, limit_kw: float, left_s: float = 60.0) -> Request:
    return Request("1", kind, "grid operator", NOW.at + timedelta(seconds=left_s), Interval(0.0, limit_kw))


def test_the_grid_operators_limit_binds_until_it_expires() -> None:
    request = operator(RequestKind.OPERATOR_IMPORT_LIMIT, 40.0)
    books = books_of(SITE, requests=(request,))
    assert room_kw(books, "grid operator import kW") == pytest.approx((40.0 - 18.38, 60.0 - 18.38))
    assert books.room_kw(SITE.by_id["dc1"], Direction.IMPORT) == pytest.approx(40.0 - 18.38)
    over = operator(RequestKind.OPERATOR_IMPORT_LIMIT, 40.0, left_s=0.0)
    assert constraints_in_force(SITE, Snapshot(NOW, {}, requests=(over,))) == SITE.constraints


def test_the_grid_operators_export_limit_is_one_of_export_and_a_negative_one_means_none_at_all() -> None:
    request = replace(operator(RequestKind.OPERATOR_EXPORT_LIMIT, 0.0), interval=Interval(-5.0, -5.0))
    *_, limit = constraints_in_force(SITE, Snapshot(NOW, {}, requests=(request,)))
    assert (limit.direction, limit.bound, limit.short_time_bound) == (Direction.EXPORT, 0.0, 60.0)


def test_an_override_of_an_asset_is_no_limit_of_the_site() -> None:
    manual = replace(operator(RequestKind.MANUAL, 1.0), asset_id="ac1")
    assert constraints_in_force(SITE, Snapshot(an_instant(), {}, requests=(manual,))) == SITE.constraints


def lost(asset_id: str) -> dict[str, Measurement]:
    return shown() | {asset_id: NoReading("silent")}


def test_a_lost_device_is_not_credited_and_counts_with_its_grant() -> None:
    battery = books_of(
        SITE, granted_kw={"battery": -30.0}, measured=lost("battery"), hidden_kw={"battery": -30.0}
    )
    assert taken(battery) == pytest.approx((12.0 + FALLBACKS_KW,) * 2)
    assert taken(battery, EXPORT)[0] == pytest.approx(50.0 - 8.0 + 30.0)
    car = books_of(SITE, granted_kw={"dc1": 30.0}, measured=lost("dc1"), hidden_kw={"dc1": 30.0})
    assert taken(car) == pytest.approx((12.0 + 1.38 + 30.0,) * 2)


def test_support_that_a_lost_device_may_give_unseen_counts_as_loss() -> None:
    silent_in_a_cloud = books_of(SITE, base_kw=5.0, measured=lost("pv"), hidden_kw={"pv": 0.0})
    assert taken(silent_in_a_cloud) == pytest.approx((7.0 + FALLBACKS_KW, 30.0 + FALLBACKS_KW)), (
        "at most as declared"
    )
    slow = {"battery": -30.0}
    still_ramping = books_of(
        SITE, base_kw=5.0, granted_kw=slow, measured=lost("battery"), hidden_kw={"battery": -20.0}
    )
    assert taken(still_ramping) == pytest.approx((7.0 + FALLBACKS_KW, 17.0 + FALLBACKS_KW))


def test_a_car_that_may_draw_unseen_hides_in_the_base_load_against_export() -> None:
    books = books_of(SITE, granted_kw={"dc1": 6.0}, measured=lost("dc1"), hidden_kw={"dc1": 0.0})
    assert taken(books, EXPORT) == pytest.approx((50.0 - 8.0, 50.0 - 8.0 + 6.0))
    more = books_of(SITE, granted_kw={"dc1": 40.0}, measured=lost("dc1"), hidden_kw={"dc1": 0.0})
    assert taken(more, EXPORT) == pytest.approx((50.0 - 8.0, 50.0)), "never below the declared least"
    drawing = books_of(SITE, granted_kw={"dc1": 13.0}, measured=lost("dc1"), hidden_kw={"dc1": 10.0})
    assert taken(drawing, EXPORT) == pytest.approx((50.0 - 8.0, 50.0 - 8.0 + 3.0))


def test_a_device_that_was_never_seen_counts_with_its_whole_swing() -> None:
    books = books_of(SITE, granted_kw={"battery": -30.0}, measured=lost("battery"))
    assert taken(books) == pytest.approx((12.0 + FALLBACKS_KW, 12.0 + FALLBACKS_KW + 30.0))


def test_a_write_that_a_silent_device_may_still_execute_counts_as_loss() -> None:
    late = {"dc1": Interval(0.0, 40.0)}
    books = books_of(SITE, measured=lost("dc1"), hidden_kw={"dc1": 0.0}, late=late)
    assert taken(books) == pytest.approx((12.0 + FALLBACKS_KW, 12.0 + 1.38 + 40.0))
    late = {"battery": Interval(-40.0, -40.0)}
    books = books_of(SITE, measured=lost("battery"), hidden_kw={"battery": 0.0}, late=late)
    assert taken(books, EXPORT) == pytest.approx((50.0 - 8.0, 50.0 - 8.0 + 40.0))


def test_two_batteries_are_booked_each_by_itself() -> None:
    twins = (a_battery(), replace(a_battery(), asset_id="second"))
    site = a_site(ac=0, dc=0, batteries=twins, limit_kw=60.0)
    members = (*site.nodes[0].members, "second")
    site = replace(site, nodes=(replace(site.nodes[0], members=members), site.nodes[1]))
    books = books_of(site, granted_kw={"battery": 20.0, "second": 15.0})
    assert room_kw(books)[0] == pytest.approx(60.0 - 12.0 - 35.0)


def test_a_device_without_a_verified_timer_counts_at_its_rating_whatever_it_is_told() -> None:
    site = a_site(ac=1, dc=2, limit_kw=60.0, short_time_kw=78.0, feeder_a=40.0, growth_kw=0.0)
    armed = books_of(site, granted_kw={"dc1": 6.0})
    unarmed = books_of(site, granted_kw={"dc1": 6.0}, unarmed=frozenset({"dc1"}))
    more_kw = site.by_id["dc1"].nameplate.max_kw - 6.0
    assert room_kw(unarmed)[0] == pytest.approx(room_kw(armed)[0] - more_kw)
    after = settled(unarmed, {key: grant_interval(site.by_id[key], 0.0) for key in site.by_id})
    told_nothing = settled(armed, {key: grant_interval(site.by_id[key], 0.0) for key in site.by_id})
    fallback_kw = site.by_id["dc1"].fallback.max_kw
    assert room_kw(after)[0] == pytest.approx(room_kw(told_nothing)[0] - more_kw - 6.0 + fallback_kw)


def test_what_only_a_missing_timer_books_does_not_flow_now() -> None:
    site = a_site(ac=1, dc=2, limit_kw=60.0, short_time_kw=78.0, feeder_a=40.0, growth_kw=0.0)
    books = books_of(site, base_kw=20.0, granted_kw={"dc1": 20.0}, unarmed=frozenset({"battery"}))
    assert IMPORT in books.broken()
    assert not books.stands_over(site.by_id["dc1"], Direction.IMPORT)
    books = books_of(site, base_kw=59.0, granted_kw={"dc1": 20.0}, unarmed=frozenset({"battery"}))
    assert books.stands_over(site.by_id["dc1"], Direction.IMPORT)
