"""The last word on every setpoint: ramp first, clamp last, decrease before increase."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf, nan

import pytest

from controller.envelope import Books
from controller.safety import Guarded, Proposal, guard
from controller.step import start, step
from station.decision import ControlState, Decision, Setpoint
from station.limits import Direction, Interval
from station.measurement import Measurement, NoReading, Snapshot, WriteResult
from station.topology import Site
from tests.factories import a_battery, a_connector, a_plan, a_site, an_instant, readings
from tests.unit.controller.ledger import EXPORT, IMPORT, NOW, books_of

SITE = a_site(ac=1, dc=2, limit_kw=60.0, short_time_kw=78.0, feeder_a=40.0, growth_kw=0.0)
"""Base load 0 to 30 kW; fallbacks: 1.38 kW (ac1), 5 kW (dc1, dc2), PV free (50 kW of export)."""


def guarded(
    books: Books,
    powers_kw: Mapping[str, float],
    *,
    last_kw: Mapping[str, float] | None = None,
    intervals: Mapping[str, Interval] | None = None,
    dt_s: float = 1.0,
) -> Guarded:
    """Guard a proposal; where nothing else is said, an asset comes from what is proposed and may do anything."""
    site = books.site
    rest = {a.asset_id: a.nameplate.min_kw if a in site.pv_plants else 0.0 for a in site.controllables}
    proposal = Proposal(
        powers_kw=rest | dict(powers_kw),
        last_kw=rest | dict(powers_kw) | dict(last_kw or {}),
        intervals={a.asset_id: a.nameplate for a in site.controllables} | dict(intervals or {}),
        order=(*site.pv_plants, *site.connectors, *site.batteries),
        dt_s=dt_s,
    )
    return guard(site, books, proposal)


def shown(site: Site = SITE, **powers_kw: float) -> dict[str, Measurement]:
    measured = readings(site, NOW, cars_kw={"ac1": 0.0, "dc1": 0.0, "dc2": 0.0})
    return measured | {key: replace(measured[key], power_kw=kw) for key, kw in powers_kw.items()}  # type: ignore[arg-type,call-arg]


def rules_of(result: Guarded) -> set[tuple[str, str]]:
    return {(reason.rule, reason.asset_id) for reason in result.reasons}


# --- ramp and clamp


def test_what_fits_passes_untouched() -> None:
    wanted = {"ac1": 7.0, "dc1": 10.0, "battery": 5.0, "pv": -50.0}
    result = guarded(books_of(SITE), wanted)
    assert result.setpoints_kw == {**wanted, "dc2": 0.0}
    assert result.reasons == ()
    assert result.broken == ()


def test_a_battery_ramps_both_ways_and_a_car_only_up() -> None:
    up = guarded(
        books_of(SITE), {"battery": 30.0, "dc1": 40.0}, last_kw={"battery": -40.0, "dc1": 6.0}, dt_s=0.5
    )
    assert up.setpoints_kw["battery"] == -15.0
    assert up.setpoints_kw["dc1"] == 16.0
    books = books_of(SITE, granted_kw={"battery": 30.0, "dc1": 20.0}, base_kw=20.0)
    down = guarded(books, {"battery": -70.0, "dc1": 6.0}, last_kw={"battery": 30.0, "dc1": 20.0})
    assert down.setpoints_kw["battery"] == -20.0
    assert down.setpoints_kw["dc1"] == 6.0


def test_a_car_starts_at_its_minimum_and_ramps_from_there() -> None:
    result = guarded(books_of(SITE), {"ac1": 7.36}, last_kw={"ac1": 0.0})
    assert result.setpoints_kw["ac1"] == pytest.approx(1.38 + 2.0)


def test_a_limit_that_shrinks_wins_over_the_ramp() -> None:
    result = guarded(
        books_of(SITE, granted_kw={"battery": 80.0}),
        {"battery": 80.0},
        intervals={"battery": Interval(-10.0, 10.0)},
        last_kw={"battery": 80.0},
    )
    assert result.setpoints_kw["battery"] == 10.0


@pytest.mark.parametrize("wild_kw", [nan, inf, -inf, 1e9, -1e9])
def test_whatever_is_proposed_leaves_as_a_power_that_the_device_can_take(wild_kw: float) -> None:
    result = guarded(
        books_of(SITE), dict.fromkeys(SITE.by_id, wild_kw), last_kw=dict.fromkeys(SITE.by_id, 0.0)
    )
    for key, power_kw in result.setpoints_kw.items():
        assert SITE.by_id[key].nameplate.holds(power_kw)


def test_between_nothing_and_its_minimum_a_charger_knows_nothing() -> None:
    assert guarded(books_of(SITE), {"dc1": 4.99}).setpoints_kw["dc1"] == 0.0
    assert guarded(books_of(SITE), {"dc1": 5.0}).setpoints_kw["dc1"] == 5.0


# --- settled: what does not fit is cut, the least important first


def test_the_least_urgent_car_gives_way_and_stays_at_its_minimum_where_stopping_frees_nothing() -> None:
    books = books_of(SITE, granted_kw={"dc1": 30.0, "dc2": 30.0}, base_kw=20.0)
    result = guarded(books, {"dc1": 30.0, "dc2": 30.0})
    assert result.setpoints_kw["dc1"] == 30.0
    assert result.setpoints_kw["dc2"] == pytest.approx(60.0 - 20.0 - 1.38 - 30.0)
    assert ("limit", "dc2") in rules_of(result)
    assert result.broken == ()


def test_a_battery_stops_charging_before_a_car_gives_anything() -> None:
    books = books_of(SITE, granted_kw={"battery": 20.0, "dc1": 30.0}, base_kw=20.0)
    result = guarded(books, {"battery": 20.0, "dc1": 30.0})
    assert result.setpoints_kw["battery"] == pytest.approx(60.0 - 20.0 - 30.0 - 6.38)
    assert result.setpoints_kw["dc1"] == 30.0


def test_a_discharging_battery_has_nothing_to_give_against_import() -> None:
    books = books_of(SITE, base_kw=55.0, granted_kw={"battery": -10.0}, measured=shown(battery=-10.0))
    result = guarded(books, {"battery": -10.0, "dc1": 20.0}, last_kw={"dc1": 20.0})
    assert result.setpoints_kw["battery"] == -10.0


def test_where_more_flows_than_may_even_the_minimum_is_taken_away() -> None:
    books = books_of(SITE, base_kw=58.0, granted_kw={"dc1": 5.0, "dc2": 5.0, "ac1": 1.38})
    result = guarded(books, {"dc1": 5.0, "dc2": 5.0, "ac1": 1.38})
    assert {result.setpoints_kw[key] for key in ("dc1", "dc2", "ac1")} == {0.0}
    assert result.broken == (IMPORT,)


def test_where_only_a_loss_would_be_too_much_a_car_keeps_the_minimum_that_its_fallback_books_anyway() -> None:
    site = replace(SITE, base_load=replace(SITE.base_load, max_kw=70.0))
    books = books_of(
        site, base_kw=69.0, granted_kw={"battery": -60.0, "dc1": 20.0}, measured=shown(battery=-60.0)
    )
    result = guarded(books, {"battery": -60.0, "dc1": 20.0, "ac1": 1.38})
    assert result.setpoints_kw["dc1"] == 5.0
    assert result.setpoints_kw["ac1"] == 1.38
    assert result.broken == (IMPORT,)


def test_a_charger_without_a_fallback_of_its_own_is_stopped_then() -> None:
    nothing = tuple(replace(c, fallback_kw=0.0) for c in SITE.connectors)
    site = replace(SITE, connectors=nothing, base_load=replace(SITE.base_load, max_kw=80.0))
    books = books_of(
        site, base_kw=79.0, granted_kw={"battery": -60.0, "dc1": 6.0}, measured=shown(battery=-60.0)
    )
    assert guarded(books, {"battery": -60.0, "dc1": 6.0}).setpoints_kw["dc1"] == 0.0


def test_a_lost_charger_keeps_its_minimum() -> None:
    silent = shown() | {"dc1": NoReading("silent")}
    books = books_of(SITE, base_kw=58.0, granted_kw={"dc1": 20.0}, measured=silent, hidden_kw={"dc1": 20.0})
    assert guarded(books, {"dc1": 20.0}).setpoints_kw["dc1"] == 5.0


def test_pv_is_curtailed_to_what_may_be_exported_and_a_car_is_not_touched_for_it() -> None:
    books = books_of(
        SITE, base_kw=0.0, granted_kw={"battery": -40.0, "dc1": 10.0}, measured=shown(battery=-40.0)
    )
    tight = replace(
        SITE,
        nodes=(replace(SITE.nodes[0], limits=(*exports(40.0), SITE.nodes[0].limits[0])), *SITE.nodes[1:]),
    )
    tight = replace(tight, pv_plants=(replace(SITE.pv_plants[0], fallback_kw=0.0),))
    books = books_of(
        tight, base_kw=0.0, granted_kw={"pv": -50.0, "battery": -40.0}, measured=shown(battery=-40.0)
    )
    result = guarded(books, {"pv": -50.0, "battery": -40.0, "dc1": 10.0})
    assert result.setpoints_kw["battery"] == 0.0, "the battery gives first"
    assert result.setpoints_kw["pv"] == -40.0
    assert result.setpoints_kw["dc1"] == 10.0
    assert EXPORT not in result.broken


def exports(limit_kw: float) -> tuple[object, ...]:
    limit = next(lim for lim in SITE.nodes[0].limits if lim.direction is Direction.EXPORT)  # type: ignore[union-attr]
    return (replace(limit, continuous_kw=limit_kw, short_time_kw=limit_kw, short_time_s=0.0),)  # type: ignore[arg-type]


def test_support_that_may_not_be_given_is_made_good_by_the_cars_in_the_same_cycle() -> None:
    """Export cuts the battery's discharge after import was found in order: the cars must give way at once."""
    site = replace(
        SITE,
        nodes=(replace(SITE.nodes[0], limits=(*exports(60.0), SITE.nodes[0].limits[0])), *SITE.nodes[1:]),
    )
    granted = {"battery": -50.0, "dc1": 40.0}
    books = books_of(site, base_kw=29.0, granted_kw=granted, measured=shown(battery=-50.0, dc1=0.0))
    result = guarded(books, granted)
    assert result.setpoints_kw["battery"] == pytest.approx(-39.0)
    assert result.setpoints_kw["dc1"] == pytest.approx(40.0)
    cars = {"battery": -50.0, "dc1": 60.0, "dc2": 20.0}
    tighter = books_of(site, base_kw=2.0, granted_kw=cars, measured=shown(battery=-50.0))
    result = guarded(tighter, cars)
    assert -50.0 < result.setpoints_kw["battery"] <= -12.0, "as the cars follow, and not before"
    assert result.setpoints_kw["dc2"] == pytest.approx(60.0 + 12.0 - 2.0 - 1.38 - 60.0)
    assert result.broken == ()


