"""Looks for SunSpec devices behind a link: which units answer, who they are and which models they have."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask
from drivers.sunspec_address import address_of, instance_of
from drivers.sunspec_chain import BASES, Instance, Read, chain_at, has_marker
from drivers.sunspec_reading import BlockReader
from drivers.turns import Priority
from station.errors import DriverError

READ_HOLDING = 3
NAMES = ("Mn", "Md", "Vr", "SN")
MOST_REGISTERS = 125


@dataclass(frozen=True, slots=True)
class Found:
    """A SunSpec device. ``identity`` holds maker, model, version and serial number, as far as it tells them."""

    unit: int
    base: int
    chain: tuple[Instance, ...]
    identity: tuple[str, ...]


async def scan(link: ModbusLink, units: Iterable[int], timeout_s: float) -> AsyncIterator[Found]:
    """Yield the devices that are found; a unit that does not answer costs ``timeout_s`` once."""
    for unit in units:
        try:
            found = await look_at(link, unit, timeout_s)
        except DriverError:
            continue
        if found is not None:
            yield found


async def look_at(link: ModbusLink, unit: int, timeout_s: float) -> Found | None:
    """Return the device at a unit number, None where it has no SunSpec map; raise ``DriverError``."""
    device_id = f"unit {unit}"

    async def read(address: int, count: int) -> tuple[int, ...]:
        ask = Ask(unit, READ_HOLDING, address, count)
        return await link.ask(ask, device_id, timeout_s=timeout_s, priority=Priority.SLOW)

    for base in BASES:
        if await has_marker(read, base):
            chain = await chain_at(read, base, device_id)
            return Found(unit, base, chain, await _identity(read, chain, device_id))
    return None


async def _identity(read: Read, chain: tuple[Instance, ...], device_id: str) -> tuple[str, ...]:
    common = instance_of(chain, 1, 1)
    if common is None:
        return ()
    addresses = [address_of(f"1.{name}") for name in NAMES]
    block = await BlockReader(device_id, MOST_REGISTERS).read(read, common, addresses)
    return tuple(str(block.value(name) or "") for name in NAMES)
