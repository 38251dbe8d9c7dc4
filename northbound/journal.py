"""The history's tables, and the journal that fills them: a row per cycle, later a chunk per signal and ten minutes.

A cycle's values are first one row of ``cycle``. Once ten minutes are over, its rows are a *block*: its signals' columns
are packed into chunks and joined into the one-minute rollups, a few signals with each further cycle so that no commit
is long; then its rows go, a few at a time. For each signal a row counts until the chunk is there, so a reader misses
nothing and sees nothing twice, and a killed process goes on from what is on disk.
"""

import json
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from northbound import outbox
from northbound.chunk import Singles, Whole, pack_column, pack_times
from northbound.rollup import HOUR_US, Minuted, joined, pack_hour, unpack_hours

FILE = "history.db"

BLOCK_US = 600_000_000
BLOCK_ROWS = 6_000
"""A block ends earlier where it has so many cycles."""

KEY = 1 << 20
"""A chunk's number is block × KEY + the signal's place in its set; a rollup's is hour × KEY + the signal."""

SWEEP_ROWS = 4
"""Rows of a finished block that go with each further cycle."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS signal (sig INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS signal_set (set_id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS cycle (
    id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, set_id INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS block (
    block_id INTEGER PRIMARY KEY, set_id INTEGER NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, cycles INTEGER NOT NULL, is_done INTEGER NOT NULL,
    times BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS block_span ON block (last_us, first_us, set_id);
CREATE TABLE IF NOT EXISTS chunk (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rollup (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS heartbeat (name TEXT PRIMARY KEY, at_us INTEGER NOT NULL) WITHOUT ROWID;
{outbox.SCHEMA}
"""


@dataclass
class Rows:
    """Cycles that follow each other: the block that is being formed."""

    set_id: int
    span: int
    first_id: int
    times_us: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def takes(self, set_id: int, at_us: int) -> bool:
        """Return whether one more cycle belongs to this block."""
        is_same = set_id == self.set_id and at_us // BLOCK_US == self.span
        return is_same and len(self.bodies) < BLOCK_ROWS


