"""A small station on free ports for tests at speed 1: the emulated rig here, the controller in a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from configs.load import LoadedSite, load_site
from hil.clocks import WallClock
from hil.plant import powers_kw
from hil.serve import Rig
from hil.world import Surroundings, World
from station.inputs import SessionRow

AC_LEASE_S = 15.0
BASE_KW = 20.0

SITE = """
site: {{id: small, timezone: UTC, latitude: 34.2, longitude: -118.2}}
tariff: sce-tou-ev-4-2019
planning: {{interval_s: 300, slot_s: 900, horizon_s: 43200, timeout_s: 20, shortfall_price_per_kwh: 1.0}}
control: {{cycle_s: 1, stale_s: 3, restart_shadow_cycles: 2}}
assets:
  grid_meter: {{id: grid, lag_s: 1.0}}
  base_load: {{id: building, max_kw: 40, min_kw: 5, growth_kw: 2}}
  batteries:
    - {{id: battery, capacity_kwh: 200, max_charge_kw: 50, max_discharge_kw: 50, charge_efficiency: 0.95,
       discharge_efficiency: 0.95, soc_min: 0.1, soc_max: 0.9, wear_price_per_kwh: 0.03, ramp_kw_per_s: 50,
       fallback_kw: 0, lease_s: 10}}
  connectors:
    - {{id: ac1, kind: ac, phases: L1, max_kw: 7.36, min_kw: 1.38, fallback_kw: 1.38, lease_s: 15}}
    - {{id: ac2, kind: ac, phases: L2, max_kw: 7.36, min_kw: 1.38, fallback_kw: 1.38, lease_s: 15}}
    - {{id: dc1a, kind: dc, phases: L1 L2 L3, max_kw: 60, min_kw: 5, efficiency: 0.95, ramp_kw_per_s: 20,
       fallback_kw: 5, lease_s: 10}}
    - {{id: dc1b, kind: dc, phases: L1 L2 L3, max_kw: 60, min_kw: 5, efficiency: 0.95, ramp_kw_per_s: 20,
       fallback_kw: 5, lease_s: 10}}
limits:
  - id: pcc
    members: [building, battery, ac1, ac2, dc1a, dc1b]
    import: {{hard: {{continuous_kw: 80, short_time_kw: 104, short_time_s: 60, source: breaker}}}}
devices:
  - {{id: meter, profile: demo-meter, host: 127.0.0.1, port: {ports[0]}, unit: 1, assets: [grid], poll_s: 1}}
  - {{id: storage, profile: demo-battery, host: 127.0.0.1, port: {ports[1]}, unit: 1, assets: [battery], poll_s: 1}}
  - {{id: charger1, profile: demo-ac-charger, host: 127.0.0.1, port: {ports[2]}, unit: 1, assets: [ac1], poll_s: 1}}
  - {{id: charger2, profile: demo-ac-charger, host: 127.0.0.1, port: {ports[3]}, unit: 1, assets: [ac2], poll_s: 1}}
  - {{id: dc1, profile: demo-dc-pair, host: 127.0.0.1, port: {ports[4]}, assets: [dc1a, dc1b], poll_s: 1}}
"""


def free_ports(count: int) -> list[int]:
    """Return ports that are free right now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def write_site(directory: Path) -> Path:
    """Write the station's site file with free ports."""
    file = directory / "small.yaml"
    file.write_text(SITE.format(ports=free_ports(5)))
    return file


def world_for(loaded: LoadedSite, cars: tuple[str, ...]) -> World:
    """Return a world that begins now, with a hungry car at each of these connectors from its first second."""
    begins_at = datetime.now(UTC)
    rows = [
        SessionRow(
            f"s-{name}",
            name,
            begins_at,
            begins_at + timedelta(hours=2),
            80.0,
            80.0,
            begins_at + timedelta(hours=1),
        )
        for name in cars
    ]
    return World(
        loaded.site, Surroundings(begins_at, 900.0, (BASE_KW,), (0.0,)), rows, start_at=begins_at, soc=0.5
    )


class Controller:
    """``heliodock run`` as a process."""

    def __init__(self, site_file: Path, store: Path, **environment: str) -> None:
        self.log = store.with_suffix(".log")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "run", str(site_file), "--store", str(store), "--no-live"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """kill -9, without any chance to say goodbye."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM; return the exit status."""
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait, 20)

    def end(self) -> None:
        """Leave nothing behind, the solver's process included."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Bench:
    """The rig with its truth, and helpers that wait for it."""

    def __init__(self, site_file: Path, cars: tuple[str, ...]) -> None:
        self.loaded = load_site(site_file)
        self.clock = WallClock(datetime.now(UTC))
        self.world = world_for(self.loaded, cars)
        self.rig = Rig(self.loaded, self.clock, self.world)

    def powers_kw(self) -> dict[str, float]:
        """Return the true power of each controllable asset."""
        return dict(powers_kw(self.loaded.site, self.world.state))

    def grid_kw(self) -> float:
        """Return the true power at the meter."""
        return self.world.state.grid_kw

    async def until(self, what: object, seconds: float, why: str) -> float:
        """Wait until ``what()`` is true and return how long that took; fail with ``why`` after ``seconds``."""
        began_s = self.clock.now().mono_s
        while not what():  # type: ignore[operator]
            passed_s = self.clock.now().mono_s - began_s
            assert passed_s < seconds, f"{why}; powers {self.powers_kw()}"
            await asyncio.sleep(0.1)
        return self.clock.now().mono_s - began_s
