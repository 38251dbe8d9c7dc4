"""The site: its assets, and the tree of limits above them.

A limit tree becomes a list of linear ``Constraint`` s once, at load; the envelope and the safety gate only ever see
those. Invariant I4 is stated over them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from station.assets import BaseLoad, Battery, Connector, Controllable, GridMeter, PvPlant
from station.limits import CurrentLimit, Direction, Limit, LimitClass, PowerLimit
from station.quantities import ALL_PHASES, Phase
from station.tariff import Tariff


@dataclass(frozen=True, slots=True)
class LimitNode:
    """A node of the limit tree: PCC, transformer, feeder, cabinet, charger.

    ``members`` are the assets that hang directly on it; those of its children count too. The root has no parent.
    """

    node_id: str
    parent_id: str | None
    members: tuple[str, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One linear bound of the limit tree, in one direction.

    ``sum(weight * power_kw of asset) <= bound``, with the sign of power flipped for export. Weights are 1 for a limit
    in kW, and A per kW on one phase for a limit in A. ``base_weight`` is the weight of the base load, 0 where it hangs
    elsewhere. ``bound`` holds continuously, ``short_time_bound`` for ``short_time_s``; both in kW or A.
    """

    name: str
    limit_class: LimitClass
    direction: Direction
    weights: Mapping[str, float]
    base_weight: float
    bound: float
    short_time_bound: float
    short_time_s: float


REACTION_S = 12.0
"""The slowest shedding: an AC car may take 5 s to see a new pilot and 6 s to follow it."""


@dataclass(frozen=True, slots=True)
class Planning:
    """How often and how far the schedule looks. ``shortfall_price_per_kwh`` prices energy that a driver misses."""

    interval_s: float = 300.0
    slot_s: float = 900.0
    horizon_s: float = 129_600.0
    timeout_s: float = 20.0
    shortfall_price_per_kwh: float = 1.0


@dataclass(frozen=True, slots=True)
class Control:
    """The fast loop's settings. ``stale_s`` is the age at which a reading is no longer believed."""

    cycle_s: float = 1.0
    stale_s: float = 3.0
    restart_shadow_cycles: int = 2


