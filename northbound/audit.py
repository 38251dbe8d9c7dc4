"""The audit: commands, alarms, ended sessions, requests and plans in one order, each sealed with all that came before.

The hash of an entry is SHA-256 over the hash before it and the canonical JSON of its number, time, kind and body. So an
entry can't be changed, taken out or put in without changing every hash after it. Only cutting off the end leaves no
trace: keep the last hash elsewhere where that matters.
"""

import json
import sqlite3
import zlib
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from math import isfinite
from typing import Any

from northbound.feed import Event

_TABLE = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL)
"""
_NO_CHANGE = """
CREATE TRIGGER IF NOT EXISTS audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
"""
_NO_CUT = """
CREATE TRIGGER IF NOT EXISTS audit_is_not_cut BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
"""
STATEMENTS = (_TABLE, _NO_CHANGE, _NO_CUT)
SCHEMA = ";".join(STATEMENTS)

FIRST = bytes(32)
"""What the first entry has before it."""


class Chain:
    """Appends entries; make it anew in each transaction, since what it knows may have been taken back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Go on after the last entry."""
        self._connection = connection
        self._number, self._hash = head_of(connection)

    @property
    def next(self) -> int:
        """Return the number that the next entry gets."""
        return self._number + 1

    def append(self, at: str, kind: str, body: Mapping[str, Any]) -> None:
        """Enter what happened ``at``; raise ``ValueError`` where the body is no plain data."""
        text = canonical(body)
        sealed = seal(self._hash, self.next, at, kind, text)
        row = (self.next, at, kind, text, sealed)
        self._connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)
        self._number, self._hash = self.next, sealed


def head_of(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Return number and hash of the last entry."""
    row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return (0, FIRST) if row is None else (int(row[0]), bytes(row[1]))


def canonical(body: Mapping[str, Any]) -> str:
    """Return plain data as the one JSON text that it has; a number that is not finite becomes null."""
    return json.dumps(
        _finite(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def seal(before: bytes, number: int, at: str, kind: str, text: str) -> bytes:
    """Return the hash of an entry whose body is the canonical ``text``."""
    head = f'{{"at":{json.dumps(at)},"body":{text},"kind":{json.dumps(kind)},"number":{number}}}'
    return sha256(before + head.encode()).digest()


def first_broken(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """Return number and cause of the first entry that does not follow from those before it, or None."""
    expected, before = 1, FIRST
    for number, at, kind, text, kept in connection.execute("SELECT * FROM audit ORDER BY number"):
        if number != expected:
            return expected, "is missing"
        before = seal(before, number, at, kind, text)
        if before != kept:
            return number, "does not match its hash"
        expected += 1
    return None


def events_after(connection: sqlite3.Connection, number: int, most: int) -> list[Event]:
    """Return the entries after ``number``, at most ``most``; a plan's body is the whole plan."""
    rows = connection.execute(
        "SELECT audit.number, audit.at, audit.kind, audit.body, plan.body FROM audit"
        " LEFT JOIN plan ON audit.kind = 'plan' AND plan.audit = audit.number"
        " WHERE audit.number > ? ORDER BY audit.number LIMIT ?",
        (number, most),
    )
    return [
        Event(int(number), datetime.fromisoformat(at), kind, _body(text, packed))
        for number, at, kind, text, packed in rows
    ]


def _body(text: str, packed: bytes | None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text if packed is None else zlib.decompress(packed))
    return body


def _finite(value: object) -> object:
    match value:
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {key: _finite(entry) for key, entry in value.items()}
        case tuple() | list():
            return [_finite(entry) for entry in value]
    return value