# --- transient: decrease before increase


def test_a_raise_takes_only_the_room_that_is_free_already() -> None:
    old = {"dc2": Interval(0.0, 40.0)}
    books = books_of(SITE, base_kw=10.0, granted_kw={"dc1": 8.0}, live=old)
    result = guarded(books, {"dc1": 28.0, "dc2": 10.0}, last_kw={"dc1": 8.0, "dc2": 40.0})
    assert result.setpoints_kw["dc2"] == 10.0
    assert result.setpoints_kw["dc1"] == 8.0, (
        "its room is free only once the old lease of dc2 is confirmed away"
    )
    assert ("waits for room", "dc1") in rules_of(result)


def test_a_raise_goes_as_far_as_quarters_of_it_fit() -> None:
    books = books_of(SITE, base_kw=10.0, granted_kw={"dc1": 8.0}, live={"dc2": Interval(0.0, 25.0)})
    result = guarded(books, {"dc1": 28.0, "dc2": 10.0}, last_kw={"dc1": 8.0, "dc2": 25.0})
    room_kw = 60.0 - 10.0 - 1.38 - 25.0
    assert room_kw == pytest.approx(23.62)
    assert result.setpoints_kw["dc1"] == 23.0, "three quarters of 8 to 28 kW fit, all of it does not"


