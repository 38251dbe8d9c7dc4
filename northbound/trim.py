"""What is kept of the history, and for how long. A little goes with each cycle, so that no commit is long.

A clock that is wrong for an hour must not cost the history: what is too old goes hardly faster than it comes.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from northbound.database import micros
from northbound.journal import KEY
from northbound.outbox import OutboxCaps
from northbound.rollup import HOUR_US

LEAST_AT_ONCE = 8
"""Chunks or rollups that may go with each cycle, at least."""

FREE_PAGES = 2_560
"""Pages that may stay free in the file; they are soon used again."""

VACUUM_PAGES = 32
"""Free pages beyond those that are given back with each cycle."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long and how much is kept. The ledger is kept for ever.

    ``history`` is for single cycles and ``rollups`` for minutes. Where ``history.db`` grows beyond ``size_bytes``, the
    oldest cycles go first, and when there are none left the oldest rollups.
    """

    history: timedelta = timedelta(days=90)
    rollups: timedelta = timedelta(days=5 * 365.25)
    size_bytes: int = 16_000_000_000
    outbox: OutboxCaps = field(default_factory=OutboxCaps)


class Trimmer:
    """Deletes through one connection; call it inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, keeping: Keeping) -> None:
        """Use ``connection``, whose tables exist."""
        self._connection = connection
        self._keeping = keeping
        self._page_bytes = self._pragma("page_size")

    def trim(self, at: datetime, pace: int) -> None:
        """Delete some of what is too old at ``at`` or too much; ``pace`` is how many chunks come with a cycle."""
        most = max(2 * pace, LEAST_AT_ONCE)
        free = self._pragma("freelist_count")
        used_bytes = (self._pragma("page_count") - free) * self._page_bytes
        is_full = used_bytes > self._keeping.size_bytes
        has_block = self._drop_chunks(None if is_full else micros(at - self._keeping.history), most)
        self._drop_rollups(micros(at - self._keeping.rollups), most)
        if is_full and not has_block:
            self._drop_rollups(None, most)
        if free > FREE_PAGES:
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def _drop_chunks(self, before_us: int | None, most: int) -> bool:
        """Delete some chunks of the oldest block if it is older than ``before_us``; return whether one was.

        The newest block stays: later ones are numbered after it. So does one whose rows are still in the journal.
        """
        oldest = self._connection.execute(
            "SELECT block_id, last_us FROM block WHERE is_done = 1 AND last_id < (SELECT MIN(id) FROM cycle)"
            " AND block_id < (SELECT MAX(block_id) FROM block) ORDER BY last_us LIMIT 1"
        ).fetchone()
        if oldest is None or (before_us is not None and oldest[1] >= before_us):
            return False
        block_id = int(oldest[0])
        gone = self._connection.execute(
            "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE id >= ? AND id < ? LIMIT ?)",
            (block_id * KEY, (block_id + 1) * KEY, most),
        )
        if gone.rowcount < most:
            self._connection.execute("DELETE FROM block WHERE block_id = ?", (block_id,))
        return True

    def _drop_rollups(self, before_us: int | None, most: int) -> None:
        """Delete the oldest rollups, some of those before ``before_us``."""
        before = (1 << 62) if before_us is None else before_us // HOUR_US * KEY
        self._connection.execute(
            "DELETE FROM rollup WHERE id IN (SELECT id FROM rollup WHERE id < ? ORDER BY id LIMIT ?)",
            (before, most),
        )

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
