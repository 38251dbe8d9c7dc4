"""Is a store whole? Its files, the chain of the audit, the tables that the audit tells of, and what waits for sinks."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from northbound import bodies, journal, ledger
from northbound.audit import FIRST, canonical, seal
from northbound.database import open_for_reading
from northbound.series import reading
from station.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many entries of the audit hold, the last one's hash, and the first thing that is broken, or ""."""

    entries: int
    head: str
    fault: str = ""


@dataclass(frozen=True)
class _Told:
    """Rows that the audit tells of: name of a row, number of its entry, time, and what its body is made of."""

    select: str
    body: Callable[..., dict[str, Any]]


def _alarm(alarm: str) -> dict[str, Any]:
    return {"alarm": alarm}


def _withdrawn(request_id: str) -> dict[str, Any]:
    return {"request_id": request_id}


_SESSION = (
    "session_id, connector_id, plugged_in_at, unplugged_at, energy_kwh, requested_kwh, estimated_unplug_at"
)
_REQUEST = "request_id, kind, owner, expires_at, min_kw, max_kw, asset_id"
_PLAN = "starts_at, origin, peak_kw, expected_cost, solve_ms, note, body"
_TOLD = {
    "command": _Told(
        "id, audit, at, asset_id, power_kw, lease_s, makes_room, reasons FROM command ORDER BY audit",
        bodies.command,
    ),
    "alarm_raised": _Told("id, audit, raised_at, alarm FROM alarm ORDER BY audit", _alarm),
    "alarm_cleared": _Told(
        "id, cleared_audit, cleared_at, alarm FROM alarm WHERE cleared_at IS NOT NULL ORDER BY cleared_audit",
        _alarm,
    ),
    "session_ended": _Told(
        f"session_id, audit, unplugged_at, {_SESSION} FROM session WHERE unplugged_at IS NOT NULL"
        " ORDER BY audit",
        bodies.session_ended,
    ),
    "request": _Told(
        f"request_id, audit, made_at, {_REQUEST} FROM request WHERE audit IS NOT NULL ORDER BY audit",
        bodies.request,
    ),
    "request_withdrawn": _Told(
        "request_id, withdrawn_audit, withdrawn_at, request_id FROM request"
        " WHERE withdrawn_audit IS NOT NULL ORDER BY withdrawn_audit",
        _withdrawn,
    ),
    "plan": _Told(f"id, audit, made_at, {_PLAN} FROM plan ORDER BY audit", bodies.plan),
}


def verify(directory: Path) -> Verdict:
    """Look at both files of a store, which may be in use; raise ``ConfigError`` where there is none."""
    for name in (ledger.FILE, journal.FILE):
        if not (directory / name).is_file():
            raise ConfigError(str(directory / name), 0, "", "no such store; has the controller run here?")
    entries, head = 0, FIRST
    try:
        for name, look in ((ledger.FILE, _look_at_ledger), (journal.FILE, _look_at_history)):
            connection = open_for_reading(directory / name)
            try:
                with reading(connection):
                    _look_at_file(connection)
                    entries, head = look(connection) or (entries, head)
            finally:
                connection.close()
    except _Broken as broken:
        return Verdict(broken.entries, "", f"{name}: {broken}")
    except (sqlite3.Error, ConfigError) as refused:
        return Verdict(
            entries, "", str(refused) if isinstance(refused, ConfigError) else f"{name}: {refused}"
        )
    return Verdict(entries, head.hex())


class _Broken(Exception):
    def __init__(self, problem: str, entries: int = 0) -> None:
        super().__init__(problem)
        self.entries = entries


def _look_at_file(connection: sqlite3.Connection) -> None:
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise _Broken(str(said).splitlines()[0])


def _look_at_ledger(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Follow the chain and the tables beside it; return the last number and hash."""
    rows = {kind: connection.execute(f"SELECT {told.select}") for kind, told in _TOLD.items()}
    last, before = 0, FIRST
    for number, at, kind, text, kept in connection.execute(
        "SELECT number, at, kind, body, hash FROM audit ORDER BY number"
    ):
        entry = f"audit entry {number} ({kind} at {at})"
        if number != last + 1:
            raise _Broken(f"audit entry {last + 1} is missing", last)
        before = seal(before, number, at, kind, text)
        if before != kept:
            raise _Broken(f"{entry} does not match its hash", last)
        if kind in rows:
            _compare(entry, (number, at, text), _TOLD[kind], rows[kind])
        last = number
    for kind, left in rows.items():
        for row in left:
            raise _Broken(f"{kind} '{row[0]}' is in its table and not in the audit", last)
    return last, before


def _compare(entry: str, told: tuple[int, str, str], how: _Told, rows: Iterator[Any]) -> None:
    """Raise where the next row of a table is not the one that an entry tells of."""
    number, at, text = told
    row = next(rows, None)
    if row is None or (row[1] is not None and row[1] > number):
        raise _Broken(f"{entry}: its row is gone", number - 1)
    name, its_number, its_at, *columns = row
    if its_number is None or its_number < number:
        raise _Broken(f"row '{name}' before {entry} is not in the audit", number - 1)
    if its_at != at or canonical(how.body(*columns)) != text:
        raise _Broken(f"{entry}: its row '{name}' says otherwise", number - 1)


def _look_at_history(connection: sqlite3.Connection) -> None:
    """Compare what is said to wait for sinks with what does."""
    waiting = connection.execute(
        "SELECT fed.sink, fed.waiting, fed.size_bytes, COUNT(outbox.id), COALESCE(SUM(LENGTH(outbox.body)), 0)"
        " FROM fed LEFT JOIN outbox ON outbox.sink = fed.sink GROUP BY fed.sink"
    )
    for sink, count, size_bytes, found, found_bytes in waiting:
        if (count, size_bytes) != (found, found_bytes):
            raise _Broken(
                f"outbox of '{sink}': {found} messages of {found_bytes} B, not {count} of {size_bytes} B"
            )
