"""Emulated devices on real sockets, spoken to by clients that others wrote."""

import asyncio
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from configs.load import LoadedSite, load_site
from drivers import codec
from hil.clocks import ScaledClock, WallClock
from hil.emulators.modbus import ModbusServer
from hil.serve import Rig, serve, start_of, step_s, world_of
from hil.world import Surroundings, World
from station.errors import ConfigError
from station.inputs import SessionRow
from station.profile import Point

DEMO = Path(__file__).parents[2] / "configs" / "stations" / "demo.yaml"
SPEED = 20.0


def demo(*device_ids: str) -> LoadedSite:
    """Return the demonstration with these devices only, each on a free port."""
    loaded = load_site(DEMO)
    devices = [replace(b, port=0) for b in loaded.devices if b.device_id in device_ids]
    return replace(loaded, devices=tuple(devices))


def cars(start_at: datetime, *connector_ids: str) -> tuple[SessionRow, ...]:
    """Return a hungry car at each connector, there from the first second."""
    leaves_at = start_at + timedelta(hours=8)
    return tuple(
        SessionRow(f"session of {c}", c, start_at, leaves_at, 40.0, 55.5, leaves_at, None, 0.25, 80.0)
        for c in connector_ids
    )


def world(loaded: LoadedSite, *connector_ids: str) -> World:
    """Return a world in which nothing else happens: 20 kW of load, 40 kW of sun."""
    start_at = start_of(loaded)
    surroundings = Surroundings(start_at, 900.0, (20.0,), (40.0,))
    return World(loaded.site, surroundings, cars(start_at, *connector_ids), start_at=start_at)


@asynccontextmanager
async def rig(*device_ids: str, with_cars: Sequence[str] = (), speed: float = SPEED) -> AsyncIterator[Rig]:
    """Serve a few devices of the demonstration on a fast clock."""
    loaded = demo(*device_ids)
    here = world(loaded, *with_cars)
    async with Rig(loaded, ScaledClock(here.now.at, speed), here).started() as served:
        yield served


