"""The cars that come and go: a queue of visits, and what became of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hil.plant import Car, ConnectorStatus, PlantState, plug_in, unplug
from station.assets import Connector
from station.inputs import SessionRow
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a car needed and got, kWh on its side. ``connector_id`` is empty where it was never served.

    ``deliverable_kwh`` is the least of its need and stay × power, of its stay within the run. ``waited_s`` is how long
    it stood there without a connector.
    """

    session_id: str
    connector_id: str
    plugged_in_at: datetime
    unplugged_at: datetime
    needed_kwh: float
    delivered_kwh: float
    deliverable_kwh: float
    waited_s: float


class Visits:
    """Plugs cars in and out as time goes by. Visits that began before ``start_at`` are history and left out."""

    def __init__(
        self, site: Site, rows: Iterable[SessionRow], *, start_at: datetime, is_energy_known: bool
    ) -> None:
        self._site = site
        self._start_at = start_at
        self._is_energy_known = is_energy_known
        self._rows = sorted(
            (row for row in rows if row.plugged_in_at >= start_at),
            key=lambda row: (row.plugged_in_at, row.session_id),
        )
        known = {c.asset_id for c in site.connectors} | {""}
        for row in self._rows:
            if row.connector_id not in known:
                raise ValueError(f"session {row.session_id}: the site has no connector {row.connector_id!r}")
        self._next = 0
        self._waiting: list[SessionRow] = []
        self._present: dict[str, tuple[SessionRow, float]] = {}
        self._outcomes: list[Outcome] = []
        self._event_s = float("-inf")

    def at(self, state: PlantState, now_s: float) -> PlantState:
        """Return the state after everybody who has left by ``now_s`` is gone and who has arrived is plugged in."""
        if now_s < self._event_s:
            return state
        state = self._depart(state, now_s)
        while self._next < len(self._rows) and self._s(self._rows[self._next].plugged_in_at) <= now_s:
            self._waiting.append(self._rows[self._next])
            self._next += 1
        state = self._seat(state, now_s)
        self._event_s = self._next_event_s()
        return state

    def outcomes(self, state: PlantState, now_s: float) -> tuple[Outcome, ...]:
        """Return what became of every visit that has begun, cars that still stand there included."""
        connectors = zip(self._site.connectors, state.connectors, strict=True)
        charged = [self._served(c, s, now_s) for c, s in connectors if s.car is not None]
        waiting = [self._unserved(row, now_s) for row in self._waiting]
        return (*self._outcomes, *charged, *waiting)

    def _depart(self, state: PlantState, now_s: float) -> PlantState:
        for connector, status in zip(self._site.connectors, state.connectors, strict=True):
            if status.car is not None and status.car.unplugged_s <= now_s:
                self._outcomes.append(self._served(connector, status, now_s))
                self._present.pop(connector.asset_id)
                state = unplug(self._site, state, connector.asset_id)
        return state

    def _seat(self, state: PlantState, now_s: float) -> PlantState:
        still: list[SessionRow] = []
        for row in self._waiting:
            if self._s(row.unplugged_at) <= now_s:
                self._outcomes.append(self._unserved(row, now_s))
                continue
            connector_id = self._free_connector(row)
            if connector_id is None:
                still.append(row)
                continue
            self._present[connector_id] = (row, now_s)
            state = plug_in(self._site, state, self._car(row, connector_id, now_s))
        self._waiting = still
        return state

    def _free_connector(self, row: SessionRow) -> str | None:
        wanted = [row.connector_id] if row.connector_id else [c.asset_id for c in self._site.connectors]
        return next((connector_id for connector_id in wanted if connector_id not in self._present), None)

    def _car(self, row: SessionRow, connector_id: str, now_s: float) -> Car:
        return Car(
            row.session_id,
            connector_id,
            now_s,
            self._s(row.unplugged_at),
            row.energy_kwh,
            row.requested_kwh,
            row.estimated_unplug_at,
            row.max_power_kw,
            row.arrival_soc,
            row.capacity_kwh,
            self._is_energy_known,
        )

    def _served(self, connector: Connector, status: ConnectorStatus, now_s: float) -> Outcome:
        row, plugged_in_s = self._present[connector.asset_id]
        return self._outcome(
            row,
            now_s,
            connector_id=connector.asset_id,
            delivered_kwh=status.session_kwh,
            waited_s=plugged_in_s - self._s(row.plugged_in_at),
        )

    def _unserved(self, row: SessionRow, now_s: float) -> Outcome:
        waited_s = min(now_s, self._s(row.unplugged_at)) - self._s(row.plugged_in_at)
        return self._outcome(row, now_s, connector_id="", delivered_kwh=0.0, waited_s=waited_s)

    def _outcome(
        self, row: SessionRow, now_s: float, *, connector_id: str, delivered_kwh: float, waited_s: float
    ) -> Outcome:
        stay_s = min(now_s, self._s(row.unplugged_at)) - self._s(row.plugged_in_at)
        wanted = connector_id or row.connector_id
        where = [c for c in self._site.connectors if wanted in ("", c.asset_id)]
        most_kwh = max(stay_s, 0.0) / 3600.0 * max(_car_power_kw(connector, row) for connector in where)
        return Outcome(
            row.session_id,
            connector_id,
            row.plugged_in_at,
            row.unplugged_at,
            row.energy_kwh,
            delivered_kwh,
            min(row.energy_kwh, most_kwh),
            waited_s,
        )

    def _next_event_s(self) -> float:
        leaving = [self._s(row.unplugged_at) for row, _ in self._present.values()]
        giving_up = [self._s(row.unplugged_at) for row in self._waiting]
        coming = [self._s(row.plugged_in_at) for row in self._rows[self._next : self._next + 1]]
        return min([*leaving, *giving_up, *coming], default=float("inf"))

    def _s(self, at: datetime) -> float:
        return (at - self._start_at).total_seconds()


def _car_power_kw(connector: Connector, row: SessionRow) -> float:
    """Return the most power that can reach the car, on its side."""
    power_kw = connector.max_kw * connector.efficiency
    return power_kw if row.max_power_kw is None else min(power_kw, row.max_power_kw)
