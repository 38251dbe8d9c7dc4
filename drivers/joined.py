"""Several devices that together are one asset, such as a converter and the battery behind it, read as one."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from drivers import codec
from drivers.turns import Priority
from drivers.wire import Aged, Outcome, PointRef, Wire
from station.profile import DeviceBinding


class JoinedWire:
    """A ``Wire`` over the wires of the parts. Where one part fails, the whole does."""

    def __init__(self, parts: Iterable[tuple[DeviceBinding, Wire]]) -> None:
        self._wires: list[Wire] = []
        self._wire_of: dict[str, Wire] = {}
        for binding, wire in parts:
            self._wires.append(wire)
            self._wire_of |= dict.fromkeys(binding.profile.points, wire)

    @property
    def age_s(self) -> float:
        """Return how old the oldest of the last values were when they were asked for."""
        return max((wire.age_s for wire in self._wires if isinstance(wire, Aged)), default=0.0)

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read all parts at the same time."""
        asked = [(wire, [ref for ref in refs if self._wire_of[ref.name] is wire]) for wire in self._wires]
        found = await asyncio.gather(*(wire.read(own, priority) for wire, own in asked if own))
        outcomes = {ref: outcome for part in found for ref, outcome in part.items()}
        return {ref: outcomes[ref] for ref in refs}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:
        """Write to the part that has the point."""
        await self._wire_of[ref.name].write(ref, value, priority)

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return what the part that has the point makes of a value."""
        return self._wire_of[ref.name].rounded(ref, value)

    async def close(self) -> None:
        """Drop all connections."""
        for wire in self._wires:
            await wire.close()
