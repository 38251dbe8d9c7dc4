"""The outbox: messages that wait for a sink, in the history's file, entered with the record that they tell of.

Messages are made here, in the store's thread, by the sinks' feeds. Where too much waits, or it waits for too long, the
oldest records are dropped and counted; events never are.
"""

import contextlib
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from northbound.database import from_micros, micros, open_for_reading
from northbound.feed import Backlog, Event, Feed, Parcel
from station.errors import ConfigError

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, at_us INTEGER NOT NULL, body BLOB NOT NULL,
    is_event INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_order ON outbox (sink, id);
CREATE INDEX IF NOT EXISTS outbox_records ON outbox (sink, id) WHERE is_event = 0;
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, at_us INTEGER NOT NULL, cause TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS fed (
    sink TEXT PRIMARY KEY, event_number INTEGER NOT NULL, waiting INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
"""

DEAD_LETTERS = 10_000
"""Dead letters that are kept of all sinks; the oldest go first."""

OLD_AT_ONCE = 2
"""Records that may be dropped as too old for each one that comes: few, because a clock may be wrong."""

FULL_AT_ONCE = 1_000
"""Records that may be dropped for want of space for each one that comes."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A sink has every message up to ``number``."""

    sink: str
    number: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A sink will never take this message."""

    sink: str
    at: datetime
    body: bytes
    cause: str


Act = Delivered | DeadLetter
"""What a sink tells the store's thread."""


@dataclass(frozen=True, slots=True)
class OutboxCaps:
    """What may wait for one sink, as it lies on disk (compressed)."""

    size_bytes: int = 2_000_000_000
    age: timedelta = timedelta(days=14)


class Feeder:
    """Makes messages and enters them through one connection; call it inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, feeds: Sequence[Feed], caps: OutboxCaps) -> None:
        """Use ``connection``, whose tables exist."""
        self._connection = connection
        self._feeds = feeds
        self._caps = caps
        self.errors = 0
        self.cause = ""

    def begin(self, last_event: int) -> int:
        """Let sinks that are new begin after ``last_event``; no sink may wait for events of a ledger that is gone."""
        begun = [(feed.sink, last_event) for feed in self._feeds]
        self._connection.executemany("INSERT OR IGNORE INTO fed (sink, event_number) VALUES (?, ?)", begun)
        self._connection.execute("UPDATE fed SET event_number = MIN(event_number, ?)", (last_event,))
        return 0

    def record(self, at: datetime, values: Mapping[str, float]) -> None:
        """Enter what a cycle's record means to each sink."""
        for feed in self._feeds:
            body = self._made(feed, lambda told=feed.of_record: told(at, values))  # type: ignore[misc]
            if body is not None:
                self._enter(feed.sink, at, body, is_event=False)
                self._limit(feed.sink, at)

    def next_event(self) -> int:
        """Return the number of the last event that every sink was given."""
        sinks = {feed.sink for feed in self._feeds}
        rows = self._connection.execute("SELECT sink, event_number FROM fed").fetchall()
        return min((number for sink, number in rows if sink in sinks), default=0)

    def events(self, events: Sequence[Event]) -> int:
        """Enter what events mean to each sink, once."""
        given = dict(self._connection.execute("SELECT sink, event_number FROM fed").fetchall())
        for feed in self._feeds:
            for event in events:
                if event.number <= given[feed.sink]:
                    continue
                body = self._made(feed, lambda told=feed.of_event, event=event: told(event))  # type: ignore[misc]
                if body is not None:
                    self._enter(feed.sink, event.at, body, is_event=True)
            last = max((event.number for event in events), default=0)
            self._connection.execute(
                "UPDATE fed SET event_number = MAX(event_number, ?) WHERE sink = ?", (last, feed.sink)
            )
        return 0

    def act(self, act: Act) -> None:
        """Do what a sink told."""
        if isinstance(act, DeadLetter):
            row = (act.sink, micros(act.at), act.cause, zlib.compress(act.body, 1))
            self._connection.execute(
                "INSERT INTO dead_letter (sink, at_us, cause, body) VALUES (?, ?, ?, ?)", row
            )
            self._connection.execute(
                "DELETE FROM dead_letter WHERE id <= (SELECT MAX(id) FROM dead_letter) - ?", (DEAD_LETTERS,)
            )
            return
        where, values = "sink = ? AND id <= ?", (act.sink, act.number)
        count, size_bytes = self._connection.execute(
            f"SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM outbox WHERE {where}", values
        ).fetchone()
        self._connection.execute(f"DELETE FROM outbox WHERE {where}", values)
        self._tally(act.sink, -count, -size_bytes)

    def _made(self, feed: Feed, make: Callable[[], bytes | None]) -> bytes | None:
        try:
            return make()
        except Exception as refused:  # noqa: BLE001  whatever a feed throws, the store goes on
            self.errors += 1
            self.cause = f"{feed.sink}: {str(refused) or type(refused).__name__}"
            return None

    def _enter(self, sink: str, at: datetime, body: bytes, *, is_event: bool) -> None:
        packed = zlib.compress(body, 1)
        self._connection.execute(
            "INSERT INTO outbox (sink, at_us, body, is_event) VALUES (?, ?, ?, ?)",
            (sink, micros(at), packed, int(is_event)),
        )
        self._tally(sink, 1, len(packed))

    def _limit(self, sink: str, at: datetime) -> None:
        """Drop the oldest records while too much waits, and a few that wait for too long."""
        size_bytes = self._connection.execute("SELECT size_bytes FROM fed WHERE sink = ?", (sink,)).fetchone()
        over_bytes = int(size_bytes[0]) - self._caps.size_bytes
        oldest_us = micros(at - self._caps.age)
        rows = self._connection.execute(
            "SELECT id, at_us, LENGTH(body) FROM outbox WHERE sink = ? AND is_event = 0 ORDER BY id LIMIT ?",
            (sink, FULL_AT_ONCE if over_bytes > 0 else OLD_AT_ONCE),
        ).fetchall()
        gone: list[tuple[int]] = []
        freed_bytes = 0
        for number, at_us, length in rows:
            is_old = at_us < oldest_us and len(gone) < OLD_AT_ONCE
            if freed_bytes >= over_bytes and not is_old:
                break
            gone.append((number,))
            freed_bytes += length
        if gone:
            self._connection.executemany("DELETE FROM outbox WHERE id = ?", gone)
            self._tally(sink, -len(gone), -freed_bytes, dropped=len(gone))

    def _tally(self, sink: str, count: int, size_bytes: int, dropped: int = 0) -> None:
        self._connection.execute(
            "UPDATE fed SET waiting = waiting + ?, size_bytes = size_bytes + ?, dropped = dropped + ?"
            " WHERE sink = ?",
            (count, size_bytes, dropped, sink),
        )


class StoredOutbox:
    """One sink's side of the outbox (``northbound.feed.Outbox``): reads beside the writer, and lets it write."""

    def __init__(self, file: Path, sink: str, tell: Callable[[Act], None]) -> None:
        """Read ``file``; ``tell`` hands an act to the store's thread."""
        self._file, self._sink, self._tell = file, sink, tell
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._delivered = 0
        self._backlog = Backlog(0, 0, None)

    def parcels(self, most: int, most_bytes: int) -> list[Parcel]:
        """Return the oldest messages that are not delivered; none for now where the file can't be read."""
        found: list[Parcel] = []
        with self._lock, contextlib.suppress(sqlite3.Error, ConfigError):
            room_bytes = most_bytes
            rows = self._open().execute(
                "SELECT id, at_us, body FROM outbox WHERE sink = ? AND id > ? ORDER BY id LIMIT ?",
                (self._sink, self._delivered, most),
            )
            for number, at_us, packed in rows:
                body = zlib.decompress(packed)
                room_bytes -= len(body)
                if found and room_bytes < 0:
                    break
                found.append(Parcel(int(number), from_micros(at_us), body))
            rows.close()
        return found

    def delivered(self, number: int) -> None:
        """Forget every message up to ``number``: the sink has it."""
        with self._lock:
            self._delivered = max(self._delivered, number)
        self._tell(Delivered(self._sink, number))

    def refuse(self, at: datetime, body: bytes, cause: str) -> None:
        """Keep a message, or part of one, as a dead letter: the sink will never take it."""
        self._tell(DeadLetter(self._sink, at, body, cause))

    def backlog(self) -> Backlog:
        """Return what waits; what was said to be delivered counts until it is deleted."""
        with self._lock, contextlib.suppress(sqlite3.Error, ConfigError):
            self._backlog = backlogs(self._open()).get(self._sink, Backlog(0, 0, None))
        return self._backlog

    def close(self) -> None:
        """Close the connection; nothing is found any more."""
        with self._lock:
            self._is_closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._is_closed:
            raise sqlite3.ProgrammingError("the store is closed")
        if self._connection is None:
            self._connection = open_for_reading(self._file)
        return self._connection


def backlogs(connection: sqlite3.Connection) -> dict[str, Backlog]:
    """Return what waits for each sink."""
    rows = connection.execute(
        "SELECT sink, waiting, size_bytes, dropped, (SELECT at_us FROM outbox WHERE outbox.sink = fed.sink"
        " ORDER BY id LIMIT 1) FROM fed ORDER BY sink"
    ).fetchall()
    return {
        sink: Backlog(count, size_bytes, None if at_us is None else from_micros(at_us), dropped)
        for sink, count, size_bytes, dropped, at_us in rows
    }
