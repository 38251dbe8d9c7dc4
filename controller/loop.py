"""The loop: snapshot, step, writes, records, once a cycle. It never waits for a device, a solver or a disk."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from controller.history import HistoryKeeper
from controller.lateness import Lateness
from controller.planner import Planner
from controller.planning import planning_input
from controller.sessions import ended
from controller.step import step
from drivers.board import Board
from drivers.device import Device
from drivers.turns import Priority
from station.clock import Clock
from station.decision import ControlState, Decision, Setpoint
from station.measurement import Snapshot, WriteResult
from station.plan import Plan
from station.request import Request
from station.session import PastSession
from station.topology import Site

WRITE_SHARE = 0.4
"""The write phase takes at most this share of a cycle; what is not confirmed by then is seen in a later cycle."""

LEAST_WRITE_S = 0.05
SAFE_S = 2.0
"""Wall seconds in which the safe values are written at the end."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one cycle did, for records and views. ``late_ms`` is wall time."""

    snapshot: Snapshot
    decision: Decision
    plan: Plan | None
    ended: tuple[PastSession, ...]
    late_ms: float


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop works with; ``devices`` has the device of each controllable asset, ``state`` is the first one."""

    board: Board
    devices: Mapping[str, Device]
    planner: Planner
    keeper: HistoryKeeper
    state: ControlState


class Loop:
    """Runs ``step`` on a clock. Observers are called after the write phase of each cycle and must not block."""

    def __init__(
        self, site: Site, clock: Clock, parts: Parts, *, demand_share: float = 1.0, is_shadow: bool = False
    ) -> None:
        """With ``is_shadow`` nothing is ever written. ``demand_share`` is that of the month's demand charge."""
        self.lateness = Lateness()
        self.observers: list[Callable[[Cycle], None]] = []
        self.requests: Callable[[], tuple[Request, ...]] = tuple
        self._site = site
        self._clock = clock
        self._board = parts.board
        self._devices = parts.devices
        self._planner = parts.planner
        self._keeper = parts.keeper
        self._state = parts.state
        self._demand_share = demand_share
        self._is_shadow = is_shadow

    async def run(self, until_s: float = float("inf")) -> None:
        """Run until the station clock reaches ``until_s``, or until cancelled. Then leave all devices safe."""
        cycle_s = self._site.control.cycle_s
        tick_s = (ceil(self._clock.now().mono_s / cycle_s) + 1) * cycle_s
        try:
            async with asyncio.TaskGroup() as writes:
                while tick_s < until_s:
                    self._clock.hold_until(tick_s)
                    await self._clock.sleep_until(tick_s)
                    await self._cycle(tick_s, writes)
                    behind = int((self._clock.now().mono_s - tick_s) // cycle_s)
                    self.lateness.missed += behind
                    tick_s += (1 + behind) * cycle_s
        finally:
            await asyncio.shield(self.leave_safe())

    async def leave_safe(self) -> None:
        """Write every device's safe value (its fallback), each within a deadline; nothing in shadow mode."""
        if self._is_shadow:
            return
        now_s = self._clock.now().mono_s
        safe = [
            self._devices[asset.asset_id].write(
                asset.asset_id, asset.fallback_kw, sent_s=now_s, priority=Priority.SAFETY
            )
            for asset in self._site.controllables
            if asset.asset_id in self._devices
        ]
        if safe:
            await asyncio.wait([asyncio.ensure_future(write) for write in safe], timeout=SAFE_S)

    async def _cycle(self, tick_s: float, writes: asyncio.TaskGroup) -> None:
        now = self._clock.now()
        late_ms = max(now.mono_s - tick_s, 0.0) / self._clock.speed * 1000.0
        self.lateness.add(late_ms)
        snapshot = replace(self._board.snapshot(now, self.requests()), unarmed=self._unarmed())
        plan = self._planner.plan
        decision = step(self._site, self._state, snapshot, plan, now)
        over = ended(self._state.sessions, decision.state.sessions, now)
        self._keeper.add(now.at, decision.balance, self._site.control.cycle_s)
        self._keeper.ended(over, now.at)
        self._state = decision.state
        if decision.replan is not None:
            self._ask_for_plan(snapshot)
        if not self._is_shadow:
            await self._write(decision, now.mono_s, writes)
        for observer in self.observers:
            observer(Cycle(snapshot, decision, plan, over, late_ms))

    def _ask_for_plan(self, snapshot: Snapshot) -> None:
        self._planner.ask(
            planning_input(
                self._site,
                self._state,
                snapshot,
                self._planner.plan,
                self._keeper.history(),
                demand_share=self._demand_share,
                expected_peak_kw=None,
            )
        )

    def _unarmed(self) -> frozenset[str]:
        """Return the assets whose device timer is not verified; in shadow mode nobody arms any."""
        if self._is_shadow:
            return frozenset()
        return frozenset(
            asset_id for asset_id, device in self._devices.items() if not device.armed.get(asset_id, False)
        )

    async def _write(self, decision: Decision, sent_s: float, writes: asyncio.TaskGroup) -> None:
        """Write what makes room first; wait for both phases only within the cycle's share."""
        deadline_s = max(WRITE_SHARE * self._site.control.cycle_s / self._clock.speed, LEAST_WRITE_S)
        due = {
            asset_id: entry
            for asset_id, entry in decision.setpoints.items()
            if isinstance(entry, Setpoint) and entry.is_due and asset_id in self._devices
        }
        for makes_room in (True, False):
            tasks = [
                writes.create_task(self._write_one(asset_id, entry.power_kw, sent_s))
                for asset_id, entry in due.items()
                if entry.makes_room is makes_room
            ]
            if tasks:
                await asyncio.wait(tasks, timeout=deadline_s / 2.0)

    async def _write_one(self, asset_id: str, power_kw: float, sent_s: float) -> None:
        result: WriteResult = await self._devices[asset_id].write(asset_id, power_kw, sent_s=sent_s)
        self._board.put_write(asset_id, result)
