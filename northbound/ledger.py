"""The ledger's tables, and how each kind of row is entered, with its entry in the audit. Times are ISO 8601 in UTC."""

import json
import sqlite3
import zlib
from dataclasses import fields
from datetime import datetime
from typing import Any, assert_never

from northbound import audit, bodies
from northbound.audit import Chain
from northbound.database import utc_text
from northbound.durable import durable_of
from northbound.rows import (
    AlarmCleared,
    AlarmRaised,
    CommandRow,
    LedgerRow,
    PlanMade,
    RequestMade,
    RequestRefused,
    SessionEnded,
    SessionSeen,
    StateSaved,
)
from station.plan import Plan
from station.request import Request
from station.session import PastSession, Session

FILE = "ledger.db"

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS command (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, asset_id TEXT NOT NULL,
    power_kw REAL, lease_s REAL, makes_room INTEGER NOT NULL, reasons TEXT NOT NULL, audit INTEGER);
CREATE INDEX IF NOT EXISTS command_at ON command (at);
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT NOT NULL, connector_id TEXT NOT NULL, plugged_in_at TEXT NOT NULL, unplugged_at TEXT,
    energy_kwh REAL NOT NULL, requested_kwh REAL, estimated_unplug_at TEXT, seen_at TEXT NOT NULL, audit INTEGER,
    PRIMARY KEY (session_id, connector_id, plugged_in_at)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_over ON session (unplugged_at);
CREATE TABLE IF NOT EXISTS alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT, alarm TEXT NOT NULL, raised_at TEXT NOT NULL, cleared_at TEXT,
    audit INTEGER, cleared_audit INTEGER);
CREATE INDEX IF NOT EXISTS alarm_standing ON alarm (alarm) WHERE cleared_at IS NULL;
CREATE TABLE IF NOT EXISTS request (
    request_id TEXT PRIMARY KEY, made_at TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL,
    expires_at TEXT NOT NULL, min_kw REAL NOT NULL, max_kw REAL NOT NULL, asset_id TEXT NOT NULL,
    withdrawn_at TEXT, audit INTEGER, withdrawn_audit INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS request_unheard ON request (made_at)
    WHERE audit IS NULL OR (withdrawn_at IS NOT NULL AND withdrawn_audit IS NULL);
CREATE TABLE IF NOT EXISTS plan (
    id INTEGER PRIMARY KEY AUTOINCREMENT, made_at TEXT NOT NULL, starts_at TEXT NOT NULL, origin TEXT NOT NULL,
    peak_kw REAL, expected_cost REAL, solve_ms REAL, note TEXT NOT NULL, body BLOB NOT NULL, audit INTEGER);
CREATE INDEX IF NOT EXISTS plan_made ON plan (made_at);
CREATE INDEX IF NOT EXISTS plan_audit ON plan (audit);
CREATE TABLE IF NOT EXISTS month_peak (
    year INTEGER NOT NULL, month INTEGER NOT NULL, peak_kw REAL NOT NULL, PRIMARY KEY (year, month)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, saved_at TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
{audit.SCHEMA};
"""

Values = tuple[object, ...]

_COMMAND = (
    "INSERT INTO command (at, asset_id, power_kw, lease_s, makes_room, reasons, audit)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SEEN = """
INSERT INTO session VALUES (?, ?, ?, NULL, ?, ?, ?, ?, NULL) ON CONFLICT DO UPDATE SET
    energy_kwh = excluded.energy_kwh, requested_kwh = excluded.requested_kwh,
    estimated_unplug_at = excluded.estimated_unplug_at, seen_at = excluded.seen_at WHERE unplugged_at IS NULL
"""
_ENDED = """
INSERT INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?4, ?8) ON CONFLICT DO UPDATE SET
    unplugged_at = excluded.unplugged_at, energy_kwh = excluded.energy_kwh,
    requested_kwh = excluded.requested_kwh, estimated_unplug_at = excluded.estimated_unplug_at,
    seen_at = excluded.seen_at, audit = excluded.audit WHERE unplugged_at IS NULL
"""
_RAISE = """
INSERT INTO alarm (alarm, raised_at, audit)
SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM alarm WHERE alarm = ?1 AND cleared_at IS NULL)
"""
_CLEAR = "UPDATE alarm SET cleared_at = ?2, cleared_audit = ?3 WHERE alarm = ?1 AND cleared_at IS NULL"
_REQUEST = "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL) ON CONFLICT DO NOTHING"
_PLAN = """
INSERT INTO plan (made_at, starts_at, origin, peak_kw, expected_cost, solve_ms, note, body, audit)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_STATE = """
INSERT INTO state VALUES ('control', ?, ?)
ON CONFLICT DO UPDATE SET saved_at = excluded.saved_at, body = excluded.body
"""
_PEAK = """
INSERT INTO month_peak VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET peak_kw = MAX(peak_kw, excluded.peak_kw)
"""


