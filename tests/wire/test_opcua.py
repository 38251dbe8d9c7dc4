"""OPC UA on loopback: right values, named errors for bad nodes, and a frozen server that is noticed and forgiven."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua

from configs.profiles import load_profile
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from station.errors import DriverError, Rejected, Unreachable
from station.measurement import ConnectorReading, ConnectorState, NoReading
from station.profile import DeviceBinding
from tests.unit.drivers.bench import StillClock
from tests.wire.opcua_server import PairServer

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="module")


def device_at(port: int, *, timeout_s: float = 1.0, namespace: str = "") -> Device:
    profile = load_profile("demo-dc-pair")
    profile = replace(profile, timeout_s=timeout_s, namespace=namespace or profile.namespace)
    binding = DeviceBinding("dc", profile, "127.0.0.1", port, 1, ("dc1", "dc2"), 1.0)
    guards = {"dc1": Guard(30.0, 5.0), "dc2": Guard(30.0, 0.0)}
    return connect_devices([binding], guards)[0]


@asynccontextmanager
async def pair(*leave_out: str) -> AsyncIterator[tuple[PairServer, Device]]:
    server = PairServer()
    await server.start(leave_out=leave_out)
    device = device_at(server.port)
    try:
        yield server, device
    finally:
        await device.close()
        await server.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared() -> AsyncIterator[PairServer]:
    """A server that tests leave as they found it, because starting one takes a second."""
    server = PairServer()
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def device_of(server: PairServer) -> AsyncIterator[Device]:
    device = device_at(server.port)
    yield device
    await device.close()


async def test_both_connectors_are_read_armed_and_commanded(shared: PairServer) -> None:
    server = shared
    async with device_of(server) as device:
        readings = await device.read(StillClock())
        assert set(readings) == {"dc1", "dc2"}
        reading = readings["dc2"]
        assert isinstance(reading, ConnectorReading)
        assert (reading.power_kw, reading.session_id, reading.known_kwh) == (48.0, "S-7", None)
        assert reading.state is ConnectorState.CHARGING
        assert reading.soc == pytest.approx(0.42)
        assert reading.capacity_kwh == 77.0
        await device.arm("dc1")
        await device.arm("dc2")
        assert device.armed == {"dc1": True, "dc2": True}
        result = await device.write("dc2", 33.25, sent_s=5.0)
        assert result.confirmed, result.cause
        assert await server.nodes["Connector2.PowerLimit"].read_value() == 33_250.0
        assert await server.nodes["Connector1.PowerLimit"].read_value() == 50_000.0
        assert await server.nodes["Connector1.FallbackPower"].read_value() == 5_000.0
        assert await server.nodes["Connector1.Lease"].read_value() == 30


async def test_a_car_that_says_nothing_is_none(shared: PairServer) -> None:
    async with device_of(shared) as device:
        await shared.put("Connector1.SoC", float("nan"), ua.VariantType.Float)
        await shared.put("Connector1.Session", "", ua.VariantType.String)
        await shared.put("Connector1.Departure", 0, ua.VariantType.Int64)
        reading = (await device.read(StillClock()))["dc1"]
        assert isinstance(reading, ConnectorReading)
        assert (reading.soc, reading.session_id, reading.estimated_unplug_at) == (None, None, None)


async def test_a_missing_or_bad_node_takes_down_its_own_connector_and_is_named() -> None:
    async with pair("Connector2.ActivePower") as (server, device):
        readings = await device.read(StillClock())
        assert readings["dc2"] == NoReading(
            "power_kw: node Connector2.ActivePower: the server has no such node (BadNodeIdUnknown)"
        )
        assert isinstance(readings["dc1"], ConnectorReading)
        power = server.nodes["Connector1.ActivePower"].nodeid
        broken = ua.StatusCode(ua.StatusCodes.BadSensorFailure)
        await server.server.write_attribute_value(
            power, ua.DataValue(ua.Variant(1.0, ua.VariantType.Double), broken)
        )
        readings = await device.read(StillClock())
        assert readings["dc1"] == NoReading(
            "power_kw: node Connector1.ActivePower: the sensor has failed (BadSensorFailure)"
        )


async def test_a_node_of_another_type_is_no_reading() -> None:
    async with pair("Connector2.State") as (server, device):
        namespace = server.nodes["Connector1.State"].nodeid.NamespaceIndex
        text = ua.Variant("2", ua.VariantType.String)
        await server.server.nodes.objects.add_variable(
            ua.NodeId("Connector2.State", namespace), "State", text
        )
        readings = await device.read(StillClock())
        assert readings["dc2"] == NoReading("state: node Connector2.State: holds String instead of Int32")
        assert isinstance(readings["dc1"], ConnectorReading)


async def test_a_server_without_the_namespace_is_refused_in_words(shared: PairServer) -> None:
    stranger = device_at(shared.port, namespace="urn:nobody")
    with pytest.raises(Rejected, match="no namespace urn:nobody"):
        await stranger.read(StillClock())
    await stranger.close()


async def test_a_write_that_the_server_refuses_is_not_confirmed(shared: PairServer) -> None:
    async with device_of(shared) as device:
        await shared.nodes["Connector1.PowerLimit"].set_writable(False)
        result = await device.write("dc1", 10.0, sent_s=0.0)
        await shared.nodes["Connector1.PowerLimit"].set_writable(True)
        assert not result.confirmed
        assert "BadUserAccessDenied" in result.cause or "BadNotWritable" in result.cause


async def test_a_port_where_nobody_listens_fails_at_once_and_is_found_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    device = device_at(port)
    with pytest.raises(Unreachable, match="no connection: connection refused"):
        await device.read(StillClock())
    again = PairServer()
    await again.start(port)
    try:
        await until_read(device)
    finally:
        await device.close()
        await again.stop()


async def test_a_frozen_server_costs_one_deadline_and_is_read_again_when_it_thaws() -> None:
    with server_process() as (process, port):
        device = device_at(port, timeout_s=0.5)
        await until_read(device)
        process.send_signal(signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with pytest.raises(Unreachable, match=r"no answer within 0\.5 s"):
            await device.read(StillClock())
        with pytest.raises(Unreachable):
            await device.read(StillClock())
        result = await device.write("dc1", 10.0, sent_s=0.0)
        assert not result.confirmed
        assert loop.time() - started_s < 2.5
        process.send_signal(signal.SIGCONT)
        await until_read(device)
        await device.close()


async def test_a_killed_server_is_noticed_and_its_successor_found() -> None:
    with server_process() as (process, port):
        device = device_at(port)
        await until_read(device)
        process.kill()
        process.wait()
        with pytest.raises(DriverError):
            await device.read(StillClock())
    with server_process(port):
        await until_read(device)
        await device.close()


async def until_read(device: Device, *, within_s: float = 10.0) -> None:
    """Read until it works."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                readings = await device.read(StillClock())
            except DriverError:
                await asyncio.sleep(0.05)
            else:
                assert all(isinstance(reading, ConnectorReading) for reading in readings.values())
                return


@contextmanager
def server_process(port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server as a program of its own."""
    command = [sys.executable, "-m", "tests.wire.opcua_server", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
