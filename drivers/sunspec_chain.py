"""Finds the models of a SunSpec device: a marker, then one model after another, each with its number and length."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from drivers.modbus_frame import NoSuchRegister
from drivers.sunspec_models import HEADER_WORDS
from station.errors import Nonsense, Rejected

BASES = (40000, 0, 50000)
"""Where the marker may lie in the holding registers (SunSpec Device Information Model Specification)."""
MARKER = (0x5375, 0x6E53)
"""The letters SunS."""
END = 0xFFFF
MOST_MODELS = 80
"""A chain that goes on for longer is taken for a lie; the longest real ones have about 30 models."""
REGISTERS = 0x10000

Read = Callable[[int, int], Awaitable[tuple[int, ...]]]
"""Returns so many holding registers from an address on; raises ``DriverError``."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One model of a device. ``number`` counts those of the same id from 1; ``address`` is that of its ID register."""

    model_id: int
    number: int
    address: int
    length: int

    def __str__(self) -> str:
        return f"model {self.model_id}" + (f" (number {self.number})" if self.number > 1 else "")


async def has_marker(read: Read, base: int) -> bool:
    """Return whether a SunSpec map begins at ``base``; raise ``Unreachable`` where nothing answers."""
    try:
        return await read(base, len(MARKER)) == MARKER
    except Rejected:
        return False


async def chain_at(read: Read, base: int, device_id: str) -> tuple[Instance, ...]:
    """Return the models of a device whose marker lies at ``base``, in their order; raise ``DriverError``.

    A chain without an end marker ends where the device has no more registers.
    """
    chain: list[Instance] = []
    address = base + len(MARKER)
    while True:
        try:
            model_id, length = await read(address, HEADER_WORDS)
        except NoSuchRegister:
            return tuple(chain)
        if model_id == END:
            return tuple(chain)
        if model_id == 0 or address + HEADER_WORDS + length >= REGISTERS or len(chain) == MOST_MODELS:
            raise Nonsense(
                device_id,
                f"the chain of models is broken at register {address} (model {model_id}, length {length})",
            )
        number = 1 + sum(known.model_id == model_id for known in chain)
        chain.append(Instance(model_id, number, address, length))
        address += HEADER_WORDS + length
