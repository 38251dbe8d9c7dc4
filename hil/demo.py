"""A demonstration day: the emulated station on real sockets and the live application, in one process, on a scaled clock.

The solver runs in its own process as in life. The clock waits for each cycle, so ``speed`` is a ceiling.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from configs.load import LoadedSite
from controller.app import App, AppSettings, with_cycle
from controller.loop import Cycle
from hil.account import Account, account
from hil.clocks import ScaledClock
from hil.run import TwinRun
from hil.serve import Rig

SPEED_PER_CYCLE_S = 8.0
"""A cycle of station time gets at least an eighth of a second of real time."""


@dataclass(frozen=True)
class DemoSettings:
    """``hours`` of the day that begins at ``run.start_at``, at most ``speed`` times as fast as life."""

    loaded: LoadedSite
    run: TwinRun
    speed: float
    hours: float
    watch: Callable[[Cycle], None] | None = None


def cycle_s(speed: float) -> float:
    """Return the control cycle in station seconds at a speed."""
    return max(1.0, speed / SPEED_PER_CYCLE_S)


async def play(settings: DemoSettings, stop: asyncio.Event) -> tuple[Account, App]:
    """Play the day over sockets and return what it cost, by the same rules as the twin."""
    site = with_cycle(settings.loaded.site, cycle_s(settings.speed))
    loaded = replace(settings.loaded, site=site)
    run = replace(settings.run, site=site, days=settings.hours / 24.0)
    clock = ScaledClock(run.start_at, settings.speed)
    world = run.world()
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
        await app.run(stop, until_s=settings.hours * 3600.0)
        world.advance_to(clock.now().mono_s, 1.0)
        return account(settings.loaded.site, "mpc", world.result(), plan_ms=app.plan_ms), app
