"""The store of one site: a directory with ``history.db`` and ``ledger.db``. The only writer is this process.

The loop calls the methods here and never waits: they put an immutable item into a queue. Timestamps are arguments.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from northbound import journal
from northbound.books import Books, HistoryItem
from northbound.feed import Feed, Outbox
from northbound.outbox import StoredOutbox
from northbound.rows import LedgerRow, StateSaved
from northbound.trim import Keeping
from northbound.writer import RETRY_S, Sinks, StoreStatus, Writer
from station.clock import Instant
from station.decision import ControlState
from station.errors import ConfigError
from station.request import Request


class Store:
    """History and ledger of ``site_id`` in ``directory``.

    Raises ``ConfigError`` where the directory can't be used, belongs to another site, or another controller writes it.
    Trouble with the disk never raises: see ``status``.
    """

    def __init__(
        self,
        directory: Path,
        site_id: str,
        *,
        keeping: Keeping | None = None,
        retry_s: float = RETRY_S,
        feeds: Sequence[Feed] = (),
    ) -> None:
        """Open the store, made new where there is none; ``feeds`` are what its sinks want to be told."""
        self.directory = directory
        self._outboxes: dict[str, StoredOutbox] = {}
        self._lock: int | None = _locked(directory)
        self._books = Books(directory, site_id, keeping or Keeping(), feeds)
        self._open_at_start()
        sinks = Sinks(
            self._books.write_ledger,
            self._books.write_history,
            self._books.between,
            self._books.close,
            self._books.write_acts,
        )
        self._writer: Writer[LedgerRow, HistoryItem] = Writer(sinks, retry_s)
        self._writer.start()

    @property
    def status(self) -> StoreStatus:
        """Return error counters, the last cause, and what waits."""
        errors, cause = self._books.feed_errors
        return replace(self._writer.status, feed_errors=errors, feed_cause=cause)

    @property
    def notices(self) -> tuple[str, ...]:
        """Return a line for each file that was moved aside or brought to this version."""
        return self._books.notices

    @property
    def requests(self) -> tuple[Request, ...]:
        """Return the wishes that others left and that have not been withdrawn; the caller checks their expiry."""
        return self._books.requests

    @property
    def written(self) -> int:
        """Return the number of the last ledger row that is on disk."""
        return self._writer.ledger_written

    @property
    def recorded(self) -> int:
        """Return the number of the last record or sign of life that is on disk."""
        return self._writer.history_written

    def enter(self, row: LedgerRow) -> int:
        """Queue a ledger row and return its number; it is on disk once ``written`` has reached it."""
        return self._writer.put_ledger(row)

    def save_state(self, state: ControlState, now: Instant) -> int:
        """Queue what a restart needs; the month's peak is kept with it."""
        return self.enter(StateSaved(now, state))

    def record(self, at: datetime, values: Mapping[str, float]) -> int:
        """Queue one cycle's record and return its number; it is on disk once ``recorded`` has reached it."""
        return self._writer.put_history((at, values))

    def effective(self, at: datetime) -> None:
        """Queue the sign of life that ``heliodock health`` looks for: control was effective at ``at``."""
        self._writer.put_history((at, None))

    def outbox(self, sink: str) -> Outbox:
        """Return what waits for a sink. It works until the store is closed."""
        if sink not in self._outboxes:
            self._outboxes[sink] = StoredOutbox(self.directory / journal.FILE, sink, self._writer.put_act)
        return self._outboxes[sink]

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was queued is on disk and in the outboxes; not for the loop."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what waits and end; return whether all is on disk. A second call does nothing more."""
        for outbox in self._outboxes.values():
            outbox.close()
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
            self._books.open()
        except (sqlite3.OperationalError, OSError):
            self._books.close()
        except ConfigError:
            self._books.close()
            self._unlock()
            raise


@contextmanager
def keeping_out(directory: Path) -> Iterator[None]:
    """Hold a store's lock for the block, so that no controller runs on its site; nothing is made where there is none.

    Raises ``ConfigError`` where a controller holds it.
    """
    if not directory.is_dir():
        yield
        return
    handle = _locked(directory)
    try:
        yield
    finally:
        os.close(handle)


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
