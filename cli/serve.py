"""``heliodock serve``: a site's devices, emulated on their real ports in real time."""

import asyncio
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from cli.arguments import moment_of
from cli.terminal import say
from station.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from configs.load import LoadedSite
    from hil.serve import Rig
    from hil.world import World

NOISE_KW = 0.5
"""The building's load moves by so much within a row of its series."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock serve configs/stations/demo.yaml --from 2019-09-18")(serve)


def serve(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DATE",
            help="Play from this local day, or ISO time with zone, on. Else the data's week is moved by whole weeks, "
            "so that the present weekday and clock time play now.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Of the noise on the building's load, and of faults.")
    ] = 0,
) -> None:
    """Emulate all devices of a site on their own ports, with its recorded cars and sun, until Ctrl-C."""
    from configs.load import load_site

    loaded = load_site(site)
    if not loaded.devices:
        raise ConfigError(str(site), 0, "devices", "this site has no devices to emulate")
    asyncio.run(_serve(loaded, from_, seed))


def emulated_devices(loaded: "LoadedSite") -> "AbstractAsyncContextManager[Rig]":
    """Return what emulates all devices of a site inside an ``async with`` block, its recorded days moved to now."""
    from hil.clocks import WallClock
    from hil.serve import Rig

    world = _world(loaded, None, 0)
    return Rig(loaded, WallClock(world.now.at), world).started()


async def _serve(loaded: "LoadedSite", from_text: str | None, seed: int) -> None:
    from cli.logs import log_to_stderr
    from cli.stopping import stop_on_signals
    from hil.clocks import WallClock
    from hil.serve import Rig

    log_to_stderr()
    world = _world(loaded, from_text, seed)
    async with Rig(loaded, WallClock(world.now.at), world, seed).started() as rig:
        for binding in loaded.devices:
            port = rig.port_of(binding.device_id)
            where = f"{binding.host}:{port}" if port else str(binding.via)
            unit = f"unit {binding.unit}" if binding.profile.protocol.value.startswith("modbus") else ""
            protocol = binding.profile.protocol.value
            say(f"{binding.device_id:<12} {where:<22} {protocol:<11} {unit:<9} {' '.join(binding.asset_ids)}")
        local = world.now.at.astimezone(ZoneInfo(loaded.site.timezone))
        say(f"station time {local:%a %Y-%m-%d %H:%M:%S %Z}; Ctrl-C ends it")
        with stop_on_signals() as stop:
            await stop.wait()


def _world(loaded: "LoadedSite", from_text: str | None, seed: int) -> "World":
    """Return the world: from the time that is asked for, or its recorded days moved to now."""
    from datetime import UTC, timedelta

    from hil.serve import world_of
    from hil.shift import weeks_until

    timezone = loaded.site.timezone
    if from_text is not None:
        start_at = moment_of("--from", from_text, timezone)
        return world_of(loaded, start_at=start_at, noise_kw=NOISE_KW, seed=seed, later=timedelta(0))
    now_at = datetime.now(UTC)
    later = weeks_until(now_at, _first_day(loaded, now_at), timezone)
    return world_of(loaded, start_at=now_at, noise_kw=NOISE_KW, seed=seed, later=later)


def _first_day(loaded: "LoadedSite", now_at: datetime) -> date:
    """Return the day from which the data is played: the twin's first, else the first that the series has whole."""
    from datetime import timedelta

    from configs.csv_data import read_series

    zone = ZoneInfo(loaded.site.timezone)
    if loaded.twin.first_day is not None:
        return loaded.twin.first_day
    if loaded.twin.series is not None:
        return read_series(loaded.twin.series).starts_at.astimezone(zone).date() + timedelta(days=1)
    return now_at.astimezone(zone).date()
