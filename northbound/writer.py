"""The one thread that writes. The loop and the sinks hand items over and never wait for a disk.

History may be dropped when the disk can't follow, the oldest first, and the loss is counted. Ledger rows, and what
sinks say of their outbox, wait in memory until they are written; only beyond a very large number of them is the newest
one refused, and that is counted.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, TypeVar

from northbound.outbox import Act
from station.errors import HeliodockError

Item = TypeVar("Item")

SURVIVED = (
    sqlite3.Error,
    OSError,
    HeliodockError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a round may raise without ending the thread."""

LEDGER_CAP = 500_000
"""Rows of the ledger that may wait in memory."""

ACTS_CAP = 100_000
"""Acts of sinks that may wait in memory."""

HISTORY_CAP = 7_200
"""Cycles of history that may wait in memory: two hours at one second."""

BATCH = 2_000
"""Items of one transaction at most."""

RETRY_S = 1.0
RETRY_MOST_S = 30.0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store does. Counts are since the start; ``last_error`` is the last cause, empty where none was.

    ``is_failing`` says that the last attempt failed. ``ledger_refused`` rows can't be written at all (a defect).
    ``feed_errors`` messages could not be made for a sink, the last one because of ``feed_cause``.
    """

    is_failing: bool = False
    errors: int = 0
    last_error: str = ""
    history_dropped: int = 0
    ledger_dropped: int = 0
    ledger_refused: int = 0
    ledger_waiting: int = 0
    history_waiting: int = 0
    acts_dropped: int = 0
    feed_errors: int = 0
    feed_cause: str = ""


class Waiting(Generic[Item]):
    """Items in order, each with a number from 1; an item stays until it is known to be written."""

    def __init__(self) -> None:
        self._items: deque[tuple[int, Item]] = deque()
        self.last = 0
        self.written = 0

    def __len__(self) -> int:
        return len(self._items)

    def append(self, item: Item) -> int:
        """Add an item and return its number."""
        self.last += 1
        self._items.append((self.last, item))
        return self.last

    def drop_oldest(self) -> None:
        """Forget the oldest item unwritten."""
        self._items.popleft()

    def first(self, count: int) -> list[tuple[int, Item]]:
        """Return the oldest items, at most ``count``, which stay."""
        return list(islice(self._items, count))

    def done(self, number: int) -> None:
        """Forget every item up to ``number``: it is on disk."""
        while self._items and self._items[0][0] <= number:
            self._items.popleft()
        self.written = max(self.written, number)


Ledgered = TypeVar("Ledgered")
Recorded = TypeVar("Recorded")


@dataclass(frozen=True)
class Sinks(Generic[Ledgered, Recorded]):
    """What the thread calls: each writes a batch in one transaction or raises.

    They return how many items they had to refuse for good, each being at fault itself. ``between`` runs after each
    round.
    """

    ledger: Callable[[Sequence[Ledgered]], int]
    history: Callable[[Sequence[Recorded]], int]
    between: Callable[[], int]
    close: Callable[[], int]
    acts: Callable[[Sequence[Act]], int] = lambda _: 0


class Writer(Generic[Ledgered, Recorded]):
    """The thread and its queues."""

    def __init__(
        self, sinks: Sinks[Ledgered, Recorded], retry_s: float = RETRY_S, wake_s: float = 1.0
    ) -> None:
        """Write through ``sinks``; try again ``retry_s`` after a failure, later more seldom."""
        self._sinks = sinks
        self._retry_s, self._wake_s = retry_s, wake_s
        self._changed = threading.Condition()
        self._ledger: Waiting[Ledgered] = Waiting()
        self._history: Waiting[Recorded] = Waiting()
        self._acts: Waiting[Act] = Waiting()
        self._settled = (0, 0, 0)
        self._status = StoreStatus()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="heliodock-store", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def status(self) -> StoreStatus:
        """Return how the store does now."""
        with self._changed:
            return replace(self._status, ledger_waiting=len(self._ledger), history_waiting=len(self._history))

    @property
    def ledger_written(self) -> int:
        """Return the number of the last ledger row that is on disk."""
        return self._ledger.written

    @property
    def history_written(self) -> int:
        """Return the number of the last item of history that is on disk."""
        return self._history.written

    def put_ledger(self, row: Ledgered) -> int:
        """Queue a row and return its number, 0 where it was refused because too many wait."""
        with self._changed:
            if len(self._ledger) >= LEDGER_CAP:
                self._count(ledger_dropped=1)
                return 0
            number = self._ledger.append(row)
            self._changed.notify_all()
            return number

    def put_history(self, record: Recorded) -> int:
        """Queue a record and return its number; the oldest one goes where too many wait."""
        with self._changed:
            if len(self._history) >= HISTORY_CAP:
                self._history.drop_oldest()
                self._count(history_dropped=1)
            number = self._history.append(record)
            self._changed.notify_all()
            return number

    def put_act(self, act: Act) -> None:
        """Queue what a sink says; it is refused where too many wait."""
        with self._changed:
            if len(self._acts) >= ACTS_CAP:
                self._count(acts_dropped=1)
                return
            self._acts.append(act)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was queued before is on disk; False where that took longer."""
        with self._changed:
            wanted = (self._ledger.last, self._history.last, self._acts.last)
            return self._changed.wait_for(
                lambda: all(done >= last for done, last in zip(self._settled, wanted, strict=True)), timeout_s
            )

    def close(self, timeout_s: float) -> bool:
        """Write what waits, end the thread and return whether all is on disk."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._has_items()

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            with self._changed:
                if pause_s:
                    self._changed.wait_for(lambda: self._closing, pause_s)
                else:
                    self._changed.wait_for(self._has_work, self._wake_s)
                is_last = self._closing
            failed = not self._round()
            pause_s = min(max(2.0 * pause_s, self._retry_s), RETRY_MOST_S) if failed else 0.0
            if is_last and (failed or not self._has_items()):
                self._try(self._sinks.close)
                return

    def _has_work(self) -> bool:
        return self._closing or self._has_items()

    def _has_items(self) -> bool:
        return bool(len(self._ledger) or len(self._history) or len(self._acts))

    def _round(self) -> bool:
        """Write a batch of each queue, the ledger first; return whether all went well."""
        results = [
            self._drain(self._ledger, self._sinks.ledger, "ledger_refused"),
            self._drain(self._history, self._sinks.history, "history_dropped"),
            self._drain(self._acts, self._sinks.acts, "acts_dropped"),
            self._try(self._sinks.between) is not None,
        ]
        with self._changed:
            self._settled = (self._ledger.written, self._history.written, self._acts.written)
            self._status = replace(self._status, is_failing=not all(results))
            self._changed.notify_all()
        return all(results)

    def _drain(self, waiting: Waiting[Item], write: Callable[[Sequence[Item]], int], refused_as: str) -> bool:
        """Write the oldest items of a queue; return whether that went well."""
        with self._changed:
            batch = waiting.first(BATCH)
        if not batch:
            return True
        refused = self._try(lambda: write([item for _, item in batch]))
        if refused is None:
            return False
        with self._changed:
            waiting.done(batch[-1][0])
            self._count(**{refused_as: refused})
        return True

    def _try(self, action: Callable[[], int]) -> int | None:
        """Run ``action``; where it fails count that, keep the cause and return None: the thread must go on."""
        try:
            return action()
        except SURVIVED as refused:
            with self._changed:
                self._count(errors=1)
                self._status = replace(self._status, last_error=str(refused) or type(refused).__name__)
            return None

    def _count(self, **more: int) -> None:
        """Add to counters; the lock is held."""
        for name, count in more.items():
            self._status = replace(self._status, **{name: getattr(self._status, name) + count})
