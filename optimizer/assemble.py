"""From what the planner is asked to the problem that the model is built of."""

from zoneinfo import ZoneInfo

import numpy as np

from optimizer.forecast import Series, forecast
from optimizer.matrix import Floats
from optimizer.model import RESTLESS_STEPS
from optimizer.needs import Past, arrival_groups, cars, expected_sessions
from optimizer.problem import Grid, PlanningInput, Problem, Scenario, last_powers, make_grid, prices
from station.forecast import ExpectedSession, Forecast


def problem_of(request: PlanningInput) -> Problem:
    """Return the planning problem of a request."""
    site = request.site
    grid = make_grid(site, request.now)
    import_price, export_price, month_of_step, months = prices(site, grid)
    past = Past(request.history.sessions, ZoneInfo(site.timezone))
    series, arrivals = _future(request, past, grid)
    scenario = Scenario(
        1.0,
        grid.mean_per_step(series.load_kw),
        grid.mean_per_step(series.pv_kw),
        arrival_groups(site, arrivals, grid),
    )
    paid = np.full(len(months), site.tariff.free_kw)
    paid[0] = max(paid[0], _finite_or(request.month_peak_kw, 0.0))
    return Problem(
        site,
        grid,
        import_price,
        export_price,
        month_of_step,
        paid,
        max(0.0, _finite_or(request.expected_peak_kw, 0.0)),
        site.tariff.peak_price_per_kw * max(0.0, request.demand_share),
        _window_energy_kwh(request, grid),
        (scenario,),
        cars(site, request.sessions, past, grid),
        _start_kwh(request),
        request.unavailable,
        last_powers(request.last_plan, grid, RESTLESS_STEPS),
    )


def _future(request: PlanningInput, past: Past, grid: Grid) -> tuple[Series, tuple[ExpectedSession, ...]]:
    """Return the planner's own forecast, or the one that a study reveals."""
    own = forecast(request.site, request.history, grid.starts_at, grid.slots, grid.slot_s)
    known = request.known_forecast
    if known is None:
        horizon_h = grid.slots * grid.slot_s / 3600.0
        return own, expected_sessions(request.site, past, request.now, horizon_h)
    revealed = Series(
        _placed(known, np.array(known.load_kw, dtype=np.float64), own.load_kw, grid),
        _placed(known, -np.array(known.pv_kw, dtype=np.float64), own.pv_kw, grid),
    )
    return revealed, known.arrivals


def _placed(known: Forecast, values: Floats, default: Floats, grid: Grid) -> Floats:
    """Return ``values`` on the grid's slots; ``default`` where they do not reach or are no numbers."""
    offset_s = (grid.starts_at - known.starts_at).total_seconds()
    index = ((np.arange(grid.slots) + 0.5) * grid.slot_s + offset_s) // known.slot_s
    inside = (index >= 0) & (index < len(values))
    found = np.full(grid.slots, np.nan)
    found[inside] = values[index[inside].astype(np.int64)]
    return np.where(np.isfinite(found), np.maximum(found, 0.0), default)


def _start_kwh(request: PlanningInput) -> dict[str, float]:
    """Return the energy in each battery whose SoC is known."""
    return {
        battery.asset_id: min(max(request.soc[battery.asset_id], 0.0), 1.0) * battery.capacity_kwh
        for battery in request.site.batteries
        if np.isfinite(request.soc.get(battery.asset_id, float("nan")))
    }


def _window_energy_kwh(request: PlanningInput, grid: Grid) -> float | None:
    """Return the energy imported in the demand window that slot 0 is; None where that is not known."""
    if request.window_starts_at != grid.starts_at or request.site.tariff.demand.window_s != grid.slot_s:
        return None
    return max(0.0, _finite_or(request.window_energy_kwh, 0.0))


def _finite_or(value: float | None, default: float) -> float:
    return value if value is not None and np.isfinite(value) else default
