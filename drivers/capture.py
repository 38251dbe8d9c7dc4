"""What went over a link, byte by byte, in a file that another person can replay. No address and no secret is in it.

A capture is lines of JSON: a header, then one object for each thing that happened, with the seconds since its start.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from drivers.transport import Transport
from station.errors import ConfigError

VERSION = 1
MAGIC = "heliodock capture"


class What(StrEnum):
    """What happened on the link; ``poll`` is where a new round of reading begins."""

    POLL = "poll"
    OPENED = "opened"
    CLOSED = "closed"
    SENT = "sent"
    GOT = "got"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, ``at_s`` seconds after the start; ``cause`` says why something failed."""

    at_s: float
    what: What
    data: bytes = b""
    cause: str = ""

    def line(self) -> str:
        """Return the event as a line of the file."""
        record: dict[str, Any] = {"at_s": round(self.at_s, 6), "what": self.what.value}
        if self.data:
            record["hex"] = self.data.hex()
        if self.cause:
            record["cause"] = self.cause
        return json.dumps(record, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Header:
    """Whose link it was. ``framing`` is ``tcp`` or ``rtu``; ``kw_per_a`` belongs to each of ``assets``."""

    software: str
    site: str
    device: str
    profile: str
    framing: str
    unit: int
    assets: tuple[str, ...]
    kw_per_a: Mapping[str, float] = field(default_factory=dict)

    def line(self) -> str:
        """Return the header as the first line of the file."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({MAGIC: VERSION, **record, "assets": list(self.assets)}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture as read back. ``damaged`` are the numbers of lines that could not be read; a torn last one is usual."""

    header: Header
    events: tuple[Event, ...]
    damaged: tuple[int, ...] = ()


class CapturedTransport:
    """A transport that tells ``note`` of everything that passes, and changes nothing."""

    def __init__(self, inner: Transport, note: Callable[[Event], None]) -> None:
        self._inner = inner
        self._note = note
        self._began_s: float | None = None

    def __str__(self) -> str:
        return str(self._inner)

    @property
    def is_open(self) -> bool:
        """Return whether the connection stands."""
        return self._inner.is_open

    async def open(self, timeout_s: float) -> None:
        """Connect."""
        try:
            await self._inner.open(timeout_s)
        except (OSError, TimeoutError) as failed:
            self._tell(What.FAILED, cause=f"no connection: {str(failed) or 'no answer in time'}")
            raise
        self._tell(What.OPENED)

    def close(self) -> None:
        """Drop the connection."""
        if self._inner.is_open:
            self._tell(What.CLOSED)
        self._inner.close()

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Hand over all of ``data``."""
        self._tell(What.SENT, data)
        await self._inner.send(data, timeout_s)

    async def receive(self, timeout_s: float) -> bytes:
        """Return the next bytes."""
        try:
            data = await self._inner.receive(timeout_s)
        except (OSError, TimeoutError) as failed:
            is_late = isinstance(failed, TimeoutError)
            if is_late and timeout_s <= 0.0:
                raise
            self._tell(What.FAILED, cause="" if is_late else str(failed) or "the connection broke")
            raise
        self._tell(What.GOT, data)
        return data

    def poll(self) -> None:
        """Note that a new round of reading begins."""
        self._tell(What.POLL)

    def _tell(self, what: What, data: bytes = b"", cause: str = "") -> None:
        now_s = asyncio.get_running_loop().time()
        if self._began_s is None:
            self._began_s = now_s
        self._note(Event(now_s - self._began_s, what, data, cause))


def read_capture(name: str, lines: Iterable[str]) -> Capture:
    """Return a capture, damaged lines left out and counted; raise ``ConfigError`` where the first line is no header."""
    every = iter(lines)
    header = _header(name, next(every, ""))
    events: list[Event] = []
    damaged: list[int] = []
    for number, line in enumerate(every, 2):
        if not line.strip():
            continue
        event = _event(line)
        if event is None:
            damaged.append(number)
        else:
            events.append(event)
    return Capture(header, tuple(events), tuple(damaged))


def _header(name: str, line: str) -> Header:
    record = _object(line)
    if record is None or MAGIC not in record:
        raise ConfigError(name, 1, "", "is no capture: the header is missing")
    if record.pop(MAGIC) != VERSION:
        raise ConfigError(name, 1, "", f"is a capture of another version than {VERSION}")
    try:
        return Header(**{**record, "assets": tuple(record["assets"])})
    except (KeyError, TypeError):
        raise ConfigError(name, 1, "", "is no capture: the header is damaged") from None


def _event(line: str) -> Event | None:
    record = _object(line)
    if record is None:
        return None
    try:
        data = bytes.fromhex(record.get("hex", ""))
        return Event(float(record["at_s"]), What(record["what"]), data, str(record.get("cause", "")))
    except (KeyError, TypeError, ValueError):
        return None


def _object(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
