"""The points of one Modbus device: which registers hold them, read in few requests and written one by one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers import codec, derived
from drivers.blocks import Block, BlockPlan, Span, block_of
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


@dataclass(frozen=True, slots=True)
class _Task:
    """Reading certain points: where each of them and of those that they need lies, in the order of their decoding.

    ``groups`` says how often each place is read: the ``fast`` ones always, what is in the ``lasting`` ones is kept.
    ``split`` are the numbers whose parts lie apart.
    """

    spans: Mapping[PointRef, tuple[Span, ...]]
    groups: Mapping[Span, str]
    fast: tuple[Span, ...]
    lasting: tuple[Span, ...]
    split: tuple[tuple[Span, ...], ...]


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
        self._tasks: dict[tuple[PointRef, ...], _Task] = {}
        self._decoders = {
            name: codec.decoder(point)
            for name, point in binding.profile.points.items()
            if not (point.sum_of or point.words or point.scaled_by or point.is_monotonic)
        }

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read whole blocks; a point that the device does not have, or whose value is nonsense, fails alone.

        Of the groups ``slow`` and ``once`` a poll (priority FAST) may give what was read before.
        """
        task = self._task(tuple(refs))
        try:
            words = await self._words_of(task, priority)
        finally:
            self._let_go()
        found: dict[int, dict[str, Outcome]] = {}
        for ref, spans in task.spans.items():
            known = found.setdefault(ref.connector, {})
            known[ref.name] = self._outcome(ref, spans, words, known)
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

    def _task(self, refs: tuple[PointRef, ...]) -> "_Task":
        """Return what reading ``refs`` means: they and all that they need, each after what it needs."""
        task = self._tasks.get(refs)
        if task is None:
            names: dict[int, list[str]] = {}
            for ref in refs:
                names.setdefault(ref.connector, []).append(ref.name)
            ordered = [
                PointRef(connector, name)
                for connector, own in names.items()
                for name in derived.in_order(self._profile.points, own)
            ]
            points = self._profile.points
            spans = {ref: self._spans(ref) for ref in ordered}
            groups = {span: points[ref.name].group for ref in ordered for span in spans[ref]}
            split = tuple(spans[ref] for ref in ordered if points[ref.name].words)
            fast = tuple(span for span, group in groups.items() if group == "fast")
            lasting = tuple(span for span, group in groups.items() if group != "fast")
            task = self._tasks[refs] = _Task(spans, groups, fast, lasting, split)
        return task

    def _as_scaled(self, ref: PointRef) -> Point:
        """Return the point with the scale that it had when it was last read."""
        point = self._profile.points[ref.name]
        if not point.scaled_by:
            return point
        if ref not in self._scaled:
            raise ValueError("its scale is not known yet")
        return self._scaled[ref]

    async def _words_of(self, task: "_Task", priority: Priority) -> dict[Span, Words]:
        """Return the registers of all points, those that are kept included."""
        now_s = asyncio.get_running_loop().time()
        words = {
            span: self._kept[span][0] for span in task.lasting if self._is_kept(span, task, priority, now_s)
        }
        wanted = task.fast if not task.lasting else [span for span in task.groups if span not in words]
        read = await self._read_all(wanted, priority)
        read.update(words)
        if (
            self._link.renewed != self._renewed
        ):  # another device may be there, or the same with other settings
            self._renewed = self._link.renewed
            stale = [span for span in task.lasting if span in self._kept]
            self._kept.clear()
            read |= await self._read_all(stale, priority)
        for span in task.lasting:
            got = read[span]
            if not isinstance(got, DriverError):
                self._kept.setdefault(span, (got, now_s))
        for spans in task.split:
            read |= await self._confirmed(spans, read, priority)
        return read

    def _is_kept(self, span: Span, task: "_Task", priority: Priority, now_s: float) -> bool:
        """Return whether what was read before still serves a poll; forget it where not."""
        if span in self._kept and task.groups[span] == "slow" and now_s - self._kept[span][1] >= SLOW_S:
            del self._kept[span]
        return priority is Priority.FAST and span in self._kept

    async def _read_all(self, spans: Sequence[Span], priority: Priority) -> dict[Span, Words]:
        words: dict[Span, Words] = {}
        if self._kept:
            for span in spans:
                self._kept.pop(span, None)
        for block in self._plan.blocks(spans):
            await self._read_block(block, priority, words)
        return words

    async def _confirmed(
        self, spans: tuple[Span, ...], words: Mapping[Span, Words], priority: Priority
    ) -> dict[Span, Words]:
        """Read the part of a split number that was read first again: it must not have moved meanwhile."""
        if len(self._plan.blocks(spans)) == 1 or any(isinstance(words[span], DriverError) for span in spans):
            return {}
        first = min(spans)  # blocks are read in the order of their addresses
        again: dict[Span, Words] = {}
        await self._read_block(block_of((first,)), priority, again)
        if again[first] == words[first]:
            return {}
        return {first: Nonsense(self._device_id, "moved while its parts were read")}

    async def _read_block(self, block: Block, priority: Priority, found: dict[Span, Words]) -> None:
        """Add what a block holds to ``found``; where the device refuses it, what its parts hold."""
        try:
            words = await self._ask(Ask(self._unit, block.function, block.address, block.count), priority)
        except NoSuchRegister as refused:
            if len(block.spans) == 1:
                found[block.spans[0]] = refused
                return
            for part in self._plan.split(block):
                await self._read_block(part, priority, found)
            return
        for span in block.spans:
            start = span.address - block.address
            found[span] = words[start : start + span.count]

    async def _ask(self, ask: Ask, priority: Priority, key: object = None) -> tuple[int, ...]:
        return await self._link.ask(
            ask, self._device_id, timeout_s=self._profile.timeout_s, priority=priority, key=key
        )

    def _outcome(
        self, ref: PointRef, spans: tuple[Span, ...], words: Mapping[Span, Words], known: derived.Known
    ) -> Outcome:
        try:
            if ref.name in self._decoders and not isinstance(only := words[spans[0]], DriverError):
                return self._decoders[ref.name](only)
            point = self._profile.points[ref.name]
            if point.sum_of:
                return derived.total(point, known)
            parts: tuple[int, ...] = ()
            for span in spans:
                part = words[span]
                if isinstance(part, DriverError):
                    return type(part)(self._device_id, part.cause, ref.name)
                parts = (*parts, *part) if parts else part
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
