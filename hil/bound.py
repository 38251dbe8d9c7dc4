"""The bound of a twin run: what perfect foresight would have cost on the same cars, sun and load."""

from dataclasses import replace
from datetime import datetime, timedelta
from time import process_time

from hil.account import Account, account
from hil.past import past_session
from hil.run import TwinRun
from hil.world import Outcome, SlotMeans, WorldResult
from optimizer.oracle import OracleResult, oracle
from station.bill import RunCost
from station.errors import HeliodockError
from station.session import PastSession
from station.topology import Site


def run_oracle(run: TwinRun) -> Account:
    """Return the account of perfect foresight: no controller that keeps the limits can cost less.

    Raises HeliodockError where the linear program finds no answer.
    """
    began_s = process_time()
    site = run.site
    window_s = site.tariff.demand.window_s
    slots = round(run.days * 86_400.0 / window_s)
    starts = tuple(run.start_at + timedelta(seconds=window_s * slot) for slot in range(slots))
    surroundings = run.surroundings()
    offset_s = (run.start_at - surroundings.starts_at).total_seconds()
    means = [
        surroundings.means_kw(offset_s + window_s * i, offset_s + window_s * (i + 1)) for i in range(slots)
    ]
    sessions = _seated(site, run)
    soc = {battery.asset_id: run.soc for battery in site.batteries}
    found = oracle(site, starts, [load for load, _ in means], [-sun for _, sun in means], sessions, soc=soc)
    if found is None:
        raise HeliodockError("the perfect-foresight bound has no solution")
    world = _as_world(run, found, sessions, starts, [load for load, _ in means])
    result = account(site, "oracle", world, sim_days_per_s=run.days / max(process_time() - began_s, 1e-9))
    cost = RunCost(
        found.energy_cost, found.demand_cost, found.wear_cost, found.shortfall_cost, found.missing_energy_cost
    )
    return replace(result, cost=cost)


def _seated(site: Site, run: TwinRun) -> list[PastSession]:
    """Return the sessions of the run, cut at its end, each at a connector; a car that finds none is left out."""
    ends_at = run.start_at + timedelta(days=run.days)
    free_from = {connector.asset_id: run.start_at for connector in site.connectors}
    seated = []
    rows = sorted(run.sessions, key=lambda row: row.plugged_in_at)
    for row in rows:
        if not run.start_at <= row.plugged_in_at < ends_at:
            continue
        session = past_session(row)
        if not row.connector_id:
            free = [key for key, at in free_from.items() if at <= row.plugged_in_at]
            if not free:
                continue
            session = replace(session, connector_id=free[0])
        free_from[session.connector_id] = row.unplugged_at
        seated.append(replace(session, unplugged_at=min(row.unplugged_at, ends_at)))
    return seated


def _as_world(
    run: TwinRun,
    found: OracleResult,
    sessions: list[PastSession],
    starts: tuple[datetime, ...],
    load_kw: list[float],
) -> WorldResult:
    site = run.site
    window_s = site.tariff.demand.window_s
    battery_kw = [sum(powers) for powers in zip(*found.battery_kw.values(), strict=True)] or [0.0] * len(
        starts
    )
    capacity_kwh = sum(battery.capacity_kwh for battery in site.batteries)
    stored_kwh = [
        sum(found.soc[battery.asset_id][slot] * battery.capacity_kwh for battery in site.batteries)
        for slot in range(len(starts))
    ]
    soc = tuple(kwh / capacity_kwh if capacity_kwh else 0.0 for kwh in stored_kwh)
    means = SlotMeans(
        starts,
        window_s,
        found.grid_kw,
        tuple(load_kw),
        found.pv_kw,
        tuple(battery_kw),
        found.charging_kw,
        soc,
    )
    outcomes = tuple(
        Outcome(
            session.session_id,
            session.connector_id,
            session.plugged_in_at,
            session.unplugged_at,
            session.energy_kwh,
            found.charging_kwh.get(session.session_id, 0.0),
            found.deliverable_kwh.get(session.session_id, 0.0),
            0.0,
        )
        for session in sessions
    )
    hours = window_s / 3600.0
    return WorldResult(
        means,
        outcomes,
        (),
        sum(max(power_kw, 0.0) for power_kw in battery_kw) * hours,
        -sum(min(power_kw, 0.0) for power_kw in battery_kw) * hours,
        0.0,
        run.soc * capacity_kwh,
        stored_kwh[-1] if stored_kwh else 0.0,
        soc[-1] if soc else 0.0,
    )
