"""Reads the registers of a model that some points need, in one request where that is possible, and never torn."""

from collections.abc import Iterable, Mapping, Sequence

from drivers.modbus_frame import NoSuchRegister
from drivers.sunspec_address import Address
from drivers.sunspec_block import Block
from drivers.sunspec_chain import Instance, Read
from drivers.sunspec_models import HEADER_WORDS, Layout, Placed, layout_of, model_of
from station.errors import Nonsense


class Moved(Nonsense):
    """Another model, or none, lies where this one was found."""


class BlockReader:
    """Remembers of each model of one device what it consists of, and how many of its registers the device shows."""

    def __init__(self, device_id: str, most_registers: int) -> None:
        self._device_id = device_id
        self._most = most_registers
        self._layouts: dict[Instance, Layout] = {}
        self._shown: dict[Instance, int] = {}
        self._factors: dict[Instance, frozenset[str]] = {}

    async def read(self, read: Read, instance: Instance, addresses: Iterable[Address]) -> Block:
        """Return the registers from the model's ID to the last that the addresses need; raise ``DriverError``."""
        layout = await self._layout(read, instance)
        wanted = _with_factors(layout, (path for address in addresses for path in address.paths(layout)))
        end = max((_end(placed) for placed in wanted.values()), default=HEADER_WORDS)
        words = await self._words(read, instance, end, _factor_offsets(wanted))
        if tuple(words[:HEADER_WORDS]) != (instance.model_id, instance.length):
            raise Moved(self._device_id, f"{instance} is no longer at register {instance.address}")
        known = self._factors.get(instance, frozenset())
        block = Block(instance, layout, words, known)
        self._factors[instance] = known | block.factors()
        return block

    async def _layout(self, read: Read, instance: Instance) -> Layout:
        if instance not in self._layouts:
            self._layouts[instance] = await self._looked_up(read, instance)
        return self._layouts[instance]

    async def _looked_up(self, read: Read, instance: Instance) -> Layout:
        model = model_of(instance.model_id)
        if model is None:
            return {}
        fixed = layout_of(model, instance.length, dict.fromkeys(model.count_points, 0))
        counts = [fixed[name] for name in model.count_points if name in fixed]
        if not counts:
            return fixed
        words = await read(instance.address, max(_end(placed) for placed in counts))
        block = Block(instance, fixed, words)
        return layout_of(
            model, instance.length, {p.point.name: int(block.number(p.point.name) or 0) for p in counts}
        )

    async def _words(self, read: Read, instance: Instance, end: int, factors: Sequence[int]) -> Sequence[int]:
        end = min(end, self._shown.get(instance, end))
        try:
            return await self._untorn(read, instance, end, factors)
        except NoSuchRegister:
            self._shown[instance] = await self._count_shown(read, instance, end)
            return await self._untorn(read, instance, self._shown[instance], factors)

    async def _untorn(
        self, read: Read, instance: Instance, end: int, factors: Sequence[int]
    ) -> Sequence[int]:
        """Read in one request; where the model is longer than that, scale factors must stand still meanwhile."""
        starts = range(0, end, self._most)
        if len(starts) == 1:
            return await read(instance.address, end)
        holding = [start for start in starts if any(start <= at < start + self._most for at in factors)]

        async def parts(of: Iterable[int]) -> dict[int, int]:
            words: dict[int, int] = {}
            for start in of:
                part = await read(instance.address + start, min(self._most, end - start))
                words |= dict(enumerate(part, start))
            return words

        before, words, after = await parts(holding), await parts(starts), await parts(holding)
        if any(before.get(at) != words.get(at) or words.get(at) != after.get(at) for at in factors):
            raise Nonsense(self._device_id, f"{instance} changed its scale factors while it was read")
        return [words[at] for at in range(end)]

    async def _count_shown(self, read: Read, instance: Instance, end: int) -> int:
        """Return how many registers of a model the device shows, although it says that there are more."""
        shown, hidden = HEADER_WORDS, end
        while hidden - shown > 1:
            middle = (shown + hidden) // 2
            try:
                await read(instance.address + middle - 1, 1)
                shown = middle
            except NoSuchRegister:
                hidden = middle
        return shown


def _with_factors(layout: Layout, paths: Iterable[str]) -> Mapping[str, Placed]:
    """Return the points and the scale factors that they need."""
    wanted = {path: layout[path] for path in paths}
    factors = {placed.scale_path for placed in wanted.values() if placed.scale_path in layout}
    return wanted | {path: layout[path] for path in factors if path is not None}


def _factor_offsets(wanted: Mapping[str, Placed]) -> Sequence[int]:
    return [placed.offset for placed in wanted.values() if placed.point.type == "sunssf"]


def _end(placed: Placed) -> int:
    return placed.offset + placed.point.size
