"""Takes up what is said on the topics for commands: into the ledger, or refused and audited. Runs in a thread.

What is accepted is on disk before it is acknowledged, and then reaches the loop through ``Store.requests``.
"""

import json
import sqlite3
from contextlib import closing
from datetime import datetime

import structlog

from northbound.database import open_for_reading, utc_text
from northbound.ledger import FILE
from northbound.mqtt_commands import Refused, Told, Withdrawal, command_of
from northbound.mqtt_messages import Message, topic_of
from northbound.reader import leave_request, live_requests, withdraw_request
from northbound.rows import RequestRefused
from northbound.store import Store
from station.clock import Instant
from station.errors import ConfigError
from station.request import Request
from station.topology import Site

LIVE_MOST = 50
"""Wishes that may hold at once: each is one more bound in every cycle."""

AUDITED_MOST = 30
AUDITED_EACH_S = 10.0
"""So many refusals are audited in a row, then one in so many seconds: the audit is kept for ever."""

log = structlog.get_logger(__name__)


class RequestDesk:
    """Judges commands for ``site`` and enters them in ``store``."""

    def __init__(self, site: Site, store: Store, pace: float) -> None:
        """``pace`` is station time per wall time."""
        self._site, self._store, self._pace = site, store, pace
        self._budget = float(AUDITED_MOST)
        self._counted_s = float("-inf")
        self._is_silent = False

    def take(self, told: Told, now: Instant) -> Message | None:
        """Take up one message and return its acknowledgement, None where it has no id; never raises."""
        try:
            command = command_of(self._site, told, now.at, self._pace)
            expires_at = self._taken_up(command, now.at)
        except Refused as refused:
            self._audit(refused, now)
            return self._ack(refused.command_id, refused.cause, None)
        command_id = command.request_id if isinstance(command, Request) else command.command_id
        log.info("a command was accepted", id=command_id, owner=command.owner, topic=told.topic)
        return self._ack(command_id, None, expires_at)

    def _taken_up(self, command: Request | Withdrawal, now_at: datetime) -> datetime | None:
        """Do what is asked and return until when it holds."""
        match command:
            case Request():
                self._enter(command, now_at)
                return command.expires_at
            case Withdrawal():
                self._withdraw(command, now_at)
                return None

    def _enter(self, request: Request, now_at: datetime) -> None:
        if len(self._live(request.request_id, request.owner, now_at)) >= LIVE_MOST:
            raise Refused(request.request_id, request.owner, f"{LIVE_MOST} requests hold already")
        try:
            is_new = leave_request(self._store.directory, request, now_at)
        except (sqlite3.Error, OSError, ConfigError) as broken:
            raise _unwritten(request.request_id, request.owner, broken) from None
        if not is_new:
            raise Refused(request.request_id, request.owner, "id: was used before")

    def _withdraw(self, told: Withdrawal, now_at: datetime) -> None:
        live = self._live(told.command_id, told.owner, now_at)
        if not any(each.request_id == told.request_id and each.owner == told.owner for each in live):
            cause = f"request_id: no request '{told.request_id[:64]}' of this owner holds"
            raise Refused(told.command_id, told.owner, cause)
        try:
            withdraw_request(self._store.directory, told.request_id, now_at)
        except (sqlite3.Error, OSError, ConfigError) as broken:
            raise _unwritten(told.command_id, told.owner, broken) from None

    def _live(self, command_id: str, owner: str, now_at: datetime) -> tuple[Request, ...]:
        try:
            with closing(open_for_reading(self._store.directory / FILE)) as ledger:
                return live_requests(ledger, now_at)
        except (sqlite3.Error, OSError, ConfigError) as broken:
            raise _unwritten(command_id, owner, broken) from None

    def _audit(self, refused: Refused, now: Instant) -> None:
        self._budget += (now.mono_s - self._counted_s) / (AUDITED_EACH_S * self._pace)
        self._budget, self._counted_s = min(self._budget, AUDITED_MOST), now.mono_s
        is_silent = self._budget < 1.0
        if not is_silent:
            self._budget -= 1.0
            log.warning(
                "a command was refused", id=refused.command_id, owner=refused.owner, cause=refused.cause
            )
            row = RequestRefused(now.at, refused.command_id, refused.owner, refused.cause)
            self._store.enter(row)
        elif not self._is_silent:
            log.warning("too many commands are refused: not all are audited")
        self._is_silent = is_silent

    def _ack(self, command_id: str, cause: str | None, expires_at: datetime | None) -> Message | None:
        if not command_id:
            return None
        ack = {
            "id": command_id,
            "accepted": cause is None,
            "cause": cause,
            "expires_at": None if expires_at is None else utc_text(expires_at),
        }
        return Message(topic_of(self._site.site_id, "ack", command_id), json.dumps(ack), retain=False)


def _unwritten(command_id: str, owner: str, broken: Exception) -> Refused:
    return Refused(command_id, owner, f"the ledger cannot be used: {broken}")
