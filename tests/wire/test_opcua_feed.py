"""OPC UA subscriptions: what the server tells by itself is taken, proven by its talking, and checked by full reads."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import ServiceError
from structlog.testing import capture_logs

from drivers import opcua_feed, opcua_session
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from station.errors import DriverError, Unreachable
from station.measurement import ConnectorReading, NoReading
from station.opcua import OpcuaAccess
from station.profile import DeviceBinding
from tests.unit.drivers.bench import StillClock
from tests.wire.foreign_opcua import Papers, node_peer
from tests.wire.opcua_server import PROFILE, PairServer
from tests.wire.test_opcua import server_process

POLL_S = 4.0
"""Long, so that a busy machine's pauses are no silence."""
pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def device_at(
    port: int, access: OpcuaAccess | None = None, poll_s: float = POLL_S
) -> AsyncIterator[Device]:
    profile = replace(PROFILE, timeout_s=2.0, alive=())
    binding = DeviceBinding(
        "dc",
        profile,
        "127.0.0.1",
        port,
        1,
        ("dc1", "dc2"),
        poll_s,
        opcua=access or OpcuaAccess(subscribe=True),
    )
    guards = {"dc1": Guard(30.0, 5.0), "dc2": Guard(30.0, 5.0)}
    device = connect_devices([binding], guards)[0]
    try:
        yield device
    finally:
        await device.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[PairServer]:
    """A server that tests leave as they found it."""
    pair = PairServer()
    await pair.start()
    yield pair
    await pair.stop()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nodes each read request asked for."""
    counts: list[int] = []
    really = opcua_session.read_values

    async def counted(client: Client, nodes: list[ua.NodeId]) -> list[ua.DataValue]:
        counts.append(len(nodes))
        return await really(client, nodes)

    monkeypatch.setattr(opcua_session, "read_values", counted)
    return counts


async def power_kw(device: Device, asset_id: str = "dc1") -> float | None:
    reading = (await device.read(StillClock()))[asset_id]
    return reading.power_kw if isinstance(reading, ConnectorReading) else None


async def until_power(device: Device, wanted_kw: float) -> None:
    """Read until a power shows, whatever fails meanwhile."""
    async with asyncio.timeout(20.0):
        while True:
            with suppress(DriverError):
                if await power_kw(device) == wanted_kw:
                    return
            await asyncio.sleep(0.1)


async def until_lost(device: Device) -> None:
    """Read until it fails."""
    async with asyncio.timeout(20.0):
        while True:
            await device.read(StillClock())
            await asyncio.sleep(0.1)


async def put(server: PairServer, power_w: float) -> None:
    await server.put("Connector1.ActivePower", power_w, ua.VariantType.Double)


def forget_silently(server: PairServer, power_w: float) -> None:
    """Let a node hold another value without telling those who subscribed."""
    space = server.server.iserver.aspace
    node = space._nodes[server.nodes["Connector1.ActivePower"].nodeid]
    held = ua.DataValue(ua.Variant(power_w, ua.VariantType.Double))
    node.attributes[ua.AttributeIds.Value].value = held


async def test_changes_come_by_themselves_and_age_is_known(server: PairServer, reads: list[int]) -> None:
    async with device_at(server.port) as device:
        await put(server, 48_000.0)
        assert await power_kw(device) == 48.0
        await asyncio.sleep(0.5)
        del reads[:]
        await put(server, 21_000.0)
        await until_power(device, 21.0)
        assert reads == []
        reading = (await device.read(StillClock()))["dc1"]
        assert isinstance(reading, ConnectorReading)
        assert reading.measured_s < StillClock().now().mono_s  # as old as the server's last word
        await put(server, 48_000.0)


async def test_what_reads_back_a_write_is_asked_for(server: PairServer, reads: list[int]) -> None:
    async with device_at(server.port) as device:
        await device.read(StillClock())
        await asyncio.sleep(0.5)
        await device.read(StillClock())
        del reads[:]
        result = await device.write("dc1", 33.0, sent_s=1.0)
        assert result.confirmed, result.cause
        assert reads == [1]


async def test_a_subscription_that_dies_in_the_server_is_noticed_and_made_anew(
    server: PairServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with device_at(server.port, poll_s=1.0) as device:
        await device.read(StillClock())
        service = server.server.iserver.subscription_service
        await service.delete_subscriptions(list(service.subscriptions))
        await asyncio.sleep(1.0)
        with capture_logs() as told:
            await put(server, 22_000.0)
            assert await power_kw(device) == 22.0
        (line,) = [its for its in told if its["event"] == "subscription renewed"]
        assert "nothing heard for" in line["cause"]
        assert len(service.subscriptions) == 1
        await put(server, 48_000.0)


async def test_a_full_read_finds_out_a_subscription_that_talks_but_does_not_tell(
    server: PairServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_feed, "FULL_READ_S", 0.0)
    async with device_at(server.port) as device:
        await device.read(StillClock())
        await asyncio.sleep(0.5)
        forget_silently(server, 23_000.0)
        with capture_logs() as told:
            assert await power_kw(device) == 23.0
            assert await power_kw(device) == 23.0
        assert "a full read saw what the server did not tell" in [its.get("cause") for its in told]
        await put(server, 48_000.0)


async def test_a_server_that_refuses_subscriptions_is_read(
    server: PairServer, reads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)

    monkeypatch.setattr(server.server.iserver.subscription_service, "create_subscription", refuse)
    async with device_at(server.port) as device:
        with capture_logs() as told:
            assert await power_kw(device) == 48.0
            assert await power_kw(device) == 48.0
        assert [its["cause"] for its in told] == ["BadTooManySubscriptions"]
        assert len(reads) == 3  # what the server is, and two polls


async def test_a_node_that_is_not_there_is_named_in_a_subscription_too() -> None:
    lacking = PairServer()
    await lacking.start(leave_out=("Connector2.ActivePower",))
    async with device_at(lacking.port) as device:
        for _ in range(2):
            readings = await device.read(StillClock())
            await asyncio.sleep(0.5)
            missing = "power_kw: node Connector2.ActivePower: the server has no such node (BadNodeIdUnknown)"
            assert readings["dc2"] == NoReading(missing)
            assert isinstance(readings["dc1"], ConnectorReading)
    await lacking.stop()


async def test_a_frozen_server_is_noticed_by_its_silence_and_found_again() -> None:
    with server_process() as (process, port):
        async with device_at(port, poll_s=1.0) as device:
            await device.read(StillClock())
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(Unreachable):
                await until_lost(device)
            process.send_signal(signal.SIGCONT)
            await until_power(device, 48.0)


async def test_a_foreign_server_tells_what_changes_under_encryption(tmp_path: Path, reads: list[int]) -> None:
    papers = Papers.made(tmp_path)
    with node_peer(papers) as peer:
        async with device_at(peer.port, papers.access(subscribe=True)) as device:
            assert await power_kw(device) == 48.0
            await asyncio.sleep(1.0)
            del reads[:]
            peer.hold("Connector1.ActivePower", 24_000.0)
            await until_power(device, 24.0)
            assert reads == []
