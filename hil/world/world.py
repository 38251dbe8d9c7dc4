"""The world in which a controller is tried: plant, weather, visitors, and the account of the run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hil.plant import (
    Command,
    PlantParams,
    PlantState,
    accept,
    advance,
    initial_state,
    measure,
    set_fallback_kw,
    set_local,
)
from hil.world.surroundings import LoadNoise, LoadNoiseSource, Surroundings
from hil.world.tally import Flows, SlotMeans, Tally
from hil.world.violations import Judge, Violation
from hil.world.visits import Outcome, Visits
from station.clock import Instant
from station.decision import Setpoint, Withheld
from station.inputs import SessionRow
from station.measurement import Measurement
from station.topology import Site


@dataclass(frozen=True, slots=True)
class WorldResult:
    """What happened. Energies in kWh, AC side for the batteries' throughput, cells for what they hold.

    ``pv_available_kwh`` is what the sun would have given without curtailment.
    """

    means: SlotMeans
    outcomes: tuple[Outcome, ...]
    violations: tuple[Violation, ...]
    charged_kwh: float
    discharged_kwh: float
    pv_available_kwh: float
    start_energy_kwh: float
    end_energy_kwh: float
    end_soc: float

    @property
    def violation_count(self) -> int:
        """Return how many times a limit was broken."""
        return len(self.violations)

    @property
    def violation_kw_s(self) -> float:
        """Return the excess over limits in kW, summed over time."""
        return sum(v.excess_s for v in self.violations if v.unit == "kW")

    @property
    def violation_a_s(self) -> float:
        """Return the excess over limits in A per phase, summed over time."""
        return sum(v.excess_s for v in self.violations if v.unit == "A")

    @property
    def delivered_kwh(self) -> Mapping[str, float]:
        """Return what each session got, on the car's side."""
        return {outcome.session_id: outcome.delivered_kwh for outcome in self.outcomes}


class World:
    """A station in station time: monotonic seconds from 0 at ``start_at``. Deterministic.

    Use: ``readings()``, ``apply(decision.setpoints)``, ``advance(dt_s)``, again; ``result()`` at any time.
    """

    def __init__(
        self,
        site: Site,
        surroundings: Surroundings,
        sessions: Iterable[SessionRow],
        *,
        start_at: datetime,
        params: PlantParams | None = None,
        soc: float = 0.5,
        slot_s: float = 900.0,
        is_energy_known: bool = False,
        noise: LoadNoise | None = None,
    ) -> None:
        start_at = start_at.astimezone(UTC)  # sums in local time would lose an hour in spring
        self.site = site
        self.params = params or PlantParams()
        self._surroundings = surroundings
        self._offset_s = (start_at - surroundings.starts_at).total_seconds()
        self._start_at = start_at
        self._visits = Visits(site, sessions, start_at=start_at, is_energy_known=is_energy_known)
        self._noise = LoadNoiseSource(noise) if noise else None
        self._judge = Judge(site)
        self._tally = Tally(start_at, slot_s)
        self._mono_s = 0.0
        self._charged_kwh = self._discharged_kwh = self._pv_available_kwh = 0.0
        state = initial_state(site, soc)
        self._start_energy_kwh = _stored_kwh(state)
        self._capacity_kwh = sum(battery.capacity_kwh for battery in site.batteries)
        self._pv_rated_kw = sum(plant.rated_kw for plant in site.pv_plants)
        self.state = self._visits.at(state, 0.0)

    @property
    def now(self) -> Instant:
        """Return the present instant of station time."""
        return Instant(self._start_at, 0.0).later(self._mono_s)

    def readings(self) -> Mapping[str, Measurement]:
        """Return what every device says now."""
        return measure(self.site, self.params, self.state, self._mono_s)

    def apply(self, setpoints: Mapping[str, Setpoint | Withheld]) -> None:
        """Write a decision to the devices now; what is withheld is not written."""
        written = {
            asset_id: Command(setpoint.power_kw, setpoint.lease_s)
            for asset_id, setpoint in setpoints.items()
            if isinstance(setpoint, Setpoint) and setpoint.is_due
        }
        self.state = accept(self.site, self.params, self.state, written, self._mono_s)

    def command(self, asset_id: str, power_kw: float, lease_s: float) -> None:
        """Write one setpoint (kW, load convention) to one device now."""
        commands = {asset_id: Command(power_kw, lease_s)}
        self.state = accept(self.site, self.params, self.state, commands, self._mono_s)

    def set_fallback_kw(self, asset_id: str, fallback_kw: float) -> None:
        """Tell a device what to do by itself once its lease has expired."""
        self.state = set_fallback_kw(self.site, self.state, asset_id, fallback_kw)

    def set_local(self, asset_id: str, is_local: bool) -> None:
        """Let a person at the device take control, or give it back."""
        self.state = set_local(self.state, asset_id, is_local)

    def advance(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass in one step. Cars come and go at the end of a step."""
        now_s = self._mono_s
        at_s = now_s + self._offset_s
        load_kw, sun_kw = self._surroundings.means_kw(at_s, at_s + dt_s)
        if self._noise:
            base = self.site.base_load
            load_kw = min(max(load_kw + self._noise.next_kw(dt_s), base.min_kw), base.max_kw)
        started_at = self.now.at
        self.state = advance(
            self.site,
            self.params,
            self.state,
            {},
            load_kw=load_kw,
            pv_available_kw=sun_kw,
            now_s=now_s,
            dt_s=dt_s,
        )
        self._account(started_at, sun_kw, dt_s)
        self._mono_s = now_s + dt_s
        self.state = self._visits.at(self.state, self._mono_s)

    def advance_to(self, mono_s: float, step_s: float) -> None:
        """Let time pass until ``mono_s`` in steps of at most ``step_s``; nothing happens where it has passed."""
        while mono_s - self._mono_s > 1e-6:
            self.advance(min(step_s, mono_s - self._mono_s))

    def result(self) -> WorldResult:
        """Return the account up to now."""
        return WorldResult(
            self._tally.means(),
            self._visits.outcomes(self.state, self._mono_s),
            self._judge.violations(),
            self._charged_kwh,
            self._discharged_kwh,
            self._pv_available_kwh,
            self._start_energy_kwh,
            _stored_kwh(self.state),
            self._soc(),
        )

    def _account(self, started_at: datetime, sun_kw: float, dt_s: float) -> None:
        state, hours = self.state, dt_s / 3600.0
        batteries = [its.power_kw for its in state.batteries]
        pv_plants = [its.power_kw for its in state.pv_plants]
        connectors = [its.power_kw for its in state.connectors]
        self._judge.observe([*batteries, *pv_plants, *connectors], state.load_kw, started_at, dt_s)
        flows = Flows(state.grid_kw, state.load_kw, sum(pv_plants), sum(batteries), sum(connectors))
        self._tally.add(flows, self._soc(), dt_s)
        self._charged_kwh += sum(max(power_kw, 0.0) for power_kw in batteries) * hours
        self._discharged_kwh -= sum(min(power_kw, 0.0) for power_kw in batteries) * hours
        self._pv_available_kwh += min(sun_kw, self._pv_rated_kw) * hours

    def _soc(self) -> float:
        return _stored_kwh(self.state) / self._capacity_kwh if self._capacity_kwh else 0.0


def _stored_kwh(state: PlantState) -> float:
    """Return what all batteries hold."""
    return sum(its.energy_kwh for its in state.batteries)
