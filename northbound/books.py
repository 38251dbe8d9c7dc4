"""Both files as the store's thread has them open: every method runs in that thread and writes in one transaction."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from northbound import audit, journal, ledger
from northbound.audit import Chain
from northbound.database import open_for_writing
from northbound.feed import Feed
from northbound.journal import Journal
from northbound.outbox import Act, Feeder, OutboxCaps
from northbound.reader import live_requests
from northbound.rows import LedgerRow
from station.request import Request

HistoryItem = tuple[datetime, Mapping[str, float] | None]
"""A cycle's record, or None for a sign of life; with its time."""

BAD_ROW = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    ArithmeticError,
    TypeError,
    ValueError,
)
"""What a row is to blame for, and not the disk."""

EVENTS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and how much is kept. The ledger is kept for ever."""

    history: timedelta = timedelta(days=90)
    outbox: OutboxCaps = field(default_factory=OutboxCaps)


class Books:
    """The two files of ``site_id`` in ``directory``; opened when they are needed, and again after trouble."""

    def __init__(self, directory: Path, site_id: str, keeping: Keeping, feeds: Sequence[Feed]) -> None:
        self._directory, self._site_id = directory, site_id
        self._keeping, self._feeds = keeping, tuple(feeds)
        self._ledger: sqlite3.Connection | None = None
        self._history: sqlite3.Connection | None = None
        self._journal: Journal | None = None
        self._feeder: Feeder | None = None
        self._seen_at: datetime | None = None
        self.requests: tuple[Request, ...] = ()

    @property
    def feed_errors(self) -> tuple[int, str]:
        """Return how many messages could not be made for a sink, and the last cause."""
        return (0, "") if self._feeder is None else (self._feeder.errors, self._feeder.cause)

    def open(self) -> None:
        """Open both files; raise ``ConfigError`` where they belong elsewhere, else what SQLite raises."""
        self._open_ledger()
        self._open_history()

    def close(self) -> int:
        """Close both files."""
        for connection in (self._ledger, self._history):
            if connection is not None:
                connection.close()
        self._ledger = self._history = self._journal = None
        return 0

    def write_ledger(self, rows: Sequence[LedgerRow]) -> int:
        """Enter a batch and return how many rows were at fault themselves and left out."""
        connection = self._open_ledger()

        def enter_all() -> int:
            chain = Chain(connection)
            return sum(not _entered(connection, chain, row) for row in rows)

        return _transaction(connection, enter_all)

    def write_history(self, items: Sequence[HistoryItem]) -> int:
        """Enter a batch, with what it means to the sinks; return how many items were at fault themselves."""
        connection, written, feeder = self._open_history()
        try:
            refused = _transaction(
                connection, lambda: sum(not self._added(written, feeder, *item) for item in items)
            )
        except BaseException:
            self._journal = None  # what it knows may have been taken back
            raise
        self._seen_at = items[-1][0]
        return refused

    def write_acts(self, acts: Sequence[Act]) -> int:
        """Do what sinks told."""
        connection, _, feeder = self._open_history()

        def act_all() -> int:
            for act in acts:
                feeder.act(act)
            return 0

        return _transaction(connection, act_all)

    def between(self) -> int:
        """Take up the wishes that others left, and give the sinks what is new in the audit."""
        connection = self._open_ledger()
        if ledger.has_unheard(connection):
            _transaction(connection, lambda: ledger.take_up_requests(connection, Chain(connection)))
        self.requests = live_requests(connection, self._seen_at)
        if self._feeds:
            self._feed_events(connection)
        return 0

    def _feed_events(self, entries: sqlite3.Connection) -> None:
        connection, _, feeder = self._open_history()
        given, (last, _) = feeder.next_event(), audit.head_of(entries)
        while given < last:
            events = audit.events_after(entries, given, EVENTS_AT_ONCE)
            _transaction(connection, lambda events=events: feeder.events(events))  # type: ignore[misc]
            given = feeder.next_event()

    def _open_ledger(self) -> sqlite3.Connection:
        if self._ledger is None:
            file = self._directory / ledger.FILE
            self._ledger = open_for_writing(file, self._site_id, ledger.SCHEMA, "FULL")
        return self._ledger

    def _open_history(self) -> tuple[sqlite3.Connection, Journal, Feeder]:
        if self._history is None:
            file = self._directory / journal.FILE
            self._history = open_for_writing(file, self._site_id, journal.SCHEMA, "NORMAL")
            self._feeder = None
        if self._feeder is None:
            feeder = Feeder(self._history, self._feeds, self._keeping.outbox)
            last, _ = audit.head_of(self._open_ledger())
            _transaction(self._history, lambda: feeder.begin(last))
            self._feeder = feeder
        if self._journal is None:
            self._journal = Journal(self._history)
        return self._history, self._journal, self._feeder

    def _added(
        self, written: Journal, feeder: Feeder, at: datetime, values: Mapping[str, float] | None
    ) -> bool:
        try:
            if values is None:
                written.beat(at)
                return True
            if written.add(at, values):
                written.prune(at - self._keeping.history)
        except BAD_ROW:
            return False
        feeder.record(at, values)
        return True


def _entered(connection: sqlite3.Connection, chain: Chain, row: LedgerRow) -> bool:
    """Enter one row inside a transaction; return False, with nothing of it entered, where the row is at fault."""
    connection.execute("SAVEPOINT one_row")
    try:
        ledger.enter(connection, chain, row)
    except BAD_ROW:
        connection.execute("ROLLBACK TO one_row")
        return False
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE one_row")
    return True


def _transaction(connection: sqlite3.Connection, action: Callable[[], int]) -> int:
    """Run ``action`` so that either all of it or nothing is on disk."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = action()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result
