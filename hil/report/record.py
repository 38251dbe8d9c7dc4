"""The accounts of a run as plain data, by the contract of the ``twin`` command (design, section 9)."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from hil.account import Account, captured
from hil.run import TwinRun


def twin_record(
    run: TwinRun, accounts: Mapping[str, Account], shown: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return the whole of a run; ``accounts`` may hold more strategies than are ``shown``."""
    local = run.start_at.astimezone(ZoneInfo(run.site.timezone))
    return {
        "site": run.site.site_id,
        "from": local.date().isoformat() if local.time().isoformat() == "00:00:00" else local.isoformat(),
        "days": int(run.days) if run.days == int(run.days) else run.days,
        "step_s": int(run.step_s) if run.step_s == int(run.step_s) else run.step_s,
        "energy": "known" if run.is_energy_known else "requested",
        "currency": run.site.tariff.currency,
        "seed": seed,
        "strategies": {name: strategy_record(run, accounts, name) for name in shown},
    }


def strategy_record(run: TwinRun, accounts: Mapping[str, Account], name: str) -> dict[str, Any]:
    """Return one strategy's account."""
    account = accounts[name]
    cost = account.cost
    record = {
        "cost_total": cost.total_cost,
        "cost_energy": cost.energy_cost,
        "cost_demand": cost.demand_cost,
        "cost_wear": cost.wear_cost,
        "cost_shortfall": cost.shortfall_cost,
        "captured": captured_share(accounts, name),
        "peak_kw": account.peak_kw,
        "delivered_kwh": account.delivered_kwh,
        "deliverable_kwh": account.deliverable_kwh,
        "delivered_fraction": account.delivered_fraction,
        "sessions": account.sessions,
        "sessions_met": account.sessions_met,
        "sessions_unserved": account.sessions_unserved,
        "violation_count": account.violation_count,
        "violation_kw_s": account.violation_kw_s,
        "self_consumption": account.self_consumption,
        "self_sufficiency": account.self_sufficiency,
        "battery_efc": account.battery_efc,
        "end_soc": account.end_soc,
        "co2_kg": co2_kg(run, account),
        "plan_ms_p50": quantile(account.plan_ms, 0.50),
        "plan_ms_p99": quantile(account.plan_ms, 0.99),
        "sim_days_per_s": account.sim_days_per_s,
    }
    return {key: _plain(value) for key, value in record.items()}


def captured_share(accounts: Mapping[str, Account], name: str) -> float | None:
    """Return the share of the possible saving that a strategy reached; None where that has no meaning."""
    if "uncontrolled" not in accounts or "oracle" not in accounts:
        return None
    costs = (accounts[key].cost.total_cost for key in (name, "uncontrolled", "oracle"))
    return captured(*costs)


def co2_kg(run: TwinRun, account: Account) -> float | None:
    """Return the emissions of the imported energy; None where the series doesn't say what a kWh emits."""
    series, means = run.series, account.world.means
    if series.kg_co2_per_kwh is None:
        return None
    hours = means.slot_s / 3600.0
    per_slot = max(round(means.slot_s / series.step_s), 1)
    emitted_kg = 0.0
    for start_at, grid_kw in zip(means.starts, means.grid_kw, strict=True):
        first = series.index_at(start_at) or 0
        factors = series.kg_co2_per_kwh[first : first + per_slot]
        emitted_kg += max(grid_kw, 0.0) * hours * sum(factors) / len(factors)
    return emitted_kg


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that ``share`` of all don't exceed; None where there is none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def _plain(value: float | None) -> float | None:
    """Return a number that JSON can hold: floats to a millionth, which hides the last bits of a sum."""
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value
