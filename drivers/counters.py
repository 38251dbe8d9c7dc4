"""Counters never run back. One that does was read wrongly, or the device was exchanged; repetition tells which."""

from collections.abc import Hashable

BELIEVED_AFTER = 3
"""A counter that ran back is believed when it has kept to its new course in so many readings in a row."""


class Counters:
    """The last believed value of each counter of a device."""

    def __init__(self) -> None:
        self._believed: dict[Hashable, float] = {}
        self._doubted: dict[Hashable, tuple[float, int]] = {}

    def check(self, key: Hashable, value: float) -> None:
        """Take up the value of a counter; raise ``ValueError`` where it is below the last one and not yet proven."""
        last = self._believed.get(key)
        if last is not None and value < last:
            self._doubt(key, value, last)
        self._doubted.pop(key, None)
        self._believed[key] = value

    def _doubt(self, key: Hashable, value: float, last: float) -> None:
        """Return once the lower course has been seen often enough."""
        before, times = self._doubted.get(key, (value, 0))
        times = times + 1 if value >= before else 1
        self._doubted[key] = value, times
        if times < BELIEVED_AFTER:
            raise ValueError(f"the counter ran back from {last:g} to {value:g}")
