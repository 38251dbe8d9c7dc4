"""What systemd hears: READY after the first cycle, WATCHDOG after each, nothing while a write phase hangs."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from select import select
from typing import Any

import pytest

from controller.clock import LiveClock
from controller.history import HistoryKeeper
from controller.loop import Cycle, Loop, Parts
from controller.notify import Notifier, notifier_of
from controller.planner import Planner
from controller.step import start
from drivers.board import Board
from station.errors import ConfigError
from station.forecast import History
from station.measurement import WriteResult
from tests.factories import START, a_site, readings

CYCLE: Any = None
"""The notifier does not look at it."""

HANGS_S = 20.0
"""A hanging write is let go after so long, so that a failed test ends."""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(HANGS_S)
        yield listener


def heard(supervisor: socket.socket) -> list[str]:
    """Return all that has been said and not yet been read, without waiting."""
    said = []
    while select([supervisor], [], [], 0.0)[0]:
        said.append(supervisor.recv(1024).decode())
    return said


def test_the_first_cycle_makes_ready_and_each_further_one_feeds_the_watchdog(
    supervisor: socket.socket,
) -> None:
    notifier = Notifier(supervisor.getsockname())
    assert heard(supervisor) == []
    for _ in range(3):
        notifier(CYCLE)
    assert heard(supervisor) == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_an_abstract_socket_is_heard_too() -> None:
    name = f"heliodock-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        Notifier(f"@{name}")(CYCLE)
        assert heard(listener) == ["READY=1\nWATCHDOG=1"]


def test_without_a_supervisor_nothing_is_said() -> None:
    notifier_of({}, 1.0)(CYCLE)


def test_a_supervisor_that_comes_late_is_told_that_the_process_is_ready(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier(CYCLE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        notifier(CYCLE)
        assert heard(listener) == ["READY=1\nWATCHDOG=1"]


def test_a_supervisor_that_does_not_read_never_blocks_the_loop(supervisor: socket.socket) -> None:
    notifier = Notifier(supervisor.getsockname())
    for _ in range(2000):
        notifier(CYCLE)
    assert 0 < len(heard(supervisor)) < 2000


async def test_the_end_is_told_when_it_begins(supervisor: socket.socket) -> None:
    stop = asyncio.Event()
    with Notifier(supervisor.getsockname()).telling_the_end(stop):
        await asyncio.sleep(0)
        assert heard(supervisor) == []
        stop.set()
        assert await asyncio.to_thread(supervisor.recv, 1024) == b"STOPPING=1"
    await asyncio.sleep(0)
    assert heard(supervisor) == []


def test_a_watchdog_that_is_too_quick_for_the_cycle_is_refused() -> None:
    systemd = {"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}
    notifier_of(systemd, 1.0)
    with pytest.raises(ConfigError, match=r"WatchdogSec of 5 s is below 2.5 cycles of 10 s"):
        notifier_of(systemd, 10.0)
    notifier_of(systemd | {"WATCHDOG_PID": "1"}, 10.0)


class StuckBattery:
    """A driver that hangs the whole process in one write, as a call into a broken library would."""

    def __init__(self) -> None:
        self.armed = {"battery": True}
        self.is_broken = False
        self.hangs, self.let_go = threading.Event(), threading.Event()

    async def write(self, asset_id: str, power_kw: float, *, sent_s: float, **_: object) -> WriteResult:
        if self.is_broken:
            self.hangs.set()
            self.let_go.wait(HANGS_S)
        return WriteResult(sent_s, power_kw, confirmed=True)


class Station:
    """A loop with short cycles and one battery, in a thread of its own."""

    def __init__(self, notifier: Notifier) -> None:
        self.battery = StuckBattery()
        self._notifier = notifier
        self._is_over = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        site, clock = a_site(ac=1, dc=0), LiveClock()
        site = replace(site, control=replace(site.control, cycle_s=0.05))
        board = Board([site.meter.asset_id, *site.by_id])
        keeper = HistoryKeeper(History(START, 900.0, (), ()))
        parts = Parts(board, {"battery": self.battery}, Planner(1.0), keeper, start(clock.now()))  # type: ignore[dict-item]
        loop = Loop(site, clock, parts)

        def measure(_: Cycle) -> None:
            for asset_id, reading in readings(site, clock.now()).items():
                board.put(asset_id, reading)

        loop.observers += [measure, self._notifier]
        task = asyncio.ensure_future(loop.run())
        await asyncio.to_thread(self._is_over.wait)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def end(self) -> None:
        self._is_over.set()
        self.battery.is_broken = False
        self.battery.let_go.set()
        self.thread.join(HANGS_S)


def test_a_loop_whose_write_phase_hangs_stops_feeding_the_watchdog(supervisor: socket.socket) -> None:
    station = Station(Notifier(supervisor.getsockname()))
    station.thread.start()
    try:
        assert [supervisor.recv(1024) for _ in range(3)] == [b"READY=1\nWATCHDOG=1", *[b"WATCHDOG=1"] * 2]
        station.battery.is_broken = True
        assert station.battery.hangs.wait(HANGS_S), "the battery is written to"
        heard(supervisor)
        supervisor.settimeout(20 * 0.05)
        with pytest.raises(TimeoutError):
            supervisor.recv(1024)
        supervisor.settimeout(HANGS_S)
        station.battery.is_broken = False
        station.battery.let_go.set()
        assert supervisor.recv(1024) == b"WATCHDOG=1"
    finally:
        station.end()
