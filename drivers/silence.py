"""What a unit's silence means for how it is asked: more seldom, with a shorter wait, and not while it may still speak.

Pure.
"""

FIRST_S = 0.5
SILENCES_TO_SPARE = 2
LEAST_WAIT_S = 0.2
MARGIN = 3.0
"""A unit that is tried again gets this many times its longest known answer time."""
FULL_EVERY = 4
"""Of the tries of a silent unit every one of so many waits the whole time-out: it may have become slow."""


class Silence:
    """One unit behind a link. It is left alone for at most ``most_s`` at a time."""

    __slots__ = ("_count", "_longest_s", "_most_s", "cause", "quiet_until_s", "spared_until_s")

    def __init__(self, most_s: float) -> None:
        self.cause = ""
        self.quiet_until_s = 0.0
        """Until then a late answer may come, and the next request waits."""
        self.spared_until_s = 0.0
        """Until then requests fail at once, so that other units need not wait for this one."""
        self._most_s = most_s
        self._count = 0
        self._longest_s = 0.0

    @property
    def is_troubled(self) -> bool:
        """Return whether anything speaks against asking now."""
        return self.quiet_until_s > 0.0 or self._count > 0

    def patience_s(self, timeout_s: float) -> float:
        """Return how long to wait for an answer."""
        is_try = self._count >= SILENCES_TO_SPARE and self._longest_s > 0.0
        if not is_try or self._count % FULL_EVERY == 0:
            return timeout_s
        return min(timeout_s, max(LEAST_WAIT_S, MARGIN * self._longest_s))

    def heard(self, after_s: float) -> None:
        """Note an answer and how long it took."""
        self._count = 0
        self.quiet_until_s = 0.0
        self._longest_s = max(self._longest_s, after_s)

    def unheard(self, now_s: float) -> None:
        """Note that no answer came."""
        self._count += 1
        if self._count >= SILENCES_TO_SPARE:
            pause_s = FIRST_S * 2.0 ** min(self._count - SILENCES_TO_SPARE, 10)
            self.spared_until_s = now_s + min(pause_s, self._most_s)

    def keep_quiet(self, until_s: float) -> None:
        """Let no request go out before ``until_s``."""
        self.quiet_until_s = max(self.quiet_until_s, until_s)
