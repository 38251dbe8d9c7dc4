"""The store of one site: a directory with ``history.db`` and ``ledger.db``. The only writer is this process.

The loop calls the methods here and never waits: they put an immutable item into a queue. Timestamps are arguments.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from northbound import journal, ledger
from northbound.database import open_for_writing
from northbound.journal import Journal
from northbound.reader import live_requests
from northbound.rows import LedgerRow, StateSaved
from northbound.writer import RETRY_S, Sinks, StoreStatus, Writer
from station.clock import Instant
from station.decision import ControlState
from station.errors import ConfigError
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


class Store:
    """History and ledger of ``site_id`` in ``directory``.

    Raises ``ConfigError`` where the directory can't be used, belongs to another site, or another controller writes it.
    Trouble with the disk never raises: see ``status``.
    """

    def __init__(
        self, directory: Path, site_id: str, *, history_days: float = 90.0, retry_s: float = RETRY_S
    ) -> None:
        """Open the store, made new where there is none; cycles older than ``history_days`` are deleted."""
        self.directory = directory
        self.requests: tuple[Request, ...] = ()
        """Wishes that others left and that have not been withdrawn; the reader of this checks their expiry."""
        self._site_id, self._keep = site_id, timedelta(days=history_days)
        self._seen_at: datetime | None = None
        self._ledger: sqlite3.Connection | None = None
        self._history: sqlite3.Connection | None = None
        self._journal: Journal | None = None
        self._lock: int | None = _locked(directory)
        self._open_at_start()
        sinks = Sinks(self._write_ledger, self._write_history, self._read_requests, self._close_files)
        self._writer: Writer[LedgerRow, HistoryItem] = Writer(sinks, retry_s)
        self._writer.start()

    @property
    def status(self) -> StoreStatus:
        """Return error counters, the last cause, and what waits."""
        return self._writer.status

    @property
    def written(self) -> int:
        """Return the number of the last ledger row that is on disk."""
        return self._writer.ledger_written

    def enter(self, row: LedgerRow) -> int:
        """Queue a ledger row and return its number; it is on disk once ``written`` has reached it."""
        return self._writer.put_ledger(row)

    def save_state(self, state: ControlState, now: Instant) -> int:
        """Queue what a restart needs; the month's peak is kept with it."""
        return self.enter(StateSaved(now, state))

    def record(self, at: datetime, values: Mapping[str, float]) -> None:
        """Queue one cycle's record for the history."""
        self._writer.put_history((at, values))

    def effective(self, at: datetime) -> None:
        """Queue the sign of life that ``heliodock health`` looks for: control was effective at ``at``."""
        self._writer.put_history((at, None))

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was queued is on disk; not for the loop."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what waits and end; return whether all is on disk. A second call does nothing more."""
        is_done = self._writer.close(timeout_s)
        self._unlock()
        return is_done

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _open_at_start(self) -> None:
        """Open both files now, so that a wrong directory shows at once; a full disk is tried again later."""
        try:
            self._open_ledger()
            self._open_history()
        except (sqlite3.OperationalError, OSError):
            self._close_files()
        except ConfigError:
            self._close_files()
            self._unlock()
            raise

    def _open_ledger(self) -> sqlite3.Connection:
        if self._ledger is None:
            file = self.directory / ledger.FILE
            self._ledger = open_for_writing(file, self._site_id, ledger.SCHEMA, "FULL")
        return self._ledger

    def _open_history(self) -> tuple[sqlite3.Connection, Journal]:
        if self._history is None:
            file = self.directory / journal.FILE
            self._history = open_for_writing(file, self._site_id, journal.SCHEMA, "NORMAL")
        if self._journal is None:
            self._journal = Journal(self._history)
        return self._history, self._journal

    def _write_ledger(self, rows: Sequence[LedgerRow]) -> int:
        """Enter a batch and return how many rows were at fault themselves and left out."""
        connection = self._open_ledger()
        return _transaction(connection, lambda: sum(not _entered(connection, row) for row in rows))

    def _write_history(self, items: Sequence[HistoryItem]) -> int:
        connection, written = self._open_history()
        try:
            refused = _transaction(connection, lambda: sum(not self._added(written, *item) for item in items))
        except BaseException:
            self._journal = None  # what it knows may have been taken back
            raise
        self._seen_at = items[-1][0]
        return refused

    def _added(self, written: Journal, at: datetime, values: Mapping[str, float] | None) -> bool:
        try:
            if values is None:
                written.beat(at)
            elif written.add(at, values):
                written.prune(at - self._keep)
        except BAD_ROW:
            return False
        return True

    def _read_requests(self) -> int:
        self.requests = live_requests(self._open_ledger(), self._seen_at)
        return 0

    def _close_files(self) -> int:
        for connection in (self._ledger, self._history):
            if connection is not None:
                connection.close()
        self._ledger = self._history = self._journal = None
        return 0


def _entered(connection: sqlite3.Connection, row: LedgerRow) -> bool:
    """Enter one row inside a transaction; return False, with nothing of it entered, where the row is at fault."""
    connection.execute("SAVEPOINT one_row")
    try:
        for text, values in ledger.statements_of(row):
            connection.execute(text, values)
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


def _locked(directory: Path) -> int:
    """Return the handle of a lock that ends with this process; raise where another process holds it.

    A POSIX lock, because a forked solver that outlives a killed controller must not hold it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as refused:
        raise ConfigError(str(directory), 0, "", f"cannot hold the store: {refused.strerror}") from None
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as refused:
        os.close(handle)
        if refused.errno in (errno.EAGAIN, errno.EACCES):
            raise ConfigError(str(directory), 0, "", "another controller uses this store") from None
        raise ConfigError(str(directory), 0, "", f"cannot be locked: {refused.strerror}") from None
    return handle
