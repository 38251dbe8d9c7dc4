"""What may be said on ``heliodock/<site>/set/…``: read strictly, or refused with a cause. Pure.

A command is a wish of somebody for a time. Nothing is guessed: an unknown key, a number that is not finite, a time
without a zone, an old or a repeated message is refused. Whether its id was used before, only the ledger knows.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from northbound.mqtt_messages import ROOT
from station.assets import PvPlant
from station.errors import HeliodockError
from station.limits import Interval
from station.request import Request, RequestKind
from station.topology import Site

BYTES_MOST = 2_048
"""A command is never longer."""

OLD_S = 60.0
FUTURE_S = 5.0
"""A command whose ``issued_at`` is older or further ahead is refused: it was delayed, repeated, or a clock is wrong."""

LIFE_MOST = timedelta(days=7)

LARGEST_KW = 1e6

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_HEAD = ("id", "issued_at", "owner")
_LIMITS = {
    "max_import_kw": RequestKind.OPERATOR_IMPORT_LIMIT,
    "max_export_kw": RequestKind.OPERATOR_EXPORT_LIMIT,
}


@dataclass
class Refused(HeliodockError):
    """A command that is not taken up. ``command_id`` is empty where the message has no usable one."""

    command_id: str
    owner: str
    cause: str

    def __str__(self) -> str:
        return self.cause


@dataclass(frozen=True, slots=True)
class Told:
    """A message on a topic for commands, as it came."""

    topic: str
    payload: bytes
    is_retained: bool


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Somebody takes a wish of his own back."""

    command_id: str
    owner: str
    request_id: str


def command_of(site: Site, told: Told, now_at: datetime, pace: float = 1.0) -> Request | Withdrawal:
    """Return what a message asks for; raise ``Refused``. ``pace`` is station time per wall time."""
    reader = _Reader(site, told, now_at, pace)
    try:
        return reader.read()
    except ValueError as wrong:
        raise Refused(reader.command_id, reader.owner, str(wrong)) from None


