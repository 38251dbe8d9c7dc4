"""The controller under a supervisor that does what the systemd unit says: it listens, and kills what falls silent."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.wire.station import Bench, Controller, write_site

pytestmark = pytest.mark.timeout(120)

WATCHDOG_S = 5.0
"""As in deploy/systemd."""

START_S = 60.0


async def test_a_process_that_hangs_stops_feeding_its_watchdog_and_its_successor_is_ready(
    tmp_path: Path,
) -> None:
    site_file = write_site(tmp_path)
    address = str(tmp_path / "notify")
    systemd = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": f"{WATCHDOG_S * 1e6:.0f}"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)

        async def hear(within_s: float) -> str:
            listener.settimeout(within_s)
            return (await asyncio.to_thread(listener.recv, 1024)).decode()

        async def hear_other(within_s: float) -> str:
            """Hear what is not just another sign of life."""
            while (said := await hear(within_s)) == "WATCHDOG=1":
                pass
            return said

        async with Bench(site_file, ("ac1",)).rig.started():
            hung = Controller(site_file, tmp_path / "store", **systemd)
            try:
                assert await hear(START_S) == "READY=1\nWATCHDOG=1"
                assert await hear(START_S) == "WATCHDOG=1"
                os.kill(hung.pid, signal.SIGSTOP)
                with pytest.raises(TimeoutError):
                    await hear_other(WATCHDOG_S)
                hung.kill()
            finally:
                hung.end()
            again = Controller(site_file, tmp_path / "store", **systemd)
            try:
                assert await hear(START_S) == "READY=1\nWATCHDOG=1"
                status = asyncio.ensure_future(again.terminate())
                assert await hear_other(START_S) == "STOPPING=1"
                assert await status == 0
            finally:
                again.end()
