"""The store: what goes in comes out, also after a restart, and a broken disk stops nobody."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from pathlib import Path

import pytest

from northbound.reader import StoreReader, history_of, leave_request, withdraw_request
from northbound.rows import (
    AlarmCleared,
    AlarmRaised,
    CommandRow,
    PlanMade,
    RequestMade,
    SessionEnded,
    SessionSeen,
)
from northbound.store import Store
from northbound.trim import Keeping
from station.clock import Instant
from station.decision import ControlState, DemandWindow, Grant
from station.errors import ConfigError
from station.limits import Interval
from station.plan import Plan, PlanOrigin
from station.request import Request, RequestKind
from station.session import PastSession, Session

START = datetime(2019, 9, 2, 7, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def command(number: int) -> CommandRow:
    return CommandRow(at(number), "ac1", float(number), 30.0, False, ("plan: 7.0 kW", "cap: feeder"))


def request(name: str, until_s: float = 3600.0) -> Request:
    return Request(name, RequestKind.MANUAL, "anna", at(until_s), Interval(0.0, 5.0), "ac1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store", "demo", retry_s=0.05)
    yield opened
    opened.close()


def test_commands_come_back_with_their_reasons(store: Store) -> None:
    for number in range(50):
        store.enter(command(number))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert reader.commands(at(10), at(12)) == [command(10), command(11)]
        assert reader.counts()["command"] == 50


def test_one_signal_is_read_over_a_span_and_nan_stays_nan(store: Store) -> None:
    for second in range(100):
        store.record(at(second), {"grid_kw": 10.0 + second, "battery.soc": nan if second == 42 else 0.5})
    store.record(at(100), {"grid_kw": 7.25, "new.power_kw": 1.0})
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert reader.signals() == ("grid_kw", "battery.soc", "new.power_kw")
        assert reader.values("grid_kw", at(98), at(200)) == [
            (at(98), 108.0),
            (at(99), 109.0),
            (at(100), 7.25),
        ]
        assert isnan(dict(reader.values("battery.soc", at(0), at(200)))[at(42)])
        assert len(reader.values("battery.soc", at(0), at(200))) == 100
        assert reader.last_cycle_at() == at(100)


def test_values_are_compact(store: Store) -> None:
    record = {f"asset{index}.power_kw": float(index % 7) for index in range(100)}
    for second in range(2000):
        store.record(at(second), record)
    assert store.flush(30.0)
    store.close()
    assert (store.directory / "history.db").stat().st_size < 2000 * 300


def test_quarter_hours_have_means_of_what_was_measured(store: Store) -> None:
    for second in range(0, 1900, 10):
        store.record(at(second), {"a_kw": nan if second < 600 else 3.0, "b_kw": float(second < 900)})
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert reader.means("a_kw", at(0), at(1800)) == [(at(0), 3.0, 30), (at(900), 3.0, 90)]
        assert reader.means("b_kw", at(0), at(3600)) == [
            (at(0), 1.0, 90),
            (at(900), 0.0, 90),
            (at(1800), 0.0, 10),
        ]


def test_a_clock_that_leaps_and_returns_stops_no_means(store: Store) -> None:
    for second in (0, 10, 9e8, 20, 900, 910, 1800):
        store.record(at(second), {"a_kw": 1.0})
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert [row[0] for row in reader.means("a_kw", at(0), at(3600))] == [at(0), at(900), at(1800)]


def test_sessions_are_updated_and_end_once(store: Store) -> None:
    session = Session("car", "ac1", at(0), 1.0, 20.0, at(9000), None)
    store.enter(SessionSeen(at(10), session))
    past = PastSession("car", "ac1", at(0), at(5000), 12.5, 20.0, at(9000))
    store.enter(SessionEnded(past))
    store.enter(SessionSeen(at(5001), session))
    store.enter(SessionSeen(at(6000), Session("next", "ac1", at(6000), 0.0, None, None, None)))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert [entry.session_id for entry in reader.past_sessions(at(0), at(9999))] == ["car"]
        assert reader.counts()["session"] == 2


def test_an_alarm_stands_once_until_it_is_cleared(store: Store) -> None:
    for row in (
        AlarmRaised(at(1), "ac1: silent"),
        AlarmRaised(at(2), "ac1: silent"),
        AlarmRaised(at(3), "grid: stale"),
    ):
        store.enter(row)
    store.enter(AlarmCleared(at(4), "ac1: silent"))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        assert [(seen.raised_at, seen.cleared_at) for seen in reader.alarms()] == [
            (at(1), at(4)),
            (at(3), None),
        ]
        assert [seen.alarm for seen in reader.alarms(standing_only=True)] == ["grid: stale"]


def test_requests_that_others_leave_reach_the_loop_until_they_end(store: Store) -> None:
    store.enter(RequestMade(at(0), request("own")))
    leave_request(store.directory, request("left"), at(1))
    leave_request(store.directory, request("short", until_s=5.0), at(1))
    store.effective(at(10))
    assert store.flush()
    store.effective(at(11))
    assert store.flush()
    assert store.requests == (request("own"), request("left"))
    withdraw_request(store.directory, "left", at(12))
    with StoreReader(store.directory) as reader:
        assert reader.requests(at(13)) == (request("own"),)


def test_a_plan_is_kept_whole(store: Store) -> None:
    plan = Plan(
        made_at=at(0),
        starts_at=at(0),
        slot_s=900.0,
        valid_until=at(3600),
        targets_kw={"ac1": (1.0, 2.0)},
        sessions={"ac1": "car"},
        peak_kw=50.0,
        origin=PlanOrigin.OPTIMIZER,
        grid_kw=(3.0, 4.0),
        note="first",
    )
    store.enter(PlanMade(plan))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        kept = reader.last_plan()
    assert kept is not None
    assert (kept["targets_kw"], kept["origin"], kept["made_at"]) == (
        {"ac1": [1.0, 2.0]},
        "optimizer",
        at(0).isoformat(timespec="microseconds"),
    )


def test_a_restart_finds_grants_window_sessions_and_peak(store: Store) -> None:
    window = DemandWindow(at(0), 5.0, 300.0, (2019, 9), 48.5)
    session = Session("car", "ac1", at(0), 1.0, 20.0, at(9000), None, soc=0.4, is_satisfied=True)
    state = ControlState(
        started_s=0.0,
        grants={"ac1": (Grant(990.0, 1020.0, Interval(0.0, 7.0)),), "battery": ()},
        sessions={"ac1": session},
        lag_s=2.0,
        window=window,
        alarms=frozenset({"grid: stale"}),
    )
    store.save_state(state, Instant(at(10), 1000.0))
    store.save_state(
        ControlState(0.0, window=DemandWindow(at(0), 1.0, 1.0, (2019, 9), 20.0)), Instant(at(11), 1001.0)
    )
    store.save_state(state, Instant(at(12), 1000.0))
    assert store.close()
    with StoreReader(store.directory) as reader:
        found = reader.state(Instant(at(60), 5.0))
        assert reader.month_peaks() == {(2019, 9): 48.5}
    assert found is not None
    assert found.grants == {"ac1": (Grant(5.0, 25.0, Interval(0.0, 7.0)),), "battery": ()}
    assert (found.sessions, found.window, found.lag_s) == ({"ac1": session}, window, 2.0)
    assert (found.started_s, found.alarms) == (5.0, {"grid: stale"})


def test_a_state_that_cannot_be_understood_counts_as_none(store: Store) -> None:
    store.save_state(ControlState(0.0), Instant(at(0), 0.0))
    assert store.close()
    with sqlite3.connect(store.directory / "ledger.db") as connection:
        connection.execute("UPDATE state SET body = ?", (json.dumps({"grants": 5}),))
    connection.close()
    with StoreReader(store.directory) as reader:
        assert reader.state(Instant(at(0), 0.0)) is None


def test_the_history_for_a_restart_has_no_gap_and_load_convention(store: Store) -> None:
    for second in (*range(0, 900, 10), *range(2700, 3300, 10)):
        store.record(at(second), {"base_load_kw": 12.0, "pv_kw": 30.0})
    store.record(at(3600), {"base_load_kw": 99.0, "pv_kw": 0.0})
    store.enter(SessionEnded(PastSession("car", "ac1", at(0), at(800), 12.5, None, None)))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        history = history_of(reader, at(3700), cycle_s=10.0)
    assert (history.starts_at, history.slot_s) == (at(0), 900.0)
    assert history.pv_kw[0] == -30.0
    assert [None if isnan(value) else value for value in history.load_kw] == [12.0, None, None, 12.0]
    assert [session.session_id for session in history.sessions] == ["car"]


def test_an_empty_store_gives_an_empty_history(store: Store) -> None:
    store.effective(at(0))
    assert store.flush()
    with StoreReader(store.directory) as reader:
        history = history_of(reader, at(1000), cycle_s=1.0)
        assert (history.load_kw, history.starts_at, reader.effective_at()) == ((), at(900), at(0))
        assert reader.last_plan() is None


def test_old_cycles_go_and_their_means_stay(tmp_path: Path) -> None:
    store = Store(tmp_path, "demo", keeping=Keeping(history=timedelta(days=1.0)))
    for hour in range(72):
        store.record(at(3600 * hour), {"a_kw": 1.0})
    assert store.close()
    with StoreReader(tmp_path) as reader:
        assert len(reader.values("a_kw", at(0), at(1e6))) <= 26
        assert len(reader.means("a_kw", at(0), at(1e6))) == 72


def test_a_bad_row_is_counted_and_holds_nobody_up(store: Store) -> None:
    store.enter(command(1))
    store.enter(AlarmRaised(at(0), "\udcff is no text"))
    store.enter(command(2))
    store.record(at(0), {"a_kw": "x"})  # type: ignore[dict-item]
    store.record(at(1), {"a_kw": 1e300})
    assert store.flush()
    assert (store.status.ledger_refused, store.status.history_dropped, store.status.is_failing) == (
        1,
        1,
        False,
    )
    with StoreReader(store.directory) as reader:
        assert (reader.counts()["command"], reader.counts()["cycle"]) == (2, 1)


def test_a_store_belongs_to_one_site(tmp_path: Path) -> None:
    Store(tmp_path, "demo").close()
    with pytest.raises(ConfigError, match="'demo', not of 'other'"):
        Store(tmp_path, "other")


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError):
        Store(tmp_path / "file", "demo")


def test_a_missing_store_is_refused_by_readers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such store"):
        StoreReader(tmp_path)
    with pytest.raises(ConfigError, match="no such store"):
        leave_request(tmp_path, request("a"), at(0))


def test_a_file_that_is_no_database_is_moved_aside_and_kept(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database" * 100)
    store = Store(tmp_path, "demo")
    store.enter(command(1))
    assert store.close()
    assert (tmp_path / "ledger.db.broken-1").read_text().startswith("not a database")


def test_a_second_controller_is_refused(store: Store) -> None:
    program = (
        f"import pathlib, northbound.store as s; s.Store(pathlib.Path({str(store.directory)!r}), 'demo')"
    )
    second = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert second.returncode != 0
    assert "another controller uses this store" in second.stderr


def test_a_locked_ledger_is_waited_for_and_nothing_is_lost(store: Store) -> None:
    blocker = sqlite3.connect(store.directory / "ledger.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    store.enter(command(1))
    assert not store.flush(0.2)
    blocker.execute("COMMIT")
    blocker.close()
    assert store.flush(20.0)