@asynccontextmanager
async def modbus(served: Rig, device_id: str) -> AsyncIterator[AsyncModbusTcpClient]:
    """Connect pymodbus to a device."""
    client = AsyncModbusTcpClient("127.0.0.1", port=served.port_of(device_id), timeout=0.5, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def opcua(served: Rig, device_id: str) -> AsyncIterator[tuple[Client, int]]:
    """Connect asyncua to a device; gives the client and the index of its namespace."""
    async with Client(f"opc.tcp://127.0.0.1:{served.port_of(device_id)}/", timeout=1) as client:
        namespace = served.devices[device_id].binding.profile.namespace
        yield client, await client.get_namespace_index(namespace)


def points(served: Rig, device_id: str) -> Mapping[str, Point]:
    return served.devices[device_id].binding.profile.points


async def read(client: AsyncModbusTcpClient, point: Point) -> codec.Value | None:
    """Read one point as a driver would."""
    count = codec.register_count(point)
    if point.function == 4:
        answer = await client.read_input_registers(point.address, count=count, device_id=1)
    else:
        answer = await client.read_holding_registers(point.address, count=count, device_id=1)
    assert not answer.isError(), answer
    return codec.decode(point, answer.registers)


async def write(client: AsyncModbusTcpClient, point: Point, value: float) -> int:
    """Write one point; return the exception code, 0 for none."""
    words = list(codec.encode(point, value))
    assert point.write is not None
    if point.write.function == 6:
        answer = await client.write_register(point.address, words[0], device_id=1)
    else:
        answer = await client.write_registers(point.address, words, device_id=1)
    return answer.exception_code if answer.isError() else 0


async def until_s(served: Rig, mono_s: float) -> None:
    """Wait until the world has reached an instant, give or take a step."""
    await served.clock.sleep_until(mono_s + 1.0)


# ------------------------------------------------------------------------------------------ Modbus


async def test_the_meter_sees_what_the_battery_is_told() -> None:
    async with (
        rig("meter", "storage") as served,
        modbus(served, "meter") as meter,
        modbus(served, "storage") as bess,
    ):
        on_meter, on_bess = points(served, "meter"), points(served, "storage")
        await until_s(served, 10.0)
        before_w = await read(meter, on_meter["power_kw"])
        assert before_w == pytest.approx(20_000 - 40_000, abs=100)
        assert await write(bess, on_bess["lease_s"], 600) == 0
        assert await write(bess, on_bess["setpoint_kw"], 30_000) == 0
        assert await read(bess, on_bess["setpoint_kw"]) == 30_000
        await until_s(served, served.world.now.mono_s + 10.0)
        assert await read(bess, on_bess["power_kw"]) == pytest.approx(30_000, rel=1e-3)
        assert await read(meter, on_meter["power_kw"]) == pytest.approx(10_000, abs=100)
        assert await read(bess, on_bess["soc"]) == pytest.approx(50, abs=0.2)


async def test_one_block_of_a_whole_device_decodes_to_what_the_plant_says() -> None:
    async with rig("charger7", with_cars=["ac7"]) as served, modbus(served, "charger7") as client:
        on_charger = points(served, "charger7")
        assert await write(client, on_charger["lease_s"], 600) == 0
        assert await write(client, on_charger["setpoint_kw"], 20.0) == 0
        await until_s(served, 20.0)
        answer = await client.read_holding_registers(200, count=20, device_id=1)
        values = {
            name: codec.decode(
                p, answer.registers[p.address - 200 : p.address - 200 + codec.register_count(p)]
            )
            for name, p in on_charger.items()
            if p.address < 220
        }
        assert values["state"] == "charging"
        assert values["power_kw"] == pytest.approx(20.0 * 3 * 230, abs=1)
        assert [values[f"current_l{n}_a"] for n in (1, 2, 3)] == pytest.approx([20.0] * 3, abs=0.01)
        assert values["max_kw"] == pytest.approx(32.0)
        assert values["session_id"] == 1
        assert values["requested_kwh"] == 55_500
        assert values["known_kwh"] is None
        assert values["estimated_unplug_at"] == (start_of(demo()) + timedelta(hours=8)).timestamp()


async def test_the_timer_of_the_device_runs_from_the_write_and_reads_do_not_renew_it() -> None:
    async with rig("storage") as served, modbus(served, "storage") as client:
        on_bess = points(served, "storage")
        assert await write(client, on_bess["lease_s"], 10) == 0
        assert await write(client, on_bess["fallback_kw"], -7000) == 0
        assert await write(client, on_bess["setpoint_kw"], 25_000) == 0
        written_s = served.world.now.mono_s
        while served.world.now.mono_s < written_s + 9.0:
            assert await read(client, on_bess["setpoint_kw"]) == 25_000
            await asyncio.sleep(0.05)
        await until_s(served, written_s + 13.0)
        assert await read(client, on_bess["setpoint_kw"]) == -7000
        assert await read(client, on_bess["power_kw"]) == pytest.approx(-7000, rel=0.05)


async def test_a_timer_of_zero_is_switched_off() -> None:
    async with (
        rig("charger1", with_cars=["ac1"], speed=200.0) as served,
        modbus(served, "charger1") as client,
    ):
        assert await write(client, points(served, "charger1")["lease_s"], 0) == 0
        assert await write(client, points(served, "charger1")["setpoint_kw"], 30.0) == 0
        await until_s(served, 120.0)
        assert await read(client, points(served, "charger1")["setpoint_kw"]) == 30.0


async def test_counters_of_life_and_energy_move() -> None:
    async with rig("meter", "inverter", speed=100.0) as served, modbus(served, "inverter") as client:
        on_pv = points(served, "inverter")
        first_s = await read(client, on_pv["uptime_s"])
        await asyncio.sleep(0.05)
        second_s = await read(client, on_pv["uptime_s"])
        assert isinstance(first_s, float)
        assert isinstance(second_s, float)
        assert second_s > first_s
        await until_s(served, 60.0)
        energy_wh = await read(client, on_pv["export_kwh"])
        assert energy_wh == pytest.approx(40_000 * served.world.now.mono_s / 3600, rel=0.1)
        async with modbus(served, "meter") as meter:
            assert await read(meter, points(served, "meter")["export_kwh"]) == pytest.approx(
                20_000 * served.world.now.mono_s / 3600, abs=20
            )


async def test_the_last_digit_of_the_meter_is_unsteady() -> None:
    async with rig("meter") as served, modbus(served, "meter") as client:
        await until_s(served, 30.0)
        values = set()
        for _ in range(40):
            values.add(await read(client, points(served, "meter")["power_kw"]))
            await asyncio.sleep(0.01)
        assert values == {-20_001.0, -20_000.0, -19_999.0}


@pytest.mark.parametrize(
    ("request_hex", "code"),
    [
        ("03 03e7 0001", 2),  # before the first register
        ("03 0044 0010", 2),
        ("04 03e8 0001", 2),  # holding registers are no input registers
        ("03 03e8 0000", 3),
        ("03 03e8 007e", 3),
        ("01 0000 0001", 1),
        ("2b 0e01 0000", 1),
        ("06 044e 000a", 1),  # this device takes function 16 only
        ("10 044c 0001 02 0001", 2),  # half of a 32-bit value
        ("10 03e8 0002 04 00000000", 2),  # a measurement
        ("10 044c 0002 04 7fffffff", 3),  # 2 GW
        ("10 044c 0002 02 0001", 3),  # says two registers, carries one
        ("10 044c", 3),
        ("08 00", 1),
    ],
)
async def test_a_wrong_request_is_answered_with_the_right_exception(request_hex: str, code: int) -> None:
    request = bytes.fromhex(request_hex)
    async with rig("storage") as served:
        answer = await raw(served.port_of("storage"), 1, request)
        assert answer == bytes((request[0] | 0x80, code))


async def test_an_absent_unit_is_answered_by_the_gateway() -> None:
    async with rig("storage") as served:
        assert await raw(served.port_of("storage"), 9, bytes.fromhex("03 03e8 0001")) == bytes((0x83, 11))


async def test_several_points_in_one_write_and_registers_in_gaps() -> None:
    async with rig("inverter", "storage") as served, modbus(served, "storage") as client:
        answer = await client.write_registers(1100, [0, 5000, 60], device_id=1)
        assert not answer.isError()
        assert await read(client, points(served, "storage")["setpoint_kw"]) == -5000
        assert await read(client, points(served, "storage")["lease_s"]) == 60
        block = await client.read_holding_registers(1100, count=6, device_id=1)
        assert block.registers[3] == 0


async def raw(port: int, unit: int, request: bytes) -> bytes:
    """Send one request and return the answer without its header."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    frame = struct.pack(">HHHB", 77, 0, len(request) + 1, unit) + request
    for byte in frame:  # a slow line
        writer.write(bytes((byte,)))
        await writer.drain()
    transaction, protocol, length, answering = struct.unpack(">HHHB", await reader.readexactly(7))
    assert (transaction, protocol, answering) == (77, 0, unit)
    answer = await reader.readexactly(length - 1)
    writer.close()
    return answer


async def test_a_stream_that_is_no_modbus_is_dropped() -> None:
    async with rig("storage") as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port_of("storage"))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 2.0) == b""
        writer.close()


def test_a_port_before_the_start_is_the_one_asked_for() -> None:
    assert ModbusServer("127.0.0.1", 15099, {}).port == 15099


# ------------------------------------------------------------------------------------------ faults


async def test_a_silent_device_takes_connections_and_answers_nothing() -> None:
    async with rig("storage") as served:
        served.devices["storage"].silent = True
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port_of("storage"))
        frame = bytes.fromhex("0001 0000 0006 01 03 03e8 0002")
        writer.write(frame)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        served.devices["storage"].silent = False
        writer.write(frame)
        assert len(await asyncio.wait_for(reader.readexactly(13), 1.0)) == 13
        writer.close()


async def test_a_frozen_device_repeats_itself_and_loses_what_is_written() -> None:
    async with rig("storage") as served, modbus(served, "storage") as client:
        on_bess = points(served, "storage")
        await until_s(served, 5.0)
        served.devices["storage"].frozen = True
        first = await client.read_holding_registers(1000, count=12, device_id=1)
        assert await write(client, on_bess["setpoint_kw"], 25_000) == 0
        await until_s(served, 15.0)
        again = await client.read_holding_registers(1000, count=12, device_id=1)
        assert again.registers == first.registers
        assert served.world.state.batteries[0].held.setpoint_kw == 0.0
        served.devices["storage"].frozen = False
        later = await client.read_holding_registers(1000, count=12, device_id=1)
        assert later.registers != first.registers


async def test_a_device_that_refuses_writes_says_so() -> None:
    async with rig("storage") as served, modbus(served, "storage") as client:
        served.devices["storage"].refuses_writes = True
        assert await write(client, points(served, "storage")["setpoint_kw"], 1000) == 4
        assert served.world.state.batteries[0].held.setpoint_kw == 0.0


# ------------------------------------------------------------------------------------------ OPC UA


async def test_an_opcua_charger_is_read_and_commanded() -> None:
    async with rig("dc1", with_cars=["dc1b"]) as served, opcua(served, "dc1") as (client, index):
        node = {
            name: client.get_node(f"ns={index};s=Connector2.{name}")
            for name in (
                "State",
                "ActivePower",
                "PowerLimit",
                "Lease",
                "Session",
                "SoC",
                "KnownEnergy",
                "FallbackPower",
            )
        }
        assert await node["Session"].read_value() == "session of dc1b"
        assert await node["KnownEnergy"].read_value() == 0xFFFFFFFF
        assert await node["FallbackPower"].read_value() == 5000.0
        await node["Lease"].write_value(ua.Variant(600, ua.VariantType.UInt16))
        await node["PowerLimit"].write_value(ua.Variant(30_000.0, ua.VariantType.Double))
        assert await node["PowerLimit"].read_value() == 30_000.0
        await until_s(served, served.world.now.mono_s + 30.0)
        assert await node["State"].read_value() == 2
        assert await node["ActivePower"].read_value() == pytest.approx(30_000.0)
        assert await node["SoC"].read_value() > 25.0
        other = await client.get_node(f"ns={index};s=Connector1.SoC").read_value()
        assert isnan(other)
        uptime_s = await client.get_node(f"ns={index};s=Device.Uptime").read_value()
        await asyncio.sleep(0.05)
        assert await client.get_node(f"ns={index};s=Device.Uptime").read_value() > uptime_s


async def test_a_wrong_opcua_write_is_refused() -> None:
    wrong = [
        ("PowerLimit", ua.Variant(30_000, ua.VariantType.Int64), "BadTypeMismatch"),
        ("PowerLimit", ua.Variant(9e6, ua.VariantType.Double), "BadOutOfRange"),
        ("PowerLimit", ua.Variant(float("nan"), ua.VariantType.Double), "BadOutOfRange"),
        ("ActivePower", ua.Variant(1.0, ua.VariantType.Double), "BadNotWritable"),
        ("Nowhere", ua.Variant(1.0, ua.VariantType.Double), "BadNodeIdUnknown"),
    ]
    async with rig("dc1") as served, opcua(served, "dc1") as (client, index):
        for name, variant, said in wrong:
            with pytest.raises(ua.UaStatusCodeError, match=said):
                await client.get_node(f"ns={index};s=Connector1.{name}").write_value(variant)
        folder = client.get_node(f"ns={index};s=Connector1")
        with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
            await folder.write_attribute(ua.AttributeIds.DisplayName, ua.DataValue(ua.LocalizedText("x")))


async def test_an_opcua_device_refuses_freezes_and_falls_silent() -> None:
    async with rig("dc1") as served, opcua(served, "dc1") as (client, index):
        device = served.devices["dc1"]
        uptime = client.get_node(f"ns={index};s=Device.Uptime")
        device.refuses_writes = True
        limit = client.get_node(f"ns={index};s=Connector1.PowerLimit")
        with pytest.raises(ua.UaStatusCodeError, match="BadUserAccessDenied"):
            await limit.write_value(ua.Variant(0.0, ua.VariantType.Double))
        device.frozen = True
        first_s = await uptime.read_value()
        await asyncio.sleep(0.05)
        assert await uptime.read_value() == first_s
        device.frozen = False
        device.silent = True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(uptime.read_value(), 0.3)
        _, writer = await asyncio.open_connection("127.0.0.1", served.port_of("dc1"))
        writer.close()
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(Client(f"opc.tcp://127.0.0.1:{served.port_of('dc1')}/").connect(), 0.3)
        device.silent = False
        assert await uptime.read_value() > first_s


async def test_an_opcua_subscription_is_told_of_changes() -> None:
    async with rig("dc1") as served, opcua(served, "dc1") as (client, index):
        told: asyncio.Queue[float] = asyncio.Queue()

        class Listener:
            def datachange_notification(self, node: object, value: float, data: object) -> None:
                told.put_nowait(value)

        subscription = await client.create_subscription(100, Listener())
        await subscription.subscribe_data_change(client.get_node(f"ns={index};s=Device.Uptime"))
        values = [await asyncio.wait_for(told.get(), 2.0) for _ in range(3)]
        assert values == sorted(set(values))
        await subscription.delete()


# ------------------------------------------------------------------------------------------ rig


async def test_a_port_that_is_taken_is_named_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for device_id in ("storage", "dc1"):
            loaded = demo(device_id)
            loaded = replace(loaded, devices=(replace(loaded.devices[0], port=port),))
            with pytest.raises(ConfigError) as caught:
                await serve(loaded, WallClock(start_of(loaded)), asyncio.Event(), world=world(loaded))
            assert f"device {device_id}: cannot listen on 127.0.0.1:{port}" in str(caught.value)
            assert "\n" not in str(caught.value)


async def test_two_units_share_a_port() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    loaded = demo("charger1", "charger2")
    devices = tuple(replace(b, port=port, unit=n + 1) for n, b in enumerate(loaded.devices))
    loaded = replace(loaded, devices=devices)
    here = world(loaded)
    async with Rig(loaded, WallClock(here.now.at), here).started() as served:
        assert served.port_of("charger1") == served.port_of("charger2") == port
        async with modbus(served, "charger2") as client:
            assert not (await client.read_holding_registers(200, count=2, device_id=2)).isError()
        with pytest.raises(KeyError):
            served.port_of("nowhere")


async def test_serving_ends_cleanly_and_returns_the_account() -> None:
    loaded = demo("meter")
    stopped = asyncio.Event()
    here = world_of(loaded)
    clock = ScaledClock(here.now.at, 1000.0)
    serving = asyncio.create_task(serve(loaded, clock, stopped, world=here))
    await clock.sleep_until(300.0)
    stopped.set()
    assert await asyncio.wait_for(serving, 2.0) is here
    assert here.now.mono_s > 100.0
    assert here.now.at - timedelta(seconds=here.now.mono_s) == datetime(2019, 9, 16, 7, tzinfo=UTC)
    assert here.result().means.load_kw[0] > 0.0


async def test_a_rig_whose_user_fails_is_closed_and_passes_the_failure_on() -> None:
    ports: list[int] = []

    async def fail() -> None:
        async with rig("meter") as served:
            ports.append(served.port_of("meter"))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await fail()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", ports[0])


def test_the_world_of_a_site_without_series_has_a_constant_load() -> None:
    loaded = demo()
    bare = replace(loaded, twin=replace(loaded.twin, series=None, sessions=None))
    here = world_of(bare, noise_kw=1.0, seed=3)
    here.advance(1.0)
    assert here.state.load_kw == pytest.approx(34.0, abs=5.0)
    with pytest.raises(ConfigError, match="first day"):
        start_of(replace(bare, twin=replace(bare.twin, first_day=None)))


def test_the_world_follows_finely_enough_for_delays_to_be_there() -> None:
    assert step_s(1.0, 1.0) == 0.2
    assert step_s(0.4, 1.0) == 0.1
    assert step_s(30.0, 240.0) == 3.75
    assert step_s(125.0, 1000.0) == 4.0


# ------------------------------------------------------------------------------------------ mbpoll


async def test_mbpoll_reads_the_meter_and_writes_a_setpoint(mbpoll: str) -> None:
    async def call(port: int, *arguments: str) -> str:
        line = [mbpoll, "-m", "tcp", "-p", str(port), "-a", "1", "-0", "-1", *arguments]
        done = await asyncio.to_thread(
            subprocess.run, line, capture_output=True, text=True, timeout=10, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async with rig("meter", "charger1") as served:
        await until_s(served, 10.0)
        shown = await call(served.port_of("meter"), "-t", "3:int", "-r", "0", "-c", "1", "127.0.0.1")
        assert int(shown.rsplit("[0]:", 1)[1].split()[0]) == pytest.approx(-20_000, abs=2)
        port = served.port_of("charger1")
        await call(port, "-t", "4", "-r", "240", "127.0.0.1", "1600")
        assert "1600" in await call(port, "-t", "4", "-r", "240", "-c", "1", "127.0.0.1")
