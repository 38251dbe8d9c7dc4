"""What the cars get: the minimum first, in the order of urgency, and calm."""

from dataclasses import replace

import pytest

from controller.allocate import Fleet, allocate, remember
from station.decision import ConnectorMemory, Reason
from station.limits import Interval
from station.topology import Site
from tests.factories import a_site, an_instant
from tests.unit.controller.ledger import books_of

SITE = a_site(ac=3, dc=2, limit_kw=60.0, feeder_a=None, growth_kw=0.0, base_max_kw=60.0)
NOW = an_instant(10_000.0)
AC, DC = "ac1", "dc1"


def allocated(
    wishes_kw: dict[str, float],
    *,
    last_kw: dict[str, float] | None = None,
    base_kw: float = 0.0,
    excess_kw: float = 0.0,
    site: Site = SITE,
    order: tuple[str, ...] = ("ac1", "ac2", "ac3", "dc1", "dc2"),
    intervals: dict[str, Interval] | None = None,
    memories: dict[str, ConnectorMemory] | None = None,
    idle: frozenset[str] = frozenset(),
) -> tuple[dict[str, float], list[Reason]]:
    """Allocate among connectors, the most urgent first; they come from what they wish unless said otherwise."""
    by_id = {connector.asset_id: connector for connector in site.connectors}
    fleet = Fleet(
        [by_id[key] for key in order],
        dict.fromkeys(by_id, 0.0) | wishes_kw,
        dict.fromkeys(by_id, 0.0) | wishes_kw | (last_kw or {}),
        {key: connector.nameplate for key, connector in by_id.items()} | (intervals or {}),
        memories or {},
        idle=idle,
    )
    books = books_of(site, base_kw=base_kw, granted_kw=dict.fromkeys(by_id, 0.0))
    return allocate(fleet, books, excess_kw, NOW)


def memory(**changes: float | tuple[float, ...]) -> ConnectorMemory:
    return replace(ConnectorMemory(), **changes)  # type: ignore[arg-type]


def test_where_there_is_room_everybody_gets_what_is_wished() -> None:
    wishes = {"ac1": 7.0, "dc1": 20.0}
    assert allocated(wishes)[0] == dict.fromkeys(("ac2", "ac3", "dc2"), 0.0) | wishes


def test_where_room_is_short_everybody_gets_the_minimum_and_the_most_urgent_the_rest() -> None:
    offers_kw, reasons = allocated(
        {"dc1": 60.0, "dc2": 60.0, "ac1": 7.36}, order=("dc2", "ac1", "dc1", "ac2", "ac3")
    )
    taken_kw = 1.38 * 3 + 5.0 * 2
    assert offers_kw["dc2"] == pytest.approx(5.0 + 60.0 - taken_kw)
    assert offers_kw["ac1"] == 1.38
    assert offers_kw["dc1"] == 5.0
    assert Reason("limit", "ac1", "1.4 kW instead of 7.4 kW") in reasons


def test_the_next_in_the_order_of_urgency_gets_what_the_first_leaves() -> None:
    offers_kw, _ = allocated({"dc1": 30.0, "dc2": 60.0})
    assert offers_kw["dc1"] == 30.0
    assert offers_kw["dc2"] == pytest.approx(60.0 - 3 * 1.38 - 30.0)


def test_a_car_without_room_for_its_minimum_gets_nothing_and_is_told_why() -> None:
    needy = tuple(replace(c, fallback_kw=0.0) for c in SITE.connectors)
    offers_kw, reasons = allocated(
        {"dc1": 20.0, "dc2": 20.0}, site=replace(SITE, connectors=needy), base_kw=53.0
    )
    assert offers_kw["dc1"] == pytest.approx(7.0)
    assert offers_kw["dc2"] == 0.0
    assert Reason("limit", "dc2", "no room for the minimum") in reasons


def test_cars_that_want_nothing_are_offered_what_the_hungry_leave() -> None:
    needy = replace(SITE, connectors=tuple(replace(c, fallback_kw=0.0) for c in SITE.connectors))
    wishes = {"ac1": 1.38, "ac2": 1.38, "dc1": 60.0}
    order, idle = ("ac1", "ac2", "dc1", "ac3", "dc2"), frozenset({"ac1", "ac2"})
    just_on = {"ac1": memory(switched_s=NOW.mono_s - 1.0)}
    offers_kw, _ = allocated(wishes, site=needy, order=order, idle=idle, memories=just_on)
    assert offers_kw["dc1"] == 60.0
    assert offers_kw["ac1"] == offers_kw["ac2"] == 0.0  # nothing is switched in a car that draws nothing
    offers_kw, _ = allocated(wishes, site=needy, order=order, idle=idle, base_kw=-1.5)
    assert [offers_kw[key] for key in ("dc1", "ac1", "ac2")] == [60.0, 1.38, 0.0]
    offers_kw, _ = allocated(wishes, site=needy, order=order)
    assert offers_kw["dc1"] == pytest.approx(60.0 - 2 * 1.38)


def test_excess_is_taken_off_the_least_urgent_down_to_the_minimum() -> None:
    offers_kw, reasons = allocated({"ac1": 7.0, "dc1": 20.0, "dc2": 12.0}, excess_kw=10.0)
    assert offers_kw["dc2"] == 5.0
    assert offers_kw["dc1"] == 17.0
    assert offers_kw["ac1"] == 7.0
    assert {reason.asset_id for reason in reasons if reason.rule == "demand window"} == {"dc1", "dc2"}


