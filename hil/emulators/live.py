"""The world at the clock's time, as all emulated devices of a site see it together."""

from collections.abc import Mapping
from math import floor

from hil.world import World
from station.clock import Clock
from station.measurement import Measurement


class LivePlant:
    """Lets the world follow a clock in steps of ``step_s``, whenever somebody looks.

    It also keeps what devices count and the plant doesn't: energies since the start and numbers of sessions.
    """

    def __init__(self, world: World, clock: Clock, step_s: float) -> None:
        self.world = world
        self.step_s = step_s
        self._clock = clock
        self._readings: Mapping[str, Measurement] | None = None
        self._session_numbers: dict[str, int] = {}
        self.imported_kwh = 0.0
        self.exported_kwh = 0.0
        self.generated_kwh = {plant.asset_id: 0.0 for plant in world.site.pv_plants}

    @property
    def uptime_s(self) -> float:
        """Return how long the devices have run. It never stands still while the clock runs."""
        return self._clock.now().mono_s

    def catch_up(self) -> None:
        """Advance the world to the last whole step before the clock's time."""
        world, step_s = self.world, self.step_s
        due = floor(self._clock.now().mono_s / step_s + 1e-6) - round(world.now.mono_s / step_s)
        for _ in range(due):
            world.advance(step_s)
            self._count()
        if due > 0:
            self._readings = None

    def readings(self) -> Mapping[str, Measurement]:
        """Return what the devices measure now."""
        self.catch_up()
        if self._readings is None:
            self._readings = self.world.readings()
        return self._readings

    def command(self, asset_id: str, power_kw: float, lease_s: float) -> None:
        """Give one device a setpoint (kW, load convention), now."""
        self.catch_up()
        self.world.command(asset_id, power_kw, lease_s)
        self._readings = None

    def set_fallback_kw(self, asset_id: str, fallback_kw: float) -> None:
        """Tell one device what to do once its lease has expired."""
        self.catch_up()
        self.world.set_fallback_kw(asset_id, fallback_kw)
        self._readings = None

    def session_number(self, session_id: str) -> int:
        """Return the number of a session, from 1, for devices that have no room for its name."""
        return self._session_numbers.setdefault(session_id, len(self._session_numbers) + 1)

    def _count(self) -> None:
        state, hours = self.world.state, self.step_s / 3600.0
        self.imported_kwh += max(state.grid_kw, 0.0) * hours
        self.exported_kwh -= min(state.grid_kw, 0.0) * hours
        for plant, its in zip(self.world.site.pv_plants, state.pv_plants, strict=True):
            self.generated_kwh[plant.asset_id] -= its.power_kw * hours
        for status in state.connectors:
            if status.car is not None:
                self.session_number(status.car.session_id)
