"""What a run leaves behind: true flows at the plant's own step, and a sample of everything in each control cycle.

Both rigs make the same trace, so the same criteria judge it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hil.plant import powers_kw
from hil.rigs.booking import bookings
from hil.rigs.evidence import FaultLog
from hil.world import LoadNoise, Surroundings, World, WorldResult
from station.decision import Decision, Setpoint
from station.inputs import SessionRow
from station.limits import Direction, Interval
from station.measurement import Snapshot
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Flow:
    """What truly flowed from ``mono_s`` for ``dt_s``: one value for each of ``site.constraints``, in its kW or A.

    Positive in the constraint's own direction.
    """

    mono_s: float
    dt_s: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One control cycle: the truth at its start, what the controller believed, booked and decided. Load convention.

    ``sessions_kwh`` is what the car at each occupied connector has got so far; ``setpoints_kw`` has None where nothing
    was written. ``booked`` is the worst case for each of ``site.constraints``, ``booked_kw`` the range that each asset
    is booked with, ``lost`` the assets that were not believed.
    """

    mono_s: float
    grid_kw: float
    load_kw: float
    powers_kw: Mapping[str, float]
    soc: float
    sessions_kwh: Mapping[str, float]
    setpoints_kw: Mapping[str, float | None]
    booked: tuple[float, ...]
    booked_kw: Mapping[str, Interval]
    lost: frozenset[str]
    alarms: frozenset[str]
    base_kw: float
    base_is_worst_case: bool


@dataclass(frozen=True)
class Trace:
    """A whole run. ``late_ms`` is the worst lateness of a cycle, 0 in virtual time; ``missed`` counts cycles."""

    site: Site
    samples: tuple[Sample, ...]
    flows: tuple[Flow, ...]
    faults: tuple[FaultLog, ...]
    result: WorldResult
    late_ms: float = 0.0
    missed: int = 0


class WatchedWorld(World):
    """A world that also notes every step's true flow through every limit."""

    def __init__(
        self,
        site: Site,
        surroundings: Surroundings,
        sessions: Iterable[SessionRow],
        *,
        start_at: datetime,
        soc: float,
        noise: LoadNoise | None,
    ) -> None:
        super().__init__(site, surroundings, sessions, start_at=start_at, soc=soc, noise=noise)
        self.flows: list[Flow] = []

    def advance(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass in one step and note what flowed."""
        started_s = round(self.now.mono_s, 6)
        super().advance(dt_s)
        self.flows.append(Flow(started_s, dt_s, flows_of(self)))


def flows_of(world: World) -> tuple[float, ...]:
    """Return the true flow through each of the site's constraints during the last step."""
    power_kw = powers_kw(world.site, world.state)
    values = []
    for constraint in world.site.constraints:
        total = constraint.base_weight * world.state.load_kw
        total += sum(weight * power_kw[asset_id] for asset_id, weight in constraint.weights.items())
        values.append(total if constraint.direction is Direction.IMPORT else -total)
    return tuple(values)


@dataclass
class Recorder:
    """Collects the samples of a run."""

    world: WatchedWorld
    samples: list[Sample] = field(default_factory=list)

    def add(self, snapshot: Snapshot, decision: Decision) -> None:
        """Note one cycle, before the world moves on."""
        world = self.world
        booked = bookings(world.site, decision, snapshot, world.state.load_kw)
        cars = {
            connector.asset_id: status.session_kwh
            for connector, status in zip(world.site.connectors, world.state.connectors, strict=True)
            if status.car is not None
        }
        self.samples.append(
            Sample(
                mono_s=round(snapshot.taken.mono_s, 6),
                grid_kw=world.state.grid_kw,
                load_kw=world.state.load_kw,
                powers_kw=powers_kw(world.site, world.state),
                soc=_soc(world),
                sessions_kwh=cars,
                setpoints_kw={
                    asset_id: entry.power_kw if isinstance(entry, Setpoint) else None
                    for asset_id, entry in decision.setpoints.items()
                },
                booked=booked.totals,
                booked_kw=booked.assets_kw,
                lost=booked.lost,
                alarms=decision.state.alarms,
                base_kw=decision.balance.base_kw,
                base_is_worst_case=decision.balance.base_is_worst_case,
            )
        )

    def trace(self, faults: Iterable[FaultLog], *, late_ms: float = 0.0, missed: int = 0) -> Trace:
        """Return the whole run."""
        world = self.world
        return Trace(
            world.site,
            tuple(self.samples),
            tuple(world.flows),
            tuple(faults),
            world.result(),
            late_ms,
            missed,
        )


def _soc(world: World) -> float:
    """Return what all batteries hold as a share of their capacity, 0 without any."""
    capacity_kwh = sum(battery.capacity_kwh for battery in world.site.batteries)
    return sum(its.energy_kwh for its in world.state.batteries) / capacity_kwh if capacity_kwh else 0.0