def test_an_offer_is_nothing_or_at_least_the_minimum() -> None:
    assert allocated({"dc1": 2.4}, last_kw={"dc1": 0.0})[0]["dc1"] == 0.0
    assert allocated({"dc1": 2.5}, last_kw={"dc1": 0.0})[0]["dc1"] == 5.0


def test_an_offer_stays_within_what_is_permitted() -> None:
    assert allocated({"dc1": 60.0}, intervals={"dc1": Interval(0.0, 18.0)})[0]["dc1"] == 18.0
    assert allocated({"dc1": 60.0}, intervals={"dc1": Interval(0.0, 0.0)})[0]["dc1"] == 0.0


def test_a_tiny_change_is_not_made() -> None:
    assert allocated({"dc1": 20.04}, last_kw={"dc1": 20.0})[0]["dc1"] == 20.0
    assert allocated({"dc1": 20.06}, last_kw={"dc1": 20.0})[0]["dc1"] == 20.06


@pytest.mark.parametrize(("ago_s", "expected_kw"), [(4.9, 3.0), (5.0, 7.0)])
def test_an_ac_charger_changes_at_most_every_five_seconds(ago_s: float, expected_kw: float) -> None:
    recently = {AC: memory(changed_s=NOW.mono_s - ago_s)}
    assert allocated({AC: 7.0}, last_kw={AC: 3.0}, memories=recently)[0][AC] == expected_kw


def test_a_dc_charger_changes_when_it_is_asked() -> None:
    recently = {DC: memory(changed_s=NOW.mono_s, switched_s=NOW.mono_s)}
    assert allocated({DC: 20.0}, last_kw={DC: 10.0}, memories=recently)[0][DC] == 20.0
    assert allocated({DC: 20.0}, last_kw={DC: 0.0}, memories=recently)[0][DC] == 20.0


@pytest.mark.parametrize(("ago_s", "on_kw", "off_kw"), [(299.0, 0.0, 1.38), (300.0, 7.0, 0.0)])
def test_an_ac_charger_stays_on_or_off_for_five_minutes(ago_s: float, on_kw: float, off_kw: float) -> None:
    recently = {AC: memory(switched_s=NOW.mono_s - ago_s)}
    assert allocated({AC: 7.0}, last_kw={AC: 0.0}, memories=recently)[0][AC] == on_kw
    assert allocated({AC: 0.0}, last_kw={AC: 7.0}, memories=recently)[0][AC] == off_kw


def test_an_ac_charger_that_was_closed_four_times_in_an_hour_stays_on() -> None:
    starts = tuple(NOW.mono_s - ago_s for ago_s in (3500.0, 2500.0, 1500.0, 500.0))
    offers_kw, reasons = allocated({AC: 0.0}, last_kw={AC: 7.0}, memories={AC: memory(starts_s=starts)})
    assert offers_kw[AC] == 1.38
    assert [reason.rule for reason in reasons] == ["calm"]
    earlier = {AC: memory(starts_s=(NOW.mono_s - 3600.0, *starts[1:]))}
    assert allocated({AC: 0.0}, last_kw={AC: 7.0}, memories=earlier)[0][AC] == 0.0


def test_no_timer_keeps_a_charger_above_what_is_permitted() -> None:
    recently = {AC: memory(switched_s=NOW.mono_s, changed_s=NOW.mono_s)}
    offers_kw, _ = allocated(
        {AC: 7.0}, last_kw={AC: 7.0}, memories=recently, intervals={AC: Interval(0.0, 0.0)}
    )
    assert offers_kw[AC] == 0.0


# --- what a connector remembers


def remembered(
    old: ConnectorMemory, old_kw: float, new_kw: float, *, is_new_car: bool = False, draws: bool = True
) -> ConnectorMemory:
    return remember(old, old_kw=old_kw, new_kw=new_kw, is_new_car=is_new_car, draws=draws, now=NOW)


def test_changes_and_switches_are_remembered_with_their_time() -> None:
    assert remembered(memory(), 3.0, 7.0) == memory(changed_s=NOW.mono_s)
    assert remembered(memory(), 3.0, 3.04) == memory()
    assert remembered(memory(), 3.0, 0.0) == memory(changed_s=NOW.mono_s, switched_s=NOW.mono_s)
    started = memory(changed_s=NOW.mono_s, switched_s=NOW.mono_s, starts_s=(NOW.mono_s,))
    assert remembered(memory(), 0.0, 3.0) == started


def test_starts_older_than_an_hour_are_forgotten() -> None:
    old = memory(starts_s=(NOW.mono_s - 3600.0, NOW.mono_s - 3599.0))
    assert remembered(old, 0.0, 3.0).starts_s == (NOW.mono_s - 3599.0, NOW.mono_s)


def test_a_new_car_begins_with_an_empty_memory() -> None:
    assert remembered(memory(switched_s=5.0, starts_s=(1.0, 2.0)), 3.0, 3.0, is_new_car=True) == memory()


def test_it_is_remembered_since_when_an_offer_is_not_taken_up() -> None:
    assert remembered(memory(), 3.0, 3.0, draws=False).idle_since_s == NOW.mono_s
    assert remembered(memory(idle_since_s=5.0), 3.0, 3.0, draws=False).idle_since_s == 5.0
    assert remembered(memory(idle_since_s=5.0), 3.0, 3.0, draws=True).idle_since_s is None
    assert remembered(memory(idle_since_s=5.0), 0.0, 3.0, draws=False).idle_since_s is None
