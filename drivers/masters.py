"""Another master that writes the same setpoint: noticed, and given way to. Pure.

Two masters that overwrite each other make a device swing. So whoever finds that what it wrote was replaced stops
writing for a while and counts the device at its rating.
"""

import math
from dataclasses import dataclass

SLACK = 1e-6
SEEN_TO_BE_SURE = 2
"""One read may fall between another value and our own next write."""

BACK_OFF_S = 60.0
BACK_OFF_MOST_S = 900.0
"""The first pause; it doubles each time."""

FORGIVEN_S = 3600.0
"""After so long without another master the next pause is the first again."""


@dataclass
class Masters:
    """What is known of who writes one asset's setpoint. Instants are monotonic seconds of the station's clock."""

    ours_kw: float | None = None
    written_s: float | None = None
    seen: int = 0
    other_kw: float = 0.0
    until_s: float = -math.inf
    back_off_s: float = BACK_OFF_S

    def wrote(self, now_s: float) -> None:
        """Note that the device confirmed a setpoint of ours: what it says next is ours."""
        self.ours_kw, self.written_s, self.seen = None, now_s, 0

    def forget(self) -> None:
        """Note that the device may have restarted or have gone to its fallback: what it says is nobody's."""
        self.ours_kw, self.written_s, self.seen = None, None, 0

    def says(self, held_kw: float, asked_s: float, lease_s: float | None) -> bool:
        """Take what the device holds, asked after the last write; return whether another master was found just now.

        From the end of ``lease_s`` on the device may have gone to its fallback by itself.
        """
        if self.written_s is None or asked_s < self.written_s:
            return False
        if lease_s is not None and asked_s - self.written_s >= lease_s:
            self.forget()
            return False
        if self.ours_kw is None:
            self.ours_kw = held_kw
        if abs(held_kw - self.ours_kw) <= SLACK:
            self.seen = 0
            return False
        self.seen, self.other_kw = self.seen + 1, held_kw
        if self.seen < SEEN_TO_BE_SURE:
            return False
        self._give_way(asked_s)
        return True

    def problem(self, now_s: float) -> str:
        """Return why nothing is written now; empty where it may be."""
        if now_s >= self.until_s:
            return ""
        left_s = self.until_s - now_s
        return f"another master wrote {self.other_kw:g} kW: nothing is written for {left_s:.0f} s"

    def _give_way(self, now_s: float) -> None:
        is_new = now_s - self.until_s > FORGIVEN_S
        self.back_off_s = BACK_OFF_S if is_new else min(2.0 * self.back_off_s, BACK_OFF_MOST_S)
        self.until_s = now_s + self.back_off_s
        self.forget()
