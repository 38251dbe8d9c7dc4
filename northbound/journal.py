"""The history's tables: one packed row per cycle, and 15-minute means of every signal.

A row is the values of one cycle as 32-bit floats (NaN: not measured), compressed; the names stand once, in
``signal_set``. Means are made from the rows when a slot is over, so a killed process leaves nothing half made.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from northbound import outbox
from northbound.database import from_micros, micros

FILE = "history.db"
SLOT_S = 900.0
SLOT_US = int(SLOT_S * 1_000_000)

PRUNE_ROWS = 4_000
"""Cycles deleted at the end of a slot, at most; a slot has 900 at one second."""

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS signal_set (set_id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS cycle (
    id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, set_id INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS cycle_at ON cycle (at_us);
CREATE TABLE IF NOT EXISTS mean (
    slot_us INTEGER NOT NULL, set_id INTEGER NOT NULL, body BLOB NOT NULL, counts BLOB NOT NULL,
    PRIMARY KEY (slot_us, set_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heartbeat (name TEXT PRIMARY KEY, at_us INTEGER NOT NULL) WITHOUT ROWID;
{outbox.SCHEMA}
"""

Floats = npt.NDArray[np.float64]


class Journal:
    """Writes cycles and means through one connection; call it inside a transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use ``connection``, whose tables exist."""
        self._connection = connection
        self._sets: dict[tuple[str, ...], int] = {}
        self._slot_us = _latest_slot_us(connection)

    def add(self, at: datetime, record: Mapping[str, float]) -> bool:
        """Enter one cycle; return whether it closed a slot."""
        at_us = micros(at)
        slot_us = _slot_of(at_us)
        closes = self._slot_us not in (None, slot_us)
        if self._slot_us is not None and closes:
            roll_up(self._connection, self._slot_us)
        row = (at_us, self._set_id(tuple(record)), pack(tuple(record.values())))
        self._connection.execute("INSERT INTO cycle (at_us, set_id, body) VALUES (?, ?, ?)", row)
        self._slot_us = slot_us
        return closes

    def beat(self, at: datetime) -> None:
        """Note that control was effective at ``at``."""
        self._connection.execute(
            "INSERT INTO heartbeat VALUES ('effective', ?) ON CONFLICT DO UPDATE SET at_us = excluded.at_us",
            (micros(at),),
        )

    def prune(self, before_at: datetime) -> None:
        """Delete some cycles before ``before_at``, so few that a clock gone wrong can't do much harm; means stay."""
        self._connection.execute(
            "DELETE FROM cycle WHERE id IN (SELECT id FROM cycle WHERE at_us < ? ORDER BY id LIMIT ?)",
            (micros(before_at), PRUNE_ROWS),
        )

    def _set_id(self, names: tuple[str, ...]) -> int:
        if names not in self._sets:
            text = json.dumps(names)
            self._connection.execute("INSERT OR IGNORE INTO signal_set (names) VALUES (?)", (text,))
            found = self._connection.execute(
                "SELECT set_id FROM signal_set WHERE names = ?", (text,)
            ).fetchone()
            self._sets[names] = int(found[0])
        return self._sets[names]


def pack(values: Sequence[float]) -> bytes:
    """Return values as compressed 32-bit floats; what does not fit becomes infinite."""
    with np.errstate(over="ignore"):
        packed = np.asarray(values, dtype=np.float64).astype("<f4")
    return zlib.compress(packed.tobytes(), 1)


def unpack(body: bytes) -> Floats:
    """Return the values of a row."""
    return np.frombuffer(zlib.decompress(body), dtype="<f4").astype(np.float64)


def signal_sets(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """Return the names of each set of signals."""
    rows = connection.execute("SELECT set_id, names FROM signal_set").fetchall()
    return {int(set_id): tuple(json.loads(names)) for set_id, names in rows}


def roll_up(connection: sqlite3.Connection, slot_us: int) -> None:
    """Make the means of one slot from its cycles."""
    for set_id, means, counts in _slot_means(connection, slot_us):
        row = (slot_us, set_id, pack(means), pack(counts))
        connection.execute("INSERT OR REPLACE INTO mean VALUES (?, ?, ?, ?)", row)


def read_signal(
    connection: sqlite3.Connection, signal: str, from_at: datetime, until_at: datetime
) -> Iterator[tuple[datetime, float]]:
    """Yield the values of one signal from ``from_at`` up to ``until_at``, by time; NaN: not measured."""
    places = _places(connection, signal)
    rows = connection.execute(
        "SELECT at_us, set_id, body FROM cycle WHERE at_us >= ? AND at_us < ? ORDER BY at_us, id",
        (micros(from_at), micros(until_at)),
    )
    for at_us, set_id, body in rows:
        if set_id in places:
            yield from_micros(at_us), float(unpack(body)[places[set_id]])


def read_means(
    connection: sqlite3.Connection, signal: str, from_at: datetime, until_at: datetime
) -> Iterator[tuple[datetime, float, int]]:
    """Yield (start of slot, mean, cycles measured) of one signal; the latest slot may not be over."""
    places = _places(connection, signal)
    rows = connection.execute(
        "SELECT slot_us, set_id, body, counts FROM mean WHERE slot_us >= ? AND slot_us < ? ORDER BY slot_us",
        (micros(from_at), micros(until_at)),
    ).fetchall()
    for slot_us, set_id, body, counts in rows:
        if set_id in places:
            place = places[set_id]
            yield from_micros(slot_us), float(unpack(body)[place]), int(unpack(counts)[place])
    latest_us = _latest_slot_us(connection)
    if latest_us is None or any(row[0] == latest_us for row in rows):
        return
    if micros(from_at) <= latest_us < micros(until_at):
        for set_id, means, numbers in _slot_means(connection, latest_us):
            if set_id in places:
                yield from_micros(latest_us), means[places[set_id]], int(numbers[places[set_id]])


def _places(connection: sqlite3.Connection, signal: str) -> dict[int, int]:
    return {
        set_id: names.index(signal) for set_id, names in signal_sets(connection).items() if signal in names
    }


def _means(bodies: Sequence[bytes]) -> tuple[list[float], list[float]]:
    """Return the mean of each signal over the cycles that measured it, and how many did."""
    values = np.stack([unpack(body) for body in bodies])
    measured = np.isfinite(values)
    counts = measured.sum(axis=0)
    sums = np.where(measured, values, 0.0).sum(axis=0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.tolist(), counts.astype(np.float64).tolist()


def _slot_means(
    connection: sqlite3.Connection, slot_us: int
) -> Iterator[tuple[int, list[float], list[float]]]:
    """Yield (set of signals, means, cycles measured) of one slot."""
    bodies: dict[int, list[bytes]] = {}
    rows = connection.execute(
        "SELECT set_id, body FROM cycle WHERE at_us >= ? AND at_us < ?", (slot_us, slot_us + SLOT_US)
    )
    for set_id, body in rows:
        bodies.setdefault(int(set_id), []).append(body)
    for set_id, found in bodies.items():
        yield set_id, *_means(found)


def _slot_of(at_us: int) -> int:
    return at_us - at_us % SLOT_US


def _latest_slot_us(connection: sqlite3.Connection) -> int | None:
    """Return the slot of the cycle that was entered last; its means may not be made yet."""
    row = connection.execute("SELECT at_us FROM cycle ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else _slot_of(int(row[0]))
