"""The twin: the plant and the same ``step`` in virtual time, one process, no sockets.

Every strategy sees the same world. ``mpc`` plans inline whenever ``step`` asks for it; the baselines hand ``step`` a
one-slot plan each cycle; ``uncontrolled`` bypasses the controller; ``oracle`` is a bound and not a run.
"""

from collections.abc import Callable
from time import process_time

from controller.history import HistoryKeeper
from controller.loop import Cycle
from controller.planning import planning_input
from controller.sessions import ended
from controller.step import start, step
from hil.account import Account, account
from hil.run import TwinRun
from hil.world import World
from optimizer import baselines
from optimizer.baselines import Moment
from optimizer.demand import expected_peak_kw
from optimizer.solve import schedule
from station.assets import Battery
from station.decision import ControlState, Decision, Setpoint
from station.measurement import BatteryReading, Snapshot, WriteResult
from station.plan import Plan

REACTION_S = 3.0
"""With coarse steps the controller acts so long after the surroundings have changed: by then all meters show it.

Sooner, the grid meter (lag 1 s) would still show what was before while the inverter shows what is, and the mistake that
a live controller mends a second later would last for the whole step.
"""

COARSE_S = 5.0

BASELINES: dict[str, Callable[[Moment], Plan]] = {
    "edf": baselines.edf,
    "llf": baselines.llf,
    "round_robin": baselines.round_robin,
    "capped_llf": baselines.capped_llf,
}
STRATEGIES = ("uncontrolled", *BASELINES, "rules", "mpc", "oracle")

Progress = Callable[[str, float], None]
"""Called with the strategy and the share of its run that is done, 0..1."""

Observer = Callable[[Cycle], None]
"""Called after each cycle of a controlled strategy, as the live loop calls its own; nothing is ever late."""


def run_strategy(
    run: TwinRun, strategy: str, progress: Progress | None = None, observer: Observer | None = None
) -> Account:
    """Return the account of one strategy; ``strategy`` is one of ``STRATEGIES`` but ``oracle``."""
    began_s = process_time()
    world = run.world()
    is_free = strategy == "uncontrolled"
    driver = _Uncontrolled(run, world) if is_free else _Controlled(run, world, strategy, observer)
    steps = round(run.days * 86_400.0 / run.step_s)
    for index in range(steps):
        _cycle(world, driver, run.step_s)
        if index % 240 == 0:
            _tell(progress, strategy, index / steps)
    _tell(progress, strategy, 1.0)
    spent_s = max(process_time() - began_s, 1e-9)
    return account(
        run.site, strategy, world.result(), plan_ms=driver.plan_ms, sim_days_per_s=run.days / spent_s
    )


def _cycle(world: World, driver: "_Uncontrolled | _Controlled", step_s: float) -> None:
    """Let one step pass; in a coarse one the controller acts just after the surroundings have changed."""
    if step_s < COARSE_S:
        driver.act()
        world.advance(step_s)
        return
    world.advance(REACTION_S)
    driver.act()
    world.advance(step_s - REACTION_S)


class _Uncontrolled:
    """No controller at all: every car draws what it can, the battery rests, no limit is looked at."""

    def __init__(self, run: TwinRun, world: World) -> None:
        self._site = run.site
        self._world = world
        self._lease_s = 2.0 * run.step_s + REACTION_S
        self.plan_ms: list[float] = []

    def act(self) -> None:
        """Command every device to its most."""
        for asset in self._site.controllables:
            nameplate = asset.nameplate
            power_kw = 0.0 if isinstance(asset, Battery) else nameplate.max_kw or nameplate.min_kw
            self._world.command(asset.asset_id, power_kw, self._lease_s)


class _Controlled:
    """``step`` in the loop, with a plan from the optimizer, from a baseline, or none (rules)."""

    def __init__(self, run: TwinRun, world: World, strategy: str, observer: Observer | None) -> None:
        self._run = run
        self._observer = observer
        self._site = run.controlled_site
        self._world = world
        self._strategy = strategy
        self._state: ControlState = start(world.now)
        self._plan: Plan | None = None
        self._writes: dict[str, WriteResult] = {}
        self._keeper = HistoryKeeper(run.past())
        self._peak_kw: float | None = None
        self._peak_day: object = None
        self.plan_ms: list[float] = []

    def act(self) -> None:
        """Do one control cycle on the world as it is now."""
        world = self._world
        now = world.now
        snapshot = Snapshot(now, world.readings(), self._writes)
        plan = self._plan_for(snapshot)
        decision = step(self._site, self._state, snapshot, plan, now)
        world.apply(decision.setpoints)
        self._writes = _confirmed(decision, now.mono_s)
        self._keeper.add(now.at, decision.balance, self._run.step_s)
        gone = ended(self._state.sessions, decision.state.sessions, now)
        self._keeper.ended(gone, now.at)
        if self._observer is not None:
            self._observer(Cycle(snapshot, decision, plan, gone, 0.0))
        self._state = decision.state
        if decision.replan and self._strategy == "mpc":
            self._make_plan(snapshot)

    def _plan_for(self, snapshot: Snapshot) -> Plan | None:
        baseline = BASELINES.get(self._strategy)
        if baseline is None or self._state.last is None:
            return self._plan
        cap_kw = self._expected_peak_kw(snapshot) if self._strategy == "capped_llf" else None
        moment = Moment(
            self._site,
            snapshot.taken.at,
            tuple(self._state.sessions.values()),
            self._state.last.base_kw,
            self._state.last.pv_kw,
            {key: its.soc for key, its in snapshot.readings.items() if isinstance(its, BatteryReading)},
            cap_kw=cap_kw,
        )
        return baseline(moment)

    def _make_plan(self, snapshot: Snapshot) -> None:
        began_s = process_time()
        request = planning_input(
            self._site,
            self._state,
            snapshot,
            self._plan,
            self._keeper.history(),
            demand_share=self._run.demand_share(),
            expected_peak_kw=self._expected_peak_kw(snapshot),
        )
        self._plan = schedule(request)
        self.plan_ms.append((process_time() - began_s) * 1000.0)

    def _expected_peak_kw(self, snapshot: Snapshot) -> float | None:
        """Return the peak that the past lets expect: fixed for the run as a baseline's cap, daily for the planner."""
        day = "run" if self._strategy == "capped_llf" else snapshot.taken.at.date()
        if day != self._peak_day:
            self._peak_day = day
            self._peak_kw = expected_peak_kw(self._site, self._keeper.history(), snapshot.taken.at)
        return self._peak_kw


def _tell(progress: Progress | None, strategy: str, share: float) -> None:
    if progress is not None:
        progress(strategy, share)


def _confirmed(decision: Decision, sent_s: float) -> dict[str, WriteResult]:
    return {
        asset_id: WriteResult(sent_s, entry.power_kw, True)
        for asset_id, entry in decision.setpoints.items()
        if isinstance(entry, Setpoint) and entry.is_due
    }
