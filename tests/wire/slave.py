"""A Modbus slave with plain registers, honest or not: served over TCP or at the end of a connection in memory."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from drivers.transport import MemoryTransport

HEADER = struct.Struct(">HHHB")


@dataclass
class Slave:
    """Registers by function (3: holding, 4: input) and address; an address that is not there gives exception 2."""

    registers: dict[int, dict[int, int]] = field(default_factory=lambda: {3: {}, 4: {}})
    unit: int = 1
    requests: list[tuple[int, int, int]] = field(default_factory=list)
    refuse: Callable[[int, int], int | None] = lambda function, address: None

    def set(self, function: int, address: int, words: tuple[int, ...]) -> None:
        """Place words from ``address`` on."""
        for offset, word in enumerate(words):
            self.registers[function][address + offset] = word

    def answer(self, request: bytes) -> bytes:
        """Return the honest answer to a whole frame."""
        transaction, _, _, unit = HEADER.unpack_from(request)
        return framed(transaction, unit, self.pdu(request[HEADER.size :]))

    def pdu(self, pdu: bytes) -> bytes:
        """Return the honest answer to a PDU."""
        function, address, value = struct.unpack_from(">BHH", pdu)
        self.requests.append((function, address, value))
        code = self.refuse(function, address)
        if code is not None:
            return bytes([function | 0x80, code])
        bank = self.registers[4 if function == 4 else 3]
        if function in (3, 4):
            wanted = range(address, address + value)
            if any(register not in bank for register in wanted):
                return bytes([function | 0x80, 2])
            words = [bank[register] for register in wanted]
            return struct.pack(f">BB{len(words)}H", function, 2 * value, *words)
        words = [value] if function == 6 else struct.unpack_from(f">{value}H", pdu, 6)
        if any(address + offset not in bank for offset, _ in enumerate(words)):
            return bytes([function | 0x80, 2])
        self.set(3, address, tuple(words))
        return pdu[:5]


def framed(transaction: int, unit: int, pdu: bytes, protocol: int = 0) -> bytes:
    """Return a frame around a PDU."""
    return HEADER.pack(transaction, protocol, len(pdu) + 1, unit) + pdu


async def serve_in_memory(slave: Slave, end: MemoryTransport) -> None:
    """Answer whatever comes, until cancelled."""
    while True:
        with suppress(ConnectionError, TimeoutError):
            request = await end.receive(3600.0)
            await end.send(slave.answer(request), 1.0)


Misdeed = Callable[[asyncio.StreamWriter, bytes, bytes, random.Random], object]


def _wrong_function(
    writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random
) -> None:
    other = {3: 4, 4: 3, 6: 16, 16: 6}[request[7]]
    writer.write(answer[:7] + bytes([other]) + answer[8:])


def _wrong_unit(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(answer[:6] + bytes([answer[6] + chance.randint(1, 9)]) + answer[7:])


def _wrong_transaction(
    writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random
) -> None:
    writer.write(
        struct.pack(">H", (struct.unpack(">H", answer[:2])[0] + chance.randint(1, 9)) & 0xFFFF) + answer[2:]
    )


def _wrong_protocol(
    writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random
) -> None:
    writer.write(answer[:2] + b"\x00\x07" + answer[4:])


def _short(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    pdu = answer[7:]
    if len(pdu) <= 4 or request[7] not in (3, 4):
        writer.write(framed(*_ids(answer), pdu[:-1]))
        return
    writer.write(framed(*_ids(answer), bytes([pdu[0], pdu[1] - 2]) + pdu[2:-2]))


def _long(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    pdu = answer[7:]
    size = (pdu[1] + 2) & 0xFF if request[7] in (3, 4) else pdu[1]
    writer.write(framed(*_ids(answer), bytes([pdu[0], size]) + pdu[2:] + b"\x12\x34"))


def _wrong_byte_count(
    writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random
) -> None:
    pdu = answer[7:]
    writer.write(
        framed(*_ids(answer), bytes([pdu[0], (pdu[1] + 2 * chance.choice([-1, 1])) & 0xFF]) + pdu[2:])
    )


def _exception(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(framed(*_ids(answer), bytes([request[7] | 0x80, chance.randint(0, 12)])))


def _garbage(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(chance.randbytes(chance.randint(1, 12)) + answer)


def _silence(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    return


def _late(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    asyncio.get_running_loop().call_later(chance.uniform(0.05, 0.15), _write_if_open, writer, answer)


def _reset(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(answer[: chance.randint(1, len(answer) - 1)])
    asyncio.get_running_loop().call_soon(writer.transport.abort)


async def _slow_loris(
    writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random
) -> None:
    for offset in range(len(answer)):
        _write_if_open(writer, answer[offset : offset + 1])
        await asyncio.sleep(0.02)


def _wrong_echo(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(answer[:-1] + bytes([answer[-1] ^ 0x01]) if request[7] in (6, 16) else answer)


def _duplicate(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(answer * chance.randint(2, 40))


def _half(writer: asyncio.StreamWriter, request: bytes, answer: bytes, chance: random.Random) -> None:
    writer.write(answer[: len(answer) // 2])


MISDEEDS: dict[str, Misdeed] = {
    "wrong function": _wrong_function,
    "wrong unit": _wrong_unit,
    "wrong transaction": _wrong_transaction,
    "wrong protocol": _wrong_protocol,
    "short": _short,
    "long": _long,
    "wrong byte count": _wrong_byte_count,
    "exception": _exception,
    "garbage prefix": _garbage,
    "silence": _silence,
    "late answer": _late,
    "reset in mid frame": _reset,
    "slow loris": _slow_loris,
    "wrong echo": _wrong_echo,
    "duplicate": _duplicate,
    "half a frame": _half,
}


@dataclass
class Server:
    """A slave on a loopback port. ``misdeed`` picks what to do instead of answering; None answers honestly."""

    slave: Slave
    port: int = 0
    misdeed: Callable[[], str | None] = lambda: None
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    done: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    open: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client leaves."""
        task = asyncio.current_task()
        assert task is not None
        self.open[task] = writer
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = await reader.readexactly(6)
                request = head + await reader.readexactly(struct.unpack(">H", head[4:6])[0])
                answer = self.slave.answer(request)
                name = self.misdeed()
                if name is None:
                    writer.write(answer)
                    continue
                self.done[name] = self.done.get(name, 0) + 1
                going_on = MISDEEDS[name](writer, request, answer, self.chance)
                if asyncio.iscoroutine(going_on):
                    await going_on
        writer.close()
        del self.open[task]

    async def hang_up(self) -> None:
        """Drop every connection."""
        tasks = list(self.open)
        for writer in self.open.values():
            writer.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    """Serve on a loopback port for the body."""
    tcp = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
    server.port = tcp.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        tcp.close()
        await server.hang_up()


def _write_if_open(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


def _ids(answer: bytes) -> tuple[int, int]:
    transaction, _, _, unit = HEADER.unpack_from(answer)
    return transaction, unit
