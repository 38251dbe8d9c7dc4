"""What the planner is asked, from what a cycle knows. Pure."""

from controller.judge import judge
from controller.rules import local_assets
from optimizer.problem import PlanningInput
from station.decision import ControlState
from station.forecast import History
from station.measurement import Snapshot
from station.plan import Plan
from station.topology import Site


def planning_input(
    site: Site,
    state: ControlState,
    snapshot: Snapshot,
    plan: Plan | None,
    history: History,
    *,
    demand_share: float,
    expected_peak_kw: float | None,
) -> PlanningInput:
    """Return the request for a plan, after the cycle whose ``state`` this is.

    ``demand_share`` is the share of the month's demand charge that counts: 1 live.
    """
    seen = judge(site, snapshot, snapshot.taken)
    window = state.window
    return PlanningInput(
        site=site,
        now=snapshot.taken.at,
        history=history,
        sessions=tuple(state.sessions.values()),
        soc={battery_id: reading.soc for battery_id, reading in seen.batteries.items()},
        month_peak_kw=0.0 if window is None else window.month_peak_kw,
        demand_share=demand_share,
        unavailable=frozenset(seen.lost).union(local_assets(seen, site)) - {site.meter.asset_id},
        last_plan=plan,
        window_energy_kwh=0.0 if window is None else window.energy_kwh,
        window_starts_at=None if window is None else window.starts_at,
        expected_peak_kw=expected_peak_kw,
    )