def test_the_more_urgent_car_takes_the_room_first() -> None:
    books = books_of(SITE, base_kw=10.0, granted_kw={"dc1": 5.0, "dc2": 5.0})
    result = guarded(books, {"dc1": 30.0, "dc2": 18.0}, last_kw={"dc1": 20.0, "dc2": 18.0})
    assert result.setpoints_kw["dc1"] == 30.0
    assert result.setpoints_kw["dc2"] == 18.0


def test_a_car_whose_lease_has_run_out_starts_from_nothing_where_its_last_power_does_not_fit() -> None:
    books = books_of(SITE, base_kw=10.0, live={"dc1": None, "dc2": Interval(0.0, 30.0)})
    result = guarded(books, {"dc1": 20.0, "dc2": 28.0}, last_kw={"dc1": 20.0, "dc2": 30.0})
    assert result.setpoints_kw["dc1"] == 15.0, "of nothing to 20 kW"


def test_a_battery_that_may_no_longer_give_stops_whatever_that_breaks() -> None:
    granted = {"battery": -40.0, "dc1": 50.0}
    books = books_of(SITE, base_kw=30.0, granted_kw=granted, measured=shown(battery=-40.0, dc1=50.0))
    result = guarded(books, granted, intervals={"battery": Interval(0.0, 100.0)})
    assert result.setpoints_kw["battery"] == 0.0
    assert result.setpoints_kw["dc1"] == pytest.approx(60.0 - 30.0 - 6.38), "the cars make it good"


