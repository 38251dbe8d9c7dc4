"""The composition root of the control process: devices, pollers, planner, store and loop, from a loaded site."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from configs.load import LoadedSite
from controller.history import HistoryKeeper
from controller.journal import StoreKeeper
from controller.leases import lease_s, restore
from controller.loop import Cycle, Loop, Parts
from controller.planner import Planner
from controller.step import start
from drivers.board import Board
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.poller import Poller, phase_s
from drivers.watchdog import Guard
from northbound.feed import Sink
from northbound.reader import StoreReader, history_of
from northbound.sinks import SinkWatch, feeds_of, keep_running, sinks_of
from northbound.store import Store
from station.clock import Clock, slot_start
from station.decision import ControlState
from station.errors import ConfigError
from station.forecast import History
from station.topology import Site

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AppSettings:
    """How a site is run. Without ``store_dir`` nothing is kept; ``past`` then is all the history there is.

    ``demand_share`` is the share of the month's demand charge that the planner counts: 1 live.
    """

    loaded: LoadedSite
    store_dir: Path | None = None
    is_shadow: bool = False
    demand_share: float = 1.0
    past: History | None = None
    observers: tuple[Callable[[Cycle], None], ...] = field(default=())


class App:
    """One controlled station. Make it inside a running event loop."""

    def __init__(self, settings: AppSettings, clock: Clock) -> None:
        """Raises ConfigError where the site has no devices or the store can't be used."""
        if not settings.loaded.devices:
            raise ConfigError(str(settings.loaded.file), 0, "devices", "this site has no devices to control")
        self.site = settings.loaded.site
        self.clock = clock
        self.sinks: tuple[Sink, ...] = ()
        self.store = self._opened(settings)
        now = clock.now()
        state, past, standing = self._remembered(settings)
        board = Board([self.site.meter.asset_id, *self.site.by_id])
        devices = connect_devices(
            settings.loaded.devices, _guards(self.site), may_write=not settings.is_shadow
        )
        cycle_s = self.site.control.cycle_s
        self._pollers = [
            Poller(
                _at_least(device, cycle_s),
                board,
                clock,
                phase_s=phase_s(index, len(devices), cycle_s, clock.speed),
            )
            for index, device in enumerate(devices)
        ]
        self.plan_ms: list[float] = []
        self.planner = Planner(self.site.planning.timeout_s, lambda plan: self.plan_ms.append(plan.solve_ms))
        self.loop = Loop(
            self.site,
            clock,
            Parts(board, _by_asset(devices, self.site), self.planner, HistoryKeeper(past), state),
            demand_share=settings.demand_share,
            is_shadow=settings.is_shadow,
        )
        if self.store is not None:
            store = self.store
            for notice in store.notices:
                log.warning("store", notice=notice)
            self.loop.requests = lambda: store.requests
            watch = SinkWatch(self.sinks)
            self.loop.observers.append(StoreKeeper(self.site, store, self.loop.lateness, standing, watch))
        self.loop.observers.extend(settings.observers)
        log.info(
            "starting",
            site=self.site.site_id,
            cycle_s=cycle_s,
            shadow=settings.is_shadow,
            at=now.at.isoformat(),
        )

    async def run(self, stop: asyncio.Event, until_s: float = float("inf")) -> None:
        """Control until ``stop`` is set or the station clock reaches ``until_s``; then leave all devices safe."""
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [tasks.create_task(poller.run()) for poller in self._pollers]
                others.append(tasks.create_task(self.planner.run()))
                others.extend(tasks.create_task(keep_running(sink, self.clock)) for sink in self.sinks)
                control = asyncio.ensure_future(self.loop.run(until_s))
                stopping = asyncio.ensure_future(stop.wait())
                try:
                    await asyncio.wait([control, stopping], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await _end(control, stopping)
                    for task in others:
                        task.cancel()
                    if control.done() and not control.cancelled():
                        control.result()
        finally:
            if self.store is not None:
                self.store.close()

    def _opened(self, settings: AppSettings) -> Store | None:
        """Open the store, and the sinks that empty its outbox."""
        if settings.store_dir is None:
            return None
        wanted = settings.loaded.sinks
        store = Store(settings.store_dir, self.site.site_id, feeds=feeds_of(self.site, wanted))
        self.sinks = sinks_of(self.site, wanted, store, self.clock)
        return store

    def _remembered(self, settings: AppSettings) -> tuple[ControlState, History, frozenset[str]]:
        """Return what a former process left in the store, on this process's clock, the history, and standing alarms."""
        now = self.clock.now()
        slot_s = self.site.planning.slot_s
        past = settings.past or History(slot_start(now.at, slot_s), slot_s, (), ())
        if self.store is None:
            return start(now), past, frozenset()
        self.store.flush()
        standing: frozenset[str] = frozenset()
        with suppress(ConfigError), StoreReader(self.store.directory) as reader:
            remembered = reader.state(now)
            standing = frozenset(seen.alarm for seen in reader.alarms(standing_only=True))
            if settings.past is None:
                past = history_of(reader, now.at, cycle_s=self.site.control.cycle_s)
            if remembered is not None:
                grants = restore(self.site, remembered.grants, now)
                return (
                    replace(start(now, remembered), grants=grants, alarms=remembered.alarms),
                    past,
                    standing,
                )
        return start(now), past, standing


def with_cycle(site: Site, cycle_s: float) -> Site:
    """Return the site with another cycle: a scaled clock needs a longer one."""
    return replace(site, control=replace(site.control, cycle_s=cycle_s))


def _guards(site: Site) -> dict[str, Guard]:
    return {
        asset.asset_id: Guard(lease_s(asset, site.control), asset.fallback_kw) for asset in site.controllables
    }


def _by_asset(devices: Iterable[Device], site: Site) -> dict[str, Device]:
    return {
        asset_id: device
        for device in devices
        for asset_id in device.binding.asset_ids
        if asset_id in site.by_id
    }


def _at_least(device: Device, cycle_s: float) -> Device:
    """Poll no faster than the cycle: at a scaled clock it is much longer than a second."""
    device.binding = replace(device.binding, poll_s=max(device.binding.poll_s, cycle_s))
    return device


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel tasks and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
