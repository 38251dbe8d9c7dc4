"""A rig: every device of a site as a real server on its own port, all of them one plant."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from os import strerror
from typing import Protocol as Interface
from typing import assert_never
from zlib import crc32
from zoneinfo import ZoneInfo

from configs.csv_data import read_series, read_sessions
from configs.load import LoadedSite
from hil.emulators.device import EmulatedDevice
from hil.emulators.live import LivePlant
from hil.emulators.modbus import ModbusServer, Units
from hil.emulators.opcua import OpcuaServer
from hil.emulators.rtu import SerialServer
from hil.plant import PlantParams
from hil.shift import join_late, shift_series, shift_sessions
from hil.world import LoadNoise, Surroundings, World
from station.clock import Clock
from station.errors import ConfigError
from station.links import Link, SerialLink, TcpLink
from station.profile import DeviceBinding, Protocol

STEP_S = 0.2
LONGEST_STEP_S = 4.0
"""Below the plant's coarse step, so that delays and ramps are still there when time runs fast."""


class Server(Interface):
    """One listening port of the rig."""

    @property
    def port(self) -> int: ...

    async def start(self) -> None: ...

    async def publish(self) -> None: ...

    async def close(self) -> None: ...


class Rig:
    """Use: ``async with Rig(loaded, clock, world).started() as rig``.

    ``devices[device_id]`` has the fault switches, ``world`` the truth and, at the end, the account of the run.
    """

    def __init__(self, loaded: LoadedSite, clock: Clock, world: World, seed: int = 0) -> None:
        self.clock = clock
        self.world = world
        self._file = loaded.file
        cycle_s = max(loaded.site.control.cycle_s, clock.speed / 8.0)
        self._live = LivePlant(world, clock, step_s(cycle_s, clock.speed))
        on_the_wire = [part for binding in loaded.devices for part in binding.on_the_wire]
        self.devices = {
            binding.device_id: EmulatedDevice(binding, self._live, seed ^ crc32(binding.device_id.encode()))
            for binding in on_the_wire
        }
        self._servers = {group[0].device_id: self._server(group) for group in _by_port(on_the_wire)}

    @asynccontextmanager
    async def started(self) -> AsyncIterator["Rig"]:
        """Serve inside the block; raises ConfigError where a port can't be had."""
        try:
            await self.start()
            async with asyncio.TaskGroup() as group:
                follower = group.create_task(self.follow())
                yield self
                follower.cancel()
        except BaseExceptionGroup as failed:
            if len(failed.exceptions) > 1:
                raise
            raise failed.exceptions[0] from None
        finally:
            await self.close()

    async def start(self) -> None:
        """Listen on all ports; raises ConfigError where one can't be had."""
        for device_id, server in self._servers.items():
            binding = self.devices[device_id].binding
            try:
                await server.start()
            except OSError as failed:
                cause = strerror(failed.errno) if failed.errno else str(failed)
                problem = f"cannot listen on {binding.via}: {cause.lower()}"
                raise ConfigError(str(self._file), 0, f"device {device_id}", problem) from None

    async def follow(self) -> None:
        """Keep the plant moving for ever, whether anybody looks or not, and tell those who subscribed."""
        while True:
            self._live.catch_up()
            for server in self._servers.values():
                await server.publish()
            await self.clock.sleep_until(self.clock.now().mono_s + self._live.step_s)

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        for server in self._servers.values():
            await server.close()

    def port_of(self, device_id: str) -> int:
        """Return the port on which a device listens; differs from the site file's only where that says 0."""
        binding = self.devices[device_id].binding
        for first, server in self._servers.items():
            other = self.devices[first].binding
            if first == device_id or (binding.port and other.via == binding.via):
                return server.port
        raise KeyError(device_id)

    def _server(self, group: Sequence[DeviceBinding]) -> Server:
        first = group[0]
        match first.profile.protocol:
            case Protocol.MODBUS_TCP | Protocol.SUNSPEC:
                units = {binding.unit: self.devices[binding.device_id] for binding in group}
                if len(units) < len(group):
                    raise ConfigError(
                        str(self._file),
                        0,
                        f"device {first.device_id}",
                        "cannot be emulated: another device has the same port and unit",
                    )
                return _modbus_server(first.via, units)
            case Protocol.OPCUA:
                return OpcuaServer(first.host, first.port, self.devices[first.device_id])
            case _:
                assert_never(first.profile.protocol)


