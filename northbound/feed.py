"""What a sink (InfluxDB, MQTT) is given: messages made of records and events.

They are made in the store's thread and kept in its outbox, in the transaction that writes the record, until the sink
says that it has them. So nothing is lost while a sink is away, and after a kill at most the last batch goes out twice:
a message must be harmless when it is repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the audit: a command, an alarm, a session, a request, a plan. ``body`` is plain data, by ``kind``."""

    number: int
    at: datetime
    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Feed:
    """How one sink wants things told; None: it does not want this one. Pure functions, called in the store's thread."""

    sink: str
    of_record: Callable[[datetime, Mapping[str, float]], bytes | None]
    of_event: Callable[[Event], bytes | None]


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that waits; numbers rise."""

    number: int
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for a sink, and how much was ever dropped because too much waited (the oldest records first)."""

    count: int
    size_bytes: int
    oldest_at: datetime | None
    dropped: int = 0


class Outbox(Protocol):
    """What waits for one sink. Methods read or write a file: call them in a thread, one at a time."""

    def parcels(self, most: int, most_bytes: int) -> list[Parcel]:
        """Return the oldest messages that are not delivered: at least one where any waits, else within both bounds."""

    def delivered(self, number: int) -> None:
        """Forget every message up to ``number``: the sink has it."""

    def refuse(self, at: datetime, body: bytes, cause: str) -> None:
        """Keep a message, or part of one, as a dead letter: the sink will never take it."""

    def backlog(self) -> Backlog:
        """Return what waits."""


@dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink does. ``cause`` is empty while all is well; ``is_wrong``: only a person can mend it (a password)."""

    cause: str = ""
    is_wrong: bool = False
    sent: int = 0
    refused: int = 0


class Sink(Protocol):
    """Empties its outbox, whatever the other side does."""

    @property
    def name(self) -> str:
        """Return the name under which messages wait."""

    @property
    def status(self) -> SinkStatus:
        """Return how it does."""

    async def run(self) -> None:
        """Send until cancelled; never raises because of the other side, and never blocks the event loop."""
