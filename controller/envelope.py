"""The books: how much of every limit is taken at the worst case, and how much room is left. Pure.

For every constraint of the limit tree two sums are kept, in either direction:

* *standing*: what can flow now. Assets that work against the direction (PV and a discharging battery against import)
  are credited with what they are measured to give.
* *loss*: what could flow if that support failed. It may use the short-time overload, provided that loads can be shed
  within its duration; else it must stay within the continuous bound too.

A device that can't be read is booked at its grants, and as loss at what it may still execute late. One in local mode
stands at what is measured, and at its rating in the loss sum: a person may do anything there. One that does not obey
counts at the worse of that and of its grants. One without a verified timer counts at its rating, whatever it is told.
"""

from collections.abc import Mapping

from controller.judge import Seen
from station.assets import Battery, Connector, Controllable, PvPlant
from station.limits import Direction, Interval, LimitClass
from station.measurement import NoReading, Snapshot
from station.request import RequestKind
from station.topology import Constraint, Site

TOLERANCE = 1e-6
"""Room smaller than this, in kW or A, is none."""


def constraints_in_force(site: Site, snapshot: Snapshot) -> tuple[Constraint, ...]:
    """Return the tree's constraints and those of the grid operator's requests that have not expired.

    An operator's limit may be passed, for as long as shedding takes, up to what the equipment carries continuously.
    """
    extra = []
    for request in snapshot.requests:
        if request.kind is RequestKind.MANUAL or request.expires_at <= snapshot.taken.at:
            continue
        is_import = request.kind is RequestKind.OPERATOR_IMPORT_LIMIT
        direction = Direction.IMPORT if is_import else Direction.EXPORT
        bound_kw = max(request.interval.max_kw, 0.0)
        extra.append(
            Constraint(
                f"{request.owner} {direction} kW",
                LimitClass.OPERATOR,
                direction,
                {asset.asset_id: 1.0 for asset in site.controllables},
                1.0,
                bound_kw,
                max(bound_kw, site.continuous_kw(direction)),
                float("inf"),
            )
        )
    return (*site.constraints, *extra)


