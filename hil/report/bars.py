"""The strategies side by side: what each cost and of what, and its billed peak."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hil.account import Account
from hil.report import style

PARTS = (
    ("energy", "energy_cost", style.CHARGING),
    ("demand", "demand_cost", style.PEAK),
    ("wear", "wear_cost", style.BATTERY),
    ("shortfall", "shortfall_cost", style.LIMIT),
    ("missing in the battery", "missing_cost", style.LOAD),
)


ABOVE: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "fontsize": 8.0}
LEAST_SHOWN = 0.005
ROOM = 1.12


def cost_figure(accounts: Mapping[str, Account], currency: str) -> Figure:
    """Return one column per strategy: its cost by parts on the left, its billed peak on the right."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(11.0, 4.3), layout="constrained")
        cost, peak = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
        place = np.arange(len(accounts))
        over, under = np.zeros(len(accounts)), np.zeros(len(accounts))
        for label, name, colour in PARTS:
            parts = np.array([getattr(account.cost, name) for account in accounts.values()])
            if not (abs(parts) >= LEAST_SHOWN).any():
                continue
            cost.bar(
                place, parts, 0.62, bottom=np.where(parts >= 0.0, over, under), color=colour, label=label
            )
            over, under = over + np.maximum(parts, 0.0), under + np.minimum(parts, 0.0)
        for index, account in enumerate(accounts.values()):
            total = account.cost.total_cost
            cost.annotate(
                f"{total:.0f}" if total >= 1000.0 else f"{total:.1f}", (index, over[index]), **ABOVE
            )
            peak.annotate(f"{account.peak_kw:.1f}", (index, account.peak_kw), **ABOVE)
        peak.bar(place, [account.peak_kw for account in accounts.values()], 0.62, color=style.PEAK)
        cost.set_ylim(ROOM * min(under.min(), 0.0), ROOM * max(over.max(), LEAST_SHOWN))
        peak.set_ylim(0.0, ROOM * max(*(account.peak_kw for account in accounts.values()), LEAST_SHOWN))
        for axes, title, unit in ((cost, "total cost by parts", currency), (peak, "billed peak", "kW")):
            axes.set_title(title)
            axes.set_ylabel(unit)
            axes.set_xticks(place, [name.replace("_", "\n") for name in accounts], fontsize=7.5)
            style.light_grid(axes)
        figure.legend(loc="outside lower center", ncols=len(PARTS))
        return figure
