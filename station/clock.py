"""Instants and slots of time. Pure arithmetic; the shell's clock hands instants in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    ``at`` is wall time, timezone-aware UTC: for tariffs, sessions and records. ``mono_s`` is the monotonic clock in
    seconds of station time: for ages, timers and leases, because the wall clock may jump.
    """

    at: datetime
    mono_s: float

    def later(self, duration_s: float) -> "Instant":
        """Return the instant ``duration_s`` after this one on both clocks."""
        return Instant(self.at + timedelta(seconds=duration_s), self.mono_s + duration_s)


class Clock(Protocol):
    """Where the shell gets time from. Real, scaled or virtual."""

    speed: float

    def now(self) -> Instant:
        """Return the present instant in station time."""
        ...

    async def sleep_until(self, mono_s: float) -> None:
        """Return when the monotonic station clock has reached ``mono_s``."""
        ...

    def hold_until(self, mono_s: float) -> None:
        """Permit time to run up to ``mono_s`` and no further. Real time waits for nobody and ignores this."""
        ...


def slot_start(at: datetime, slot_s: float) -> datetime:
    """Return the start of the slot of length ``slot_s`` that holds ``at``; slots are aligned to the UTC epoch."""
    seconds = at.timestamp()
    return datetime.fromtimestamp(seconds - seconds % slot_s, tz=UTC)


def slot_starts(first_at: datetime, slots: int, slot_s: float) -> tuple[datetime, ...]:
    """Return the starts of ``slots`` consecutive slots of ``slot_s`` seconds, the first at ``first_at``."""
    return tuple(first_at + timedelta(seconds=slot_s * index) for index in range(slots))
