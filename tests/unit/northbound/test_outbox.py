"""The outbox: what a sink is told waits for it, with the record that it tells of, in order and once."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from northbound.feed import Event, Feed
from northbound.outbox import OutboxCaps
from northbound.reader import leave_request, withdraw_request
from northbound.rows import (
    AlarmCleared,
    AlarmRaised,
    CommandRow,
    PlanMade,
    RequestMade,
    RequestRefused,
    SessionEnded,
)
from northbound.store import Store
from northbound.trim import Keeping
from station.limits import Interval
from station.plan import Plan, PlanOrigin
from station.request import Request, RequestKind
from station.session import PastSession

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
TOLD = ("alpha", "beta")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told_record(when: datetime, values: Mapping[str, float]) -> bytes | None:
    return None if "silent" in values else json.dumps([when.isoformat(), *values.items()]).encode()


def told_event(event: Event) -> bytes | None:
    return json.dumps([event.number, event.at.isoformat(), event.kind, event.body]).encode()


FEEDS = tuple(Feed(sink, told_record, told_event) for sink in TOLD)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store", "demo", retry_s=0.05, feeds=FEEDS)
    yield opened
    opened.close()


def waiting(store: Store, sink: str = "alpha") -> list[list[object]]:
    return [json.loads(parcel.body) for parcel in store.outbox(sink).parcels(10_000, 10**9)]


def request(name: str) -> Request:
    return Request(name, RequestKind.MANUAL, "anna", at(3600), Interval(0.0, 5.0), "ac1")


def test_every_sink_gets_records_and_events_until_it_says_that_it_has_them(store: Store) -> None:
    for second in range(3):
        store.record(at(second), {"a_kw": float(second)})
    store.record(at(3), {"silent": 0.0})
    store.enter(AlarmRaised(at(4), "ac1: silent"))
    assert store.flush()
    parcels = store.outbox("alpha").parcels(100, 10**6)
    assert [parcel.at for parcel in parcels] == [at(0), at(1), at(2), at(4)]
    assert json.loads(parcels[0].body) == [at(0).isoformat(), ["a_kw", 0.0]]
    assert json.loads(parcels[3].body) == [1, at(4).isoformat(), "alarm_raised", {"alarm": "ac1: silent"}]
    store.outbox("alpha").delivered(parcels[1].number)
    assert [parcel.at for parcel in store.outbox("alpha").parcels(100, 10**6)] == [at(2), at(4)]
    assert store.flush()
    backlog = store.outbox("alpha").backlog()
    assert (backlog.count, backlog.oldest_at, backlog.dropped) == (2, at(2), 0)
    assert store.outbox("beta").backlog().count == 4


def test_what_is_taken_is_bounded_by_number_and_size_but_never_nothing(store: Store) -> None:
    for second in range(10):
        store.record(at(second), {"a_kw": 1.0, "b_kw": 2.0})
    assert store.flush()
    outbox = store.outbox("alpha")
    size_bytes = len(outbox.parcels(1, 0)[0].body)
    assert len(outbox.parcels(4, 10**6)) == 4
    assert len(outbox.parcels(100, 3 * size_bytes + 1)) == 3


def test_every_kind_of_event_is_told_as_plain_data(store: Store) -> None:
    plan = Plan(at(0), at(0), 900.0, at(3600), {"ac1": (1.0,)}, {}, float("nan"), PlanOrigin.RULES)
    leave_request(store.directory, request("left"), at(1))
    withdraw_request(store.directory, "left", at(2))
    for row in (
        CommandRow(at(0), "ac1", 5, 30, True, ("plan: 5 kW",)),
        CommandRow(at(0), "ac1", None, None, False, ("withheld",)),
        AlarmRaised(at(1), "late"),
        AlarmRaised(at(2), "late"),
        AlarmCleared(at(3), "late"),
        AlarmCleared(at(4), "late"),
        SessionEnded(PastSession("car", "ac1", at(0), at(5), 12.5, None, at(9))),
        RequestRefused(at(6), "odd", "mqtt", "expired"),
        PlanMade(plan),
        RequestMade(at(8), request("own")),
    ):
        store.enter(row)
    assert store.flush()
    told = {str(kind): body for _, _, kind, body in waiting(store)}
    assert [entry[0] for entry in waiting(store)] == list(range(1, 11))
    assert told["command"] == {
        "asset_id": "ac1",
        "power_kw": None,
        "lease_s": None,
        "makes_room": False,
        "reasons": ["withheld"],
    }
    assert told["session_ended"] == {
        "session_id": "car",
        "connector_id": "ac1",
        "plugged_in_at": at(0).isoformat(timespec="microseconds"),
        "unplugged_at": at(5).isoformat(timespec="microseconds"),
        "energy_kwh": 12.5,
        "requested_kwh": None,
        "estimated_unplug_at": at(9).isoformat(timespec="microseconds"),
    }
    assert told["request_refused"] == {"request_id": "odd", "owner": "mqtt", "cause": "expired"}
    assert told["request_withdrawn"] == {"request_id": "left"}
    assert told["request"]["kind"] == "manual"  # type: ignore[index]
    assert told["plan"]["targets_kw"] == {"ac1": [1.0]}  # type: ignore[index]
    assert told["alarm_cleared"] == {"alarm": "late"}


def test_a_restart_goes_on_where_the_sink_and_the_audit_were(tmp_path: Path) -> None:
    first = Store(tmp_path, "demo", feeds=FEEDS)
    first.enter(AlarmRaised(at(0), "one"))
    first.record(at(1), {"a_kw": 1.0})
    assert first.flush()
    first.outbox("alpha").delivered(first.outbox("alpha").parcels(1, 1)[0].number)
    assert first.close()
    unfed = Store(tmp_path, "demo")
    unfed.enter(AlarmRaised(at(2), "two"))
    assert unfed.close()
    again = Store(tmp_path, "demo", feeds=FEEDS)
    again.enter(AlarmRaised(at(3), "three"))
    assert again.flush()
    assert [str(entry).count("alarm_raised") for entry in waiting(again, "beta")].count(1) == 3
    assert len(waiting(again)) == 3
    assert again.close()


def test_a_sink_that_is_new_begins_with_what_comes(tmp_path: Path) -> None:
    old = Store(tmp_path, "demo")
    old.enter(AlarmRaised(at(0), "old"))
    assert old.close()
    store = Store(tmp_path, "demo", feeds=FEEDS)
    store.enter(AlarmRaised(at(1), "new"))
    assert store.flush()
    assert [entry[3] for entry in waiting(store)] == [{"alarm": "new"}]
    assert store.close()


def test_a_feed_that_raises_is_counted_and_stops_neither_the_store_nor_others(tmp_path: Path) -> None:
    def broken(*_: object) -> bytes:
        raise AssertionError("no such field")

    feeds = (Feed("broken", broken, broken), *FEEDS)
    store = Store(tmp_path, "demo", feeds=feeds)
    store.record(at(0), {"a_kw": 1.0})
    store.enter(AlarmRaised(at(0), "one"))
    assert store.flush()
    assert (store.status.feed_errors, store.status.feed_cause) == (2, "broken: no such field")
    assert (store.status.errors, len(waiting(store)), len(waiting(store, "broken"))) == (0, 2, 0)
    assert store.close()


def capped(tmp_path: Path, caps: OutboxCaps) -> Store:
    return Store(tmp_path, "demo", feeds=FEEDS[:1], keeping=Keeping(outbox=caps))


def test_where_too_much_waits_the_oldest_records_go_and_are_counted_and_events_stay(tmp_path: Path) -> None:
    store = capped(tmp_path, OutboxCaps(size_bytes=4000))
    store.enter(AlarmRaised(at(0), "the first"))
    assert store.flush()
    for second in range(500):
        store.record(at(second), {"a_kw": float(second)})
    assert store.flush()
    backlog = store.outbox("alpha").backlog()
    found = waiting(store)
    assert backlog.size_bytes <= 4000
    assert backlog.dropped == 501 - backlog.count > 0
    assert (len(found), found[0][2], found[-1][0]) == (backlog.count, "alarm_raised", at(499).isoformat())
    assert store.close()


def test_what_waits_for_too_long_goes_but_few_at_once_since_a_clock_may_be_wrong(tmp_path: Path) -> None:
    store = capped(tmp_path, OutboxCaps(age=timedelta(hours=1)))
    for second in range(100):
        store.record(at(second), {"a_kw": 1.0})
    store.record(at(10_000_000), {"a_kw": 1.0})
    for second in range(101, 111):
        store.record(at(second), {"a_kw": 1.0})
    assert store.flush()
    assert store.outbox("alpha").backlog().dropped == 2
    for second in range(100):
        store.record(at(20_000_000 + second), {"a_kw": 1.0})
    assert store.flush()
    assert (
        waiting(store)[0][0] == at(20_000_000 - 10_000_000).isoformat()
        or waiting(store)[0][0] >= at(99).isoformat()
    )
    assert store.outbox("alpha").backlog().dropped >= 110
    assert store.close()


def test_a_dead_letter_is_kept_with_its_cause(store: Store) -> None:
    store.outbox("alpha").refuse(at(5), b"a line", "field type conflict")
    assert store.flush()
    connection = sqlite3.connect(store.directory / "history.db")
    row = connection.execute("SELECT sink, cause FROM dead_letter").fetchone()
    connection.close()
    assert row == ("alpha", "field type conflict")


@pytest.mark.parametrize("statement", ["UPDATE audit SET at = ''", "DELETE FROM audit"])
def test_the_audit_is_append_only(store: Store, statement: str) -> None:
    store.enter(AlarmRaised(at(0), "one"))
    assert store.flush()
    connection = sqlite3.connect(store.directory / "ledger.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_a_closed_store_has_nothing_waiting_and_nothing_raises(store: Store) -> None:
    outbox = store.outbox("alpha")
    store.record(at(0), {"a_kw": 1.0})
    assert store.close()
    assert outbox.parcels(10, 1000) == []
    outbox.delivered(1)
