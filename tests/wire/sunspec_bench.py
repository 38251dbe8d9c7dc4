"""Our SunSpec driver and pysunspec2's own client, both at the same slave."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sunspec2.device import get_model_def
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from drivers.modbus import ModbusLink
from drivers.sunspec import SunspecPoints
from drivers.sunspec_models import ENCODINGS
from drivers.transport import SocketTransport
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.profile import DeviceBinding, Encoding, Point, Profile, Protocol, WriteRule
from tests.wire.slave import Server, Slave, serving


def a_point(name: str, *addresses: str, sign: int = 1, unit: str = "W") -> Point:
    """Return a point that may be written."""
    return Point(name, Encoding.FLOAT64, unit, sign=sign, sunspec=addresses, write=WriteRule())


def a_profile(*points: Point, max_registers: int = 125) -> Profile:
    """Return a SunSpec profile of these points."""
    by_name = {point.name: point for point in points}
    return Profile(
        "sunspec-test",
        Protocol.SUNSPEC,
        "pv",
        by_name,
        None,
        (),
        "test",
        "emulator only",
        max_registers=max_registers,
    )


@dataclass
class Bench:
    """A slave with an image, and the driver in front of it."""

    server: Server
    profile: Profile = field(default_factory=a_profile)
    unit: int = 1

    def __post_init__(self) -> None:
        self.link = ModbusLink(SocketTransport("127.0.0.1", self.server.port))
        self.wire = self.wire_for(self.profile)

    @property
    def slave(self) -> Slave:
        return self.server.slave

    def wire_for(self, profile: Profile) -> SunspecPoints:
        """Return a wire to the same slave with another profile."""
        binding = DeviceBinding("dut", profile, "127.0.0.1", self.server.port, self.unit, ("a",), 1.0)
        return SunspecPoints(binding, self.link)

    def show(self, image: Mapping[int, int]) -> None:
        """Let the slave hold these registers and no others."""
        self.slave.registers[3] = dict(image)

    async def read(self, *names: str) -> list[Outcome]:
        """Read points through the driver, all of them together."""
        refs = [PointRef(0, name) for name in names]
        outcomes = await self.wire.read(refs, Priority.FAST)
        return [outcomes[ref] for ref in refs]

    async def write(self, name: str, value: float) -> None:
        """Write a point through the driver."""
        await self.wire.write(PointRef(0, name), value, Priority.SETPOINT)

    def rounded(self, name: str, value: float) -> Outcome:
        """Return what the driver expects the device to hold."""
        return self.wire.rounded(PointRef(0, name), value)

    def address_of(self, path: str) -> int:
        """Return the register of a point such as ``704.WSet``, by pysunspec2's own reckoning."""
        return next(address for address, name in self._names().items() if name == path)

    def name_of(self, address: int) -> str:
        """Return the point at a register."""
        return self._names()[address]

    def _names(self) -> dict[int, str]:
        """Return the points of the image by their registers, walked as pysunspec2 defines the models."""
        held = self.slave.registers[3]
        names: dict[int, str] = {}
        at = min(held) + 2
        while held[at] != 0xFFFF:
            model_id, length = held[at], held[at + 1]
            offset = at
            for point in get_model_def(model_id)["group"]["points"]:
                names[offset] = f"{model_id}.{point['name']}"
                offset += int(point["size"])
            at += 2 + length
        return names

    async def foreign(self) -> dict[str, Any]:
        """Return every value of every model as pysunspec2's client reads it; the first model of an id counts."""
        return await asyncio.to_thread(self._foreign)

    def _foreign(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        with foreign_device(self.server.port, self.unit) as device:
            for model in reversed(device.model_list):
                if model.model_def is not None:
                    values |= {f"{model.model_id}.{path}": value for path, value in walk(model)}
        return values


@contextmanager
def foreign_device(port: int, unit: int = 1) -> Iterator[SunSpecModbusClientDeviceTCP]:
    """Give pysunspec2's client after its scan. It blocks: use it in a thread."""
    device = SunSpecModbusClientDeviceTCP(unit, "127.0.0.1", port, timeout=2.0)
    device.connect()
    try:
        device.scan(connect=False)
        yield device
    finally:
        device.close()
        device.disconnect()


def walk(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return paths and scaled values of a group of pysunspec2, save those of types that hold no quantity."""
    for name, point in group.points.items():
        if point.pdef["type"] in ENCODINGS:
            yield prefix + name, point.cvalue
    for name, inner in group.groups.items():
        if isinstance(inner, list):
            for number, one in enumerate(inner, 1):
                yield from walk(one, f"{prefix}{name}[{number}].")
        else:
            yield from walk(inner, f"{prefix}{name}.")


@asynccontextmanager
async def a_bench(image: Mapping[int, int], *points: Point, max_registers: int = 125) -> AsyncIterator[Bench]:
    """Serve an image on a loopback port, with our driver connected to it."""
    slave = Slave()
    slave.registers[3] = dict(image)
    async with serving(Server(slave)) as server:
        bench = Bench(server, a_profile(*points, max_registers=max_registers))
        try:
            yield bench
        finally:
            await bench.wire.close()
