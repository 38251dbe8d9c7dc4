"""Answers that may still come: those to requests that were given up. Pure.

Where answers carry no number (RTU, and behind many gateways) a late one could pass for the answer to the next request.
A device answers in the order in which it was asked: once a request with an answer of another shape was answered,
nothing older can come.
"""

from collections.abc import Collection

from drivers.modbus_frame import READS, Ask

Shape = tuple[bytes, int]
"""How an answer begins, and its length without framing."""
MOST_COUNT = 125


class Owed:
    """The shapes of the answers that each unit owes."""

    def __init__(self) -> None:
        self._shapes: dict[int, set[Shape]] = {}

    def add(self, ask: Ask) -> None:
        """Remember that the answer to ``ask`` may still come."""
        self._shapes.setdefault(ask.unit, set()).add(_shape(ask))

    def settle(self, unit: int) -> None:
        """Forget the unit's debts: it answered a later request."""
        self._shapes.pop(unit, None)

    def hides(self, ask: Ask) -> bool:
        """Return whether an older answer would pass for the answer to ``ask``."""
        return bool(self._shapes) and _shape(ask) in self._shapes.get(ask.unit, ())

    def of(self, unit: int) -> Collection[Shape]:
        """Return the shapes that a unit owes."""
        return self._shapes.get(unit, ())

    def fence(self, ask: Ask) -> Ask | None:
        """Return a request at the same place whose answer cannot be mistaken for an older one; None if there is none.

        One register less is asked for where that can be, one more where not; what it reads is thrown away.
        """
        if ask.function not in READS:
            return None
        others = (*range(ask.count - 1, 0, -1), *range(ask.count + 1, min(ask.count + 2, MOST_COUNT + 1)))
        asks = (Ask(ask.unit, ask.function, ask.address, count) for count in others)
        return next((other for other in asks if not self.hides(other)), None)


def _shape(ask: Ask) -> Shape:
    return ask.answer_head(), ask.answer_size()
