"""Limits broken by true power, judged as the project defines it.

A violation is more than 1 % over a hard or operator limit for longer than 5 s, or 12 s where only AC cars can react
(a node with nothing but AC connectors: IEC 61851-1 gives a car 5 s, and a charger its own cycle), or in any step that
is at least 5 s long. ``bound`` is the continuous limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from station.assets import Connector, ConnectorKind
from station.limits import Direction
from station.topology import Constraint, Site

TOLERATED_SHARE = 0.01
TOLERATED_S = 5.0
TOLERATED_AC_S = 12.0
COARSE_S = 5.0
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Violation:
    """One time that one limit was broken without a break in between.

    ``unit`` is kW or A; ``worst`` is the largest excess over the limit and ``excess_s`` its integral (kW·s or A·s),
    both counted from the limit itself and from the first second.
    """

    constraint: str
    starts_at: datetime
    duration_s: float
    unit: str
    worst: float
    excess_s: float


@dataclass(slots=True)
class _Excursion:
    starts_at: datetime
    is_violation: bool = False
    duration_s: float = 0.0
    worst: float = 0.0
    excess_s: float = 0.0


class Judge:
    """Follows every constraint of a site through the steps of a run."""

    def __init__(self, site: Site) -> None:
        self._constraints = site.constraints
        order = [asset.asset_id for asset in site.controllables]
        signs = [1.0 if c.direction is Direction.IMPORT else -1.0 for c in self._constraints]
        self._signs = np.array(signs)
        self._weights = np.array(
            [[c.weights.get(asset_id, 0.0) for asset_id in order] for c in self._constraints]
        ).reshape(len(signs), len(order))
        self._base_weights = np.array([c.base_weight for c in self._constraints])
        self._bounds = np.array([c.bound for c in self._constraints])
        self._most = self._bounds + TOLERATED_SHARE * np.abs(self._bounds) + _EPSILON
        self._tolerated_s = [_tolerated_s(site, c) for c in self._constraints]
        self._open: dict[int, _Excursion] = {}
        self._closed: list[Violation] = []

    def observe(self, powers_kw: Sequence[float], load_kw: float, started_at: datetime, dt_s: float) -> None:
        """Judge one step: the true powers in the order of ``site.controllables``, and the base load."""
        flows = self._signs * (self._weights @ np.array(powers_kw) + self._base_weights * load_kw)
        over = flows > self._most
        if not self._open and not over.any():
            return
        for index in np.flatnonzero(over).tolist():
            self._extend(index, float(flows[index] - self._bounds[index]), started_at, dt_s)
        for ended in [i for i in self._open if not over[i]]:
            self._end(ended, self._open.pop(ended))

    def violations(self) -> tuple[Violation, ...]:
        """Return all violations so far, one that still lasts included."""
        lasting = [self._of(i, e) for i, e in self._open.items() if e.is_violation]
        return (*self._closed, *lasting)

    def _extend(self, index: int, excess: float, started_at: datetime, dt_s: float) -> None:
        excursion = self._open.setdefault(index, _Excursion(started_at))
        excursion.duration_s += dt_s
        excursion.worst = max(excursion.worst, excess)
        excursion.excess_s += excess * dt_s
        if dt_s >= COARSE_S or excursion.duration_s > self._tolerated_s[index] + _EPSILON:
            excursion.is_violation = True

    def _end(self, index: int, excursion: _Excursion) -> None:
        if excursion.is_violation:
            self._closed.append(self._of(index, excursion))

    def _of(self, index: int, excursion: _Excursion) -> Violation:
        name = self._constraints[index].name
        return Violation(
            name,
            excursion.starts_at,
            excursion.duration_s,
            "A" if name.endswith(" A") else "kW",
            excursion.worst,
            excursion.excess_s,
        )


def _tolerated_s(site: Site, constraint: Constraint) -> float:
    """Return how long a constraint may be exceeded, by what can react."""
    assets = [site.by_id[asset_id] for asset_id in constraint.weights]
    only_ac = bool(assets) and all(isinstance(a, Connector) and a.kind is ConnectorKind.AC for a in assets)
    return TOLERATED_AC_S if only_ac and constraint.base_weight == 0.0 else TOLERATED_S
