"""Energy per slot: what a meter that bills would have stored."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from station.clock import slot_start

_EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True)
class SlotMeans:
    """Means per slot in kW, load convention (``pv_kw`` <= 0), and the batteries' common SoC at the end of each slot.

    A slot that the run covers only in part has the mean of that part.
    """

    starts: tuple[datetime, ...]
    slot_s: float
    grid_kw: tuple[float, ...]
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    battery_kw: tuple[float, ...]
    charging_kw: tuple[float, ...]
    soc: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Flows:
    """The station's powers during one step, kW, load convention."""

    grid_kw: float
    load_kw: float
    pv_kw: float
    battery_kw: float
    charging_kw: float


class Tally:
    """Adds steps up to slots of ``slot_s`` that are aligned to the clock."""

    def __init__(self, start_at: datetime, slot_s: float) -> None:
        self._first_at = slot_start(start_at, slot_s)
        self._slot_s = slot_s
        self._into_s = (start_at - self._first_at).total_seconds()
        self._covered_s = 0.0
        self._sums_kw_s = [0.0] * 5
        self._soc = 0.0
        self._rows: list[tuple[float, ...]] = []

    def add(self, flows: Flows, soc: float, dt_s: float) -> None:
        """Count ``flows`` for the next ``dt_s`` seconds; a step across a slot's end is shared by time."""
        self._soc = soc
        while dt_s > _EPSILON_S:
            part_s = min(dt_s, self._slot_s - self._into_s)
            self._count(flows, part_s)
            self._into_s += part_s
            dt_s -= part_s
            if self._into_s >= self._slot_s - _EPSILON_S:
                self._close()

    def means(self) -> SlotMeans:
        """Return all slots so far, the one that runs included."""
        rows = [*self._rows, self._row()] if self._covered_s > _EPSILON_S else self._rows
        columns = list(zip(*rows, strict=True)) if rows else [()] * 6
        starts = tuple(self._first_at + timedelta(seconds=self._slot_s * i) for i in range(len(rows)))
        return SlotMeans(starts, self._slot_s, *columns)

    def _count(self, flows: Flows, part_s: float) -> None:
        sums = self._sums_kw_s
        sums[0] += flows.grid_kw * part_s
        sums[1] += flows.load_kw * part_s
        sums[2] += flows.pv_kw * part_s
        sums[3] += flows.battery_kw * part_s
        sums[4] += flows.charging_kw * part_s
        self._covered_s += part_s

    def _row(self) -> tuple[float, ...]:
        return (*(kw_s / self._covered_s for kw_s in self._sums_kw_s), self._soc)

    def _close(self) -> None:
        self._rows.append(self._row())
        self._sums_kw_s = [0.0] * 5
        self._covered_s = self._into_s = 0.0
