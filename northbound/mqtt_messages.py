"""Records and events as MQTT messages: the topics and payloads of docs/mqtt.md. Pure but for the pace.

A state is retained, an event is not. Every message has an ``id`` that depends on nothing but the record or event, so
that whoever receives one twice can drop it. What was not measured is null, never 0. PV is positive, all other power is
positive into the thing (import, charging).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import floor, isfinite
from typing import Any

from northbound.feed import Event, Feed
from station.assets import Battery, Connector, Controllable
from station.sinks import MqttSettings
from station.topology import Site

SINK = "mqtt"

ROOT = "heliodock"
TAKEN = ("site", "status", "event", "set", "ack")
"""Levels below a site that have a meaning of their own: the state of an asset of such a name is not published."""

DECIMALS = 6
PLAN_FIELDS = ("made_at", "starts_at", "slot_s", "origin", "peak_kw", "expected_cost", "solve_ms", "note")

REMEMBERED = 10_000
"""Records whose turn is remembered: more than can be entered a second time after trouble with the disk."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, always sent with QoS 1."""

    topic: str
    payload: str
    retain: bool


def mqtt_feed(site: Site, settings: MqttSettings) -> Feed:
    """Return how MQTT wants the records and events of ``site`` told: a parcel holds the messages of one of them."""
    pace = Pace(settings.interval_s)
    return Feed(SINK, partial(_of_record, _Names(site), pace), partial(_of_event, site))


def topic_of(site_id: str, *levels: str) -> str:
    """Return a topic of a site."""
    return "/".join((ROOT, site_id, *levels))


def packed(messages: Iterable[Message]) -> bytes:
    """Return messages as the body of a parcel."""
    plain = [{"topic": each.topic, "payload": each.payload, "retain": each.retain} for each in messages]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()


def unpacked(body: bytes) -> list[Message]:
    """Return the messages of a parcel; raise ``ValueError`` where it is none."""
    try:
        return [Message(str(m["topic"]), str(m["payload"]), bool(m["retain"])) for m in json.loads(body)]
    except (LookupError, TypeError, RecursionError) as wrong:
        raise ValueError(f"not a parcel of messages: {wrong}") from None


class Pace:
    """Says which records are told: the first one of each interval of station time.

    It remembers what it said, because the store asks again when a transaction failed.
    """

    def __init__(self, interval_s: float) -> None:
        """Let one record pass in each interval of so many seconds since 1970."""
        self._interval_s = interval_s
        self._slot: int | None = None
        self._said: dict[datetime, bool] = {}

    def is_due(self, at: datetime) -> bool:
        """Return whether the record of ``at`` is told. A clock that is put back begins a new interval."""
        if at not in self._said:
            slot = floor(at.timestamp() / self._interval_s)
            self._said[at] = slot != self._slot
            self._slot = slot
            if len(self._said) > REMEMBERED:
                del self._said[next(iter(self._said))]
        return self._said[at]


def kind_of(asset: Controllable | None) -> str:
    """Return what a state calls an asset; None is the meter."""
    match asset:
        case None:
            return "meter"
        case Battery():
            return "battery"
        case Connector():
            return "connector"
    return "pv"


class _Names:
    """Who has a state, and whose each signal is."""

    def __init__(self, site: Site) -> None:
        self.site_id = site.site_id
        assets: dict[str, Controllable | None] = {site.meter.asset_id: None, **site.by_id}
        self.kinds = {name: kind_of(asset) for name, asset in assets.items() if name not in TAKEN}

    def split(self, signal: str) -> tuple[str, str]:
        """Return whose a signal is and its field; what belongs to no asset is the site's."""
        owner, dot, field = signal.partition(".")
        return (owner, field) if dot and owner in self.kinds else ("site", signal.replace(".", "_"))


def _of_record(names: _Names, pace: Pace, at: datetime, values: Mapping[str, float]) -> bytes | None:
    if not pace.is_due(at):
        return None
    states: dict[str, dict[str, object]] = {"site": {}}
    for signal, value in values.items():
        owner, field = names.split(signal)
        states.setdefault(owner, {})[field] = _number(value)
    return packed(_state(names, owner, at, fields) for owner, fields in states.items())


def _state(names: _Names, owner: str, at: datetime, fields: Mapping[str, object]) -> Message:
    told = _text(at)
    head = {"id": f"{owner}@{told}", "at": told, "kind": names.kinds.get(owner, "site")}
    return Message(topic_of(names.site_id, owner, "state"), _json({**head, **fields}), retain=True)


def _of_event(site: Site, event: Event) -> bytes | None:
    told = _text(event.at)
    body = _told(site, event.kind, event.body)
    payload = {"id": f"{event.number}@{told}", "at": told, "kind": event.kind, **body}
    return packed([Message(topic_of(site.site_id, "event", event.kind), _json(payload), retain=False)])


def _told(site: Site, kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of an event: a plan without its rows; a wish for PV with PV's sign.

    Its own ``kind`` (that of a request) goes by another name.
    """
    if kind == "plan":
        return {name: body.get(name) for name in PLAN_FIELDS} | {"slots": len(body.get("grid_kw", ()))}
    if kind != "request":
        return dict(body)
    told = {("request_kind" if name == "kind" else name): value for name, value in body.items()}
    if kind_of(site.by_id.get(body["asset_id"])) == "pv":
        told |= {"min_kw": _negative(body["max_kw"]), "max_kw": _negative(body["min_kw"])}
    return told


def _negative(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _number(value: float) -> float | None:
    return round(float(value), DECIMALS) if isfinite(value) else None


def _json(payload: Mapping[str, object]) -> str:
    return json.dumps(payload, ensure_ascii=False, allow_nan=False)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