class Pressing:
    """A block whose signals become chunks, in the order of their set."""

    def __init__(self, block_id: int, rows: Rows, signals: Sequence[int], next_place: int = 0) -> None:
        """Go on at ``next_place``; ``signals`` are the numbers of the signals of its set."""
        self.block_id = block_id
        self.last_id = rows.first_id + len(rows.bodies) - 1
        self.times_us: Whole = np.asarray(rows.times_us, dtype=np.int64)
        self.pace = -(-2 * len(signals) // len(rows.bodies))
        """Signals per further cycle: done when half as many cycles have come as it has."""
        values: Singles = np.frombuffer(b"".join(rows.bodies), dtype="<f4")
        self._values = values.reshape(len(rows.bodies), -1)
        self._signals, self._next = signals, next_place
        self._minuted = Minuted(self.times_us, self._values)

    @property
    def is_done(self) -> bool:
        """Return whether every signal has its chunk."""
        return self._next >= len(self._signals)

    def press(self, connection: sqlite3.Connection, count: int) -> None:
        """Enter the next ``count`` signals' chunks and minutes."""
        for place in range(self._next, min(self._next + count, len(self._signals))):
            row = (self.block_id * KEY + place, pack_column(self._values[:, place]))
            connection.execute("INSERT INTO chunk VALUES (?, ?)", row)
            self._roll_up(connection, place)
            self._next = place + 1

    def _roll_up(self, connection: sqlite3.Connection, place: int) -> None:
        """Join the minutes of one signal with those that its hour has; a block lies within an hour."""
        minutes = self._minuted.of(place)
        hour = int(minutes.starts_us[0]) // HOUR_US
        key = hour * KEY + self._signals[place]
        found = connection.execute("SELECT body FROM rollup WHERE id = ?", (key,)).fetchone()
        if found is not None:
            minutes = joined([unpack_hours([(hour, found[0])]), minutes])
        connection.execute("INSERT OR REPLACE INTO rollup VALUES (?, ?)", (key, pack_hour(minutes)))


class Journal:
    """Writes the history through one connection; call it inside a transaction, and make it anew if that fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use ``connection``, whose tables exist, and go on where the last process stopped."""
        self._connection = connection
        self._sets: dict[tuple[str, ...], int] = {}
        self._signals: dict[int, list[int]] = {}
        self._swept_id = _number(connection, "SELECT MAX(last_id) FROM block WHERE is_done = 1")
        self._next_block = 1 + _number(connection, "SELECT MAX(block_id) FROM block")
        self._pressing = deque(self._unfinished())
        last_id = _number(connection, "SELECT last_id FROM block ORDER BY block_id DESC LIMIT 1")
        self._rows = _rows(connection, last_id + 1, None)
        self._next_id = last_id + 1 + (len(self._rows.bodies) if self._rows else 0)

    @property
    def pace(self) -> int:
        """Return about how many chunks come with a cycle at the most."""
        return self._pressing[0].pace if self._pressing else 2

    def add(self, at_us: int, names: tuple[str, ...], body: bytes) -> None:
        """Enter one cycle's packed values, and do a small part of what is left to do of earlier ones."""
        set_id = self._set_id(names)
        if self._rows is not None and not self._rows.takes(set_id, at_us):
            self._end_block(self._rows)
            self._rows = None
        if self._rows is None:
            self._rows = Rows(set_id, at_us // BLOCK_US, self._next_id)
        row = (self._next_id, at_us, set_id, body)
        self._connection.execute("INSERT INTO cycle VALUES (?, ?, ?, ?)", row)
        self._rows.times_us.append(at_us)
        self._rows.bodies.append(body)
        self._next_id += 1
        self._go_on()

    def beat(self, at_us: int) -> None:
        """Note that control was effective at ``at_us``."""
        self._connection.execute(
            "INSERT INTO heartbeat VALUES ('effective', ?) ON CONFLICT DO UPDATE SET at_us = excluded.at_us",
            (at_us,),
        )

    def _go_on(self) -> None:
        """Press some signals of the oldest block that is over; delete some rows of those that are done."""
        if self._pressing:
            oldest = self._pressing[0]
            oldest.press(self._connection, oldest.pace * len(self._pressing))
            if oldest.is_done:
                done = "UPDATE block SET is_done = 1 WHERE block_id = ?"
                self._connection.execute(done, (oldest.block_id,))
                self._swept_id = oldest.last_id
                self._pressing.popleft()
        self._connection.execute(
            "DELETE FROM cycle WHERE id IN (SELECT id FROM cycle WHERE id <= ? ORDER BY id LIMIT ?)",
            (self._swept_id, SWEEP_ROWS),
        )

    def _end_block(self, rows: Rows) -> None:
        block = Pressing(self._next_block, rows, self._signals_of(rows.set_id))
        span = (rows.first_id, block.last_id, min(rows.times_us), max(rows.times_us), len(rows.bodies))
        self._connection.execute(
            "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (block.block_id, rows.set_id, *span, pack_times(block.times_us)),
        )
        self._next_block += 1
        self._pressing.append(block)

    def _unfinished(self) -> list[Pressing]:
        """Return the blocks that a former process had not finished."""
        blocks = self._connection.execute(
            "SELECT block_id, first_id, last_id FROM block WHERE is_done = 0 ORDER BY block_id"
        ).fetchall()
        found = []
        for block_id, first_id, last_id in blocks:
            rows = _rows(self._connection, first_id, last_id)
            pressed = self._connection.execute(
                "SELECT COUNT(*) FROM chunk WHERE id >= ? AND id < ?", (block_id * KEY, (block_id + 1) * KEY)
            ).fetchone()
            if rows is not None:
                found.append(Pressing(block_id, rows, self._signals_of(rows.set_id), int(pressed[0])))
        return found

    def _set_id(self, names: tuple[str, ...]) -> int:
        if names not in self._sets:
            text = json.dumps(names)
            self._connection.execute("INSERT OR IGNORE INTO signal_set (names) VALUES (?)", (text,))
            self._connection.executemany(
                "INSERT OR IGNORE INTO signal (name) VALUES (?)", [(name,) for name in names]
            )
            found = self._connection.execute("SELECT set_id FROM signal_set WHERE names = ?", (text,))
            self._sets[names] = int(found.fetchone()[0])
        return self._sets[names]

    def _signals_of(self, set_id: int) -> list[int]:
        """Return the numbers of the signals of a set, in its order."""
        if set_id not in self._signals:
            numbers = dict(self._connection.execute("SELECT name, sig FROM signal").fetchall())
            found = self._connection.execute("SELECT names FROM signal_set WHERE set_id = ?", (set_id,))
            self._signals[set_id] = [numbers[name] for name in json.loads(found.fetchone()[0])]
        return self._signals[set_id]


def _rows(connection: sqlite3.Connection, first_id: int, last_id: int | None) -> Rows | None:
    """Return the cycles of the journal from ``first_id`` on; None where there are none."""
    found = connection.execute(
        "SELECT set_id, at_us, body FROM cycle WHERE id >= ? AND id <= ? ORDER BY id",
        (first_id, (1 << 62) if last_id is None else last_id),
    ).fetchall()
    if not found:
        return None
    times_us, bodies = [row[1] for row in found], [row[2] for row in found]
    return Rows(found[0][0], times_us[0] // BLOCK_US, first_id, times_us, bodies)


def _number(connection: sqlite3.Connection, text: str) -> int:
    row = connection.execute(text).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])