def test_a_battery_that_may_give_less_gives_what_is_left_to_it_and_does_not_stop() -> None:
    granted = {"battery": -40.0, "dc1": 50.0}
    books = books_of(SITE, base_kw=30.0, granted_kw=granted, measured=shown(battery=-40.0, dc1=50.0))
    result = guarded(books, granted, intervals={"battery": Interval(-25.0, 100.0)})
    assert result.setpoints_kw["battery"] == -25.0
    assert result.setpoints_kw["dc1"] == pytest.approx(78.0 - 30.0 - 6.38)


def test_a_person_who_wants_charging_does_not_pass_a_limit() -> None:
    granted = {"battery": -40.0, "dc1": 50.0}
    books = books_of(SITE, base_kw=30.0, granted_kw=granted, measured=shown(battery=-40.0, dc1=50.0))
    result = guarded(books, granted, intervals={"battery": Interval(10.0, 50.0)})
    assert result.setpoints_kw["battery"] == 0.0


def test_the_books_that_come_in_are_left_as_they_were() -> None:
    books = books_of(SITE, base_kw=20.0, granted_kw={"dc1": 30.0, "dc2": 30.0})
    before = (dict(books.live), list(books._standing), list(books._loss))
    guarded(books, {"dc1": 30.0, "dc2": 30.0, "battery": 20.0})
    assert (books.live, books._standing, books._loss) == before


def test_two_batteries_share_what_is_left() -> None:
    twins = (a_battery(), replace(a_battery(), asset_id="second"))
    site = a_site(ac=0, dc=0, batteries=twins, limit_kw=60.0, growth_kw=0.0)
    site = replace(
        site, nodes=(replace(site.nodes[0], members=(*site.nodes[0].members, "second")), site.nodes[1])
    )
    books = books_of(site, base_kw=20.0, measured=readings(site, NOW))
    result = guarded(books, {"battery": 30.0, "second": 30.0}, last_kw={"battery": 0.0, "second": 0.0})
    assert result.setpoints_kw["battery"] == 30.0
    assert result.setpoints_kw["second"] == 10.0


