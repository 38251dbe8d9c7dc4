"""The field layer under load: 200 devices polled once and 50 polled ten times a second, with their real pollers.

The devices are the demonstration's batteries and meters; their servers run on libmodbus in another process. Registers
of those servers stand still, so the profiles' sign of life is left out. Every ``WRITE_EVERY_S`` one battery gets a
setpoint.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import process_time

import structlog

from benchmarks._modbus_peers import compiled, servers
from configs.profiles import load_profile
from controller.clock import LiveClock
from drivers import codec
from drivers.board import Board
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask
from drivers.poller import Poller, phase_s
from drivers.transport import SocketTransport
from drivers.turns import Priority
from drivers.watchdog import Guard
from station.measurement import NoReading
from station.profile import DeviceBinding, Profile

SLOW, FAST = 200, 50
SLOW_S, FAST_S = 1.0, 0.1
SETTLE_S = 3.0
SAMPLE_S = 0.0371
"""Between two looks at all fast points: no multiple of their period, so that every age is met."""
WRITE_EVERY_S = 0.11
VALUES = {
    "demo-battery": {
        "power_kw": -25_000.0,
        "soc": 55.5,
        "max_charge_kw": 50_000.0,
        "max_discharge_kw": 60_000.0,
        "is_local": 0.0,
    },
    "demo-meter": {"power_kw": 120_000.0},
}
"""What the devices say, in the points' own units."""


@dataclass
class Load:
    """What was measured. Ages are in periods of the point."""

    core_fraction: float = 0.0
    polls: int = 0
    ages: list[float] = field(default_factory=list)
    writes_ms: list[float] = field(default_factory=list)


def measure(duration_s: float) -> Load:
    """Return the load over so many seconds."""
    with compiled("modbus_server") as (server,), servers(server, SLOW + FAST) as ports:
        return asyncio.run(_under_load(ports, duration_s))


async def _under_load(ports: list[int], duration_s: float) -> Load:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    await _prepare(ports[0])
    battery, meter = (replace(load_profile(name), alive=()) for name in VALUES)
    bindings = [
        _binding(number, port, battery if number < SLOW else meter, SLOW_S if number < SLOW else FAST_S)
        for number, port in enumerate(ports)
    ]
    devices = connect_devices(bindings, {f"asset{n}": Guard(60.0, 0.0) for n in range(SLOW)})
    clock = LiveClock()
    board = Board([f"asset{number}" for number in range(len(ports))])
    phases_s = [phase_s(n, len(devices), device.binding.poll_s, 1.0) for n, device in enumerate(devices)]
    pollers = [
        asyncio.create_task(Poller(device, board, clock, phase_s=phase).run())
        for device, phase in zip(devices, phases_s, strict=True)
    ]
    await asyncio.sleep(SETTLE_S)
    load = Load()
    loop = asyncio.get_running_loop()
    others = [
        asyncio.create_task(_look(board, clock, load)),
        asyncio.create_task(_command(devices[:SLOW], clock, load)),
    ]
    began_s, used_s = loop.time(), process_time()
    await asyncio.sleep(duration_s)
    load.core_fraction = (process_time() - used_s) / (loop.time() - began_s)
    for task in (*others, *pollers):
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*others, *pollers, return_exceptions=True)
    return load


async def _prepare(port: int) -> None:
    """Let the servers hold what the devices say; they share their registers."""
    link = ModbusLink(SocketTransport("127.0.0.1", port))
    for profile_id, values in VALUES.items():
        profile = load_profile(profile_id)
        for name, value in values.items():
            words = codec.encode(profile.points[name], value)
            ask = Ask(1, 16, profile.points[name].address, words=words)
            await link.ask(ask, "server", timeout_s=5.0, priority=Priority.SLOW)
    link.close()


def _binding(number: int, port: int, profile: Profile, period_s: float) -> DeviceBinding:
    return DeviceBinding(f"device{number}", profile, "127.0.0.1", port, 1, (f"asset{number}",), period_s)


async def _look(board: Board, clock: LiveClock, load: Load) -> None:
    """Note the age of each fast point again and again."""
    while True:
        now = clock.now()
        snapshot = board.snapshot(now)
        for number in range(SLOW, SLOW + FAST):
            reading = snapshot.readings[f"asset{number}"]
            if isinstance(reading, NoReading):
                raise SystemExit(f"asset{number}: {reading.cause}")
            load.ages.append((now.mono_s - reading.measured_s) / FAST_S)
        await asyncio.sleep(SAMPLE_S)


async def _command(devices: tuple[Device, ...], clock: LiveClock, load: Load) -> None:
    """Command one battery after another, and note how long it takes until each holds its setpoint."""
    loop = asyncio.get_running_loop()
    number = 0
    with suppress(asyncio.CancelledError):
        while True:
            number += 1
            began_s = loop.time()
            place = number % len(devices)
            power_kw = float(number % 50)
            result = await devices[place].write(f"asset{place}", power_kw, sent_s=clock.now().mono_s)
            if not result.confirmed:
                raise SystemExit(f"asset{place}: {result.cause}")
            load.writes_ms.append(1000.0 * (loop.time() - began_s))
            await asyncio.sleep(WRITE_EVERY_S)
