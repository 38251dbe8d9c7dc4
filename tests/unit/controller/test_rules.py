"""What each asset may do, hardest rule first."""

from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import pytest

from controller import rules
from controller.judge import judge
from station.decision import ControlState, Reason
from station.limits import Interval
from station.measurement import ConnectorState, Measurement, NoReading, Snapshot
from station.request import Request, RequestKind
from station.topology import Control, Site
from tests.factories import a_site, an_instant, readings

NOW = an_instant()
SITE = a_site()


def allowed(
    site: Site = SITE,
    *,
    state: ControlState | None = None,
    requests: tuple[Request, ...] = (),
    measured: dict[str, Measurement] | None = None,
    **changes: object,
) -> tuple[dict[str, Interval], list[Reason]]:
    """Return the envelope; ``changes`` are fields of the readings: ``battery__soc=0.1``."""
    shown = measured or readings(site, NOW, cars_kw={"ac1": 3.0})
    for name, value in changes.items():
        asset_id, field = name.split("__")
        shown[asset_id] = replace(shown[asset_id], **{field: value})  # type: ignore[arg-type]
    snapshot = Snapshot(NOW, shown, requests=requests)
    seen = judge(site, snapshot, NOW)
    return rules.envelope(rules.View(site, state or ControlState(0.0), snapshot, seen, NOW))


def wish(asset_id: str, low: float, high: float, *, left_s: float = 60.0, owner: str = "ann") -> Request:
    expires_at = NOW.at + timedelta(seconds=left_s)
    return Request("1", RequestKind.MANUAL, owner, expires_at, Interval(low, high), asset_id)


def test_a_healthy_asset_may_do_what_its_nameplate_says() -> None:
    intervals, reasons = allowed()
    assert intervals["battery"] == Interval(-100.0, 100.0)
    assert intervals["pv"] == Interval(-50.0, 0.0)
    assert intervals["ac1"] == Interval(0.0, 7.36)
    assert [reason.asset_id for reason in reasons] == ["ac2", "ac3", "ac4", "dc1"], "those are free"


def test_the_bms_limits_the_battery() -> None:
    intervals, _ = allowed(battery__max_charge_kw=20.0, battery__max_discharge_kw=30.0)
    assert intervals["battery"] == Interval(-30.0, 20.0)


def test_a_bms_without_limits_leaves_the_nameplate() -> None:
    intervals, _ = allowed(battery__max_charge_kw=inf, battery__max_discharge_kw=inf)
    assert intervals["battery"] == Interval(-100.0, 100.0)


@pytest.mark.parametrize(
    ("max_kw", "expected_kw"), [(3.0, 3.0), (0.0, 0.0), (-1.0, 0.0), (nan, 7.36), (99.0, 7.36)]
)
def test_the_charger_limits_its_connector(max_kw: float, expected_kw: float) -> None:
    intervals, _ = allowed(ac1__max_kw=max_kw)
    assert intervals["ac1"] == Interval(0.0, expected_kw)


@pytest.mark.parametrize(
    ("soc", "low", "high"),
    [(0.1, 0.0, 100.0), (0.05, 0.0, 100.0), (0.12, -100.0, 100.0), (0.88, -100.0, 100.0), (0.9, -100.0, 0.0)],
)
def test_the_battery_stays_within_its_window_of_charge(soc: float, low: float, high: float) -> None:
    assert allowed(battery__soc=soc)[0]["battery"] == Interval(low, high)


def test_towards_an_end_of_its_window_the_power_fades_so_that_what_is_left_lasts_two_minutes() -> None:
    low = allowed(battery__soc=0.105)[0]["battery"]
    assert low.min_kw == pytest.approx(-0.005 * 200.0 * 0.95 * 30.0)
    assert low.max_kw == 100.0
    high = allowed(battery__soc=0.895)[0]["battery"]
    assert high.max_kw == pytest.approx(0.005 * 200.0 / 0.95 * 30.0)
    assert high.min_kw == -100.0


def lost_for(age_s: float, last: Interval, **control: float) -> Interval:
    site = a_site(control=Control(**control)) if control else SITE
    state = ControlState(0.0, last_good_s={"battery": NOW.mono_s - age_s}, last_limits={"battery": last})
    shown = readings(site, NOW) | {"battery": NoReading("silent")}
    return allowed(site, state=state, measured=shown)[0]["battery"]


