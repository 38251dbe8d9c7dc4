"""How many wrong values pass for right ones: heliodock's link and bare pymodbus before the same misbehaving device.

Half of all answers are spoilt, in virtual time. Each request differs from the one before in the shape of its answer, as
neighbouring blocks of a profile do: RTU answers carry no number, and nobody could tell two equal shapes apart.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.transport import ModbusProtocol

from drivers.modbus import ModbusLink
from drivers.modbus_frame import READS, Ask
from drivers.turns import Priority
from hil.emulators.misbehaving import MisbehavingDevice, MisbehavingTransport
from hil.virtual_time import run_virtual
from station.errors import DriverError

TIMEOUT_S = 0.3
PAUSE_S = 0.1
"""After a failure, before the next request: less than a poller waits."""
UNITS = (1, 1, 1, 2, 3)
FUNCTIONS = (3, 3, 3, 4, 4, 6, 16)
MOST_WORDS = 60


@dataclass
class Tally:
    """What became of the requests of one client."""

    transactions: int = 0
    right: int = 0
    failed: int = 0
    silent_wrong: int = 0
    misdeeds: int = 0


def ours(transactions: int, *, is_rtu: bool, seed: int) -> Tally:
    """Return the tally of heliodock's link."""
    return run_virtual(_ours(transactions, is_rtu, seed))


def pymodbus(transactions: int, *, is_rtu: bool, seed: int) -> Tally:
    """Return the tally of pymodbus's asyncio client, used as its documentation shows."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    return run_virtual(_pymodbus(transactions, is_rtu, seed))


def asks(chance: random.Random) -> Iterator[Ask]:
    """Yield requests, each with another shape of its answer than the one before."""
    before = b""
    while True:
        ask = _ask(chance)
        if ask.answer_head() != before:
            before = ask.answer_head()
            yield ask


def _ask(chance: random.Random) -> Ask:
    unit, function, address = chance.choice(UNITS), chance.choice(FUNCTIONS), chance.randrange(1000)
    count = 1 if function == 6 else chance.randint(1, MOST_WORDS)
    if function in READS:
        return Ask(unit, function, address, count)
    return Ask(unit, function, address, words=tuple(chance.randrange(0x10000) for _ in range(count)))


async def _ours(transactions: int, is_rtu: bool, seed: int) -> Tally:
    device = MisbehavingDevice(random.Random(seed), is_rtu, TIMEOUT_S)
    link = ModbusLink(MisbehavingTransport(device), is_rtu=is_rtu)
    tally = Tally()
    for ask in asks(random.Random(seed + 1)):
        if link.counters.requests >= transactions:
            break
        try:
            words = await link.ask(ask, "device", timeout_s=TIMEOUT_S, priority=Priority.FAST)
        except DriverError:
            tally.failed += 1
            await asyncio.sleep(PAUSE_S)
            continue
        tally.right += device.holds(ask, words)
        tally.silent_wrong += not device.holds(ask, words)
    link.close()
    tally.transactions, tally.misdeeds = link.counters.requests, sum(device.done.values())
    return tally


class _Stream(asyncio.Transport):
    """What pymodbus takes for a socket: the same device at its other end."""

    def __init__(self, transport: MisbehavingTransport, protocol: ModbusProtocol) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self._task = asyncio.ensure_future(self._receive())

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.answer(bytes(data))

    def is_closing(self) -> bool:
        return self._task.done()

    def close(self) -> None:
        self._task.cancel()

    def abort(self) -> None:
        self.close()

    async def _receive(self) -> None:
        try:
            while True:
                self._protocol.data_received(await self._transport.receive(3600.0))
        except (OSError, asyncio.CancelledError) as lost:
            self._protocol.connection_lost(lost if isinstance(lost, OSError) else None)


async def _pymodbus(transactions: int, is_rtu: bool, seed: int) -> Tally:
    device = MisbehavingDevice(random.Random(seed), is_rtu, TIMEOUT_S)
    framer = FramerType.RTU if is_rtu else FramerType.SOCKET
    client = AsyncModbusTcpClient("memory", framer=framer, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
    inner = client.ctx

    async def connect() -> tuple[asyncio.Transport, ModbusProtocol]:
        transport = MisbehavingTransport(device)
        await transport.open(TIMEOUT_S)
        protocol = inner.handle_new_connection()
        stream = _Stream(transport, protocol)
        protocol.connection_made(stream)
        return stream, protocol

    inner.call_create = connect
    tally = Tally()
    for ask in asks(random.Random(seed + 1)):
        if tally.transactions >= transactions:
            break
        tally.transactions += 1
        if not client.connected:
            await client.connect()
        words = await _words_of(client, ask)
        if words is None:
            tally.failed += 1
            await asyncio.sleep(PAUSE_S)
            continue
        tally.right += device.holds(ask, words)
        tally.silent_wrong += not device.holds(ask, words)
    client.close()
    tally.misdeeds = sum(device.done.values())
    return tally


async def _words_of(client: AsyncModbusTcpClient, ask: Ask) -> tuple[int, ...] | None:
    """Return what pymodbus takes for the answer; None where it says that there was none."""
    try:
        match ask.function:
            case 3:
                answer = await client.read_holding_registers(ask.address, count=ask.count, device_id=ask.unit)
            case 4:
                answer = await client.read_input_registers(ask.address, count=ask.count, device_id=ask.unit)
            case 6:
                answer = await client.write_register(ask.address, ask.words[0], device_id=ask.unit)
            case _:
                answer = await client.write_registers(ask.address, list(ask.words), device_id=ask.unit)
    except ModbusException:
        return None
    if answer.isError():
        return None
    return tuple(answer.registers) if ask.function in READS else ask.words
