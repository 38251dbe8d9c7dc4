"""The points of one SunSpec device over Modbus: its models are found first, and read in one block each.

A device tells what it is by its chain of models, so a profile names points by model and the first model that the device
has gives the value. The chain is looked for again when the device was away and came back as another one (model 1 says
who it is), or when a model is no longer where it was.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drivers import codec
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask
from drivers.sunspec_address import Address, address_of, instance_of, rounded_at, step_at, steps_at, value_at
from drivers.sunspec_block import Block
from drivers.sunspec_chain import BASES, Instance, Read, chain_at, has_marker
from drivers.sunspec_reading import BlockReader, Moved
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError, Nonsense, Rejected, Unreachable
from station.profile import DeviceBinding, Encoding, Point

READ_HOLDING, WRITE_MANY = 3, 16
IDENTITY = tuple(address_of(f"1.{name}") for name in ("Mn", "Md", "Vr", "SN"))
TRIES = 2
"""How often a reading is begun anew because the connection was made anew while it ran."""

Blocks = Mapping[Instance, Block | Rejected]
"""What was read of each model, or why the device refused it."""


@dataclass(slots=True)
class Known:
    """What is known of a device since it was found; ``blocks`` is what was read last of each model."""

    chain: tuple[Instance, ...]
    identity: tuple[Outcome, ...]
    reader: BlockReader
    blocks: dict[Instance, Block | Rejected] = field(default_factory=dict)


class SunspecPoints:
    """A ``Wire`` over a link that other units may share."""

    def __init__(self, binding: DeviceBinding, link: ModbusLink) -> None:
        self._device_id = binding.device_id
        self._profile = binding.profile
        self._unit = binding.unit
        self._link = link
        self._known: Known | None = None
        self._is_sure = False
        self._opened = -1
        self._bases = list(BASES)
        self._finding = asyncio.Lock()

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read each model that is asked for once; a model or point that the device refuses fails alone."""
        known, blocks = await self._read_models(refs, priority)
        return {ref: self._outcome(known, ref, blocks) for ref in refs}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:
        """Write one point, or a control's registers in the order that its model asks for."""
        if self._point(ref).write is None:
            raise Rejected(self._device_id, "cannot be written", ref.name)
        known, blocks = await self._read_models([ref], priority)
        address = next(iter(self._chosen(known, ref)), None)
        if address is None:
            raise Rejected(self._device_id, "the device has none of its models", ref.name)
        try:
            present = _present(known, address, blocks)
            steps = steps_at(address, present, self._raw(ref, value))
        except ValueError as misfit:
            raise Rejected(self._device_id, str(misfit), ref.name) from None
        own = present[address.model_id]
        for step in steps:
            register = own.instance.address + own.layout[step.path].offset
            ask = Ask(self._unit, WRITE_MANY, register, words=step.words)
            await self._ask(ask, priority, key=(self._device_id, ref, step.path))

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return what the device holds after ``value`` was written, by what was read last of its ratings and factors.

        Raises ``ValueError`` where that cannot be told.
        """
        known = self._known
        address = next(iter(self._chosen(known, ref)), None) if known else None
        if known is None or address is None:
            raise ValueError("nothing is known of the device")
        held = rounded_at(address, _present(known, address, known.blocks), self._raw(ref, value))
        return codec.decode_raw(_exact(self._point(ref)), held)

    def resolution(self, ref: PointRef) -> float | None:
        """Return the step in which a written value moves (in the point's unit), None where nothing tells it yet."""
        known = self._known
        address = next(iter(self._chosen(known, ref)), None) if known else None
        if known is None or address is None:
            return None
        try:
            return step_at(address, _present(known, address, known.blocks)) * self._point(ref).scale
        except (ValueError, DriverError):
            return None

    async def models(self, priority: Priority = Priority.SLOW) -> tuple[Instance, ...]:
        """Return the models that the device has, for commissioning."""
        return (await self._found(priority)).chain

    async def close(self) -> None:
        """Drop the connection, also for those who share it."""
        self._link.close()

    async def _found(self, priority: Priority) -> Known:
        """Return the known device; looked for, or looked at again, where that is needed."""
        async with self._finding:
            known = self._known
            is_sure = self._is_sure and self._link.renewed == self._opened
            if known is None or not (is_sure or await self._is_the_same(known, priority)):
                known = await self._find(priority)
            self._known, self._is_sure = known, True
            self._opened = self._link.renewed
            return known

    async def _find(self, priority: Priority) -> Known:
        self._known = None
        read = self._reading(priority)
        chain = await chain_at(read, await self._base(read), self._device_id)
        reader = BlockReader(self._device_id, self._profile.max_registers)
        return Known(chain, await self._identity(read, chain, reader), reader)

    async def _base(self, read: Read) -> int:
        """Return where the map begins. A base at which nothing answers is tried last the next time."""
        for base in tuple(self._bases):
            try:
                if await has_marker(read, base):
                    self._bases.sort(key=lambda other: other != base)
                    return base
            except Unreachable:
                self._bases.sort(key=lambda other: other == base)
                raise
        raise Rejected(self._device_id, f"no SunSpec map at the registers {', '.join(map(str, BASES))}")

    async def _is_the_same(self, known: Known, priority: Priority) -> bool:
        try:
            identity = await self._identity(self._reading(priority), known.chain, known.reader)
        except (Nonsense, Rejected):
            return False
        return identity == known.identity

    async def _identity(
        self, read: Read, chain: Sequence[Instance], reader: BlockReader
    ) -> tuple[Outcome, ...]:
        common = instance_of(chain, 1, 1)
        if common is None:
            return ()
        block = await reader.read(read, common, IDENTITY)
        return tuple(block.value(address.path) for address in IDENTITY)

    async def _read_models(self, refs: Iterable[PointRef], priority: Priority) -> tuple[Known, Blocks]:
        """Read every model that the points need; anew where another device may have answered meanwhile."""
        for _ in range(TRIES):
            known = await self._found(priority)
            opened = self._opened
            addresses = dict.fromkeys(address for ref in refs for address in self._chosen(known, ref))
            try:
                blocks = await self._read_blocks(known, addresses, priority)
            except Nonsense:
                if self._link.renewed == opened:
                    raise
                continue
            if self._link.renewed == opened:
                return known, blocks
        raise Unreachable(self._device_id, "the connection broke while the device was read")

    async def _read_blocks(self, known: Known, chosen: Iterable[Address], priority: Priority) -> Blocks:
        wanted: dict[Instance, list[Address]] = {}
        for address in chosen:
            for instance in _instances(known, address):
                wanted.setdefault(instance, []).append(address)
        read = self._reading(priority)
        blocks: dict[Instance, Block | Rejected] = {}
        for instance, addresses in wanted.items():
            try:
                blocks[instance] = await known.reader.read(read, instance, addresses)
            except Rejected as refused:
                blocks[instance] = refused
            except Moved:
                self._known = None
                raise
            except DriverError:
                self._is_sure = False
                raise
        known.blocks |= blocks
        return blocks

    def _reading(self, priority: Priority) -> Read:
        async def read(address: int, count: int) -> tuple[int, ...]:
            return await self._ask(Ask(self._unit, READ_HOLDING, address, count), priority)

        return read

    async def _ask(self, ask: Ask, priority: Priority, key: object = None) -> tuple[int, ...]:
        return await self._link.ask(
            ask, self._device_id, timeout_s=self._profile.timeout_s, priority=priority, key=key
        )

    def _chosen(self, known: Known, ref: PointRef) -> tuple[Address, ...]:
        """Return the addresses of a point in the first model that the device has."""
        addresses = [address_of(text) for text in self._point(ref).sunspec]
        present = [a for a in addresses if instance_of(known.chain, a.model_id, a.number)]
        return tuple(a for a in present if (a.model_id, a.number) == (present[0].model_id, present[0].number))

    def _outcome(self, known: Known, ref: PointRef, blocks: Blocks) -> Outcome:
        """Return the first value that the addresses give; None where the device has none."""
        point = _exact(self._point(ref))
        try:
            for address in self._chosen(known, ref):
                value = value_at(address, _present(known, address, blocks))
                if value is not None:
                    return value if isinstance(value, str) else codec.decode_raw(point, value)
        except DriverError as failed:
            return type(failed)(self._device_id, failed.cause, ref.name)
        except ValueError as nonsense:
            return Nonsense(self._device_id, str(nonsense), ref.name)
        return None

    def _raw(self, ref: PointRef, value: codec.Value) -> float:
        """Return a value in the point's unit as the model counts it."""
        raw = codec.encode_raw(_exact(self._point(ref)), value)
        if isinstance(raw, str):
            raise ValueError(f"{raw!r} is not a number")
        return float(raw)

    def _point(self, ref: PointRef) -> Point:
        return self._profile.points[ref.name]


def _exact(point: Point) -> Point:
    """Return the point without an encoding of its own: the model's values are numbers already."""
    return replace(point, encoding=Encoding.FLOAT64)


def _instances(known: Known, address: Address) -> list[Instance]:
    """Return the models of the device that an address needs; ratings may come from the first of their kind."""
    found = (
        instance_of(known.chain, model_id, address.number) or instance_of(known.chain, model_id, 1)
        for model_id in address.models
    )
    return [instance for instance in found if instance is not None]


def _present(known: Known, address: Address, blocks: Blocks) -> Mapping[int, Block]:
    """Return what was read for an address, by model; raise ``DriverError`` where its own model was refused."""
    present: dict[int, Block] = {}
    for instance in _instances(known, address):
        block = blocks.get(instance)
        if isinstance(block, Block):
            present[instance.model_id] = block
        elif block is not None and instance.model_id == address.model_id:
            raise block
    return present