def test_a_lost_battery_fades_to_nothing_over_ten_seconds() -> None:
    last = Interval(-80.0, 40.0)
    assert lost_for(3.0, last) == last
    assert lost_for(8.0, last) == Interval(-40.0, 20.0)
    assert lost_for(13.0, last) == Interval(0.0, 0.0)
    assert lost_for(1e6, last) == Interval(0.0, 0.0)


def test_a_battery_that_was_never_read_may_do_nothing() -> None:
    shown = readings(SITE, NOW) | {"battery": NoReading("silent")}
    assert allowed(measured=shown)[0]["battery"] == Interval(0.0, 0.0)


def test_what_a_lost_battery_fades_from_is_finite_and_within_the_window_of_charge() -> None:
    battery = SITE.batteries[0]
    full = judge(SITE, Snapshot(NOW, readings(SITE, NOW, soc=0.9)), NOW).batteries["battery"]
    assert rules.battery_may(battery, full) == Interval(-100.0, 0.0)
    empty = replace(full, soc=0.1, max_charge_kw=inf, max_discharge_kw=inf)
    assert rules.battery_may(battery, empty) == Interval(0.0, 100.0)


def test_a_lost_connector_gets_its_fallback_and_lost_pv_stays_free() -> None:
    shown = readings(SITE, NOW) | {"ac1": NoReading("silent"), "pv": NoReading("silent")}
    intervals, reasons = allowed(measured=shown)
    assert intervals["ac1"] == Interval(0.0, 1.38)
    assert intervals["pv"] == Interval(-50.0, 0.0)
    assert Reason("lost_reading", "ac1", "silent") in reasons


@pytest.mark.parametrize("state", [ConnectorState.FREE, ConnectorState.FAULTED])
def test_nothing_is_offered_where_no_car_can_take_it(state: ConnectorState) -> None:
    intervals, reasons = allowed(ac1__state=state)
    assert intervals["ac1"] == Interval(0.0, 0.0)
    assert Reason("car_present", "ac1", state.value) in reasons


def test_where_the_fallbacks_do_not_fit_nothing_is_granted_beyond_them() -> None:
    site = a_site(limit_kw=35.0, base_max_kw=30.0)
    intervals, reasons = allowed(site)
    assert intervals["ac1"] == Interval(0.0, 1.38)
    assert intervals["battery"] == Interval(0.0, 0.0)
    assert any(reason.rule == "fallbacks_must_fit" for reason in reasons)


def test_a_person_may_lower_and_not_raise() -> None:
    lowered, reasons = allowed(requests=(wish("ac1", 0.0, 4.0),))
    assert lowered["ac1"] == Interval(0.0, 4.0)
    assert Reason("manual_override", "ac1", "override by ann") in reasons
    raised, _ = allowed(requests=(wish("ac1", 0.0, 99.0),))
    assert raised["ac1"] == Interval(0.0, 7.36)


def test_an_override_cannot_leave_what_a_harder_rule_permits() -> None:
    intervals, _ = allowed(requests=(wish("battery", 20.0, 50.0),), battery__soc=0.95)
    assert intervals["battery"] == Interval(0.0, 0.0)


def test_two_overrides_both_hold_and_an_expired_or_foreign_one_does_not() -> None:
    both, _ = allowed(requests=(wish("ac1", 0.0, 5.0), wish("ac1", 0.0, 3.0, owner="bob")))
    assert both["ac1"] == Interval(0.0, 3.0)
    over, _ = allowed(requests=(wish("ac1", 0.0, 3.0, left_s=0.0), wish("ac2", 0.0, 3.0)))
    assert over["ac1"] == Interval(0.0, 7.36)


def test_a_limit_of_the_grid_operator_is_no_override_of_an_asset() -> None:
    operator = replace(wish("ac1", 0.0, 1.0), kind=RequestKind.OPERATOR_IMPORT_LIMIT)
    assert allowed(requests=(operator,))[0]["ac1"] == Interval(0.0, 7.36)


def test_devices_in_local_mode_are_named() -> None:
    shown = readings(SITE, NOW, cars_kw={"ac1": 3.0})
    shown["ac1"] = replace(shown["ac1"], is_local=True)  # type: ignore[arg-type,call-arg]
    seen = judge(SITE, Snapshot(NOW, shown), NOW)
    assert list(rules.local_assets(seen, SITE)) == ["ac1"]
