"""What the station has learnt of itself: means per slot of base load and PV, and the sessions that have ended."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import nan

from station.clock import slot_start
from station.decision import Balance
from station.forecast import History
from station.session import PastSession

KEEP_S = 60 * 86_400.0
"""Older slots and sessions are forgotten."""

LEAST_COVER = 0.5
"""A slot of which less was measured counts as not measured."""


class HistoryKeeper:
    """Adds up what each cycle saw. Deterministic; the clock is handed in."""

    def __init__(self, past: History) -> None:
        """Begin with ``past``; its slots set the grid, and a gap up to now is filled with NaN."""
        self._slot_s = past.slot_s
        self._starts_at = past.starts_at
        self._load_kw = deque(past.load_kw)
        self._pv_kw = deque(past.pv_kw)
        self._sessions = deque(past.sessions)
        self._slot_at: datetime | None = None
        self._load_kw_s = self._pv_kw_s = self._covered_s = 0.0

    def add(self, at: datetime, balance: Balance, dt_s: float) -> None:
        """Count one cycle of ``dt_s`` seconds that began at ``at``; a worst-case base load teaches nothing."""
        slot_at = slot_start(at, self._slot_s)
        if self._slot_at is None:
            self._slot_at = slot_at
        elif slot_at > self._slot_at:
            self._close(slot_at)
        if not balance.base_is_worst_case:
            self._load_kw_s += balance.base_kw * dt_s
            self._pv_kw_s += balance.pv_kw * dt_s
            self._covered_s += dt_s

    def ended(self, sessions: Sequence[PastSession], now_at: datetime) -> None:
        """Remember sessions that are over, and forget the oldest."""
        self._sessions.extend(sessions)
        oldest_at = now_at - timedelta(seconds=KEEP_S)
        while self._sessions and self._sessions[0].unplugged_at < oldest_at:
            self._sessions.popleft()

    def history(self) -> History:
        """Return all that is known, up to the last slot that is over."""
        return History(
            self._starts_at, self._slot_s, tuple(self._load_kw), tuple(self._pv_kw), tuple(self._sessions)
        )

    def _close(self, next_slot_at: datetime) -> None:
        slot_at = self._slot_at
        if slot_at is None:
            return
        self._fill_until(slot_at)
        is_covered = self._covered_s >= LEAST_COVER * self._slot_s
        self._append(
            self._load_kw_s / self._covered_s if is_covered else nan,
            self._pv_kw_s / self._covered_s if is_covered else nan,
        )
        self._slot_at = next_slot_at
        self._load_kw_s = self._pv_kw_s = self._covered_s = 0.0

    def _fill_until(self, slot_at: datetime) -> None:
        while self._starts_at + timedelta(seconds=self._slot_s * len(self._load_kw)) < slot_at:
            self._append(nan, nan)

    def _append(self, load_kw: float, pv_kw: float) -> None:
        self._load_kw.append(load_kw)
        self._pv_kw.append(pv_kw)
        if len(self._load_kw) * self._slot_s > KEEP_S:
            self._load_kw.popleft()
            self._pv_kw.popleft()
            self._starts_at += timedelta(seconds=self._slot_s)
