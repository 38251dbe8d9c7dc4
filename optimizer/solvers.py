"""The solvers: HiGHS on the matrix itself, and the same matrix as a PuLP problem for CBC. None is trusted.

PuLP gives names that people read, LP files and a second, independent solver; HiGHS directly gives the same answer in a
sixth of the time (``python -m benchmarks.schedules``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
import pulp

from optimizer.matrix import Floats, Matrix

TOLERANCE = 1e-4
"""Relative violation up to which an answer is believed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A solution that passed the check: values of all columns and their cost."""

    x: Floats
    objective: float


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The solver gave nothing usable; ``cause`` says why."""

    cause: str


Solver = Callable[[Matrix, float, float], Floats | NoAnswer]
"""Takes a matrix, a time limit in s and a relative gap; returns a value for each column, not checked yet."""


def answer(matrix: Matrix, solver: Solver, timeout_s: float, gap: float) -> Answer | NoAnswer:
    """Solve the matrix and check what comes back against the matrix itself, whatever the solver says of it."""
    try:
        x = solver(matrix, timeout_s, gap)
    except (pulp.PulpSolverError, OSError, ValueError, IndexError, RuntimeError) as failure:
        return NoAnswer(f"failed: {type(failure).__name__}")
    if isinstance(x, NoAnswer):
        return x
    worst = matrix.worst_violation(x)
    if worst > TOLERANCE:
        return NoAnswer(f"gave a solution that breaks the model by {worst:.2g}")
    x = np.clip(x, matrix.lower, matrix.upper)
    return Answer(np.where(matrix.integer, np.round(x), x), matrix.objective(x))


def highs(matrix: Matrix, timeout_s: float, gap: float) -> Floats | NoAnswer:
    """Solve by HiGHS on one thread; without presolve, which costs more than it saves at this size."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    for option, value in (
        ("threads", 1),
        ("presolve", "off"),
        ("time_limit", timeout_s),
        ("mip_rel_gap", gap),
    ):
        solver.setOptionValue(option, value)
    if solver.passModel(_lp(matrix)) == highspy.HighsStatus.kError:
        return NoAnswer("refused the model")
    solver.run()
    if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        return NoAnswer("found no solution in time")
    return np.array(solver.getSolution().col_value, dtype=np.float64)


def _lp(matrix: Matrix) -> Any:
    """Return the matrix as HiGHS takes it."""
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(matrix.cost), len(matrix.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = matrix.cost, matrix.lower, matrix.upper
    lp.row_lower_, lp.row_upper_, lp.offset_ = matrix.row_lower, matrix.row_upper, matrix.offset
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_ = matrix.rows.indptr, matrix.rows.indices
    lp.a_matrix_.value_ = matrix.rows.data
    if matrix.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[whole] for whole in matrix.integer.tolist()]
    return lp


def cbc(matrix: Matrix, timeout_s: float, gap: float) -> Floats | NoAnswer:
    """Solve by PuLP's CBC on one thread."""
    problem, variables = to_pulp(matrix)
    problem.solve(pulp.COIN_CMD(path=_cbc_path(), msg=False, threads=1, timeLimit=timeout_s, gapRel=gap))
    values = [variable.varValue for variable in variables]
    if all(value is None for value in values):
        return NoAnswer("found no solution in time")
    return np.array(
        [low if value is None else value for value, low in zip(values, matrix.lower.tolist(), strict=True)]
    )


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
