"""The points of one Modbus device: which registers hold them, read in few requests and written one by one."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from drivers import codec, derived
from drivers.blocks import Block, BlockPlan, Span
from drivers.counters import Counters
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask, NoSuchRegister
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError, Nonsense, Rejected
from station.profile import DeviceBinding, Point

SLOW_S = 15.0
"""How long a value of the group ``slow`` is kept: its age is then at most so much more than that of a fast one."""

Words = tuple[int, ...] | DriverError


class ModbusPoints:
    """A ``Wire`` over a link that other units may share."""

    def __init__(self, binding: DeviceBinding, link: ModbusLink) -> None:
        self._device_id = binding.device_id
        self._profile = binding.profile
        self._unit = binding.unit
        self._link = link
        self._plan = BlockPlan(binding.profile.max_gap, binding.profile.max_registers)
        self._counters = Counters()
        self._kept: dict[Span, tuple[tuple[int, ...], float]] = {}
        self._renewed = 0
        self._scaled: dict[PointRef, Point] = {}
        self._orders: dict[tuple[PointRef, ...], list[PointRef]] = {}

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read whole blocks; a point that the device does not have, or whose value is nonsense, fails alone.

        Of the groups ``slow`` and ``once`` a poll (priority FAST) may give what was read before.
        """
        ordered = self._in_order(tuple(refs))
        try:
            words = await self._words_of(ordered, priority)
        finally:
            self._let_go()
        found: dict[int, dict[str, Outcome]] = {ref.connector: {} for ref in ordered}
        for ref in ordered:
            found[ref.connector][ref.name] = self._outcome(ref, words, found[ref.connector])
        return {ref: found[ref.connector][ref.name] for ref in refs}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:
        """Write one point; of several waiting values for the same setpoint only the newest is sent."""
        point = self._profile.points[ref.name]
        if point.write is None:
            raise Rejected(self._device_id, "cannot be written", ref.name)
        if point.scaled_by and ref not in self._scaled:
            await self.read([ref], priority)
        try:
            words = codec.encode(self._as_scaled(ref), value)
        except ValueError as misfit:
            raise Rejected(self._device_id, str(misfit), ref.name) from None
        ask = Ask(self._unit, point.write.function, self._address(point.address, ref.connector), words=words)
        try:
            await self._ask(ask, priority, key=(self._device_id, ref))
        finally:
            self._let_go()

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return the value after it was encoded; raise ``ValueError`` where it does not fit."""
        point = self._as_scaled(ref)
        return codec.decode_raw(point, codec.encode_raw(point, value))

    async def close(self) -> None:
        """Drop the connection, also for those who share it."""
        self._link.close()

    def _let_go(self) -> None:
        """Let others in where the device serves one client at a time."""
        if not self._profile.keep_open:
            self._link.rest()

    def _in_order(self, refs: tuple[PointRef, ...]) -> list[PointRef]:
        """Return ``refs`` and all that they need, each after what it needs."""
        if refs not in self._orders:
            names: dict[int, list[str]] = {}
            for ref in refs:
                names.setdefault(ref.connector, []).append(ref.name)
            self._orders[refs] = [
                PointRef(connector, name)
                for connector, own in names.items()
                for name in derived.in_order(self._profile.points, own)
            ]
        return self._orders[refs]

    def _as_scaled(self, ref: PointRef) -> Point:
        """Return the point with the scale that it had when it was last read."""
        point = self._profile.points[ref.name]
        if not point.scaled_by:
            return point
        if ref not in self._scaled:
            raise ValueError("its scale is not known yet")
        return self._scaled[ref]

    async def _words_of(self, refs: Iterable[PointRef], priority: Priority) -> dict[Span, Words]:
        """Return the registers of all points, those that are kept included."""
        now_s = asyncio.get_running_loop().time()
        groups = {span: self._profile.points[ref.name].group for ref in refs for span in self._spans(ref)}
        words: dict[Span, Words] = {
            span: self._kept[span][0]
            for span, group in groups.items()
            if priority is Priority.FAST and self._is_kept(span, group, now_s)
        }
        words |= await self._read_all([span for span in groups if span not in words], priority)
        if (
            self._link.renewed != self._renewed
        ):  # another device may be there, or the same with other settings
            self._renewed = self._link.renewed
            stale = [span for span in groups if span in self._kept]
            self._kept.clear()
            words |= await self._read_all(stale, priority)
        for span, group in groups.items():
            got = words[span]
            if group != "fast" and not isinstance(got, DriverError):
                self._kept.setdefault(span, (got, now_s))
        for ref in refs:
            if self._profile.points[ref.name].words:
                words |= await self._confirmed(self._spans(ref), words, priority)
        return words

    def _is_kept(self, span: Span, group: str, now_s: float) -> bool:
        """Return whether what was read before still serves; forget it where not."""
        if span in self._kept and group == "slow" and now_s - self._kept[span][1] >= SLOW_S:
            del self._kept[span]
        return span in self._kept

    async def _read_all(self, spans: Sequence[Span], priority: Priority) -> dict[Span, Words]:
        words: dict[Span, Words] = {}
        for span in spans:
            self._kept.pop(span, None)
        for block in self._plan.blocks(spans):
            words |= await self._read_block(block, priority)
        return words

    async def _confirmed(
        self, spans: tuple[Span, ...], words: Mapping[Span, Words], priority: Priority
    ) -> dict[Span, Words]:
        """Read the part of a split number that was read first again: it must not have moved meanwhile."""
        if len(self._plan.blocks(spans)) == 1 or any(isinstance(words[span], DriverError) for span in spans):
            return {}
        first = min(spans)  # blocks are read in the order of their addresses
        again = await self._read_block(Block((first,)), priority)
        if again[first] == words[first]:
            return {}
        return {first: Nonsense(self._device_id, "moved while its parts were read")}

    async def _read_block(self, block: Block, priority: Priority) -> dict[Span, Words]:
        try:
            words = await self._ask(Ask(self._unit, block.function, block.address, block.count), priority)
        except NoSuchRegister as refused:
            if len(block.spans) == 1:
                return {block.spans[0]: refused}
            result: dict[Span, Words] = {}
            for part in self._plan.split(block):
                result |= await self._read_block(part, priority)
            return result
        first = block.address
        return {span: words[span.address - first : span.end - first] for span in block.spans}

    async def _ask(self, ask: Ask, priority: Priority, key: object = None) -> tuple[int, ...]:
        return await self._link.ask(
            ask, self._device_id, timeout_s=self._profile.timeout_s, priority=priority, key=key
        )

    def _outcome(self, ref: PointRef, words: Mapping[Span, Words], known: derived.Known) -> Outcome:
        point = self._profile.points[ref.name]
        try:
            if point.sum_of:
                return derived.total(point, known)
            parts: list[int] = []
            for span in self._spans(ref):
                part = words[span]
                if isinstance(part, DriverError):
                    return type(part)(self._device_id, part.cause, ref.name)
                parts.extend(part)
            return self._decoded(ref, parts, known)
        except ValueError as nonsense:
            return Nonsense(self._device_id, str(nonsense), ref.name)

    def _decoded(self, ref: PointRef, parts: Sequence[int], known: derived.Known) -> codec.Value | None:
        point = self._profile.points[ref.name]
        if point.scaled_by:
            point = self._scaled[ref] = derived.scaled(point, known)
        value = codec.decode(point, parts)
        if point.is_monotonic and isinstance(value, float):
            self._counters.check(ref, value)
        return value

    def _spans(self, ref: PointRef) -> tuple[Span, ...]:
        """Return where a point lies, the high word first; nowhere where it is a sum."""
        point = self._profile.points[ref.name]
        if point.sum_of:
            return ()
        if point.words:
            return tuple(Span(point.function, self._address(at, ref.connector), 1) for at in point.words)
        count = codec.register_count(point)
        return (Span(point.function, self._address(point.address, ref.connector), count),)

    def _address(self, address: int, connector: int) -> int:
        return address + connector * self._profile.unit_stride
