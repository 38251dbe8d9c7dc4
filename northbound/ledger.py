"""The ledger's tables, and the statements that enter each kind of row. Times are ISO 8601 in UTC."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any, assert_never

from northbound.database import utc_text
from northbound.durable import durable_of
from northbound.rows import (
    AlarmCleared,
    AlarmRaised,
    CommandRow,
    LedgerRow,
    PlanMade,
    RequestMade,
    SessionEnded,
    SessionSeen,
    StateSaved,
)
from station.plan import Plan
from station.request import Request
from station.session import PastSession, Session

FILE = "ledger.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS command (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, asset_id TEXT NOT NULL,
    power_kw REAL, lease_s REAL, makes_room INTEGER NOT NULL, reasons TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS command_at ON command (at);
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT NOT NULL, connector_id TEXT NOT NULL, plugged_in_at TEXT NOT NULL, unplugged_at TEXT,
    energy_kwh REAL NOT NULL, requested_kwh REAL, estimated_unplug_at TEXT, seen_at TEXT NOT NULL,
    PRIMARY KEY (session_id, connector_id, plugged_in_at)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_over ON session (unplugged_at);
CREATE TABLE IF NOT EXISTS alarm (
    id INTEGER PRIMARY KEY AUTOINCREMENT, alarm TEXT NOT NULL, raised_at TEXT NOT NULL, cleared_at TEXT);
CREATE INDEX IF NOT EXISTS alarm_standing ON alarm (alarm) WHERE cleared_at IS NULL;
CREATE TABLE IF NOT EXISTS request (
    request_id TEXT PRIMARY KEY, made_at TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL,
    expires_at TEXT NOT NULL, min_kw REAL NOT NULL, max_kw REAL NOT NULL, asset_id TEXT NOT NULL,
    withdrawn_at TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plan (
    id INTEGER PRIMARY KEY AUTOINCREMENT, made_at TEXT NOT NULL, starts_at TEXT NOT NULL, origin TEXT NOT NULL,
    peak_kw REAL, expected_cost REAL, solve_ms REAL, note TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS plan_made ON plan (made_at);
CREATE TABLE IF NOT EXISTS month_peak (
    year INTEGER NOT NULL, month INTEGER NOT NULL, peak_kw REAL NOT NULL, PRIMARY KEY (year, month)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, saved_at TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
"""

Statement = tuple[str, tuple[object, ...]]

_COMMAND = (
    "INSERT INTO command (at, asset_id, power_kw, lease_s, makes_room, reasons) VALUES (?, ?, ?, ?, ?, ?)"
)
_SESSION = """
INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    unplugged_at = COALESCE(excluded.unplugged_at, unplugged_at), energy_kwh = excluded.energy_kwh,
    requested_kwh = excluded.requested_kwh, estimated_unplug_at = excluded.estimated_unplug_at,
    seen_at = excluded.seen_at
"""
_RAISE = """
INSERT INTO alarm (alarm, raised_at)
SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM alarm WHERE alarm = ?1 AND cleared_at IS NULL)
"""
_CLEAR = "UPDATE alarm SET cleared_at = ? WHERE alarm = ? AND cleared_at IS NULL"
_REQUEST = "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
_PLAN = """
INSERT INTO plan (made_at, starts_at, origin, peak_kw, expected_cost, solve_ms, note, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_STATE = """
INSERT INTO state VALUES ('control', ?, ?)
ON CONFLICT DO UPDATE SET saved_at = excluded.saved_at, body = excluded.body
"""
_PEAK = """
INSERT INTO month_peak VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET peak_kw = MAX(peak_kw, excluded.peak_kw)
"""


def statements_of(row: LedgerRow) -> Iterator[Statement]:
    """Yield what enters ``row``."""
    match row:
        case CommandRow():
            reasons = json.dumps(row.reasons, ensure_ascii=False)
            made = (row.power_kw, row.lease_s, row.makes_room, reasons)
            yield _COMMAND, (utc_text(row.at), row.asset_id, *made)
        case SessionSeen(at=at, session=session):
            yield _SESSION, (*_seen(session), utc_text(at))
        case SessionEnded(session=past):
            yield _SESSION, (*_ended(past), utc_text(past.unplugged_at))
        case AlarmRaised(at=at, alarm=alarm):
            yield _RAISE, (alarm, utc_text(at))
        case AlarmCleared(at=at, alarm=alarm):
            yield _CLEAR, (utc_text(at), alarm)
        case RequestMade(at=at, request=request):
            yield request_statement(at, request)
        case PlanMade(plan=plan):
            yield _PLAN, _plan(plan)
        case StateSaved():
            yield from _state(row)
        case _:
            assert_never(row)


def request_statement(at: datetime, request: Request) -> Statement:
    """Return what enters a request that was made at ``at``."""
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


def _seen(session: Session) -> tuple[object, ...]:
    key = (session.session_id, session.connector_id, utc_text(session.plugged_in_at))
    said = (session.requested_kwh, _text_or_none(session.estimated_unplug_at))
    return (*key, None, session.delivered_kwh, *said)


def _ended(past: PastSession) -> tuple[object, ...]:
    key = (past.session_id, past.connector_id, utc_text(past.plugged_in_at))
    said = (past.requested_kwh, _text_or_none(past.estimated_unplug_at))
    return (*key, utc_text(past.unplugged_at), past.energy_kwh, *said)


def _plan(plan: Plan) -> tuple[object, ...]:
    body = zlib.compress(json.dumps(plan_body(plan)).encode())
    summary = (plan.peak_kw, plan.expected_cost, plan.solve_ms, plan.note)
    return (utc_text(plan.made_at), utc_text(plan.starts_at), str(plan.origin), *summary, body)


def _state(row: StateSaved) -> Iterator[Statement]:
    yield _STATE, (utc_text(row.now.at), json.dumps(durable_of(row.state, row.now)))
    if row.state.window is not None:
        yield _PEAK, (*row.state.window.month, row.state.window.month_peak_kw)


def _text_or_none(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)