@dataclass(frozen=True)
class Site:
    """A whole station; immutable after load. ``timezone`` is an IANA name, coordinates are degrees north and east.

    ``grid_kg_co2_per_kwh`` is the declared carbon intensity of imported energy, None where the site declares none.
    """

    site_id: str
    timezone: str
    latitude: float
    longitude: float
    meter: GridMeter
    base_load: BaseLoad
    batteries: tuple[Battery, ...]
    pv_plants: tuple[PvPlant, ...]
    connectors: tuple[Connector, ...]
    nodes: tuple[LimitNode, ...]
    tariff: Tariff
    planning: Planning = field(default_factory=Planning)
    control: Control = field(default_factory=Control)
    grid_kg_co2_per_kwh: float | None = None

    @cached_property
    def controllables(self) -> tuple[Controllable, ...]:
        """Return every asset that takes setpoints: batteries, then PV, then connectors."""
        return (*self.batteries, *self.pv_plants, *self.connectors)

    @cached_property
    def by_id(self) -> Mapping[str, Controllable]:
        """Return the controllable assets by their id."""
        return {asset.asset_id: asset for asset in self.controllables}

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Return every booked bound (hard and operator limits) of the tree, both directions."""
        return tuple(self._constraints())

    @cached_property
    def shed_s(self) -> float:
        """Return the longest time in s until lost support is made good: a lease of the slowest device runs out."""
        leases_s = [asset.lease_s for asset in self.controllables]
        return max(leases_s, default=0.0) + self.control.stale_s + REACTION_S

    def loss_bound(self, constraint: Constraint) -> float:
        """Return what may flow while support that failed is made good: the overload where it lasts so long."""
        lasts = constraint.short_time_s >= self.shed_s
        return constraint.short_time_bound if lasts else constraint.bound

    @cached_property
    def fallback_problems(self) -> tuple[str, ...]:
        """Return one text for each bound that the fallbacks and the declared base load could pass by themselves.

        Where there is one, nothing may be granted: the station would not be safe if all messages were lost.
        """
        return tuple(self._fallback_problems())

    def window_limit_kw(self) -> float | None:
        """Return the lowest contracted mean import in kW at the root, or None where there is none."""
        return min(
            (
                limit.continuous_kw
                for node in self.nodes
                for limit in node.limits
                if isinstance(limit, PowerLimit) and limit.limit_class is LimitClass.WINDOW
            ),
            default=None,
        )

    def continuous_kw(self, direction: Direction) -> float:
        """Return the lowest continuous power limit that holds the base load (the PCC), infinite where there is none."""
        return min(
            (c.bound for c in self.constraints if c.direction is direction and c.base_weight == 1.0),
            default=float("inf"),
        )

    def members_below(self, node_id: str) -> frozenset[str]:
        """Return the ids of all assets at or below a node."""
        children = (node.node_id for node in self.nodes if node.parent_id == node_id)
        own = next(node.members for node in self.nodes if node.node_id == node_id)
        return frozenset(own).union(*(self.members_below(child) for child in children))

    def _fallback_problems(self) -> Iterable[str]:
        for constraint in self.constraints:
            worst = {
                asset_id: weight * _fallback_kw(self.by_id[asset_id], constraint.direction)
                for asset_id, weight in constraint.weights.items()
            }
            is_import = constraint.direction is Direction.IMPORT
            base_kw = self.base_load.max_kw if is_import else -self.base_load.min_kw
            total = sum(worst.values()) + constraint.base_weight * base_kw
            if total > constraint.bound + 1e-6:
                guilty = sorted(
                    (key for key, value in worst.items() if value > 0), key=lambda key: -worst[key]
                )
                yield (
                    f"fallbacks and base load reach {total:.1f} at {constraint.name}, limit {constraint.bound:.1f}: "
                    + ", ".join(guilty or [self.base_load.asset_id])
                )

    def _constraints(self) -> Iterable[Constraint]:
        for node in self.nodes:
            members = self.members_below(node.node_id)
            base_weight = 1.0 if self.base_load.asset_id in members else 0.0
            assets = [asset for asset in self.controllables if asset.asset_id in members]
            for limit in node.limits:
                if isinstance(limit, CurrentLimit):
                    yield from _phase_constraints(node.node_id, assets, limit)
                elif limit.limit_class is not LimitClass.WINDOW:
                    yield Constraint(
                        f"{node.node_id} {limit.direction} kW",
                        limit.limit_class,
                        limit.direction,
                        {asset.asset_id: 1.0 for asset in assets},
                        base_weight,
                        limit.continuous_kw,
                        limit.short_time_kw,
                        limit.short_time_s,
                    )


def _fallback_kw(asset: Controllable, direction: Direction) -> float:
    """Return the worst fallback of an asset in a direction, as a positive power."""
    return max(asset.fallback.max_kw if direction is Direction.IMPORT else -asset.fallback.min_kw, 0.0)


def phases_of(asset: Controllable) -> tuple[Phase, ...]:
    """Return the conductors that an asset loads; batteries and PV are balanced three-phase devices."""
    return asset.phases if isinstance(asset, Connector) else ALL_PHASES


def _phase_constraints(node_id: str, assets: list[Controllable], limit: CurrentLimit) -> Iterable[Constraint]:
    """Yield a bound in A for each phase and direction; ``assets`` are those below the node."""
    for phase in ALL_PHASES:
        weights = {
            asset.asset_id: 1000.0
            / (len(phases_of(asset)) * (asset.voltage_v if isinstance(asset, Connector) else 230.0))
            for asset in assets
            if phase in phases_of(asset)
        }
        for direction in Direction:
            yield Constraint(
                f"{node_id} {direction} {phase} A",
                LimitClass.HARD,
                direction,
                weights,
                0.0,
                limit.continuous_a,
                limit.continuous_a,
                0.0,
            )
