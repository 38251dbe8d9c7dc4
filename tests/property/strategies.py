"""Wild worlds from a seed: lying, silent, stale and local devices, lost writes, garbage plans.

A seed and not a drawn structure, because a structure of this size takes Hypothesis a hundred times as long as the
cycles under test; a failing example prints the seed that repeats it.
"""

from datetime import timedelta
from random import Random

from hypothesis import strategies as st

from controller.step import start, step
from station.clock import Instant
from station.decision import ControlState, Decision, Setpoint
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    Measurement,
    MeterReading,
    NoReading,
    PvReading,
    Snapshot,
    WriteResult,
)
from station.plan import Plan, PlanOrigin
from station.topology import Site
from tests.factories import START, a_battery, a_site

CYCLES = 12
WILD_KW = (0.0, float("nan"), float("inf"), float("-inf"), 1e9, -1e9)


class Run:
    """Some cycles of a station: what each remembered, saw, was planned and decided."""

    def __init__(self, seed: int, site: Site) -> None:
        self.seed = seed
        self.site = site
        self.before: list[ControlState] = []
        self.snapshots: list[Snapshot] = []
        self.plans: list[Plan | None] = []
        self.decisions: list[Decision] = []

    def __repr__(self) -> str:
        return f"run_of({self.seed})"


def runs() -> st.SearchStrategy[Run]:
    """Return a strategy of wild runs."""
    return st.integers(0, 2**32 - 1).map(run_of)


def run_of(seed: int) -> Run:
    """Return the run of a seed; the same seed gives the same run."""
    chance = Random(seed)
    site = site_of(chance)
    run, mono_s = Run(seed, site), 1000.0
    state = start(instant_at(mono_s))
    sent: dict[str, tuple[float, float]] = {}
    for _ in range(CYCLES):
        mono_s += chance.choice([1.0, 1.0, 1.0, 1.0, 2.5, 12.0, 40.0])
        snapshot = snapshot_of(chance, site, mono_s, sent)
        plan = plan_of(chance, site, mono_s)
        decision = step(site, state, snapshot, plan, snapshot.taken)
        run.before.append(state)
        run.snapshots.append(snapshot)
        run.plans.append(plan)
        run.decisions.append(decision)
        state = decision.state
        sent = {k: (mono_s, e.power_kw) for k, e in decision.setpoints.items() if isinstance(e, Setpoint)}
    return run


def instant_at(mono_s: float) -> Instant:
    """Return an instant whose clocks run together."""
    return Instant(START + timedelta(seconds=mono_s), mono_s)


def site_of(chance: Random) -> Site:
    """Return a station small enough that its limits bind; now and then its fallbacks do not fit."""
    return a_site(
        ac=chance.randint(1, 5),
        dc=chance.randint(0, 2),
        batteries=(a_battery(),) if chance.random() < 0.7 else (),
        limit_kw=chance.uniform(50.0, 130.0),
        short_time_kw=None if chance.random() < 0.5 else 200.0,
        short_time_s=chance.choice([0.0, 60.0, 600.0]),
        feeder_a=chance.choice([None, 20.0, 40.0, 64.0]),
        base_max_kw=chance.uniform(5.0, 30.0),
    )


def snapshot_of(chance: Random, site: Site, mono_s: float, sent: dict[str, tuple[float, float]]) -> Snapshot:
    """Return a snapshot; of the setpoints that were sent any may be confirmed, refused or unknown."""
    writes = {
        asset_id: WriteResult(sent_s, power_kw, chance.random() < 0.6)
        for asset_id, (sent_s, power_kw) in sent.items()
        if chance.random() < 0.8
    }
    unarmed = frozenset(a.asset_id for a in site.controllables if chance.random() < 0.03)
    return Snapshot(instant_at(mono_s), readings_of(chance, site, mono_s), writes, (), unarmed)


def readings_of(chance: Random, site: Site, mono_s: float) -> dict[str, Measurement]:
    """Return what devices say: fresh, stale, lost, impossible, local; powers need not add up."""
    measured: dict[str, Measurement] = {}

    def when() -> float:
        return mono_s - chance.choice([0.0, 0.0, 0.5, 1.0, 2.9, 10.0])

    measured[site.meter.asset_id] = MeterReading(when(), chance.uniform(-150.0, 150.0))
    for battery in site.batteries:
        measured[battery.asset_id] = BatteryReading(
            when(),
            chance.uniform(-100.0, 100.0),
            chance.choice([0.0, 0.05, 0.1, 0.5, 0.5, 0.5, 0.9, 0.95, 1.0, 2.0]),
            chance.choice([0.0, 30.0, 100.0]),
            chance.choice([0.0, 30.0, 100.0]),
            chance.choice([None, chance.uniform(-100.0, 100.0)]),
            chance.random() < 0.05,
        )
    for plant in site.pv_plants:
        measured[plant.asset_id] = PvReading(
            when(), chance.uniform(-50.0, 0.0), chance.choice([None, chance.uniform(-50.0, 0.0)])
        )
    for connector in site.connectors:
        state = chance.choice(list(ConnectorState))
        charging = state is ConnectorState.CHARGING
        measured[connector.asset_id] = ConnectorReading(
            when(),
            chance.uniform(0.0, connector.max_kw) if charging else 0.0,
            state,
            chance.choice(["one", "two", None]),
            chance.uniform(0.0, 50.0),
            max_kw=chance.choice([None, 0.0, 3.0, connector.max_kw]),
            setpoint_kw=chance.choice([None, chance.uniform(0.0, connector.max_kw)]),
            is_local=chance.random() < 0.05,
        )
    for asset_id in measured:
        if chance.random() < 0.07:
            measured[asset_id] = NoReading("no answer")
    return measured


def plan_of(chance: Random, site: Site, mono_s: float) -> Plan | None:
    """Return a plan that may be absent, expired, reversed, not a number or for other cars (I19)."""
    if chance.random() < 0.15:
        return None

    def wild_kw() -> float:
        return chance.choice(WILD_KW) if chance.random() < 0.25 else chance.uniform(-200.0, 200.0)

    now = instant_at(mono_s)
    slots = chance.randint(1, 3)
    ids = [asset.asset_id for asset in site.controllables if chance.random() < 0.9]
    return Plan(
        now.at,
        now.at - timedelta(seconds=chance.choice([0.0, 0.0, 100.0, 5000.0])),
        900.0,
        now.at + timedelta(seconds=chance.choice([-1.0, 7200.0, 7200.0])),
        {key: tuple(wild_kw() for _ in range(slots)) for key in ids},
        {key: chance.choice(["one", "two"]) for key in ids},
        wild_kw(),
        chance.choice(list(PlanOrigin)),
        tuple(wild_kw() for _ in range(slots)),
    )
