"""The rig over real sockets: the same plant behind Modbus and OPC UA servers, the whole application, in real time.

Everything is in one process but the solver. All devices listen on free ports of this machine.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from configs.load import LoadedSite
from controller.app import App, AppSettings
from controller.loop import Cycle
from controller.planner import Planner
from hil.clocks import INFINITE_S, ScaledClock, WallClock
from hil.emulators.device import EmulatedDevice
from hil.rigs.evidence import evidences
from hil.rigs.stage import Nonsense, world_of
from hil.rigs.trace import Recorder, Trace, WatchedWorld
from hil.scenario import FaultFile, FaultKind, PlanKind, Scenario
from hil.serve import Rig
from optimizer.problem import PlanningInput

Progress = Callable[[float], None]
"""Called with the share of the run that is done, 0..1."""


def play(scenario: Scenario, progress: Progress | None = None) -> Trace:
    """Play a scenario in real time and return its trace. Raises ConfigError where a port can't be had."""
    return asyncio.run(_play(scenario, progress))


async def _play(scenario: Scenario, progress: Progress | None) -> Trace:
    model = scenario.model
    world = world_of(scenario)
    recorder, seen = Recorder(world), evidences(scenario)
    clock = _StageClock(world.now.at)
    served = _anywhere(scenario.loaded)

    def watch(cycle: Cycle) -> None:
        recorder.add(cycle.snapshot, cycle.decision)
        for evidence in seen:
            evidence.observe(cycle.snapshot)
        if progress is not None:
            progress(cycle.snapshot.taken.mono_s / model.duration_s)

    async with Rig(served, clock, world, model.seed).started() as rig:
        clock.open()
        app = App(AppSettings(_where(served, rig), observers=(watch,)), clock)
        _set_planner(app, scenario)
        async with asyncio.TaskGroup() as tasks:
            ills = [tasks.create_task(_ill(fault, rig, world)) for fault in model.faults]
            await app.run(asyncio.Event(), until_s=model.duration_s)
            for ill in ills:
                ill.cancel()
        lateness = app.loop.lateness
    return recorder.trace(
        (evidence.log() for evidence in seen), late_ms=lateness.worst_ms, missed=lateness.missed
    )


class _StageClock(WallClock):
    """Real time that begins when the stage is set: servers take seconds to start."""

    def __init__(self, start_at: datetime) -> None:
        super().__init__(start_at)
        ScaledClock.hold_until(self, 0.0)

    def open(self) -> None:
        """Let time begin."""
        ScaledClock.hold_until(self, INFINITE_S)


async def _ill(fault: FaultFile, rig: Rig, world: WatchedWorld) -> None:
    """Make a device ill in its time."""
    device = rig.devices[fault.on]
    await rig.clock.sleep_until(fault.at_s)
    _switch(fault.kind, device, world, is_on=True)
    await rig.clock.sleep_until(fault.ends_s)
    _switch(fault.kind, device, world, is_on=False)


def _switch(kind: FaultKind, device: EmulatedDevice, world: WatchedWorld, *, is_on: bool) -> None:
    match kind:
        case FaultKind.SILENT:
            device.silent = is_on
        case FaultKind.FROZEN:
            device.frozen = is_on
        case FaultKind.REFUSE_WRITES:
            device.refuses_writes = is_on
        case FaultKind.LOCAL:
            for asset_id in device.binding.asset_ids:
                world.set_local(asset_id, is_on)


def _anywhere(loaded: LoadedSite) -> LoadedSite:
    """Return the site with every device on a free port of this machine."""
    return replace(loaded, devices=tuple(b.moved(lambda _: ("127.0.0.1", 0)) for b in loaded.devices))


def _where(loaded: LoadedSite, rig: Rig) -> LoadedSite:
    """Return the site with the ports that the rig was given."""
    devices = (b.moved(lambda part: (part.host, rig.port_of(part.device_id))) for b in loaded.devices)
    return replace(loaded, devices=tuple(devices))


class _NoPlanner(Planner):
    """Takes requests and never plans."""

    def ask(self, request: PlanningInput) -> None:
        """Forget the request."""


def _set_planner(app: App, scenario: Scenario) -> None:
    """Give the application the scenario's source of plans; the optimizer is its own."""
    if scenario.model.plan is PlanKind.OPTIMIZER:
        return
    planner = _NoPlanner(app.site.planning.timeout_s)
    app.planner = planner
    app.loop._planner = planner  # the composition root has no seam for a bad planner, and needs none in life
    if scenario.model.plan is PlanKind.GARBAGE:
        nonsense = Nonsense(scenario)

        def spoil(cycle: Cycle) -> None:
            planner.plan = nonsense.plan(cycle.snapshot.taken)

        app.loop.observers.append(spoil)
