"""Whatever is changed, taken out or put in, the audit shows; and a store of version 1 is not lost."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from northbound.feed import Feed
from northbound.reader import StoreReader, leave_request, withdraw_request
from northbound.rows import (
    AlarmCleared,
    AlarmRaised,
    CommandRow,
    PlanMade,
    RequestMade,
    RequestRefused,
    SessionEnded,
    SessionSeen,
)
from northbound.store import Store
from northbound.verify import verify
from station.errors import ConfigError
from station.limits import Interval
from station.plan import Plan, PlanOrigin
from station.request import Request, RequestKind
from station.session import PastSession, Session

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
FEED = Feed("sink", lambda at, values: b"x", lambda event: b"y")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def request(name: str) -> Request:
    return Request(name, RequestKind.MANUAL, "anna", at(3600), Interval(0.0, 5.0), "ac1")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store with every kind of row."""
    opened = Store(tmp_path, "demo", feeds=(FEED,))
    session = Session("car", "ac1", at(0), 1.0, 20.0, at(9000), None)
    plan = Plan(at(20), at(0), 900.0, at(3600), {"ac1": (1.0,)}, {}, 50.0, PlanOrigin.RULES)
    leave_request(tmp_path, request("left"), at(1))
    leave_request(tmp_path, request("kept"), at(1))
    withdraw_request(tmp_path, "left", at(2))
    for row in (
        CommandRow(at(1), "ac1", 5, 30, False, ("plan: 5 kW", "Grenze: ü")),
        CommandRow(at(2), "ac1", None, None, False, ("withheld: silent",)),
        AlarmRaised(at(3), "late"),
        AlarmRaised(at(4), "silent"),
        AlarmCleared(at(5), "late"),
        AlarmRaised(at(6), "late"),
        SessionSeen(at(7), session),
        SessionEnded(PastSession("car", "ac1", at(0), at(8), 12.5, 20, None)),
        SessionEnded(PastSession("car", "ac1", at(0), at(9), 99.0, 20, None)),
        RequestMade(at(10), request("own")),
        RequestMade(at(11), request("own")),
        RequestRefused(at(12), "odd", "mqtt", "expired"),
        PlanMade(plan),
        CommandRow(at(21), "battery", -3.25, 10.0, True, ()),
    ):
        opened.enter(row)
    opened.record(at(0), {"a_kw": 1.0})
    assert opened.close()
    return tmp_path


def change(directory: Path, *statements: str, file: str = "ledger.db") -> None:
    with closing(sqlite3.connect(directory / file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_store_that_nobody_touched_is_whole(store: Path) -> None:
    verdict = verify(store)
    assert (verdict.fault, verdict.entries, len(verdict.head)) == ("", 14, 64)


def test_a_store_is_verified_while_it_is_written(store: Path) -> None:
    opened = Store(store, "demo", feeds=(FEED,))
    for number in range(3000):
        opened.enter(CommandRow(at(number), "ac1", 1.0, 1.0, False, ()))
        if number % 500 == 0:
            assert not verify(store).fault
    assert opened.close(30.0)
    assert verify(store).entries == 3014


MENDED = "DROP TRIGGER audit_is_not_changed"
UNCUT = "DROP TRIGGER audit_is_not_cut"


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["UPDATE command SET power_kw = 6 WHERE id = 1"], "entry 1 (command"),
        (["UPDATE command SET reasons = '[]' WHERE id = 2"], "entry 2 (command"),
        (["DELETE FROM command WHERE id = 2"], "its row is gone"),
        (
            ["INSERT INTO command VALUES (9, 'x', 'ac1', 1, 1, 0, '[]', 99)"],
            "command '9' is in its table and not",
        ),
        (["INSERT INTO command VALUES (9, 'x', 'ac1', 1, 1, 0, '[]', NULL)"], "row '9' before audit entry 1"),
        (["UPDATE alarm SET cleared_at = NULL WHERE id = 1"], "(alarm_cleared"),
        (["UPDATE alarm SET raised_at = cleared_at WHERE id = 1"], "(alarm_raised"),
        (["UPDATE session SET energy_kwh = 13"], "(session_ended"),
        (["UPDATE request SET max_kw = 9 WHERE request_id = 'own'"], "(request at"),
        (["UPDATE request SET audit = NULL WHERE request_id = 'own'"], "its row is gone"),
        (["UPDATE request SET withdrawn_at = 'x' WHERE request_id = 'left'"], "(request_withdrawn"),
        (["UPDATE plan SET body = x'00'"], "(plan at"),
        ([MENDED, "UPDATE audit SET body = '{}' WHERE number = 3"], "entry 3 (alarm_raised"),
        ([MENDED, "UPDATE audit SET at = 'x' WHERE number = 12"], "entry 12"),
        ([UNCUT, "DELETE FROM audit WHERE number = 12"], "audit entry 12 is missing"),
        ([UNCUT, "DELETE FROM audit WHERE number = 14"], "is in its table and not in the audit"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1][:40],
)
def test_a_change_is_found(store: Path, statements: list[str], fault: str) -> None:
    change(store, *statements)
    verdict = verify(store)
    assert fault in verdict.fault
    assert verdict.fault.startswith("ledger.db: ")
    assert "\n" not in verdict.fault


