"""The points of one Modbus device: which registers hold them, read in few requests and written one by one."""

from collections.abc import Mapping, Sequence

from drivers import codec
from drivers.blocks import Block, BlockPlan, Span
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask, NoSuchRegister
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError, Nonsense, Rejected
from station.profile import DeviceBinding, Point


class ModbusPoints:
    """A ``Wire`` over a link that other units may share."""

    def __init__(self, binding: DeviceBinding, link: ModbusLink) -> None:
        self._device_id = binding.device_id
        self._profile = binding.profile
        self._unit = binding.unit
        self._link = link
        self._plan = BlockPlan(binding.profile.max_gap, binding.profile.max_registers)

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read whole blocks; a point that the device does not have, or whose value is nonsense, fails alone."""
        spans = {ref: self._span(ref) for ref in refs}
        words: dict[Span, tuple[int, ...] | DriverError] = {}
        for block in self._plan.blocks(spans.values()):
            words |= await self._read_block(block, priority)
        return {ref: self._outcome(ref, words[span]) for ref, span in spans.items()}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:
        """Write one point; of several waiting values for the same setpoint only the newest is sent."""
        point = self._profile.points[ref.name]
        if point.write is None:
            raise Rejected(self._device_id, "cannot be written", ref.name)
        try:
            words = codec.encode(point, value)
        except ValueError as misfit:
            raise Rejected(self._device_id, str(misfit), ref.name) from None
        ask = Ask(self._unit, point.write.function, self._address(point, ref.connector), words=words)
        await self._ask(ask, priority, key=(self._device_id, ref))

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return the value after it was encoded; raise ``ValueError`` where it does not fit."""
        point = self._profile.points[ref.name]
        return codec.decode_raw(point, codec.encode_raw(point, value))

    async def close(self) -> None:
        """Drop the connection, also for those who share it."""
        self._link.close()

    async def _read_block(
        self, block: Block, priority: Priority
    ) -> dict[Span, tuple[int, ...] | DriverError]:
        try:
            words = await self._ask(Ask(self._unit, block.function, block.address, block.count), priority)
        except NoSuchRegister as refused:
            if len(block.spans) == 1:
                return {block.spans[0]: refused}
            result: dict[Span, tuple[int, ...] | DriverError] = {}
            for part in self._plan.split(block):
                result |= await self._read_block(part, priority)
            return result
        first = block.address
        return {span: words[span.address - first : span.end - first] for span in block.spans}

    async def _ask(self, ask: Ask, priority: Priority, key: object = None) -> tuple[int, ...]:
        return await self._link.ask(
            ask, self._device_id, timeout_s=self._profile.timeout_s, priority=priority, key=key
        )

    def _outcome(self, ref: PointRef, words: tuple[int, ...] | DriverError) -> Outcome:
        if isinstance(words, DriverError):
            return type(words)(self._device_id, words.cause, ref.name)
        try:
            return codec.decode(self._profile.points[ref.name], words)
        except ValueError as nonsense:
            return Nonsense(self._device_id, str(nonsense), ref.name)

    def _span(self, ref: PointRef) -> Span:
        point = self._profile.points[ref.name]
        return Span(point.function, self._address(point, ref.connector), codec.register_count(point))

    def _address(self, point: Point, connector: int) -> int:
        return point.address + connector * self._profile.unit_stride
