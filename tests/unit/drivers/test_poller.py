"""A poller keeps the board fresh, lets readings grow old when a device is silent, and arms it again when it is back."""

import asyncio

import pytest
from structlog.testing import capture_logs

from drivers.board import Board
from drivers.poller import Poller, phase_s
from drivers.watchdog import Guard
from station.clock import Instant
from station.measurement import MeterReading, NoReading, WriteResult
from tests.unit.drivers.bench import START, StillClock, bench

NOW = Instant(START, 0.0)


def test_an_asset_that_was_never_read_says_so() -> None:
    board = Board(["meter"])
    assert board.snapshot(NOW).readings == {"meter": NoReading("not read yet")}
    board.fail("meter", "no answer within 0.8 s")
    assert board.snapshot(NOW).readings == {"meter": NoReading("no answer within 0.8 s")}
    assert board.alive_s("meter") is None


def test_a_failure_leaves_the_last_reading_with_its_age() -> None:
    board = Board(["meter"])
    board.put("meter", MeterReading(5.0, 1.0))
    board.fail("meter", "gone")
    assert board.snapshot(NOW).readings == {"meter": MeterReading(5.0, 1.0)}
    assert board.causes == {"meter": "gone"}
    assert board.alive_s("meter") == 5.0
    board.put("meter", MeterReading(6.0, 1.0))
    assert board.causes == {}


def test_failed_reads_are_counted_per_asset_since_the_start() -> None:
    board = Board(["meter", "pv"])
    board.fail("meter", "gone")
    board.fail("meter", "gone")
    board.put("meter", MeterReading(1.0, 5.0))
    before = board.snapshot(NOW)
    board.fail("meter", "gone")
    assert before.errors == {"meter": 2, "pv": 0}


def test_a_snapshot_does_not_move_and_an_older_write_does_not_come_back() -> None:
    board = Board(["meter"])
    before = board.snapshot(NOW)
    board.put("meter", MeterReading(5.0, 1.0))
    board.put_write("pcs", WriteResult(2.0, 10.0, confirmed=True))
    board.put_write("pcs", WriteResult(1.0, 20.0, confirmed=True))
    assert before.readings == {"meter": NoReading("not read yet")}
    assert board.snapshot(NOW).writes["pcs"].power_kw == 10.0


async def test_polls_come_at_half_the_period() -> None:
    clock = StillClock(100.1)
    polled_s: list[float] = []
    async with bench("demo-meter") as b:
        board = Board(["asset"])
        poller = Poller(b.device, board, clock)
        for _ in range(3):
            await poller.poll()
            polled_s.append(clock.mono_s)
            await clock.sleep_until(poller._next_s(clock.mono_s))
    assert polled_s == [100.1, 100.5, 101.5]


async def test_a_silent_device_is_retried_ever_more_slowly_and_logged_once() -> None:
    clock = StillClock(speed=10.0)
    async with bench("demo-meter") as b:
        board = Board(["asset"])
        poller = Poller(b.device, board, clock)
        with capture_logs() as logs:
            await poller.poll()
            b.far_end.is_listening = False
            b.far_end.close()
            waits_s = []
            for _ in range(5):
                assert not await poller.poll()
                next_s = poller._next_s(clock.mono_s)
                waits_s.append(next_s - clock.mono_s)
                clock.mono_s = next_s
            b.far_end.is_listening = True
            await asyncio.sleep(0.2)
            assert await poller.poll()
        assert waits_s == pytest.approx([1.0, 2.0, 10.0, 10.0, 10.0])
        assert [entry["event"] for entry in logs] == ["asset lost", "asset back"]
        assert logs[0]["cause"] == "no connection: connection refused"
        assert board.causes == {}


async def test_a_device_is_armed_when_it_answers_and_again_after_it_forgot() -> None:
    clock = StillClock()
    async with bench("demo-battery", guard=Guard(30.0, -5.0)) as b:
        poller = Poller(b.device, Board(["asset"]), clock)
        await poller.poll()
        assert b.device.armed == {"asset": True}
        b.hold("lease_s", 0.0)
        b.hold("uptime_s", 0.5)
        await poller.poll()
        assert b.device.armed == {"asset": True}
        assert b.held("lease_s") == 30.0


async def test_a_refused_watchdog_is_tried_again_later_and_logged_once() -> None:
    clock = StillClock()
    async with bench("demo-battery", guard=Guard(30.0, -5.0)) as b:
        b.slave.refuse = lambda function, address: 3 if function == 16 else None
        poller = Poller(b.device, Board(["asset"]), clock)
        with capture_logs() as logs:
            for _ in range(12):
                await poller.poll()
                clock.mono_s += 1.0
        assert sum(function == 16 for function, _, _ in b.slave.requests) == 2
        assert [entry["event"] for entry in logs] == ["watchdog not armed"]
        b.slave.refuse = lambda function, address: None
        clock.mono_s += 10.0
        await poller.poll()
        assert b.device.armed == {"asset": True}


async def test_run_polls_until_cancelled_and_closes_the_device() -> None:
    clock = StillClock()
    async with bench("demo-meter") as b:
        board = Board(["asset"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), asyncio.TaskGroup() as group:
                group.create_task(Poller(b.device, board, clock).run())
        assert clock.mono_s > 102.0
        assert not b.far_end.is_open


def test_few_devices_are_polled_in_the_middle_of_the_period_and_many_in_groups_around_it() -> None:
    assert {phase_s(index, 25, 1.0, 1.0) for index in range(25)} == {0.5}
    phases_s = sorted({round(phase_s(index, 100, 1.0, 1.0), 6) for index in range(100)})
    assert phases_s == [0.47, 0.49, 0.51, 0.53]
    fast_s = [phase_s(index, 200, 0.1, 1.0) for index in range(200)]
    assert 0.025 <= min(fast_s) < max(fast_s) <= 0.075
    assert {phase_s(index, 200, 1.0, float("inf")) for index in range(200)} == {0.5}
