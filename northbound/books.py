"""Both files as the store's thread has them open: every method runs in that thread and writes in one transaction."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from northbound import audit, journal, ledger
from northbound.audit import Chain
from northbound.chunk import pack_row
from northbound.database import Layout, micros, open_for_writing, transaction
from northbound.feed import Feed
from northbound.journal import Journal
from northbound.moving import move_on
from northbound.outbox import Act, Feeder
from northbound.reader import live_requests
from northbound.rows import LedgerRow
from northbound.trim import Keeping, Trimmer
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

LEDGER = Layout(ledger.SCHEMA, "FULL", move_on)
HISTORY = Layout(journal.SCHEMA, "NORMAL")


class Books:
    """The two files of ``site_id`` in ``directory``; opened when they are needed, and again after trouble."""

    def __init__(self, directory: Path, site_id: str, keeping: Keeping, feeds: Sequence[Feed]) -> None:
        self._directory, self._site_id = directory, site_id
        self._keeping, self._feeds = keeping, tuple(feeds)
        self._ledger: sqlite3.Connection | None = None
        self._history: sqlite3.Connection | None = None
        self._journal: Journal | None = None
        self._trimmer: Trimmer | None = None
        self._feeder: Feeder | None = None
        self._seen_at: datetime | None = None
        self.requests: tuple[Request, ...] = ()
        self.notices: tuple[str, ...] = ()

    @property
    def feed_errors(self) -> tuple[int, str]:
        """Return how many messages could not be made for a sink, and the last cause."""
        return (0, "") if self._feeder is None else (self._feeder.errors, self._feeder.cause)

    def open(self) -> None:
        """Open both files; raise ``ConfigError`` where they belong elsewhere, else what SQLite raises."""
        self._open_ledger()
        self._open_feeder()
        self._open_journal()

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

        return transaction(connection, enter_all)

    def write_history(self, items: Sequence[HistoryItem]) -> int:
        """Enter a batch, with what it means to the sinks; return how many items were at fault themselves."""
        connection = self._open_history()
        self._open_feeder()
        try:
            refused = transaction(connection, lambda: sum(not self._added(*item) for item in items))
        except BaseException:
            self._journal = None  # what it knows may have been taken back
            raise
        self._seen_at = items[-1][0]
        return refused

    def write_acts(self, acts: Sequence[Act]) -> int:
        """Do what sinks told."""
        connection, feeder = self._open_history(), self._open_feeder()

        def act_all() -> int:
            for act in acts:
                feeder.act(act)
            return 0

        return transaction(connection, act_all)

    def between(self) -> int:
        """Take up the wishes that others left, and give the sinks what is new in the audit."""
        connection = self._open_ledger()
        if ledger.has_unheard(connection):
            transaction(connection, lambda: ledger.take_up_requests(connection, Chain(connection)))
        self.requests = live_requests(connection, self._seen_at)
        if self._feeds:
            self._feed_events(connection)
        return 0

    def _feed_events(self, entries: sqlite3.Connection) -> None:
        connection, feeder = self._open_history(), self._open_feeder()
        given, (last, _) = feeder.next_event(), audit.head_of(entries)
        while given < last:
            events = audit.events_after(entries, given, EVENTS_AT_ONCE)
            transaction(connection, lambda events=events: feeder.events(events))  # type: ignore[misc]
            given = feeder.next_event()

    def _added(self, at: datetime, values: Mapping[str, float] | None) -> bool:
        """Enter a record or a sign of life inside a transaction; return False where it is at fault itself."""
        written = self._open_journal()
        try:
            at_us = micros(at)
            names, body = tuple(values or ()), pack_row(tuple((values or {}).values()))
        except BAD_ROW:
            return False
        if values is None:
            written.beat(at_us)
            return True
        written.add(at_us, names, body)
        if self._trimmer is not None:
            self._trimmer.trim(at, written.pace)
        self._open_feeder().record(at, values)
        return True

    def _open_ledger(self) -> sqlite3.Connection:
        if self._ledger is None:
            self._ledger = self._open(ledger.FILE, LEDGER)
        return self._ledger

    def _open_history(self) -> sqlite3.Connection:
        if self._history is None:
            self._history = self._open(journal.FILE, HISTORY)
            self._journal = self._feeder = None
            self._trimmer = Trimmer(self._history, self._keeping)
        return self._history

    def _open_journal(self) -> Journal:
        if self._journal is None:
            self._journal = Journal(self._open_history())
        return self._journal

    def _open_feeder(self) -> Feeder:
        if self._feeder is None:
            connection = self._open_history()
            feeder = Feeder(connection, self._feeds, self._keeping.outbox)
            last, _ = audit.head_of(self._open_ledger())
            transaction(connection, lambda: feeder.begin(last))
            self._feeder = feeder
        return self._feeder

    def _open(self, name: str, layout: Layout) -> sqlite3.Connection:
        connection, notice = open_for_writing(self._directory / name, self._site_id, layout)
        if notice:
            self.notices = (*self.notices, notice)
        return connection


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
