"""What a device needs of a protocol: points read and written, whatever carries them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from drivers.codec import Value
from drivers.turns import Priority
from station.errors import DriverError


class PointRef(NamedTuple):
    """A point of one connector of a device; connectors count from 0, and a device without any has number 0."""

    connector: int
    name: str


Outcome = Value | None | DriverError
"""A value in the point's own unit, None where the device has none, or why this point alone gave nothing."""


class Wire(Protocol):
    """One device, reached by its protocol."""

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Return an outcome for each point; raise ``DriverError`` where the device as a whole gave nothing."""
        ...

    async def write(self, ref: PointRef, value: Value, priority: Priority) -> None:
        """Write a value in the point's unit and check that the device confirms it; raise ``DriverError``."""
        ...

    def rounded(self, ref: PointRef, value: float) -> Value | None:
        """Return what the device holds after ``value`` was written, both in the point's unit: a whole step of its own.

        Raises ``ValueError`` for a value that it cannot hold.
        """
        ...

    async def close(self) -> None:
        """Drop the connection."""
        ...


@runtime_checkable
class Aged(Protocol):
    """A wire whose values may be older than the request for them: ``age_s`` is how old those of the last poll were."""

    age_s: float
