"""A schedule: what each asset should do in each slot, and what that is expected to give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class PlanOrigin(StrEnum):
    """Who made the plan: the optimizer, the optimizer's last plan moved on, plain rules, or a baseline strategy."""

    OPTIMIZER = "optimizer"
    LAST_PLAN = "last_plan"
    RULES = "rules"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets on a grid of slots, load convention. It may be wrong: the safety gate does not trust it.

    ``targets_kw[asset_id][slot]``: a power for a battery, the highest power for a connector, the lowest power for PV.
    ``sessions`` names the session that a connector's target was made for; a target for another car is void.
    ``peak_kw`` is the billed mean that the plan never means to exceed. ``grid_kw``, ``load_kw``, ``pv_kw`` and ``soc``
    are expectations for each slot (``soc[battery_id]`` at the end of the slot), for records and plots.
    """

    made_at: datetime
    starts_at: datetime
    slot_s: float
    valid_until: datetime
    targets_kw: Mapping[str, tuple[float, ...]]
    sessions: Mapping[str, str]
    peak_kw: float
    origin: PlanOrigin
    grid_kw: tuple[float, ...] = ()
    load_kw: tuple[float, ...] = ()
    pv_kw: tuple[float, ...] = ()
    soc: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    expected_cost: float = 0.0
    note: str = ""
    solve_ms: float = 0.0

    def slot_at(self, at: datetime) -> int | None:
        """Return the index of the slot that holds ``at``, or None outside the plan."""
        index = int((at - self.starts_at).total_seconds() // self.slot_s)
        return index if 0 <= index < len(self.grid_kw) and at < self.valid_until else None
