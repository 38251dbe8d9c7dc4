"""A captured link, replayed without the device: the same values, the same faults, from whole and from torn files."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from configs.profiles import load_profile
from drivers.capture import Capture, CapturedTransport, Event, Header, What, read_capture
from drivers.device import Device
from drivers.modbus import ModbusLink, Pace
from drivers.modbus_frame import Ask
from drivers.modbus_points import ModbusPoints
from drivers.replay import Round, ask_of, replay
from drivers.transport import memory_pair
from drivers.turns import Priority
from hil.emulators.misbehaving import MisbehavingDevice, MisbehavingTransport
from station.errors import ConfigError, DriverError, Nonsense, Unreachable
from station.profile import DeviceBinding
from tests.unit.drivers.bench import VALUES, Bench
from tests.wire.slave import Slave, serve_in_memory

PROFILE = load_profile("demo-battery")
HEADER = Header("heliodock test", "site", "storage", "demo-battery", "tcp", 1, ("asset",), {})


async def captured(
    rounds: int, change: Callable[[Slave, int], None] = lambda slave, number: None
) -> list[str]:
    """Return the lines of a capture of a battery that is read so many times."""
    near, far = memory_pair()
    lines = [HEADER.line()]
    transport = CapturedTransport(near, lambda event: lines.append(event.line()))
    profile = replace(PROFILE, timeout_s=0.05)
    binding = DeviceBinding("storage", profile, "memory", 0, 1, ("asset",), 1.0)
    slave = Slave()
    for bank in (3, 4):
        slave.set(bank, 0, (0,) * 1200)
    device = Device(binding, ModbusPoints(binding, ModbusLink(transport)), {})
    bench = Bench(device, slave, profile, far)
    for name, value in VALUES["demo-battery"].items():
        bench.hold(name, value)
    serving = asyncio.create_task(serve_in_memory(slave, far))
    for number in range(rounds):
        change(slave, number)
        transport.poll()
        with suppress(DriverError):
            await device.read_points()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    return lines


def faults(rounds: list[Round]) -> list[DriverError]:
    return [e.fault for its in rounds for e in its.exchanges if e.fault is not None]


async def test_a_replay_gives_the_values_that_the_device_gave() -> None:
    capture = read_capture("memory", await captured(2))
    rounds = await replay(capture, PROFILE)
    assert len(rounds) == 2
    assert faults(rounds) == []
    points = rounds[-1].points["asset"]
    for name, value in VALUES["demo-battery"].items():
        assert points[name] == pytest.approx(value)


async def test_a_capture_of_a_serial_line_replays_too() -> None:
    lines = [replace(HEADER, framing="rtu").line()]
    device = MisbehavingDevice(random.Random(1), is_rtu=True, timeout_s=0.05, badness=0.0)
    transport = CapturedTransport(MisbehavingTransport(device), lambda event: lines.append(event.line()))
    link = ModbusLink(transport, Pace(back_off_s=0.0), is_rtu=True)
    for address in (1000, 1020):
        transport.poll()
        await link.ask(Ask(1, 3, address, 4), "x", timeout_s=0.05, priority=Priority.FAST)
    device._names, device.badness = ("wrong checksum",), 1.0
    transport.poll()
    with pytest.raises(Nonsense):
        await link.ask(Ask(1, 3, 1040, 4), "x", timeout_s=0.05, priority=Priority.FAST)
    rounds = await replay(read_capture("memory", lines), PROFILE)
    assert [len(its.exchanges) for its in rounds] == [1, 1, 1]
    assert [str(its.exchanges[0]) for its in rounds] == [
        f"read unit 1 function 3 address {address} count 4" for address in (1000, 1020, 1040)
    ]
    assert [fault.cause[:20] for fault in faults(rounds)] == ["garbage instead of a"]


async def test_another_profile_decodes_the_same_bytes_in_its_own_way() -> None:
    capture = read_capture("memory", await captured(1))
    changed = replace(PROFILE, points={"soc": replace(PROFILE.points["soc"], scale=0.01)})
    was = (await replay(capture, PROFILE))[0].points["asset"]["soc"]
    now = (await replay(capture, changed))[0].points["asset"]
    assert isinstance(was, float)
    assert now == {"soc": pytest.approx(was / 10.0)}


async def test_a_point_whose_registers_were_not_captured_says_so_and_others_stay() -> None:
    capture = read_capture("memory", await captured(1))
    elsewhere = replace(PROFILE.points["soc"], address=700)
    points = {**PROFILE.points, "soc": elsewhere}
    outcomes = (await replay(capture, replace(PROFILE, points=points)))[0].points["asset"]
    assert isinstance(outcomes["soc"], DriverError)
    assert outcomes["soc"].cause == "this register is not in the capture"
    assert isinstance(outcomes["power_kw"], float)


async def test_silence_and_a_lying_answer_are_faults_again() -> None:
    def change(slave: Slave, number: int) -> None:
        if number == 1:
            slave.answer = lambda request: b""  # type: ignore[method-assign]
        if number == 2:
            slave.answer = (
                lambda request: (  # type: ignore[method-assign]
                    request[:4] + bytes((0, 5, request[6] + 1, request[7], 2, 0, 0))
                )
            )

    rounds = await replay(read_capture("memory", await captured(3, change)), replace(PROFILE, timeout_s=0.05))
    kinds = [type(fault) for its in rounds for fault in faults([its])]
    assert faults(rounds[:1]) == []
    assert kinds[0] is Unreachable
    assert Nonsense in kinds


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.99])
async def test_a_torn_file_is_read_as_far_as_it_goes(kept: float) -> None:
    text = "\n".join(await captured(3))
    torn = text[: len(HEADER.line()) + 1 + int(kept * (len(text) - len(HEADER.line())))]
    capture = read_capture("memory", torn.splitlines())
    assert len(capture.damaged) <= 1
    rounds = await replay(capture, PROFILE)
    assert rounds
    assert all(fault.cause.startswith("no answer") for fault in faults(rounds))


async def test_a_damaged_line_in_the_middle_is_left_out_and_named() -> None:
    lines = await captured(1)
    lines.insert(2, '{"at_s": 1, "what": "sung"}')
    lines.insert(2, "\x00\x00")
    assert read_capture("memory", lines).damaged == (3, 4)


def test_what_is_no_capture_is_refused() -> None:
    for text in ("", "power_kw: 3", '{"heliodock capture": 99}', '{"heliodock capture": 1, "site": "a"}'):
        with pytest.raises(ConfigError) as refused:
            read_capture("some.file", [text])
        assert str(refused.value).startswith("some.file:1: is ")


async def test_a_capture_without_any_exchange_replays_to_nothing() -> None:
    assert await replay(Capture(HEADER, ()), PROFILE) == []


async def test_a_connection_that_was_refused_is_a_fault() -> None:
    events = (Event(0.0, What.POLL), Event(0.1, What.FAILED, cause="no connection: refused"))
    rounds = await replay(Capture(HEADER, events), PROFILE)
    assert [fault.cause for fault in faults(rounds)] == ["no connection: refused"]


@pytest.mark.parametrize("frame", [b"", b"\0" * 7, bytes.fromhex("000100000006012b03e8000c")])
def test_a_request_that_heliodock_never_sends_is_no_ask(frame: bytes) -> None:
    assert ask_of(frame) is None
