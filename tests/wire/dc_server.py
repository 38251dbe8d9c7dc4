"""Serve only the DC pair of a site file, at speed 1, until killed: ``python -m tests.wire.dc_server SITE``."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from configs.load import load_site
from hil.clocks import WallClock
from hil.serve import Rig
from hil.world import Surroundings, World


async def main(site_file: Path) -> None:
    """Serve until killed."""
    loaded = load_site(site_file)
    begins_at = datetime.now(UTC)
    pair = replace(loaded, devices=tuple(d for d in loaded.devices if d.device_id == "dc1"))
    world = World(loaded.site, Surroundings(begins_at, 900.0, (0.0,), (0.0,)), (), start_at=begins_at)
    async with Rig(pair, WallClock(begins_at), world).started():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
