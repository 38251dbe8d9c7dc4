"""The rig in virtual time: the same ``step`` on the same plant, faults at the snapshot, plans made in line.

Readings are those of the cycle's instant and a write is confirmed in the next cycle. The plant moves in steps of 0.2 s.
A run depends on nothing but the scenario, its seed and the code.
"""

from collections.abc import Callable, Mapping

from controller.history import HistoryKeeper
from controller.planning import planning_input
from controller.sessions import ended
from controller.step import start, step
from hil.rigs.evidence import evidences
from hil.rigs.stage import Nonsense, world_of
from hil.rigs.trace import Recorder, Trace, WatchedWorld
from hil.scenario import FaultFile, FaultKind, PlanKind, Scenario
from optimizer.demand import expected_peak_kw
from optimizer.solve import schedule
from station.clock import Instant, slot_start
from station.decision import ControlState, Decision, Setpoint
from station.forecast import History
from station.measurement import Measurement, MeterReading, NoReading, Snapshot, WriteResult
from station.plan import Plan

PLANT_STEP_S = 0.2
READBACK_KW = 0.01
"""A frozen device that happens to hold what is written looks as if it had taken it."""

Progress = Callable[[float], None]
"""Called with the share of the run that is done, 0..1."""


def play(scenario: Scenario, progress: Progress | None = None) -> Trace:
    """Play a scenario and return its trace."""
    world = world_of(scenario)
    recorder = Recorder(world)
    seen = evidences(scenario)
    wires, planner = FaultyWires(scenario, world), _Planner(scenario, world.now)
    cycle_s = scenario.loaded.site.control.cycle_s
    cycles = round(scenario.model.duration_s / cycle_s)
    state = start(world.now)
    writes: Mapping[str, WriteResult] = {}
    for cycle in range(cycles):
        now = world.now
        snapshot = Snapshot(now, wires.readings(), writes)
        decision = step(scenario.loaded.site, state, snapshot, planner.plan(now), now)
        for evidence in seen:
            evidence.observe(snapshot)
        recorder.add(snapshot, decision)
        writes = wires.write(decision)
        planner.after(snapshot, decision, state)
        state = decision.state
        world.advance_to((cycle + 1) * cycle_s, PLANT_STEP_S)
        if progress is not None and cycle % 20 == 0:
            progress(cycle / cycles)
    return recorder.trace(evidence.log() for evidence in seen)


class FaultyWires:
    """The way between the controller and the world, with the scenario's faults on it."""

    def __init__(self, scenario: Scenario, world: WatchedWorld) -> None:
        self._world = world
        self._faults = [(fault, scenario.assets_of(fault.on)) for fault in scenario.model.faults]
        self._last: dict[str, Measurement] = {}

    def readings(self) -> Mapping[str, Measurement]:
        """Return what the controller gets to see now: a silent or frozen device's last words, with their old age."""
        now_s = self._world.now.mono_s
        for fault, asset_ids in self._faults:
            if fault.kind is FaultKind.LOCAL:
                for asset_id in asset_ids:
                    self._world.set_local(asset_id, fault.is_active(now_s))
        mute = self._hit(now_s, FaultKind.SILENT) | self._hit(now_s, FaultKind.FROZEN)
        fresh = {key: reading for key, reading in self._world.readings().items() if key not in mute}
        self._last |= fresh
        return fresh | {asset_id: self._last.get(asset_id, NoReading("no answer")) for asset_id in mute}

    def write(self, decision: Decision) -> Mapping[str, WriteResult]:
        """Write a decision to the devices that take it, and return what became of each setpoint."""
        now_s = self._world.now.mono_s
        silent, frozen = self._hit(now_s, FaultKind.SILENT), self._hit(now_s, FaultKind.FROZEN)
        refusing = self._hit(now_s, FaultKind.REFUSE_WRITES)
        results = {}
        taken = {}
        for asset_id, entry in decision.setpoints.items():
            if not isinstance(entry, Setpoint):
                continue
            cause = ""
            if asset_id in silent:
                cause = "no answer"
            elif asset_id in refusing:
                cause = "refused"
            elif asset_id in frozen and not self._holds(asset_id, entry.power_kw):
                cause = "the device holds something else"
            elif asset_id not in frozen:
                taken[asset_id] = entry
            results[asset_id] = WriteResult(now_s, entry.power_kw, not cause, cause)
        self._world.apply(taken)
        return results

    def _hit(self, now_s: float, kind: FaultKind) -> set[str]:
        active: list[tuple[FaultFile, tuple[str, ...]]] = [
            (fault, asset_ids)
            for fault, asset_ids in self._faults
            if fault.kind is kind and fault.is_active(now_s)
        ]
        return {asset_id for _, asset_ids in active for asset_id in asset_ids}

    def _holds(self, asset_id: str, power_kw: float) -> bool:
        last = self._last.get(asset_id)
        if last is None or isinstance(last, NoReading | MeterReading) or last.setpoint_kw is None:
            return False
        return abs(last.setpoint_kw - power_kw) <= READBACK_KW


class _Planner:
    """Plans in line, whenever ``step`` asks; or nonsense in every cycle; or nothing."""

    def __init__(self, scenario: Scenario, now: Instant) -> None:
        self._site = scenario.loaded.site
        self._kind = scenario.model.plan
        self._nonsense = Nonsense(scenario)
        slot_s = self._site.planning.slot_s
        self._keeper = HistoryKeeper(History(slot_start(now.at, slot_s), slot_s, (), ()))
        self._plan: Plan | None = None

    def plan(self, now: Instant) -> Plan | None:
        """Return the plan for this cycle."""
        return self._nonsense.plan(now) if self._kind is PlanKind.GARBAGE else self._plan

    def after(self, snapshot: Snapshot, decision: Decision, old: ControlState) -> None:
        """Learn from a cycle, and plan where it asks for that."""
        now, site = snapshot.taken, self._site
        self._keeper.add(now.at, decision.balance, site.control.cycle_s)
        self._keeper.ended(ended(old.sessions, decision.state.sessions, now), now.at)
        if decision.replan is None or self._kind is not PlanKind.OPTIMIZER:
            return
        history = self._keeper.history()
        request = planning_input(
            site,
            decision.state,
            snapshot,
            self._plan,
            history,
            demand_share=1.0,
            expected_peak_kw=expected_peak_kw(site, history, now.at),
        )
        self._plan = schedule(request)
