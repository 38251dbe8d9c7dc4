"""Reading the history: one signal out of chunks and journal together, cycle by cycle, by minutes or by quarter hours.

Each function needs a read transaction around it (``reading``): between two statements the writer may move a signal's
values from the journal into a chunk.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import numpy as np

from northbound.chunk import Floats, Minutes, Whole, unpack_column, unpack_times
from northbound.database import from_micros
from northbound.journal import KEY
from northbound.rollup import HOUR_US, joined, minutes_of, unpack_hours

SLOT_S = 900.0
SLOT_US = int(SLOT_S * 1_000_000)


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold one state of the file while several statements read it."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def signal_sets(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """Return the names of each set of signals."""
    rows = connection.execute("SELECT set_id, names FROM signal_set").fetchall()
    return {int(set_id): tuple(json.loads(names)) for set_id, names in rows}


def read_signal(
    connection: sqlite3.Connection, signal: str, from_us: int, until_us: int
) -> tuple[Whole, Floats]:
    """Return times and values of one signal from ``from_us`` up to ``until_us``, by time; NaN: not measured."""
    places = _places(connection, signal)
    parts = [_chunks(connection, set_id, place, (from_us, until_us)) for set_id, place in places.items()]
    parts.append(_journal(connection, places))
    times_us = np.concatenate([times for times, _ in parts])
    values = np.concatenate([part for _, part in parts])
    inside = (times_us >= from_us) & (times_us < until_us)
    if not inside.all():
        times_us, values = times_us[inside], values[inside]
    if (np.diff(times_us) < 0).any():
        order = np.argsort(times_us, kind="stable")
        times_us, values = times_us[order], values[order]
    return times_us, values


def read_minutes(connection: sqlite3.Connection, signal: str, from_us: int, until_us: int) -> Minutes:
    """Return the minutes of one signal that began from ``from_us`` up to ``until_us``; the latest may not be over."""
    found = connection.execute("SELECT sig FROM signal WHERE name = ?", (signal,)).fetchone()
    hours = [] if found is None else _hours(connection, int(found[0]), from_us, until_us)
    fresh = minutes_of(*_journal(connection, _places(connection, signal)))
    return joined([unpack_hours(hours), fresh]).between(from_us, until_us)


def read_means(
    connection: sqlite3.Connection, signal: str, from_us: int, until_us: int
) -> list[tuple[datetime, float, int]]:
    """Return (start of slot, mean, cycles measured) of one signal; the latest slot may not be over."""
    first_us, end_us = (-(-bound // SLOT_US) * SLOT_US for bound in (from_us, until_us))
    minutes = read_minutes(connection, signal, first_us, end_us)
    if not len(minutes.starts_us):
        return []
    starts_us, first = np.unique(minutes.starts_us // SLOT_US * SLOT_US, return_index=True)
    counts = np.add.reduceat(minutes.counts, first)
    sums = np.add.reduceat(np.where(minutes.counts > 0, minutes.mean * minutes.counts, 0.0), first)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    slots = zip(starts_us.tolist(), means.tolist(), counts.tolist(), strict=True)
    return [(from_micros(start_us), mean, count) for start_us, mean, count in slots]


def span_us(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Return the earliest and the latest time of any cycle at full resolution; None where there is none."""
    (first, last), (early, late) = (
        connection.execute(f"SELECT MIN({begin}), MAX({end}) FROM {table}").fetchone()
        for begin, end, table in (("first_us", "last_us", "block"), ("at_us", "at_us", "cycle"))
    )
    found = [at_us for at_us in (first, last, early, late) if at_us is not None]
    return (min(found), max(found)) if found else None


def cycle_count(connection: sqlite3.Connection) -> int:
    """Return how many cycles the history holds at full resolution."""
    row = connection.execute("SELECT last_id FROM block ORDER BY block_id DESC LIMIT 1").fetchone()
    (packed,) = connection.execute("SELECT COALESCE(SUM(cycles), 0) FROM block").fetchone()
    (fresh,) = connection.execute(
        "SELECT COUNT(*) FROM cycle WHERE id > ?", (0 if row is None else row[0],)
    ).fetchone()
    return int(packed) + int(fresh)


def _places(connection: sqlite3.Connection, signal: str) -> dict[int, int]:
    """Return the place of a signal in each set that has it."""
    sets = signal_sets(connection)
    return {set_id: names.index(signal) for set_id, names in sets.items() if signal in names}


def _chunks(
    connection: sqlite3.Connection, set_id: int, place: int, span: tuple[int, int]
) -> tuple[Whole, Floats]:
    """Return what the chunks of blocks that reach into a span hold of the signal at ``place`` of a set."""
    rows = connection.execute(
        "SELECT block.times, chunk.body FROM block INDEXED BY block_span"
        f" JOIN chunk ON chunk.id = block.block_id * {KEY} + ?"
        " WHERE block.last_us >= ? AND block.first_us < ? AND block.set_id = ? ORDER BY block.block_id",
        (place, *span, set_id),
    ).fetchall()
    times = [unpack_times(body) for body, _ in rows]
    values = np.frombuffer(b"".join(unpack_column(body) for _, body in rows), dtype="<f4")
    return np.concatenate([np.empty(0, np.int64), *times]), values.astype(np.float64)


def _journal(connection: sqlite3.Connection, places: dict[int, int]) -> tuple[Whole, Floats]:
    """Return what the journal holds of a signal that is not in a chunk yet, in the order in which it came."""
    rows = connection.execute(
        "SELECT at_us, set_id, body FROM cycle WHERE id > ? ORDER BY id", (_covered(connection, places),)
    ).fetchall()
    kept = [(at_us, places[set_id], body) for at_us, set_id, body in rows if set_id in places]
    times_us: Whole = np.asarray([row[0] for row in kept], dtype=np.int64)
    values = b"".join(body[4 * place : 4 * place + 4] for _, place, body in kept)
    return times_us, np.frombuffer(values, dtype="<f4").astype(np.float64)


def _covered(connection: sqlite3.Connection, places: dict[int, int]) -> int:
    """Return the last cycle that a chunk of the signal covers."""
    blocks = connection.execute("SELECT block_id, set_id, last_id, is_done FROM block ORDER BY block_id DESC")
    for block_id, set_id, last_id, is_done in blocks:
        if is_done or (set_id in places and _has_chunk(connection, block_id * KEY + places[set_id])):
            return int(last_id)
    return 0


def _has_chunk(connection: sqlite3.Connection, key: int) -> bool:
    return connection.execute("SELECT 1 FROM chunk WHERE id = ?", (key,)).fetchone() is not None


def _hours(
    connection: sqlite3.Connection, signal: int, from_us: int, until_us: int
) -> list[tuple[int, bytes]]:
    """Return the rows of one signal's rollup that reach into a span: (hour, body)."""
    ends = "SELECT (SELECT MIN(id) FROM rollup), (SELECT MAX(id) FROM rollup)"
    least, most = connection.execute(ends).fetchone()
    if least is None:
        return []
    first, last = max(from_us // HOUR_US, least // KEY), min(until_us // HOUR_US, most // KEY)
    return connection.execute(
        "WITH RECURSIVE hour(n) AS (SELECT ?1 WHERE ?1 <= ?2 UNION ALL SELECT n + 1 FROM hour WHERE n < ?2)"
        f" SELECT n, body FROM hour JOIN rollup ON rollup.id = n * {KEY} + ?3 ORDER BY n",
        (first, last, signal),
    ).fetchall()
