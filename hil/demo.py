"""A demonstration day: emulated station on real sockets and live application, in one process, on a scaled clock.

The solver runs in its own process as in life. The clock waits for each cycle, so ``speed`` is a ceiling.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from configs.load import LoadedSite
from controller.app import App, AppSettings, with_cycle
from controller.loop import Cycle
from hil.account import Account, account
from hil.clocks import ScaledClock
from hil.run import TwinRun
from hil.serve import Rig
from station.errors import ConfigError
from station.profile import DeviceBinding
from station.topology import Site

SPEED_PER_CYCLE_S = 8.0
"""A cycle of station time gets at least an eighth of a second of real time."""

PORT_STEP = 100
PORT_TRIES = 50


@dataclass(frozen=True)
class DemoSettings:
    """``hours`` of the day that begins at ``run.start_at``, at most ``speed`` times as fast as life.

    ``watch`` sees each cycle; ``began`` is called once, when the application is there.
    """

    loaded: LoadedSite
    run: TwinRun
    speed: float
    hours: float
    watch: Callable[[Cycle], None] | None = None
    began: Callable[[App], None] | None = None


def cycle_s(speed: float) -> float:
    """Return the control cycle in station seconds at a speed."""
    return max(1.0, speed / SPEED_PER_CYCLE_S)


async def play(settings: DemoSettings, stop: asyncio.Event) -> tuple[Account, App]:
    """Play the day over sockets and return what it cost, by the same rules as the twin."""
    site = with_cycle(settings.loaded.site, cycle_s(settings.speed))
    loaded = replace(settings.loaded, site=site)
    run = replace(settings.run, site=site, days=settings.hours / 24.0)
    clock = ScaledClock(run.start_at, settings.speed)
    clock.hold_until(0.0)  # the day begins when everything is ready
    world = run.world()
    until_s = settings.hours * 3600.0
    async with Rig(loaded, clock, world).started():
        app = App(
            AppSettings(
                loaded,
                demand_share=run.demand_share(),
                past=run.past(),
                observers=(settings.watch,) if settings.watch else (),
            ),
            clock,
        )
        if settings.began is not None:
            settings.began(app)
        await app.run(stop, until_s=until_s)
        world.advance_to(clock.now().mono_s if stop.is_set() else until_s, 1.0)
        return account(settings.loaded.site, "mpc", world.result(), plan_ms=app.plan_ms), app


def with_whole_day(site: Site, hours: float) -> Site:
    """Return the site with a demand price that makes ``hours`` of a day bear the demand charge of a whole one.

    A part of a day would bear next to none, and whoever plans it would be careless with the peak. Planner, bills and
    bound all read this one price.
    """
    demand = site.tariff.demand
    price_per_kw = demand.price_per_kw * max(24.0 / hours, 1.0)
    return replace(site, tariff=replace(site.tariff, demand=replace(demand, price_per_kw=price_per_kw)))


def on_free_ports(loaded: LoadedSite) -> tuple[LoadedSite, int]:
    """Return the site with all device ports moved up by as much as it takes to find them free, and by how much.

    Raises ConfigError where none are found, or where the site has no devices to emulate.
    """
    if not loaded.devices:
        raise ConfigError(str(loaded.file), 0, "devices", "this site has no devices to emulate")
    wanted = {(part.host, part.port) for binding in loaded.devices for part in binding.on_the_wire}
    for offset in range(0, PORT_STEP * PORT_TRIES, PORT_STEP):
        if _are_free((host, port + offset) for host, port in wanted):
            return replace(loaded, devices=tuple(_moved_up(b, offset) for b in loaded.devices)), offset
    raise ConfigError(str(loaded.file), 0, "devices", "no free ports found for the emulated devices")


def _moved_up(binding: DeviceBinding, offset: int) -> DeviceBinding:
    return binding.moved(lambda part: (part.host, part.port + offset))


def _are_free(addresses: Iterable[tuple[str, int]]) -> bool:
    for address in addresses:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except (OSError, OverflowError):
                return False
    return True
