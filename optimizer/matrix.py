"""A linear model as data: columns with bounds and costs, rows with coefficients. Solvers and checks both read it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

INFINITY = float("inf")


@dataclass(frozen=True)
class Matrix:
    """Minimise ``cost @ x + offset`` with ``row_lower <= rows @ x <= row_upper`` and ``lower <= x <= upper``.

    ``integer`` marks the columns that must be whole. Every row is one-sided or an equation.
    """

    names: tuple[str, ...]
    lower: Floats
    upper: Floats
    cost: Floats
    integer: NDArray[np.bool_]
    row_names: tuple[str, ...]
    rows: sparse.csr_matrix
    row_lower: Floats
    row_upper: Floats
    offset: float

    def objective(self, x: Floats) -> float:
        """Return the cost of ``x``."""
        return float(self.cost @ x) + self.offset

    def worst_violation(self, x: Floats) -> float:
        """Return how far ``x`` breaks its worst row, bound or wholeness, relative to the size of the bound.

        Infinite where ``x`` has the wrong length or is not finite.
        """
        if x.shape != self.cost.shape or not np.isfinite(x).all():
            return INFINITY
        activity = self.rows @ x
        parts = (
            _excess(self.row_lower, activity),
            _excess(activity, self.row_upper),
            _excess(self.lower, x),
            _excess(x, self.upper),
            np.where(self.integer, np.abs(x - np.round(x)), 0.0),
        )
        return float(max((part.max(initial=0.0) for part in parts), default=0.0))


def _excess(smaller: Floats, larger: Floats) -> Floats:
    """Return by how much ``smaller <= larger`` is broken, relative; an infinite bound is never broken."""
    finite = np.isfinite(smaller) & np.isfinite(larger)
    low, high = np.where(finite, smaller, 0.0), np.where(finite, larger, 0.0)
    scale = np.maximum(1.0, np.minimum(np.abs(low), np.abs(high)))
    excess: Floats = np.maximum(0.0, low - high) / scale
    return excess


@dataclass
class Builder:
    """Collects columns, rows and coefficients; ``finish`` freezes them."""

    names: list[str] = field(default_factory=list)
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    cost: list[Floats] = field(default_factory=list)
    integer: list[NDArray[np.bool_]] = field(default_factory=list)
    row_names: list[str] = field(default_factory=list)
    row_lower: list[Floats] = field(default_factory=list)
    row_upper: list[Floats] = field(default_factory=list)
    terms: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    offset: float = 0.0

    def columns(
        self,
        names: Sequence[str],
        *,
        lower: ArrayLike = 0.0,
        upper: ArrayLike = INFINITY,
        cost: ArrayLike = 0.0,
        integer: bool = False,
    ) -> Ints:
        """Add one column per name and return their numbers."""
        count, first = len(names), len(self.names)
        self.names.extend(names)
        for store, value in ((self.lower, lower), (self.upper, upper), (self.cost, cost)):
            store.append(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)))
        self.integer.append(np.full(count, integer))
        return np.arange(first, first + count)

    def rows(
        self, names: Sequence[str], *, lower: ArrayLike = -INFINITY, upper: ArrayLike = INFINITY
    ) -> Ints:
        """Add one empty row per name and return their numbers."""
        count, first = len(names), len(self.row_names)
        self.row_names.extend(names)
        self.row_lower.append(np.broadcast_to(np.asarray(lower, dtype=np.float64), (count,)))
        self.row_upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), (count,)))
        return np.arange(first, first + count)

    def put(self, rows: ArrayLike, columns: ArrayLike, values: ArrayLike) -> None:
        """Add coefficients; the three are broadcast against each other and equal places are summed."""
        row, column, value = np.broadcast_arrays(
            np.asarray(rows, dtype=np.int64),
            np.asarray(columns, dtype=np.int64),
            np.asarray(values, dtype=np.float64),
        )
        self.terms.append((row.ravel(), column.ravel(), value.ravel()))

    def finish(self) -> Matrix:
        """Return the model."""
        rows, columns, values = (
            (np.concatenate([term[part] for term in self.terms]) if self.terms else np.zeros(0))
            for part in range(3)
        )
        shape = (len(self.row_names), len(self.names))
        return Matrix(
            tuple(self.names),
            _joined(self.lower),
            _joined(self.upper),
            _joined(self.cost),
            np.concatenate([*self.integer, np.zeros(0, dtype=bool)]),
            tuple(self.row_names),
            sparse.csr_matrix((values, (rows.astype(np.int64), columns.astype(np.int64))), shape=shape),
            _joined(self.row_lower),
            _joined(self.row_upper),
            self.offset,
        )


def _joined(parts: list[Floats]) -> Floats:
    """Return one array of all parts."""
    return np.concatenate([*parts, np.zeros(0)])
