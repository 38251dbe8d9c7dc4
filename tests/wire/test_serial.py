"""Modbus RTU at a serial port: peers that we did not write, several units on one line, cables that come off."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from configs.load import CONFIGS, load_site
from configs.profiles import load_profile
from drivers.connect import connect_devices
from drivers.modbus import ModbusLink, Pace
from drivers.modbus_frame import Ask
from drivers.serial_transport import SerialTransport, frame_gap_s
from drivers.turns import Priority
from drivers.watchdog import Guard
from hil.clocks import WallClock
from hil.emulators.rtu import SerialServer
from hil.serve import Rig, world_of
from station.errors import Rejected, Unreachable
from station.links import SerialLink, TcpLink
from station.measurement import MeterReading
from station.profile import DeviceBinding
from tests.unit.drivers.bench import StillClock
from tests.wire.cable import Cable, cable
from tests.wire.slave import Slave

SOURCE = Path(__file__).with_name("libmodbus_rtu_slave.c")
SLAVE_UNIT = 7


@pytest.fixture(scope="module")
def rtu_slave(libmodbus_compiler: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the slave on libmodbus."""
    program = tmp_path_factory.mktemp("libmodbus") / "rtu_slave"
    compiler, *flags = libmodbus_compiler
    subprocess.run([compiler, str(SOURCE), "-o", str(program), *flags], check=True)
    return program


@asynccontextmanager
async def running(program: Path, port: str, *, baud: int = 9600, parity: str = "N") -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        str(program), port, str(baud), parity, str(SLAVE_UNIT), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.wait()


def link_at(port: str, **pace: float) -> ModbusLink:
    link = SerialLink(port, 115200)
    return ModbusLink(SerialTransport(link), Pace(gap_s=frame_gap_s(link), **pace), is_rtu=True)


async def ask(link: ModbusLink, request: Ask, timeout_s: float = 1.0) -> tuple[int, ...]:
    return await link.ask(request, "peer", timeout_s=timeout_s, priority=Priority.FAST)


@pytest.mark.parametrize(
    ("baud", "parity", "letter"), [(9600, "none", "N"), (19200, "even", "E"), (115200, "odd", "O")]
)
async def test_libmodbus_at_a_serial_port_is_read_and_written(
    rtu_slave: Path, baud: int, parity: str, letter: str
) -> None:
    async with cable() as joined, running(rtu_slave, joined.ends[1], baud=baud, parity=letter):
        line = SerialLink(joined.ends[0], baud, parity)
        link = ModbusLink(SerialTransport(line), Pace(frame_gap_s(line), line.byte_s), is_rtu=True)
        for address in range(0, 1200, 97):
            for count in (1, 2, 125):
                held = await ask(link, Ask(SLAVE_UNIT, 3, address, count))
                assert held == tuple((address + offset) * 40503 & 0xFFFF for offset in range(count))
            inputs = await ask(link, Ask(SLAVE_UNIT, 4, address, 60))
            assert inputs == tuple((address + offset) * 977 & 0xFFFF for offset in range(60))
        with pytest.raises(Rejected, match="no such register"):
            await ask(link, Ask(SLAVE_UNIT, 3, 1999, 2))
        await ask(link, Ask(SLAVE_UNIT, 6, 100, words=(4321,)))
        await ask(link, Ask(SLAVE_UNIT, 16, 101, words=(1, 0xFFFF)))
        assert await ask(link, Ask(SLAVE_UNIT, 3, 100, 3)) == (4321, 1, 0xFFFF)
        link.close()


async def test_an_absent_unit_is_silent_and_the_line_stays_usable(rtu_slave: Path) -> None:
    async with cable() as joined, running(rtu_slave, joined.ends[1], baud=115200):
        link = link_at(joined.ends[0])
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await ask(link, Ask(9, 3, 0, 1), timeout_s=0.1)
        async with asyncio.timeout(
            3.0
        ):  # libmodbus takes what follows a request to another unit for its answer
            while True:
                with suppress(Unreachable):
                    assert await ask(link, Ask(SLAVE_UNIT, 3, 1, 1), timeout_s=0.1) == (40503,)
                    break
                await asyncio.sleep(0.1)
        link.close()