class _Reader:
    """Reads one message; raises ``ValueError`` with the cause of a refusal. Keeps id and owner for that."""

    def __init__(self, site: Site, told: Told, now_at: datetime, pace: float) -> None:
        self.command_id = ""
        self.owner = ""
        self._site, self._told, self._now_at, self._pace = site, told, now_at, pace

    def read(self) -> Request | Withdrawal:
        entries = _entries(self._told.payload)
        self._identify(entries)
        if self._told.is_retained:
            raise ValueError("a command must not be retained")
        _, _, _, what, *rest = [*self._told.topic.split("/"), ""]
        match what, rest:
            case "limit", [""]:
                return self._limit(entries)
            case "withdraw", [""]:
                return self._withdrawal(entries)
            case "asset", [asset_id, ""] if asset_id in self._site.by_id:
                return self._override(entries, asset_id)
            case "asset", [asset_id, ""]:
                raise ValueError(f"no asset '{asset_id}' takes commands")
        raise ValueError(f"there is no command at {self._told.topic}")

    def _identify(self, entries: Mapping[str, Any]) -> None:
        command_id, owner = entries.get("id"), entries.get("owner")
        if not isinstance(command_id, str) or not ID.fullmatch(command_id):
            raise ValueError(
                "id: 1 to 64 letters, digits, '.', '_' or '-' are needed, a letter or digit first"
            )
        self.command_id = command_id
        if not isinstance(owner, str) or not 1 <= len(owner.strip()) <= 64 or not owner.isprintable():
            raise ValueError("owner: 1 to 64 printable characters are needed")
        self.owner = owner.strip()

    def _limit(self, entries: Mapping[str, Any]) -> Request:
        given = [name for name in _LIMITS if name in entries]
        if len(given) != 1:
            raise ValueError("one of max_import_kw and max_export_kw is needed")
        _only(entries, (*_HEAD, "expires_at", given[0]))
        limit_kw = _number(entries, given[0])
        if limit_kw < 0.0:
            raise ValueError(f"{given[0]}: must not be negative")
        return self._request(entries, _LIMITS[given[0]], Interval(0.0, limit_kw), "")

    def _override(self, entries: Mapping[str, Any], asset_id: str) -> Request:
        _only(entries, (*_HEAD, "expires_at", "min_kw", "max_kw"))
        low_kw, high_kw = _number(entries, "min_kw"), _number(entries, "max_kw")
        if low_kw > high_kw:
            raise ValueError("min_kw is above max_kw")
        if isinstance(self._site.by_id[asset_id], PvPlant):  # told positive, kept in load convention
            low_kw, high_kw = 0.0 - high_kw, 0.0 - low_kw
        return self._request(entries, RequestKind.MANUAL, Interval(low_kw, high_kw), asset_id)

    def _withdrawal(self, entries: Mapping[str, Any]) -> Withdrawal:
        _only(entries, (*_HEAD, "request_id"))
        self._issued_at(entries)
        request_id = entries.get("request_id")
        if not isinstance(request_id, str) or not request_id:
            raise ValueError("request_id: the id of the request is needed")
        return Withdrawal(self.command_id, self.owner, request_id)

    def _request(
        self, entries: Mapping[str, Any], kind: RequestKind, interval: Interval, asset_id: str
    ) -> Request:
        """Return the wish. It lives no longer from now on than its owner said, whoever's clock is wrong."""
        issued_at, expires_at = self._issued_at(entries), _time(entries, "expires_at")
        if expires_at <= self._now_at:
            raise ValueError("expires_at: is over already")
        life = expires_at - issued_at
        if life <= timedelta(0):
            raise ValueError("expires_at: is before issued_at")
        if life > LIFE_MOST or expires_at - self._now_at > LIFE_MOST + timedelta(seconds=OLD_S):
            raise ValueError(f"expires_at: more than {LIFE_MOST.days} days ahead")
        return Request(
            self.command_id, kind, self.owner, min(expires_at, self._now_at + life), interval, asset_id
        )

    def _issued_at(self, entries: Mapping[str, Any]) -> datetime:
        issued_at = _time(entries, "issued_at")
        age_s = (self._now_at - issued_at).total_seconds()
        if age_s > OLD_S * self._pace:
            raise ValueError(
                f"issued_at: {age_s:.0f} s old by this station's clock; {OLD_S:.0f} s is the most"
            )
        if -age_s > FUTURE_S * self._pace:
            raise ValueError(f"issued_at: {-age_s:.0f} s ahead of this station's clock")
        return issued_at


def site_topics(site_id: str) -> str:
    """Return the filter of all topics on which a site takes commands."""
    return f"{ROOT}/{site_id}/set/#"


def _entries(payload: bytes) -> dict[str, Any]:
    if len(payload) > BYTES_MOST:
        raise ValueError(f"longer than {BYTES_MOST} bytes")
    try:
        entries = json.loads(payload.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as wrong:
        cause = wrong.args[0] if isinstance(wrong, _Wrong) else "one JSON object in UTF-8 is needed"
        raise ValueError(cause) from None
    if not isinstance(entries, dict):
        raise ValueError("one JSON object in UTF-8 is needed")
    return entries


class _Wrong(ValueError):
    """JSON that is read, and not taken."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise _Wrong("a key stands twice")
    return entries


def _no_constant(name: str) -> float:
    raise _Wrong(f"{name} is no number")


def _only(entries: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise where a key is not known, or one is missing."""
    names = set(known)
    unknown = sorted(repr(name[:32]) for name in set(entries) - names)
    missing = sorted(names - set(entries))
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown[:3])}")
    if missing:
        raise ValueError(f"missing key {', '.join(missing)}")


def _number(entries: Mapping[str, Any], name: str) -> float:
    value = entries[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: a number is needed")
    if not (isinstance(value, int) or isfinite(value)) or not -LARGEST_KW <= value <= LARGEST_KW:
        raise ValueError(f"{name}: a number of at most {LARGEST_KW:.0f} is needed")
    return float(value)


def _time(entries: Mapping[str, Any], name: str) -> datetime:
    value = entries.get(name)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: a time such as 2026-01-31T12:00:00Z is needed, with its zone")