class Books:
    """What every constraint already carries; mutable only within one cycle.

    ``live`` is the range that each device may be using now (None: surely at its fallback). ``base_kw`` is the base
    load; its declared growth is added against import and taken off against export. ``astray`` are devices that do what
    nobody permits, ``unarmed`` those whose timer is not verified. Of the devices that can't be read, ``late`` is what
    they may still execute when they wake up, and ``hidden_kw`` what was taken out of the base load for them.
    """

    def __init__(
        self,
        site: Site,
        constraints: tuple[Constraint, ...],
        seen: Seen,
        base_kw: float,
        live: Mapping[str, Interval | None],
        *,
        astray: frozenset[str] = frozenset(),
        unarmed: frozenset[str] = frozenset(),
        late: Mapping[str, Interval | None] | None = None,
        hidden_kw: Mapping[str, float] | None = None,
    ) -> None:
        self.site = site
        self.constraints = constraints
        self.seen = seen
        self.live = dict(live)
        self.astray = astray
        self._unarmed = unarmed
        self._late = late or {}
        self._hidden_kw = hidden_kw or {}
        self._bound = [constraint.bound for constraint in constraints]
        self._loss_bound = [site.loss_bound(constraint) for constraint in constraints]
        self._standing: list[float] = []
        self._loss: list[float] = []
        for constraint in constraints:
            base = constraint.base_weight * _base_worst_kw(site, seen, base_kw, constraint.direction)
            self._standing.append(base)
            self._loss.append(base + constraint.base_weight * self._masked_kw(base_kw, constraint.direction))
        self._touching: dict[str, list[tuple[int, float, bool]]] = {
            asset.asset_id: [
                (index, constraint.weights[asset.asset_id], constraint.direction is Direction.IMPORT)
                for index, constraint in enumerate(constraints)
                if asset.asset_id in constraint.weights
            ]
            for asset in site.controllables
        }
        for asset in site.controllables:
            self._add(asset, self.live[asset.asset_id], 1.0)

    def book(self, asset: Controllable, live: Interval | None) -> None:
        """Replace what an asset may be using."""
        self._add(asset, self.live[asset.asset_id], -1.0)
        self.live[asset.asset_id] = live
        self._add(asset, live, 1.0)

    def fits(self, asset: Controllable, live: Interval | None) -> bool:
        """Return whether ``live`` takes no constraint of this asset further beyond its bounds than it is."""
        before = self._costs(asset, self.live[asset.asset_id])
        after = self._costs(asset, live)
        for index, weight, is_import in self._touching[asset.asset_id]:
            side = 0 if is_import else 2
            rise = weight * (after[side] - before[side])
            if rise > TOLERANCE and self._standing[index] + rise > self._bound[index] + TOLERANCE:
                return False
            rise = weight * (after[side + 1] - before[side + 1])
            if rise > TOLERANCE and self._loss[index] + rise > self._loss_bound[index] + TOLERANCE:
                return False
        return True

    def room_kw(self, asset: Controllable, direction: Direction) -> float:
        """Return by how much the booking of an asset may rise in a direction; negative where a bound is passed."""
        room = float("inf")
        for index, weight, is_import in self._touching[asset.asset_id]:
            if is_import is (direction is Direction.IMPORT):
                room = min(
                    room,
                    (self._bound[index] - self._standing[index]) / weight,
                    (self._loss_bound[index] - self._loss[index]) / weight,
                )
        return room

    def overrun_kw(self, asset: Controllable, direction: Direction) -> float:
        """Return how much this asset must give up for its constraints to hold, 0 where they hold."""
        return max(-self.room_kw(asset, direction), 0.0)

    def stands_over(self, asset: Controllable, direction: Direction) -> bool:
        """Return whether a constraint of this asset is passed by what can flow now.

        It may also be passed once support fails, or once a device without a timer does as it likes.
        """
        return any(
            self._standing[index] - self._unproven(index) > self._bound[index] + TOLERANCE
            for index, _, is_import in self._touching[asset.asset_id]
            if is_import is (direction is Direction.IMPORT)
        )

    def broken(self) -> tuple[str, ...]:
        """Return the names of the constraints that do not hold."""
        return tuple(
            constraint.name
            for index, constraint in enumerate(self.constraints)
            if self._standing[index] > self._bound[index] + 10 * TOLERANCE
            or self._loss[index] > self._loss_bound[index] + 10 * TOLERANCE
        )

    def _unproven(self, index: int) -> float:
        """Return the part of a standing sum that is booked only because timers are not verified."""
        side = 0 if self.constraints[index].direction is Direction.IMPORT else 2
        weights = self.constraints[index].weights
        assets = [self.site.by_id[asset_id] for asset_id in self._unarmed if asset_id in weights]
        return sum(
            weights[a.asset_id]
            * (
                self._costs(a, self.live[a.asset_id])[side]
                - self._known_costs(a, self.live[a.asset_id])[side]
            )
            for a in assets
        )

    def _add(self, asset: Controllable, live: Interval | None, sign: float) -> None:
        costs = self._costs(asset, live)
        for index, weight, is_import in self._touching[asset.asset_id]:
            side = 0 if is_import else 2
            self._standing[index] += sign * weight * costs[side]
            self._loss[index] += sign * weight * costs[side + 1]

    def _costs(self, asset: Controllable, live: Interval | None) -> tuple[float, float, float, float]:
        """Return what an asset books in kW: import standing, import loss, export standing, export loss."""
        return self._known_costs(asset, asset.nameplate if asset.asset_id in self._unarmed else live)

    def _known_costs(self, asset: Controllable, live: Interval | None) -> tuple[float, float, float, float]:
        reading = self.seen.reading(asset.asset_id)
        measured_kw = None if reading is None else reading.power_kw
        if reading is not None and reading.is_local:
            return _at_will(asset, reading.power_kw)
        worst = asset.fallback if live is None else live.hull(asset.fallback)
        import_loss, export_loss = max(worst.max_kw, 0.0), max(-worst.min_kw, 0.0)
        if measured_kw is None:
            return self._unseen(asset, import_loss, export_loss)
        if live is None:
            return import_loss, import_loss, export_loss, export_loss
        import_standing, export_standing = import_loss, export_loss
        match asset:
            case Battery():
                if live.max_kw < 0.0:
                    import_standing = min(0.0, max(measured_kw, live.max_kw))
                if live.min_kw > 0.0:
                    export_standing = -max(0.0, min(measured_kw, live.min_kw))
            case PvPlant():
                import_standing = min(0.0, max(measured_kw, live.min_kw))
            case Connector():
                export_standing = -max(0.0, min(measured_kw, live.max_kw))
        costs = (import_standing, import_loss, export_standing, export_loss)
        if asset.asset_id not in self.astray:
            return costs
        will = _at_will(asset, measured_kw)
        return max(costs[0], will[0]), max(costs[1], will[1]), max(costs[2], will[2]), max(costs[3], will[3])

    def _masked_kw(self, base_kw: float, direction: Direction) -> float:
        """Return how much worse the base load may really be than it seems, up to its declared worst case.

        A device that can't be read may give more support than it is taken to, and may stop.
        """
        masked_kw = 0.0
        for asset_id, hidden_kw in self._hidden_kw.items():
            asset, live = self.site.by_id[asset_id], self.live[asset_id]
            may = asset.fallback if live is None else live.hull(asset.fallback)
            if direction is Direction.IMPORT:
                masked_kw += max(min(hidden_kw, 0.0) - may.min_kw, 0.0)
            else:
                masked_kw += max(may.max_kw - max(hidden_kw, 0.0), 0.0)
        seems_kw = _base_worst_kw(self.site, self.seen, base_kw, direction)
        declared = self.site.base_load
        worst_kw = declared.max_kw if direction is Direction.IMPORT else -declared.min_kw
        return max(min(masked_kw, worst_kw - seems_kw), 0.0)

    def _unseen(
        self, asset: Controllable, import_kw: float, export_kw: float
    ) -> tuple[float, float, float, float]:
        """Return what a device books that can't be read.

        What it did before it was lost is taken out of the base load; where nobody knows what that was, it hides in the
        base load, and its whole swing counts as loss.
        """
        late = self._late.get(asset.asset_id)
        import_loss = import_kw if late is None else max(import_kw, late.max_kw)
        export_loss = export_kw if late is None else max(export_kw, -late.min_kw)
        if asset.asset_id not in self._hidden_kw:
            import_loss = export_loss = import_loss + export_loss
        return import_kw, import_loss, export_kw, export_loss


