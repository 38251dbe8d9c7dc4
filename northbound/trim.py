"""What is kept of the history, and for how long. A little goes with each cycle, so that no commit is long.

A clock that is wrong for an hour must not cost the history: what is too old goes twice as fast as it comes, no faster.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from northbound.database import micros
from northbound.journal import KEY
from northbound.outbox import OutboxCaps
from northbound.rollup import HOUR_US

FULL_AT_ONCE = 8
"""Chunks or rollups that may go with each cycle where the file is too large, at least."""

BLOCKS_PER_HOUR = 6

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
        self._chunks_due = self._rollups_due = 0.0

    def trim(self, at: datetime, share: float) -> None:
        """Delete some of what is too old at ``at`` or too much; ``share`` is how many chunks a cycle comes to."""
        free = self._pragma("freelist_count")
        used_bytes = (self._pragma("page_count") - free) * self._page_bytes
        self._chunks_due = _more(self._chunks_due, share)
        self._rollups_due = _more(self._rollups_due, share / BLOCKS_PER_HOUR)
        if used_bytes > self._keeping.size_bytes:
            self._make_room(FULL_AT_ONCE + int(8.0 * share))
        else:
            before_us = micros(at - self._keeping.history)
            self._chunks_due -= self._drop_chunks(before_us, int(self._chunks_due))
            before_us = micros(at - self._keeping.rollups)
            self._rollups_due -= self._drop_rollups(before_us, int(self._rollups_due))
        if free > FREE_PAGES:
            self._connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()

    def _make_room(self, most: int) -> None:
        """Delete the oldest chunks, and where there are none left the oldest rollups."""
        if not self._drop_chunks(None, most):
            self._drop_rollups(None, most)

    def _drop_chunks(self, before_us: int | None, most: int) -> int:
        """Delete some chunks of the oldest block if it is older than ``before_us``; return how many.

        The newest block stays: later ones are numbered after it. So does one whose rows are still in the journal.
        """
        oldest = self._connection.execute(
            "SELECT block_id, last_us FROM block WHERE is_done = 1 AND last_id < (SELECT MIN(id) FROM cycle)"
            " AND block_id < (SELECT MAX(block_id) FROM block) ORDER BY last_us LIMIT 1"
        ).fetchone()
        if not most or oldest is None or (before_us is not None and oldest[1] >= before_us):
            return 0
        first, end = oldest[0] * KEY, (oldest[0] + 1) * KEY
        gone = self._connection.execute(
            "DELETE FROM chunk WHERE id IN (SELECT id FROM chunk WHERE id >= ? AND id < ? LIMIT ?)",
            (first, end, most),
        ).rowcount
        self._connection.execute(
            "DELETE FROM block WHERE block_id = ?"
            " AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.id >= ? AND chunk.id < ?)",
            (oldest[0], first, end),
        )
        return int(gone)

    def _drop_rollups(self, before_us: int | None, most: int) -> int:
        """Delete the oldest rollups, some of those before ``before_us``; return how many."""
        before = (1 << 62) if before_us is None else before_us // HOUR_US * KEY
        gone = self._connection.execute(
            "DELETE FROM rollup WHERE id IN (SELECT id FROM rollup WHERE id < ? ORDER BY id LIMIT ?)",
            (before, most),
        )
        return int(gone.rowcount)

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _more(due: float, share: float) -> float:
    """Return how many rows may go by now: twice as many as come, and none saved up."""
    return min(due + 2.0 * share, max(1.0, 2.0 * share))