async def serve(
    loaded: LoadedSite, clock: Clock, stopped: asyncio.Event, *, world: World | None = None, seed: int = 0
) -> World:
    """Emulate a site's devices until ``stopped`` is set; return the world with its account."""
    here = world or world_of(loaded, seed=seed)
    async with Rig(loaded, clock, here, seed).started():
        await stopped.wait()
    return here


def _modbus_server(via: Link, units: Mapping[int, EmulatedDevice]) -> Server:
    """Return a server on the network, or at a serial port: that of the other end of the controller's cable."""
    if isinstance(via, SerialLink):
        return SerialServer(via, Units(units).answer_on_a_line)
    return ModbusServer(via.host, via.port, units, is_rtu=via.framing == "rtu")


def step_s(cycle_s: float, speed: float) -> float:
    """Return how finely the world follows the clock: a fraction of the control cycle in station time."""
    return min(STEP_S, cycle_s / 4.0) if speed <= 1.0 else min(LONGEST_STEP_S, cycle_s / 8.0)


def start_of(loaded: LoadedSite) -> datetime:
    """Return the local midnight, in UTC, at which the twin of a site starts.

    Raises ConfigError where the file names no first day.
    """
    if loaded.twin.first_day is None:
        raise ConfigError(str(loaded.file), 0, "twin.from", "needed: the first day that is played")
    midnight_at = datetime.combine(loaded.twin.first_day, time(0), ZoneInfo(loaded.site.timezone))
    return midnight_at.astimezone(UTC)


def world_of(
    loaded: LoadedSite,
    *,
    start_at: datetime | None = None,
    params: PlantParams | None = None,
    noise_kw: float = 0.0,
    seed: int = 0,
    later: timedelta | None = None,
) -> World:
    """Return the world that a site file describes: its series and cars from ``start_at``, else its first day.

    Without a series the building draws the middle of what is declared and there is no sun. ``noise_kw`` is the standard
    deviation of the building's load within a row of the series. With ``later`` all data is moved by so much, and cars
    that are there already at the start arrive then.
    """
    twin, site = loaded.twin, loaded.site
    begins_at = start_at or start_of(loaded)
    sessions = read_sessions(twin.sessions, [c.asset_id for c in site.connectors]) if twin.sessions else ()
    if later is not None:
        sessions = join_late(shift_sessions(sessions, later), begins_at)
    if twin.series:
        series = read_series(twin.series).scaled(twin.load_factor, twin.pv_factor, site.base_load.max_kw)
        series = shift_series(series, later or timedelta(0))
        surroundings = Surroundings(series.starts_at, series.step_s, series.load_kw, series.pv_kw)
    else:
        middle_kw = (site.base_load.max_kw + site.base_load.min_kw) / 2.0
        surroundings = Surroundings(begins_at, 900.0, (middle_kw,), (0.0,))
    return World(
        site,
        surroundings,
        sessions,
        start_at=begins_at,
        params=params,
        noise=LoadNoise(noise_kw, seed=seed) if noise_kw else None,
    )


def _by_port(bindings: Sequence[DeviceBinding]) -> list[list[DeviceBinding]]:
    """Return the devices that share a port together: units of one Modbus gateway. Port 0 is never shared."""
    groups: dict[object, list[DeviceBinding]] = {}
    for binding in bindings:
        is_alone = binding.profile.protocol is Protocol.OPCUA or binding.via == TcpLink(binding.host, 0)
        key = binding.device_id if is_alone else binding.via
        groups.setdefault(key, []).append(binding)
    return list(groups.values())
