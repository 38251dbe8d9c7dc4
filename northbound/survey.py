"""What a store holds, in figures."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from northbound import audit, journal, ledger, series
from northbound.database import from_micros, open_for_reading, site_of
from northbound.feed import Backlog
from northbound.outbox import backlogs

Span = tuple[datetime, datetime]

TABLES = ("audit", "command", "alarm", "session", "request", "plan")
SPANS = {"command": "at", "alarm": "raised_at", "session": "plugged_in_at", "plan": "made_at", "audit": "at"}


@dataclass(frozen=True, slots=True)
class Survey:
    """What both files hold. Spans are None where nothing is held; sizes include the write-ahead log."""

    site_id: str
    history_bytes: int
    ledger_bytes: int
    signals: int
    cycles: int
    cycle_span: Span | None
    rollup_span: Span | None
    rows: dict[str, tuple[int, Span | None]]
    audit_head: str
    backlogs: dict[str, Backlog]
    dead_letters: dict[str, tuple[int, str]]
    """By sink: how many, and the last cause."""


def survey(directory: Path) -> Survey:
    """Look at a store; raise ``ConfigError`` where there is none."""
    with (
        closing(open_for_reading(directory / ledger.FILE)) as entries,
        closing(open_for_reading(directory / journal.FILE)) as history,
        series.reading(entries),
        series.reading(history),
    ):
        cycles_us, hours_us = series.span_us(history), series.rollup_span_us(history)
        (signals,) = history.execute("SELECT COUNT(*) FROM signal").fetchone()
        return Survey(
            site_id=site_of(entries),
            history_bytes=_size_bytes(directory / journal.FILE),
            ledger_bytes=_size_bytes(directory / ledger.FILE),
            signals=int(signals),
            cycles=series.cycle_count(history),
            cycle_span=_span(cycles_us),
            rollup_span=_span(hours_us),
            rows={table: _rows(entries, table) for table in TABLES},
            audit_head=audit.head_of(entries)[1].hex(),
            backlogs=backlogs(history),
            dead_letters=_dead_letters(history),
        )


def _rows(entries: sqlite3.Connection, table: str) -> tuple[int, Span | None]:
    at = SPANS.get(table, "made_at")
    count, first, last = entries.execute(f"SELECT COUNT(*), MIN({at}), MAX({at}) FROM {table}").fetchone()
    span = None if first is None else (datetime.fromisoformat(first), datetime.fromisoformat(last))
    return int(count), span


def _span(ends_us: tuple[int, int] | None) -> Span | None:
    return None if ends_us is None else (from_micros(ends_us[0]), from_micros(ends_us[1]))


def _dead_letters(history: sqlite3.Connection) -> dict[str, tuple[int, str]]:
    rows = history.execute(
        "SELECT sink, COUNT(*), cause, MAX(id) FROM dead_letter GROUP BY sink ORDER BY sink"
    )
    return {sink: (int(count), cause) for sink, count, cause, _ in rows}


def _size_bytes(file: Path) -> int:
    parts = (file, file.with_name(f"{file.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
