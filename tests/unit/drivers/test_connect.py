"""Units behind one address share a connection; connectors of one device lie a stride apart."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from configs.profiles import load_profile
from drivers import codec
from drivers.connect import connect_devices
from drivers.transport import MemoryTransport, Transport, memory_pair
from station.links import Link
from station.measurement import ConnectorReading
from station.profile import DeviceBinding, Profile
from tests.unit.drivers.bench import StillClock
from tests.wire.slave import Slave, serve_in_memory


def hold(slave: Slave, profile: Profile, name: str, value: codec.Value, *, connector: int = 0) -> None:
    point = profile.points[name]
    slave.set(3, point.address + connector * profile.unit_stride, codec.encode(point, value))


async def test_two_connectors_a_stride_apart_are_read_and_commanded_apart() -> None:
    profile = replace(load_profile("demo-ac-charger"), unit_stride=100)
    near, far = memory_pair()
    slave = Slave()
    slave.set(3, 0, (0,) * 500)
    hold(slave, profile, "power_kw", 3000.0, connector=0)
    hold(slave, profile, "power_kw", 7000.0, connector=1)
    made: list[MemoryTransport] = []

    def transport_to(link: Link) -> Transport:
        made.append(near)
        return near

    asset_ids = ("a", "b")
    bindings = [
        DeviceBinding("charger", profile, "gateway", 502, 1, asset_ids, 1.0, dict.fromkeys(asset_ids, 0.69)),
        DeviceBinding("meter", load_profile("demo-meter"), "gateway", 502, 2, ("meter",), 1.0),
    ]
    charger, _ = connect_devices(bindings, {}, transport_to=transport_to)
    assert len(made) == 1
    serving = asyncio.create_task(serve_in_memory(slave, far))
    readings = await charger.read(StillClock())
    powers_kw = [r.power_kw for r in readings.values() if isinstance(r, ConnectorReading)]
    assert powers_kw == [3.0, 7.0]
    assert (await charger.write("b", 11.04, sent_s=0.0)).confirmed
    assert (slave.registers[3][240], slave.registers[3][340]) == (0, 1600)
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_a_device_that_serves_one_client_is_left_after_each_round_of_requests() -> None:
    profile = replace(load_profile("demo-battery"), keep_open=False)
    near, far = memory_pair()
    slave = Slave()
    slave.set(3, 1000, (0,) * 200)
    binding = DeviceBinding("pcs", profile, "pcs", 502, 1, ("battery",), 1.0)
    (device,) = connect_devices([binding], {}, transport_to=lambda _: near)
    serving = asyncio.create_task(serve_in_memory(slave, far))
    for _ in range(3):
        await device.read(StillClock())
        assert not near.is_open
    assert (await device.write("battery", 10.0, sent_s=0.0)).confirmed
    assert not near.is_open
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
