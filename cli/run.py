"""``heliodock run``: control a station."""

import asyncio
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.paths import default_store
from cli.terminal import fail, say

if TYPE_CHECKING:
    from cli.view import ViewState, Watch
    from configs.load import LoadedSite
    from controller.app import App, AppSettings

SUMMARY_S = 60.0
REFRESH_HZ = 2.0
"""The station changes once a second; more would be restless."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock run SITE.yaml --shadow")(run)


def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    *,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Read, plan and decide, but never write to a device.")
    ] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The store; else SITE.store beside the site file.")
    ] = None,
    no_live: Annotated[
        bool, typer.Option("--no-live", help="Plain lines, as in a pipe, on a terminal too.")
    ] = False,
    emulated: Annotated[
        bool,
        typer.Option(
            "--emulated", help="Emulate the site's devices in this process, as `serve` does: to try things."
        ),
    ] = False,
    seconds: Annotated[float | None, typer.Option(hidden=True, help="End after so long: for tests.")] = None,
) -> None:
    """Control a station until Ctrl-C or SIGTERM, then leave all devices safe. A silent device is an alarm, no end."""
    from configs.load import load_site
    from controller.app import AppSettings

    loaded = load_site(site)
    for problem in loaded.site.fallback_problems:
        fail(f"{site}: limits: {problem}; fallbacks are held and nothing is granted")
    settings = AppSettings(loaded, store_dir=store or default_store(site), is_shadow=shadow)
    asyncio.run(_run(settings, is_emulated=emulated, no_live=no_live, seconds=seconds))


async def _run(settings: "AppSettings", *, is_emulated: bool, no_live: bool, seconds: float | None) -> None:
    import sys

    from cli.serve import emulated_devices
    from cli.stopping import stop_on_signals
    from cli.view import Watch
    from controller.notify import notifier_of

    watch = Watch(settings.loaded.site, mode="shadow" if settings.is_shadow else "controlling")
    supervisor = notifier_of(os.environ, settings.loaded.site.control.cycle_s)
    settings = replace(settings, observers=(supervisor,))
    devices = emulated_devices(settings.loaded) if is_emulated else nullcontext()
    with stop_on_signals() as stop, supervisor.telling_the_end(stop):
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        async with devices:
            if sys.stdout.isatty() and not no_live:
                await _with_view(settings, watch, stop)
            else:
                await _with_lines(settings, watch, stop)


async def _with_view(settings: "AppSettings", watch: "Watch", stop: asyncio.Event) -> None:
    from cli.live import live_view
    from cli.logs import log_to
    from controller.app import App
    from controller.clock import LiveClock

    log_to(watch.log)
    app = App(replace(settings, observers=(*settings.observers, watch)), LiveClock())
    async with live_view(lambda: state_of(app, watch), rate_hz=REFRESH_HZ):
        await app.run(stop)
    say(_farewell(settings))


async def _with_lines(settings: "AppSettings", watch: "Watch", stop: asyncio.Event) -> None:
    from cli.lines import Lines
    from cli.logs import log_to_stderr
    from controller.app import App
    from controller.clock import LiveClock

    log_to_stderr()
    lines = Lines(watch, every_s=SUMMARY_S)
    app = App(replace(settings, observers=(*settings.observers, lines)), LiveClock())
    say(_greeting(settings.loaded, settings))
    await app.run(stop)
    say(_farewell(settings))


def state_of(app: "App", watch: "Watch") -> "ViewState":
    """Return what is shown, with what only the application knows: lateness, and what ails the planner."""
    state = watch.state()
    lateness, cause = app.loop.lateness, app.planner.last_cause
    return replace(
        state,
        late_ms=watch.cycle.late_ms if watch.cycle else 0.0,
        worst_late_ms=lateness.worst_ms,
        missed=lateness.missed,
        alarms=(*state.alarms, f"planner: {cause}") if cause else state.alarms,
    )


def _greeting(loaded: "LoadedSite", settings: "AppSettings") -> str:
    what = "watches" if settings.is_shadow else "controls"
    return (
        f"heliodock {what} {loaded.site.site_id}: {len(loaded.devices)} devices, store {settings.store_dir}"
    )


def _farewell(settings: "AppSettings") -> str:
    if settings.is_shadow:
        return "stopped; nothing was written"
    return "stopped; all devices were told their safe values"
