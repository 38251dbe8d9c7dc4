"""The comparison of strategies as rows of text, for the terminal and the page alike."""

from collections.abc import Mapping

from hil.account import Account
from hil.report.record import captured_share

HEADINGS = (
    "strategy",
    "cost",
    "energy",
    "demand",
    "wear",
    "shortfall",
    "captured",
    "peak kW",
    "delivered",
    "met",
    "violations",
    "cycles",
    "days/s",
)

RANKS = {"days/s": 9, "cycles": 8, "wear": 7, "met": 6, "shortfall": 5, "demand": 4, "energy": 3}
"""What is left out first where there is little room."""


def table_row(accounts: Mapping[str, Account], name: str) -> tuple[str, ...]:
    """Return one strategy's row; ``accounts`` holds also what ``captured`` is measured against."""
    account = accounts[name]
    cost = account.cost
    share = captured_share(accounts, name)
    return (
        name,
        f"{cost.total_cost:.2f}",
        f"{cost.energy_cost:.2f}",
        f"{cost.demand_cost:.2f}",
        f"{cost.wear_cost:.2f}",
        f"{cost.shortfall_cost:.2f}",
        "–" if share is None else f"{share:.1%}",
        f"{account.peak_kw:.1f}",
        f"{account.delivered_fraction:.1%}",
        f"{account.sessions_met}/{account.sessions}",
        str(account.violation_count),
        f"{account.battery_efc:.2f}",
        f"{account.sim_days_per_s:.2f}",
    )