def test_a_phase_that_is_full_stops_only_what_hangs_on_it() -> None:
    cars = tuple(a_connector(f"ac{i}") for i in (1, 2))
    site = replace(a_site(ac=2, dc=1, feeder_a=30.0, growth_kw=0.0), connectors=(*cars, SITE.connectors[1]))
    measured = readings(site, NOW, cars_kw={"ac1": 7.0, "ac2": 7.0})
    books = books_of(site, granted_kw={"ac1": 5.0, "ac2": 5.0}, measured=measured)
    result = guarded(books, {"ac1": 5.0, "ac2": 5.0, "dc1": 20.0}, last_kw={"dc1": 20.0})
    assert result.setpoints_kw["ac1"] == 5.0
    assert result.setpoints_kw["ac2"] == pytest.approx(30.0 * 0.23 - 5.0)
    assert result.setpoints_kw["dc1"] == 20.0


def test_others_give_way_to_a_device_that_has_lost_its_timer() -> None:
    books = books_of(SITE, base_kw=10.0, granted_kw={"dc1": 30.0}, unarmed=frozenset({"battery"}))
    result = guarded(books, {"battery": 0.0, "dc1": 30.0})
    assert result.setpoints_kw["dc1"] == 5.0
    assert set(result.broken) == {IMPORT, EXPORT}


# --- the same through step, with a device that does or does not confirm


def cycle(
    site: Site, state: ControlState, mono_s: float, wants_kw: Mapping[str, float], confirmed: bool
) -> Decision:
    """Run one cycle in which both cars draw what they were last commanded."""
    now = an_instant(mono_s)
    held = dict(state.setpoints_kw)
    cars = {"dc1": max(held.get("dc1", 0.0), 0.0), "dc2": max(held.get("dc2", 0.0), 0.0)}
    measured = readings(site, now, base_kw=10.0, cars_kw=cars, setpoints_kw=held)
    writes = {key: WriteResult(mono_s - 1.0, kw, confirmed or key != "dc2") for key, kw in held.items()}
    plan = a_plan(now, wants_kw, {"dc1": "dc1-s", "dc2": "dc2-s"}, peak_kw=500.0)
    return step(site, state, Snapshot(now, measured, writes), plan, now)


def first_raise_s(is_confirmed: bool) -> float:
    """Return how long after dc2 is told to give way dc1 gets more."""
    site = a_site(ac=0, dc=2, limit_kw=60.0, short_time_kw=60.0, growth_kw=0.0, batteries=(), feeder_a=None)
    state, mono_s = start(an_instant(1000.0)), 1000.0
    for _ in range(40):
        mono_s += 1.0
        state = cycle(site, state, mono_s, {"dc1": 5.0, "dc2": 44.0}, True).state
    assert state.setpoints_kw["dc2"] == pytest.approx(44.0)
    before_kw, told_s = state.setpoints_kw["dc1"], mono_s
    for _ in range(60):
        mono_s += 1.0
        decision = cycle(site, state, mono_s, {"dc1": 40.0, "dc2": 6.0}, is_confirmed)
        state = decision.state
        entry = decision.setpoints["dc1"]
        assert isinstance(entry, Setpoint)
        if entry.power_kw > before_kw + 1.5:
            return mono_s - told_s
    raise AssertionError("never raised")


def test_a_raise_waits_for_the_confirmation_of_the_decrease() -> None:
    assert first_raise_s(is_confirmed=True) <= 4.0


def test_where_the_confirmation_is_lost_the_old_booking_stays_until_its_lease_ends() -> None:
    lease_s = 10.0
    assert first_raise_s(is_confirmed=False) >= lease_s
    assert first_raise_s(is_confirmed=False) <= lease_s + 6.0
