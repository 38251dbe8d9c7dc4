"""The billed mean: how much may still flow in the running demand window. Pure.

Buyers pay for the mean of a window and not for an instant, so the instant may exceed the target while the mean stays
below it: ``allowed = (target * T - E(t)) / (T - t)``.
"""

from station.clock import Instant, slot_start
from station.decision import ControlState, DemandWindow
from station.topology import Site

HEADROOM_FACTOR = 1.25
"""Unused energy of a window may lift the instant to at most this multiple of the target."""

LAST_PART_S = 120.0
"""Near its end a window is treated as if so much of it were left, so that a small rest cannot demand the impossible."""


def advance(
    site: Site, state: ControlState, grid_kw: float, now: Instant, *, is_measured: bool
) -> DemandWindow:
    """Return the window that holds ``now``, with the import since the last cycle at ``grid_kw`` added.

    When a window ends its mean may become the month's peak. What was missed counts at ``grid_kw``. Where that is only
    assumed, because the meter is lost, the window is steered by it, but it makes no peak.
    """
    length_s = site.tariff.demand.window_s
    starts_at = slot_start(now.at, length_s)
    month = site.tariff.billing_month(starts_at)
    elapsed_s = (now.at - starts_at).total_seconds()
    old = state.window
    if old is None:
        first_kwh = max(grid_kw, 0.0) * elapsed_s / 3600.0
        return DemandWindow(starts_at, first_kwh, elapsed_s, month, 0.0, 0.0 if is_measured else first_kwh)
    if old.starts_at == starts_at:
        added_kwh = grid_kw * max(elapsed_s - old.covered_s, 0.0) / 3600.0
        assumed_kwh = old.assumed_kwh + (0.0 if is_measured else added_kwh)
        energy_kwh = old.energy_kwh + added_kwh
        return DemandWindow(starts_at, energy_kwh, elapsed_s, month, old.month_peak_kw, assumed_kwh)
    rest_kwh = grid_kw * max(length_s - old.covered_s, 0.0) / 3600.0 if is_measured else 0.0
    mean_kw = (old.energy_kwh - old.assumed_kwh + rest_kwh) * 3600.0 / length_s
    peak_kw = max(old.month_peak_kw, mean_kw) if month == old.month else 0.0
    begun_kwh = grid_kw * elapsed_s / 3600.0
    return DemandWindow(starts_at, begun_kwh, elapsed_s, month, peak_kw, 0.0 if is_measured else begun_kwh)


def allowed_kw(site: Site, window: DemandWindow, target_kw: float) -> float:
    """Return the import in kW that the rest of the window may draw so that its mean stays at ``target_kw``.

    A contracted mean of the limit tree lowers the target. Infinite where there is no target.
    """
    contracted_kw = site.window_limit_kw()
    if contracted_kw is not None:
        target_kw = min(target_kw, contracted_kw)
    if target_kw == float("inf"):
        return target_kw
    length_s = site.tariff.demand.window_s
    rest_s = max(length_s - window.covered_s, LAST_PART_S, site.control.cycle_s)
    budget_kwh = target_kw * length_s / 3600.0 - window.energy_kwh
    return min(budget_kwh * 3600.0 / rest_s, HEADROOM_FACTOR * target_kw)
