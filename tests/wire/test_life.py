"""A controller's life over real sockets at speed 1: killed, restarted, ended, blinded, beside a frozen server."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from hil.serve import Rig
from northbound.reader import StoreReader
from tests.wire.station import AC_LEASE_S, Bench, Controller, write_site

pytestmark = pytest.mark.timeout(180)

CHARGING_S = 45.0
"""Until a car charges: imports, arming, two cycles of watching, the first plan, and the car's own delay."""

SLACK_S = 3.0
"""The car's reaction and the granularity of looking."""

HELD_AGAIN_KW = 1.0
LIMIT_KW, SHORT_TIME_KW, DECLARED_MAX_KW = 80.0, 104.0, 40.0


@asynccontextmanager
async def running(directory: Path, cars: tuple[str, ...]) -> AsyncIterator[tuple[Bench, Controller]]:
    """Serve the station and let a controller run it; leave nothing behind."""
    site_file = write_site(directory)
    bench = Bench(site_file, cars)
    async with bench.rig.started():
        controller = Controller(site_file, directory / "store")
        try:
            yield bench, controller
        finally:
            controller.end()


def grows(bench: Bench, name: str, above_kw: float) -> bool:
    return bench.powers_kw()[name] > above_kw


async def test_i14_kill_minus_nine_lets_every_device_fall_back_within_its_lease(tmp_path: Path) -> None:
    async with running(tmp_path, ("ac1", "dc1a")) as (bench, controller):
        await bench.until(
            lambda: grows(bench, "ac1", 3.0) and grows(bench, "dc1a", 10.0), CHARGING_S, "cars charge"
        )
        controller.kill()
        took_s = await bench.until(
            lambda: (
                bench.powers_kw()["ac1"] <= 1.38 + 0.01
                and bench.powers_kw()["dc1a"] <= 5.0 + 0.01
                and abs(bench.powers_kw()["battery"]) <= 0.01
            ),
            AC_LEASE_S + SLACK_S + 5.0,
            "devices fall back",
        )
        assert took_s <= AC_LEASE_S + SLACK_S + 5.0
        assert bench.powers_kw()["ac1"] == pytest.approx(1.38, abs=0.05)


async def test_i14_a_restart_goes_on_without_a_power_step(tmp_path: Path) -> None:
    async with running(tmp_path, ("ac1", "dc1a")) as (bench, controller):
        await bench.until(
            lambda: grows(bench, "ac1", 3.0) and grows(bench, "dc1a", 10.0), CHARGING_S, "cars charge"
        )
        await asyncio.sleep(3.0)
        before_kw = bench.powers_kw()
        controller.kill()
        again = Controller(tmp_path / "small.yaml", tmp_path / "store")
        lowest_kw = dict(before_kw)
        highest_grid_kw = 0.0
        try:
            for _ in range(120):
                await asyncio.sleep(0.1)
                lowest_kw = {name: min(kw, lowest_kw[name]) for name, kw in bench.powers_kw().items()}
                highest_grid_kw = max(highest_grid_kw, bench.grid_kw())
        finally:
            again.end()
        assert lowest_kw["ac1"] >= before_kw["ac1"] - HELD_AGAIN_KW
        assert lowest_kw["dc1a"] >= before_kw["dc1a"] - HELD_AGAIN_KW
        assert highest_grid_kw <= LIMIT_KW * 1.01


async def test_sigterm_leaves_every_device_at_its_safe_value(tmp_path: Path) -> None:
    async with running(tmp_path, ("ac1", "dc1a")) as (bench, controller):
        await bench.until(
            lambda: grows(bench, "ac1", 3.0) and grows(bench, "dc1a", 10.0), CHARGING_S, "cars charge"
        )
        assert await controller.terminate() == 0
        held = {
            name: getattr(reading, "setpoint_kw", None) for name, reading in bench.world.readings().items()
        }
        assert held["battery"] == 0.0
        assert held["ac1"] == pytest.approx(1.38, abs=0.01)
        assert held["dc1a"] == pytest.approx(5.0, abs=0.01)
        with StoreReader(tmp_path / "store") as store:
            assert store.commands(*_whole_day(bench)), "commands are in the ledger"


async def test_i13_a_frozen_meter_means_the_worst_case_within_five_seconds(tmp_path: Path) -> None:
    async with running(tmp_path, ("ac1", "dc1a")) as (bench, _):
        await bench.until(lambda: grows(bench, "dc1a", 10.0), CHARGING_S, "cars charge")
        bench.rig.devices["meter"].frozen = True
        took_s = await bench.until(lambda: _alarm(tmp_path, "grid"), 8.0, "the meter's loss is an alarm")
        assert took_s <= 5.0 + 1.0, "5 s, and a second for the store's writer"
        await asyncio.sleep(5.0)
        now_kw = bench.powers_kw()
        cars_kw = now_kw["dc1a"] + now_kw["ac1"]
        assert cars_kw + now_kw["battery"] + DECLARED_MAX_KW <= LIMIT_KW, (
            "with the building at its declared maximum"
        )
        assert cars_kw + DECLARED_MAX_KW <= SHORT_TIME_KW, "and for a while without the battery too"
        bench.rig.devices["meter"].frozen = False
        await bench.until(lambda: not _alarm(tmp_path, "grid"), 10.0, "the alarm clears")


async def test_a_stopped_opcua_server_is_booked_and_the_rest_controlled(tmp_path: Path) -> None:
    """The DC pair lives in a process of its own, so that SIGSTOP freezes it and nothing else."""
    site_file = write_site(tmp_path)
    bench = Bench(site_file, ("ac1",))
    others = [d for d in bench.loaded.devices if d.device_id != "dc1"]
    bench.rig = Rig(replace(bench.loaded, devices=tuple(others)), bench.clock, bench.world)
    command = [sys.executable, "-m", "tests.wire.dc_server", str(site_file)]
    server = await asyncio.to_thread(subprocess.Popen, command, cwd=Path(__file__).parents[2])
    try:
        async with bench.rig.started():
            controller = Controller(site_file, tmp_path / "store")
            try:
                await bench.until(lambda: grows(bench, "ac1", 3.0), CHARGING_S, "the AC car charges")
                assert not _alarm(tmp_path, "dc1a")
                os.kill(server.pid, signal.SIGSTOP)
                await bench.until(lambda: _alarm(tmp_path, "dc1a"), 10.0, "the frozen server is noticed")
                await asyncio.sleep(5.0)
                assert grows(bench, "ac1", 3.0), "the rest goes on"
                assert bench.grid_kw() <= LIMIT_KW
                os.kill(server.pid, signal.SIGCONT)
                await bench.until(lambda: not _alarm(tmp_path, "dc1a"), 25.0, "it comes back")
            finally:
                controller.end()
    finally:
        server.kill()
        server.wait()


def _alarm(directory: Path, text: str) -> bool:
    with StoreReader(directory / "store") as store:
        return any(seen.alarm.startswith(text) for seen in store.alarms(standing_only=True))


def _whole_day(bench: Bench) -> tuple[datetime, datetime]:
    now = bench.clock.now()
    return now.later(-86_400.0).at, now.later(60.0).at
