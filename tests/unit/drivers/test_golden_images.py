"""Real register images, transcribed by hand from public sources, through the real driver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from configs import device_table
from configs.profiles import load_profile, profile_ids
from drivers import codec
from drivers.device import Device
from drivers.modbus import ModbusLink
from drivers.modbus_points import ModbusPoints
from drivers.transport import memory_pair
from drivers.turns import Priority
from drivers.wire import PointRef
from station.errors import DriverError
from station.profile import DeviceBinding, Protocol
from tests.wire.slave import Slave, serve_in_memory


@asynccontextmanager
async def over_memory(slave: Slave, name: str) -> AsyncIterator[ModbusPoints]:
    """Give the points of a device of this profile whose registers are those of ``slave``."""
    client, server = memory_pair()
    binding = DeviceBinding("device", load_profile(name), "", 0, 1, ("asset",), 1.0)
    serving = asyncio.create_task(serve_in_memory(slave, server))
    try:
        yield ModbusPoints(binding, ModbusLink(client))
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


GOLDEN = Path(__file__).parents[2] / "golden"
LEAST_IMAGES = 5


def read(name: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = YAML(typ="safe").load((GOLDEN / f"{name}.yaml").read_text())
    return found


NAMES = sorted(file.stem for file in GOLDEN.glob("*.yaml"))
IMAGES = [(name, image) for name in NAMES for image in read(name)["images"]]
COMMANDS = [(name, image) for name in NAMES for image in read(name).get("commands", [])]
WRITES = [(name, image) for name in NAMES for image in read(name).get("writes", [])]


def name_of(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return f"{value['point']}-{value['value']}" if "point" in value else f"{value['setpoint_kw']}"


def test_every_profile_of_a_real_modbus_device_has_at_least_five_images() -> None:
    real = [name for name in profile_ids() if load_profile(name).protocol is Protocol.MODBUS_TCP]
    real = [name for name in real if not name.startswith("demo-")]
    assert real == NAMES
    assert len(real) >= 18
    assert all(len(read(name)["images"]) >= LEAST_IMAGES for name in real)


def test_a_real_profile_says_that_nobody_tried_it_and_where_each_quantity_comes_from() -> None:
    for name in NAMES:
        profile = load_profile(name)
        assert profile.verified == "not on hardware"
        assert profile.title
        assert profile.sources


@pytest.mark.parametrize(("name", "image"), IMAGES, ids=name_of)
async def test_an_image_means_what_its_source_says(name: str, image: dict[str, Any]) -> None:
    profile = load_profile(name)
    slave = Slave()
    for registers in (image, *image.get("also", ())):
        slave.set(registers["function"], registers["address"], tuple(registers["words"]))
    ref = PointRef(0, image["point"])
    async with over_memory(slave, name) as points:
        outcome = (await points.read([ref], Priority.SLOW))[ref]
    point = profile.points[image["point"]]
    assert point.unit == image["unit"]
    if "cause" in image:
        assert isinstance(outcome, DriverError)
        assert image["cause"] in outcome.cause
        return
    assert not isinstance(outcome, DriverError), outcome
    if not isinstance(image["value"], float):
        assert outcome == image["value"]
        return
    assert outcome == pytest.approx(image["value"], rel=1e-6)
    assert isinstance(outcome, float)
    if "canonical" in image and not (point.unit == "A" and point.name.endswith("_kw")):
        assert codec.to_canonical(point, outcome, 0.0) == pytest.approx(image["canonical"], rel=1e-6)


@pytest.mark.parametrize(("name", "image"), WRITES, ids=name_of)
async def test_a_written_value_is_what_its_source_says(name: str, image: dict[str, Any]) -> None:
    profile = load_profile(name)
    slave = Slave()
    slave.set(3, image["address"], (0,) * len(image["words"]))
    async with over_memory(slave, name) as points:
        await points.write(PointRef(0, image["point"]), image["value"], Priority.SETPOINT)
    rule = profile.points[image["point"]].write
    assert rule is not None
    assert rule.function == image["function"]
    assert [slave.registers[3][image["address"] + i] for i in range(len(image["words"]))] == image["words"]


@pytest.mark.parametrize(("name", "image"), COMMANDS, ids=name_of)
async def test_a_setpoint_becomes_the_writes_that_its_source_tells_in_their_order(
    name: str, image: dict[str, Any]
) -> None:
    slave = Slave()
    for address, word in image["holds"].items():
        slave.set(3, address, (word,))
    async with over_memory(slave, name) as points:
        binding = DeviceBinding("device", load_profile(name), "", 0, 1, ("asset",), 1.0)
        device = Device(binding, points, {})
        result = await device.write("asset", image["setpoint_kw"], sent_s=0.0)
    assert result.confirmed, result.cause
    written = [
        [function, at, [value] if function == 6 else [slave.registers[3][at + i] for i in range(value)]]
        for function, at, value in slave.requests
        if function in {6, 16}
    ]
    assert written == image["writes"]


def test_every_profile_with_commands_has_an_image_of_each_direction() -> None:
    for name in NAMES:
        if load_profile(name).commands:
            asked = [image["setpoint_kw"] for image in read(name)["commands"]]
            assert min(asked) < 0.0 < max(asked), name
            assert 0.0 in asked, name


def test_the_table_of_devices_is_made_of_the_profiles() -> None:
    text = device_table.FILE.read_text(encoding="utf-8")
    assert device_table.document(text) == text
    assert all(f"`{name}`" in text for name in NAMES)
