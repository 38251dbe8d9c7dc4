"""Brings a ledger of version 1 to version 2: its tables get their marks, and the audit is made from their rows."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from northbound import audit, bodies
from northbound.audit import Chain
from northbound.database import VERSION, transaction

_COLUMNS = (
    ("command", "audit"),
    ("session", "audit"),
    ("alarm", "audit"),
    ("alarm", "cleared_audit"),
    ("request", "audit"),
    ("request", "withdrawn_audit"),
    ("plan", "audit"),
)

_COMMAND = "SELECT id, at, asset_id, power_kw, lease_s, makes_room, reasons FROM command ORDER BY id"
_PLAN = "SELECT id, made_at, starts_at, origin, peak_kw, expected_cost, solve_ms, note, body FROM plan ORDER BY id"
_ALARM = "SELECT id, alarm, raised_at, cleared_at FROM alarm ORDER BY id"
_SESSION = (
    "SELECT session_id, connector_id, plugged_in_at, unplugged_at, energy_kwh, requested_kwh, estimated_unplug_at"
    " FROM session WHERE unplugged_at IS NOT NULL"
)

Told = tuple[str, str, dict[str, Any], str, tuple[object, ...]]
"""Time, kind and body of an entry, and the statement that marks its row, with the row's key."""


def move_on(connection: sqlite3.Connection) -> None:
    """Change the ledger in one transaction; wishes are audited when the store next looks for new ones."""

    def change() -> int:
        for table, column in _COLUMNS:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
        for statement in audit.STATEMENTS:
            connection.execute(statement)
        chain = Chain(connection)
        for at, kind, body, mark, key in sorted(_told(connection), key=lambda told: told[:2]):
            connection.execute(mark, (chain.next, *key))
            chain.append(at, kind, body)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'version'", (str(VERSION),))
        return 0

    transaction(connection, change)


def _told(connection: sqlite3.Connection) -> Iterator[Told]:
    """Yield what the tables hold that the audit should."""
    mark = "UPDATE {} SET {} = ? WHERE id = ?"
    for number, at, *columns in connection.execute(_COMMAND).fetchall():
        yield at, "command", bodies.command(*columns), mark.format("command", "audit"), (number,)
    for number, alarm, raised_at, cleared_at in connection.execute(_ALARM).fetchall():
        body = {"alarm": alarm}
        yield raised_at, "alarm_raised", body, mark.format("alarm", "audit"), (number,)
        if cleared_at is not None:
            yield cleared_at, "alarm_cleared", body, mark.format("alarm", "cleared_audit"), (number,)
    for number, made_at, *columns in connection.execute(_PLAN).fetchall():
        yield made_at, "plan", bodies.plan(*columns), mark.format("plan", "audit"), (number,)
    mark = "UPDATE session SET audit = ? WHERE session_id = ? AND connector_id = ? AND plugged_in_at = ?"
    for columns in connection.execute(_SESSION).fetchall():
        yield columns[3], "session_ended", bodies.session_ended(*columns), mark, tuple(columns[:3])