def _at_will(asset: Controllable, measured_kw: float) -> tuple[float, float, float, float]:
    """Return what an asset books that may do anything: what is measured, and its rating as loss."""
    rating = asset.nameplate
    return measured_kw, max(rating.max_kw, 0.0), -measured_kw, max(-rating.min_kw, 0.0)


def _base_worst_kw(site: Site, seen: Seen, base_kw: float, direction: Direction) -> float:
    """Return the base load's part: grown against import, shrunk (never below declared) against export.

    Without a meter the declared maximum is the worst case of import, and the declared minimum that of export.
    """
    base_load = site.base_load
    if isinstance(seen.meter, NoReading):
        return base_load.max_kw if direction is Direction.IMPORT else -base_load.min_kw
    if direction is Direction.IMPORT:
        return max(min(base_kw + base_load.growth_kw, base_load.max_kw), base_kw)
    return -max(min(base_kw, base_load.max_kw) - base_load.growth_kw, base_load.min_kw)


def settled(books: Books, assets: Mapping[str, Interval] | Mapping[str, Interval | None]) -> Books:
    """Return books in which every asset does exactly what is given, as after all writes are confirmed."""
    fresh = object.__new__(Books)
    fresh.__dict__.update(books.__dict__)
    fresh.live = dict(books.live)
    fresh._standing, fresh._loss = list(books._standing), list(books._loss)
    for asset in fresh.site.controllables:
        fresh.book(asset, assets[asset.asset_id])
    return fresh
