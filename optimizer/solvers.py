"""A matrix as a PuLP problem, and the solvers behind it. What a solver says of itself is not trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pulp

from optimizer.matrix import Floats, Matrix

TOLERANCE = 1e-4
"""Relative violation up to which an answer is believed."""

Solver = Callable[[float, float], Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A solution that passed the check: values of all columns and their cost."""

    x: Floats
    objective: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The solver gave nothing usable; ``cause`` says why."""

    cause: str


def highs(timeout_s: float, gap: float) -> Any:
    """Return PuLP's HiGHS on one thread, quiet; without presolve, which costs more than it saves at this size."""
    return pulp.HiGHS(msg=False, threads=1, timeLimit=timeout_s, gapRel=gap, presolve="off")


def cbc(timeout_s: float, gap: float) -> Any:
    """Return PuLP's CBC on one thread, quiet."""
    return pulp.COIN_CMD(path=_cbc_path(), msg=False, threads=1, timeLimit=timeout_s, gapRel=gap)


def _cbc_path() -> str | None:
    """Return the CBC that PuLP 3 brings along, or None: then one on the search path is used."""
    return getattr(pulp.apis.coin_api, "pulp_cbc_path", None)


def to_pulp(matrix: Matrix, name: str = "schedule") -> tuple[Any, list[Any]]:
    """Return the matrix as a PuLP problem and its variables in column order; ``problem.writeLP`` can show it."""
    problem = pulp.LpProblem(name, pulp.LpMinimize)
    categories = [pulp.LpInteger if whole else pulp.LpContinuous for whole in matrix.integer]
    variables = [
        problem.add_variable(column, _finite(low), _finite(high), category)
        for column, low, high, category in zip(
            matrix.names, matrix.lower.tolist(), matrix.upper.tolist(), categories, strict=True
        )
    ]
    cost = matrix.cost.tolist()
    problem.setObjective(
        pulp.LpAffineExpression(
            ((variables[i], cost[i]) for i in np.flatnonzero(matrix.cost).tolist()), matrix.offset
        )
    )
    starts, columns, values = (
        part.tolist() for part in (matrix.rows.indptr, matrix.rows.indices, matrix.rows.data)
    )
    for row, (name_of_row, low, high) in enumerate(
        zip(matrix.row_names, matrix.row_lower.tolist(), matrix.row_upper.tolist(), strict=True)
    ):
        span = slice(starts[row], starts[row + 1])
        expression = pulp.LpAffineExpression(
            [(variables[column], value) for column, value in zip(columns[span], values[span], strict=True)]
        )
        problem.addConstraint(pulp.LpConstraint(expression, *_sense(low, high, name_of_row)))
    return problem, variables


def _finite(bound: float) -> float | None:
    """Return a bound as PuLP wants it: None where there is none."""
    return bound if np.isfinite(bound) else None


def _sense(low: float, high: float, name: str) -> tuple[int, str, float]:
    """Return PuLP's sense, the name and the right-hand side of a row."""
    if low == high:
        return pulp.LpConstraintEQ, name, low
    return (pulp.LpConstraintLE, name, high) if np.isfinite(high) else (pulp.LpConstraintGE, name, low)


def answer(matrix: Matrix, solver: Solver, timeout_s: float, gap: float) -> Answer | NoAnswer:
    """Solve the matrix by PuLP with ``solver`` and check what comes back against the matrix itself."""
    problem, variables = to_pulp(matrix)
    try:
        problem.solve(solver(timeout_s, gap))
    except (pulp.PulpSolverError, OSError, ValueError, IndexError, RuntimeError) as failure:
        return NoAnswer(f"failed: {type(failure).__name__}")
    values = [variable.varValue for variable in variables]
    x = np.array(
        [low if value is None else value for value, low in zip(values, matrix.lower.tolist(), strict=True)]
    )
    if all(value is None for value in values):
        return NoAnswer("found no solution in time")
    worst = matrix.worst_violation(x)
    if worst > TOLERANCE:
        return NoAnswer(f"gave a solution that breaks the model by {worst:.2g}")
    x = np.clip(x, matrix.lower, matrix.upper)
    return Answer(np.where(matrix.integer, np.round(x), x), matrix.objective(x))
