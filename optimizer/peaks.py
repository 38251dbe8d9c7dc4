"""The demand charge in the planning model: what a higher billed mean costs, and how surely."""

import numpy as np

from optimizer.matrix import Builder, Floats, Ints
from optimizer.problem import Problem, window_means

PEAK_RAMP = ((0.9, 0.0), (1.05, 0.03), (1.15, 0.3), (1.3, 0.6), (1.6, 0.85))
"""How sure it is that a kW adds to the month's bill: up to a multiple of the expected peak, this share of the price.

Above the last multiple it is the whole price. The month's peak will be what its worst day makes of it, so a kW now is
paid for only if no later day needs it anyway, and what is paid serves all days that remain. Source: peaks of perfect
foresight over 32 fortnights of the demonstration's data lay between 0.6 and 1.8 times those of the three weeks before
them, 1.1 times in the mean.
"""
RESERVE_SURENESS = 0.3
"""How sure it is that a reserve will be needed: a kW of margin given up costs this share of the demand price."""
MARGIN_SHARE, MARGIN_FROM_H, MARGIN_H = 0.04, 0.25, 1.0
"""Later steps stay this share of the declared base load below the peak: nothing before the first hour, all after it."""


def add_peaks(builder: Builder, problem: Problem, imported: Ints, weight: float, prefix: str) -> None:
    """Add the demand charge of each month: its highest mean, dearer the surer it is that it will be paid."""
    shares = np.array([share for _, share in PEAK_RAMP] + [1.0])
    for month, paid_kw in enumerate(problem.paid_kw):
        where = np.flatnonzero(problem.month_of_step == month)
        levels = np.maximum(paid_kw, np.array([multiple for multiple, _ in PEAK_RAMP]) * problem.prior_kw)
        widths = np.r_[np.diff(np.r_[paid_kw, levels]), np.inf]
        names = [f"{prefix}peak_{month}_part_{part}" for part in range(len(widths))]
        cost = shares * problem.demand_price * weight
        parts = builder.columns(names, upper=widths, cost=cost)
        share, used_kw = (values[where] for values in window_means(problem))
        names = [f"{prefix}peak_{month}_{step}" for step in where.tolist()]
        margin = _margin(problem, where)
        reserve = builder.columns(
            [f"{prefix}peak_{month}_reserve"],
            upper=margin.max(initial=0.0),
            cost=RESERVE_SURENESS * problem.demand_price * weight,
        )
        rows = builder.rows(names, upper=paid_kw - used_kw - margin)
        builder.put(rows[margin > 0.0], reserve, -1.0)
        builder.put(rows, imported[where], share)
        builder.put(rows[:, None], parts[None, :], -1.0)


def _margin(problem: Problem, where: Ints) -> Floats:
    """Return how far below the peak the plan stays in later steps: forecasts err, and the battery must last."""
    grown = 1.0 - np.exp(-np.maximum(problem.grid.middle_h[where] - MARGIN_FROM_H, 0.0) / MARGIN_H)
    margin: Floats = MARGIN_SHARE * problem.site.base_load.max_kw * grown
    return margin
