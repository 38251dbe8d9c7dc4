"""A device of a shipped profile at the end of a connection in memory, its registers filled by the codec."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from configs.profiles import load_profile
from drivers import codec
from drivers.device import Device
from drivers.modbus import ModbusLink
from drivers.modbus_points import ModbusPoints
from drivers.transport import MemoryTransport, memory_pair
from drivers.watchdog import Guard
from station.clock import Instant
from station.profile import DeviceBinding, Profile
from tests.wire.slave import Slave, serve_in_memory

START = datetime(2026, 6, 1, tzinfo=UTC)

VALUES: dict[str, dict[str, codec.Value]] = {
    "demo-meter": {"power_kw": 120_000.0, "uptime_s": 5.0, "current_l1_a": -3.2, "import_kwh": 1230.0},
    "demo-pv": {"power_kw": -40_000.0, "setpoint_kw": -100_000.0, "uptime_s": 5.0, "lease_s": 60.0},
    "demo-battery": {
        "power_kw": -25_000.0,
        "soc": 55.5,
        "max_charge_kw": 50_000.0,
        "max_discharge_kw": 60_000.0,
        "uptime_s": 5.0,
    },
    "demo-ac-charger": {
        "state": "charging",
        "power_kw": 11_000.0,
        "session_id": 17.0,
        "session_kwh": 3_500.0,
        "requested_kwh": 20_000.0,
        "estimated_unplug_at": START.timestamp(),
        "max_kw": 32.0,
        "setpoint_kw": 16.0,
        "uptime_s": 5.0,
    },
}


@dataclass
class StillClock:
    """Time that only moves when somebody sleeps, or is told to."""

    mono_s: float = 100.0
    speed: float = 1.0

    def now(self) -> Instant:
        """Return the present instant."""
        return Instant(START + timedelta(seconds=self.mono_s), self.mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        """Be there at once."""
        self.mono_s = max(self.mono_s, mono_s)
        await asyncio.sleep(0)


@dataclass
class Bench:
    """A device and the slave behind it."""

    device: Device
    slave: Slave
    profile: Profile
    far_end: MemoryTransport

    def hold(self, name: str, value: codec.Value) -> None:
        """Let the device hold a value, in the point's own unit."""
        point = self.profile.points[name]
        raw = codec.encode(point, value)
        self.slave.set(4 if point.function == 4 else 3, point.address, raw)

    def held(self, name: str) -> codec.Value | None:
        """Return what the device holds."""
        point = self.profile.points[name]
        bank = self.slave.registers[4 if point.function == 4 else 3]
        words = [bank[point.address + offset] for offset in range(codec.register_count(point))]
        return codec.decode(point, words)


@asynccontextmanager
async def bench(
    profile_id: str, *, guard: Guard | None = None, may_write: bool = True
) -> AsyncIterator[Bench]:
    """Serve a device of the profile for the body; its asset is called ``asset``."""
    profile = load_profile(profile_id)
    near, far = memory_pair()
    binding = DeviceBinding("device", profile, "memory", 0, 1, ("asset",), 1.0, {"asset": 0.69})
    slave = Slave()
    for bank in (3, 4):
        slave.set(bank, 0, (0,) * 1200)
    guards = {"asset": guard} if guard else {}
    device = Device(binding, ModbusPoints(binding, ModbusLink(near)), guards, may_write=may_write)
    made = Bench(device, slave, profile, far)
    for name, value in VALUES[profile_id].items():
        made.hold(name, value)
    serving = asyncio.create_task(serve_in_memory(slave, far))
    try:
        yield made
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