def test_messages_that_were_taken_from_the_outbox_are_missed(store: Path) -> None:
    change(store, "DELETE FROM outbox WHERE is_event = 0", file="history.db")
    assert "history.db: outbox of 'sink': 14 messages" in verify(store).fault


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:8192] = bytes(4096)
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["ledger.db", "history.db"])
@pytest.mark.parametrize("harm", [damage, lambda file: file.write_bytes(b"no database" * 999)])
def test_a_damaged_file_is_a_fault_and_no_crash(
    store: Path, name: str, harm: Callable[[Path], object]
) -> None:
    harm(store / name)
    assert name in verify(store).fault


VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('site_id', 'demo'), ('version', '1');
"""
LEDGER_1 = (
    VERSION_1
    + """
CREATE TABLE command (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, asset_id TEXT NOT NULL,
    power_kw REAL, lease_s REAL, makes_room INTEGER NOT NULL, reasons TEXT NOT NULL);
CREATE TABLE session (
    session_id TEXT NOT NULL, connector_id TEXT NOT NULL, plugged_in_at TEXT NOT NULL, unplugged_at TEXT,
    energy_kwh REAL NOT NULL, requested_kwh REAL, estimated_unplug_at TEXT, seen_at TEXT NOT NULL,
    PRIMARY KEY (session_id, connector_id, plugged_in_at)) WITHOUT ROWID;
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT, alarm TEXT NOT NULL, raised_at TEXT NOT NULL, cleared_at TEXT);
CREATE TABLE request (
    request_id TEXT PRIMARY KEY, made_at TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL,
    expires_at TEXT NOT NULL, min_kw REAL NOT NULL, max_kw REAL NOT NULL, asset_id TEXT NOT NULL,
    withdrawn_at TEXT) WITHOUT ROWID;
CREATE TABLE plan (
    id INTEGER PRIMARY KEY AUTOINCREMENT, made_at TEXT NOT NULL, starts_at TEXT NOT NULL, origin TEXT NOT NULL,
    peak_kw REAL, expected_cost REAL, solve_ms REAL, note TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE month_peak (
    year INTEGER NOT NULL, month INTEGER NOT NULL, peak_kw REAL NOT NULL, PRIMARY KEY (year, month)) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, saved_at TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO command VALUES (1, '2019-09-02T07:00:01.000000+00:00', 'ac1', 5.0, 30.0, 0, '["plan"]');
INSERT INTO alarm VALUES (1, 'late', '2019-09-02T07:00:00.000000+00:00', '2019-09-02T07:00:02.000000+00:00');
INSERT INTO session VALUES ('car', 'ac1', '2019-09-02T07:00:00.000000+00:00', '2019-09-02T08:00:00.000000+00:00',
    12.5, NULL, NULL, '2019-09-02T08:00:00.000000+00:00');
INSERT INTO session VALUES ('next', 'ac1', '2019-09-02T09:00:00.000000+00:00', NULL, 0.5, NULL, NULL, 'x');
INSERT INTO request VALUES ('old', '2019-09-02T07:00:00.000000+00:00', 'manual', 'anna',
    '2019-09-03T07:00:00.000000+00:00', 0.0, 5.0, 'ac1', NULL);
INSERT INTO month_peak VALUES (2019, 9, 48.5);
"""
)


def test_a_store_of_version_1_goes_on_with_its_ledger_and_begins_a_new_history(tmp_path: Path) -> None:
    for name, script in (("ledger.db", LEDGER_1), ("history.db", f"{VERSION_1} CREATE TABLE cycle (id);")):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.executescript(script)
    with pytest.raises(ConfigError, match="is 1, not 2"):
        StoreReader(tmp_path)
    store = Store(tmp_path, "demo")
    store.enter(AlarmRaised(at(9), "new"))
    store.record(at(9), {"a_kw": 1.0})
    assert store.flush()
    ledger_line, history_line = store.notices
    assert ledger_line.endswith("ledger.db: its format was brought from version 1 to 2")
    assert "history.db.version-1-1" in history_line
    assert store.close()
    assert (tmp_path / "history.db.version-1-1").exists()
    verdict = verify(tmp_path)
    assert (verdict.fault, verdict.entries) == ("", 6)
    with StoreReader(tmp_path) as reader:
        assert reader.month_peaks() == {(2019, 9): 48.5}
        assert [past.session_id for past in reader.past_sessions(at(0), at(99_999))] == ["car"]
        assert [entry.request_id for entry in reader.requests(at(10))] == ["old"]
    again = Store(tmp_path, "demo")
    assert again.notices == ()
    assert again.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path, "demo").close()
    change(tmp_path, "UPDATE meta SET value = '3' WHERE name = 'version'")
    with pytest.raises(ConfigError, match="the store is of '3', not of '2'"):
        Store(tmp_path, "demo")
