"""What a twin plays: a site, its cars, its sun and load, from when and how long."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hil.past import past_session
from hil.world import Surroundings, World
from station.forecast import History
from station.inputs import Series, SessionRow
from station.topology import Site


@dataclass(frozen=True)
class TwinRun:
    """What a twin plays: ``days`` from ``start_at`` in steps of ``step_s``.

    ``sessions`` and ``series`` may begin earlier: what lies before ``start_at`` is known history. The series' columns
    are already scaled to the site.
    """

    site: Site
    sessions: tuple[SessionRow, ...]
    series: Series
    start_at: datetime
    days: float
    step_s: float = 60.0
    is_energy_known: bool = False
    soc: float = 0.5

    @property
    def controlled_site(self) -> Site:
        """Return the site with the step as its cycle: leases are then counted in cycles."""
        return replace(self.site, control=replace(self.site.control, cycle_s=self.step_s))

    def surroundings(self) -> Surroundings:
        """Return load and sun as the world plays them."""
        series = self.series
        return Surroundings(series.starts_at, series.step_s, series.load_kw, series.pv_kw)

    def world(self) -> World:
        """Return a fresh world at the start of the run."""
        return World(
            self.site,
            self.surroundings(),
            self.sessions,
            start_at=self.start_at,
            soc=self.soc,
            slot_s=self.site.tariff.demand.window_s,
            is_energy_known=self.is_energy_known,
        )

    def demand_share(self) -> float:
        """Return the share of the first month's demand charge that this run bears."""
        tariff = self.site.tariff
        return tariff.billed_share(tariff.billing_month(self.start_at), self.days)

    def past(self) -> History:
        """Return what was known before the run began."""
        series, slot_s = self.series, self.site.planning.slot_s
        rows = int((self.start_at - series.starts_at).total_seconds() // series.step_s)
        per_slot = max(int(slot_s // series.step_s), 1)
        first = rows % per_slot if rows > 0 else 0
        load_kw = _means(series.load_kw[first : max(rows, 0)], per_slot)
        pv_kw = _means(series.pv_kw[first : max(rows, 0)], per_slot)
        starts_at = series.starts_at + timedelta(seconds=first * series.step_s) if load_kw else self.start_at
        over = tuple(past_session(row) for row in self.sessions if row.unplugged_at <= self.start_at)
        return History(starts_at, slot_s, load_kw, tuple(-power_kw for power_kw in pv_kw), over)


def _means(values: Iterable[float], per_slot: int) -> tuple[float, ...]:
    """Return means of ``per_slot`` consecutive values; a rest that fills no slot is left out."""
    rows = tuple(values)
    return tuple(sum(rows[i : i + per_slot]) / per_slot for i in range(0, len(rows) - per_slot + 1, per_slot))
