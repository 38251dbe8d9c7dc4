"""What the station has learnt of itself."""

from datetime import UTC, datetime, timedelta
from math import isnan

import pytest

from controller.history import KEEP_S, HistoryKeeper
from station.decision import Balance
from station.forecast import History
from station.session import PastSession

START = datetime(2019, 9, 16, 15, 0, tzinfo=UTC)


def a_balance(base_kw: float, pv_kw: float = -5.0, *, is_worst_case: bool = False) -> Balance:
    return Balance(base_kw + pv_kw, base_kw, is_worst_case, pv_kw, 0.0, 0.0, 1.0, 100.0)


def a_keeper() -> HistoryKeeper:
    return HistoryKeeper(History(START, 900.0, (), ()))


def live(keeper: HistoryKeeper, from_s: float, to_s: float, balance: Balance, dt_s: float = 60.0) -> None:
    while from_s < to_s:
        keeper.add(START + timedelta(seconds=from_s), balance, dt_s)
        from_s += dt_s


def test_a_slot_that_is_over_is_kept_with_its_mean() -> None:
    keeper = a_keeper()
    live(keeper, 0.0, 300.0, a_balance(10.0))
    live(keeper, 300.0, 900.0, a_balance(40.0))
    assert keeper.history().load_kw == ()
    keeper.add(START + timedelta(seconds=900), a_balance(0.0), 60.0)
    assert keeper.history().load_kw == pytest.approx((30.0,))
    assert keeper.history().pv_kw == pytest.approx((-5.0,))


def test_what_was_not_measured_teaches_nothing() -> None:
    keeper = a_keeper()
    live(keeper, 0.0, 400.0, a_balance(60.0, is_worst_case=True), 100.0)
    live(keeper, 400.0, 900.0, a_balance(10.0), 100.0)
    live(keeper, 900.0, 1400.0, a_balance(60.0, is_worst_case=True), 100.0)
    live(keeper, 1400.0, 1900.0, a_balance(10.0), 100.0)
    first, second = keeper.history().load_kw
    assert first == pytest.approx(10.0)
    assert isnan(second), "less than half of it was seen"


def test_a_gap_is_filled_with_what_is_no_number() -> None:
    keeper = HistoryKeeper(History(START, 900.0, (7.0,), (-1.0,)))
    live(keeper, 2700.0, 3700.0, a_balance(20.0), 100.0)
    load_kw = keeper.history().load_kw
    assert [load_kw[0], load_kw[3]] == pytest.approx([7.0, 20.0])
    assert all(isnan(value) for value in load_kw[1:3])


def test_a_wall_clock_that_falls_back_leaves_the_grid_of_slots_as_it_is() -> None:
    keeper = a_keeper()
    live(keeper, 0.0, 1000.0, a_balance(10.0), 100.0)
    live(keeper, 100.0, 1900.0, a_balance(10.0), 100.0)
    assert keeper.history().load_kw == pytest.approx((10.0, 10.0))


def test_old_slots_and_sessions_are_forgotten() -> None:
    slots = round(KEEP_S / 900.0)
    keeper = HistoryKeeper(History(START, 900.0, (1.0,) * slots, (0.0,) * slots))
    live(keeper, KEEP_S, KEEP_S + 1000.0, a_balance(9.0), 100.0)
    kept = keeper.history()
    assert len(kept.load_kw) == slots
    assert kept.starts_at == START + timedelta(seconds=900.0)
    assert kept.load_kw[-1] == pytest.approx(9.0)


def a_past(name: str, unplugged_at: datetime) -> PastSession:
    return PastSession(name, "ac1", unplugged_at - timedelta(hours=1), unplugged_at, 5.0, None, None)


def test_sessions_are_kept_for_sixty_days() -> None:
    keeper = a_keeper()
    keeper.ended((a_past("first", START), a_past("second", START + timedelta(days=30))), START)
    keeper.ended((), START + timedelta(seconds=KEEP_S))
    assert [session.session_id for session in keeper.history().sessions] == ["first", "second"]
    keeper.ended((), START + timedelta(seconds=KEEP_S + 1.0))
    assert [session.session_id for session in keeper.history().sessions] == ["second"]
