"""Slaves that we did not write: pymodbus's server and one on libmodbus, and mbpoll as a second pair of eyes."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from configs.profiles import load_profile
from drivers.connect import connect_devices
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask
from drivers.transport import SocketTransport
from drivers.turns import Priority
from drivers.watchdog import Guard
from station.errors import Rejected
from station.measurement import BatteryReading
from station.profile import DeviceBinding
from tests.unit.drivers.bench import StillClock

SOURCE = Path(__file__).with_name("libmodbus_slave.c")


@asynccontextmanager
async def pymodbus_server() -> AsyncIterator[int]:
    """Serve 1200 registers with pymodbus; yield the port."""
    registers = SimData(0, values=[0] * 1200, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(1, simdata=[registers]), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    assert server.transport is not None
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@pytest.fixture(scope="module")
def libmodbus_port(
    libmodbus_compiler: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """Compile and run the slave on libmodbus; return its port."""
    program = tmp_path_factory.mktemp("libmodbus") / "slave"
    compiler, *flags = libmodbus_compiler
    subprocess.run([compiler, str(SOURCE), "-o", str(program), *flags], check=True)
    process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def battery_binding(port: int) -> DeviceBinding:
    return DeviceBinding("pcs", load_profile("demo-battery"), "127.0.0.1", port, 1, ("battery",), 1.0)


async def ask(link: ModbusLink, request: Ask) -> tuple[int, ...]:
    return await link.ask(request, "peer", timeout_s=1.0, priority=Priority.FAST)


async def test_a_battery_behind_pymodbus_is_armed_commanded_and_read() -> None:
    async with pymodbus_server() as port:
        (device,) = connect_devices([battery_binding(port)], {"battery": Guard(45.0, -10.0)})
        await device.arm("battery")
        assert (await device.write("battery", -33.0, sent_s=1.0)).confirmed
        assert (await device.write("battery", 21.0, sent_s=2.0)).confirmed
        reading = (await device.read(StillClock()))["battery"]
        assert reading == BatteryReading(100.0, 0.0, 0.0, 0.0, 0.0, setpoint_kw=21.0)
        assert device.armed == {"battery": True}
        await device.close()


async def test_libmodbus_answers_are_read_and_its_refusals_understood(libmodbus_port: int) -> None:
    link = ModbusLink(SocketTransport("127.0.0.1", libmodbus_port))
    for address in range(0, 1200, 7):
        for count in (1, 2, 125):
            held = await ask(link, Ask(1, 3, address, count))
            assert held == tuple((address + offset) * 40503 & 0xFFFF for offset in range(count))
        inputs = await ask(link, Ask(1, 4, address, 60))
        assert inputs == tuple((address + offset) * 977 & 0xFFFF for offset in range(60))
    with pytest.raises(Rejected, match="no such register"):
        await ask(link, Ask(1, 3, 1999, 2))
    link.close()


async def test_a_battery_behind_libmodbus_takes_setpoints(libmodbus_port: int) -> None:
    (device,) = connect_devices([battery_binding(libmodbus_port)], {"battery": Guard(45.0, -10.0)})
    await device.arm("battery")
    result = await device.write("battery", -33.0, sent_s=1.0)
    assert result.confirmed, result.cause
    await device.close()


async def test_mbpoll_sees_what_was_written(libmodbus_port: int, mbpoll: str) -> None:
    link = ModbusLink(SocketTransport("127.0.0.1", libmodbus_port))
    await ask(link, Ask(1, 6, 1500, words=(4321,)))
    await ask(link, Ask(1, 16, 1501, words=(1, 65535)))
    link.close()
    command = [mbpoll, "-1", "-0", "-t", "4", "-r", "1500", "-c", "3", "-p", str(libmodbus_port), "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 10.0)
    assert process.returncode == 0, said
    values = [line.split()[1] for line in said.decode().splitlines() if line.startswith("[")]
    assert values == ["4321", "1", "65535"]