def enter(connection: sqlite3.Connection, chain: Chain, row: LedgerRow) -> None:
    """Enter ``row`` inside a transaction, and in the audit what changed by it."""
    match row:
        case CommandRow(at=at):
            command = _command(row)
            connection.execute(_COMMAND, (utc_text(at), *command, chain.next))
            chain.append(utc_text(at), "command", bodies.command(*command))
        case SessionSeen(at=at, session=session):
            connection.execute(_SEEN, (*_seen(session), utc_text(at)))
        case SessionEnded(session=past):
            ended = _ended(past)
            if connection.execute(_ENDED, (*ended, chain.next)).rowcount > 0:
                chain.append(utc_text(past.unplugged_at), "session_ended", bodies.session_ended(*ended))
        case AlarmRaised(at=at, alarm=alarm):
            _alarm(connection, chain, (_RAISE, "alarm_raised"), (alarm, utc_text(at)))
        case AlarmCleared(at=at, alarm=alarm):
            _alarm(connection, chain, (_CLEAR, "alarm_cleared"), (alarm, utc_text(at)))
        case RequestMade(at=at, request=request):
            connection.execute(*request_statement(at, request))
            take_up_requests(connection, chain)
        case RequestRefused():
            refused = {"request_id": row.request_id, "owner": row.owner, "cause": row.cause}
            chain.append(utc_text(row.at), "request_refused", refused)
        case PlanMade(plan=plan):
            made = _plan(plan)
            connection.execute(_PLAN, (*made, chain.next))
            chain.append(utc_text(plan.made_at), "plan", bodies.plan(*made[1:]))
        case StateSaved():
            _save(connection, row)
        case _:
            assert_never(row)


def take_up_requests(connection: sqlite3.Connection, chain: Chain) -> int:
    """Audit the wishes that others left or withdrew since the last time; return how many. In a transaction."""
    made = connection.execute(
        "SELECT request_id, made_at, kind, owner, expires_at, min_kw, max_kw, asset_id FROM request"
        " WHERE audit IS NULL ORDER BY made_at, request_id"
    ).fetchall()
    for request_id, at, *wish in made:
        mark = (chain.next, request_id)
        connection.execute("UPDATE request SET audit = ? WHERE request_id = ?", mark)
        chain.append(at, "request", bodies.request(request_id, *wish))
    withdrawn = connection.execute(
        "SELECT request_id, withdrawn_at FROM request WHERE withdrawn_at IS NOT NULL"
        " AND withdrawn_audit IS NULL ORDER BY withdrawn_at, request_id"
    ).fetchall()
    for request_id, at in withdrawn:
        mark = (chain.next, request_id)
        connection.execute("UPDATE request SET withdrawn_audit = ? WHERE request_id = ?", mark)
        chain.append(at, "request_withdrawn", {"request_id": request_id})
    return len(made) + len(withdrawn)


def has_unheard(connection: sqlite3.Connection) -> bool:
    """Return whether others left or withdrew wishes that are not in the audit yet."""
    unheard = "audit IS NULL OR (withdrawn_at IS NOT NULL AND withdrawn_audit IS NULL)"
    row = connection.execute(f"SELECT EXISTS (SELECT 1 FROM request WHERE {unheard})").fetchone()
    return bool(row[0])


def request_statement(at: datetime, request: Request) -> tuple[str, Values]:
    """Return what leaves a request that was made at ``at``."""
    wish = (request.interval.min_kw, request.interval.max_kw, request.asset_id)
    head = (request.request_id, utc_text(at), str(request.kind), request.owner, utc_text(request.expires_at))
    return _REQUEST, (*head, *wish)


def plan_body(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain data, ready for JSON; numbers keep three decimals."""
    body = {item.name: _plain(getattr(plan, item.name)) for item in fields(plan)}
    return body | {"origin": str(plan.origin)}


def _plain(value: object) -> object:
    match value:
        case float():
            return round(value, 3)
        case datetime():
            return utc_text(value)
        case tuple() | list():
            return [_plain(entry) for entry in value]
        case dict():
            return {str(key): _plain(entry) for key, entry in value.items()}
    return value


def _command(row: CommandRow) -> tuple[str, float | None, float | None, int, str]:
    reasons = json.dumps(row.reasons, ensure_ascii=False)
    return row.asset_id, row.power_kw, row.lease_s, int(row.makes_room), reasons


def _alarm(
    connection: sqlite3.Connection, chain: Chain, what: tuple[str, str], told: tuple[str, str]
) -> None:
    """Raise or clear an alarm; audit it where that changed something."""
    statement, kind = what
    alarm, at = told
    if connection.execute(statement, (alarm, at, chain.next)).rowcount > 0:
        chain.append(at, kind, {"alarm": alarm})


def _seen(session: Session) -> Values:
    key = (session.session_id, session.connector_id, utc_text(session.plugged_in_at))
    said = (session.requested_kwh, _text_or_none(session.estimated_unplug_at))
    return (*key, session.delivered_kwh, *said)


def _ended(past: PastSession) -> tuple[str, str, str, str, float, float | None, str | None]:
    key = (past.session_id, past.connector_id, utc_text(past.plugged_in_at))
    end = (utc_text(past.unplugged_at), past.energy_kwh)
    return (*key, *end, past.requested_kwh, _text_or_none(past.estimated_unplug_at))


def _plan(plan: Plan) -> tuple[str, str, str, float, float, float, str, bytes]:
    body = zlib.compress(json.dumps(plan_body(plan)).encode())
    head = (utc_text(plan.made_at), utc_text(plan.starts_at), str(plan.origin))
    return (*head, plan.peak_kw, plan.expected_cost, plan.solve_ms, plan.note, body)


def _save(connection: sqlite3.Connection, row: StateSaved) -> None:
    state = (utc_text(row.now.at), json.dumps(durable_of(row.state, row.now)))
    connection.execute(_STATE, state)
    if row.state.window is not None:
        connection.execute(_PEAK, (*row.state.window.month, row.state.window.month_peak_kw))


def _text_or_none(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)