async def test_a_battery_behind_libmodbus_on_a_line_takes_setpoints(rtu_slave: Path) -> None:
    async with cable() as joined, running(rtu_slave, joined.ends[1]):
        binding = DeviceBinding(
            "pcs",
            load_profile("demo-battery"),
            joined.ends[0],
            0,
            SLAVE_UNIT,
            ("battery",),
            1.0,
            link=SerialLink(joined.ends[0]),
        )
        (device,) = connect_devices([binding], {"battery": Guard(45.0, -10.0)})
        await device.arm("battery")
        result = await device.write("battery", -33.0, sent_s=1.0)
        assert result.confirmed, result.cause
        await device.close()


async def serve_slave(joined: Cable, slave: Slave, unit: int) -> SerialServer:
    server = SerialServer(
        SerialLink(joined.ends[1], 115200),
        lambda asked, request: slave.pdu(request) if asked == unit else None,
    )
    await server.start()
    return server


async def test_a_cable_that_comes_off_is_noticed_and_one_that_comes_back_is_used() -> None:
    slave = Slave()
    slave.set(3, 0, (11, 12, 13))
    async with cable() as joined:
        server = await serve_slave(joined, slave, 1)
        link = link_at(joined.ends[0], back_off_s=0.0)
        assert await ask(link, Ask(1, 3, 0, 2)) == (11, 12)
        joined.cut = True
        for _ in range(3):
            with pytest.raises(Unreachable):
                await ask(link, Ask(1, 3, 0, 2), timeout_s=0.05)
        joined.cut = False
        assert await ask(link, Ask(1, 3, 1, 2)) == (12, 13)
        assert link.counters.opened == 2
        link.close()
        await server.close()


async def test_a_port_that_is_not_there_is_said() -> None:
    link = link_at("/dev/there-is-no-such-port")
    with pytest.raises(Unreachable, match=r"no connection: .*no such file"):
        await ask(link, Ask(1, 3, 0, 1))


async def test_a_port_that_another_program_holds_is_refused() -> None:
    async with cable() as joined:
        first, second = link_at(joined.ends[0]), link_at(joined.ends[0])
        with pytest.raises(Unreachable):
            await ask(first, Ask(1, 3, 0, 1), timeout_s=0.05)
        with pytest.raises(Unreachable, match="no connection"):
            await ask(second, Ask(1, 3, 0, 1), timeout_s=0.05)
        first.close()


async def test_the_units_of_one_line_share_it_and_mbpoll_reads_an_emulated_meter(mbpoll: str) -> None:
    async with cable() as joined:
        loaded = load_site(CONFIGS / "stations" / "demo.yaml")
        meter = next(binding for binding in loaded.devices if binding.asset_ids == ("grid",))
        far = replace(meter, link=SerialLink(joined.ends[1], 19200), host=joined.ends[1], port=0, unit=5)
        served = replace(loaded, devices=(far,))
        world = world_of(served)
        async with Rig(served, WallClock(world.now.at), world).started():
            near = replace(far, link=SerialLink(joined.ends[0], 19200), host=joined.ends[0])
            (device,) = connect_devices([near], {})
            reading = (await device.read(StillClock()))["grid"]
            assert isinstance(reading, MeterReading)
            await device.close()
            point = meter.profile.points["uptime_s"]
            kind = "4" if point.function == 3 else "3"
            command = [
                *(mbpoll, "-m", "rtu", "-a", "5", "-b", "19200", "-P", "none", "-1", "-0"),
                *("-t", kind, "-r", str(point.address), "-c", "2", joined.ends[0]),
            ]
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            said, _ = await asyncio.wait_for(process.communicate(), 10.0)
            assert process.returncode == 0, said
            assert sum(line.startswith("[") for line in said.decode().splitlines()) == 2


async def test_a_meter_is_read_in_rtu_frames_over_tcp() -> None:
    loaded = load_site(CONFIGS / "stations" / "demo.yaml")
    meter = next(binding for binding in loaded.devices if binding.asset_ids == ("grid",))
    binding = replace(meter, port=0, link=TcpLink(meter.host, 0, "rtu"))
    served = replace(loaded, devices=(binding,))
    world = world_of(served)
    async with Rig(served, WallClock(world.now.at), world).started() as rig:
        (device,) = connect_devices([replace(binding, port=rig.port_of(meter.device_id))], {})
        assert isinstance((await device.read(StillClock()))["grid"], MeterReading)
        await device.close()
