"""How soon a broken connection or a device that fell silent is noticed, and how soon it is read again once it is well.

Each event befalls a meter that is polled once a second by its real poller. Most events happen in virtual time and over
memory; some at real sockets. Detection: from the event until a poll failed or the connection was opened anew.
Recovery: from the moment at which the device is well again until a reading taken later is on the board.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import structlog

from configs.profiles import load_profile
from drivers.board import Board
from drivers.connect import connect_devices
from drivers.modbus_frame import HEADER
from drivers.poller import Poller
from drivers.transport import CLOSED, Inbox, SocketTransport, Transport
from hil.virtual_time import run_virtual
from station.clock import Instant
from station.measurement import NoReading
from station.profile import DeviceBinding, Profile

START = datetime(2026, 6, 1, tzinfo=UTC)
NOW = Instant(START, 0.0)
KINDS = ("reset", "end of stream", "half open", "frozen", "reboot", "restart")
DOWN_S = {"frozen": (3.0, 20.0), "reboot": (5.0, 40.0), "restart": (0.2, 2.0)}
"""How long a device is away; it is well again at once after the others."""
ANSWER_S = 0.01
GIVEN_UP_S = 30.0
LOOK_S = 0.01


@dataclass
class Times:
    """Seconds for each event."""

    detection_s: list[float] = field(default_factory=list)
    recovery_s: list[float] = field(default_factory=list)


class Connection:
    """The server's side of a connection: how it sends, resets and ends it. A deaf one answers nothing more."""

    def __init__(
        self, send: Callable[[bytes], None], reset: Callable[[], None], end: Callable[[], None]
    ) -> None:
        self.send = send
        self.reset = reset
        self.end = end
        self.is_deaf = False


class Server:
    """A meter whose registers are 0, and what can befall it."""

    def __init__(self) -> None:
        self.is_listening = True
        self.connections: list[Connection] = []
        self._is_frozen = False
        self._waiting: list[tuple[Connection, bytes]] = []

    def hear(self, connection: Connection, request: bytes) -> None:
        """Answer a request, or keep it until the device thaws."""
        if self._is_frozen:
            self._waiting.append((connection, request))
        elif not connection.is_deaf:
            asyncio.get_running_loop().call_later(ANSWER_S, connection.send, answer_to(request))

    async def suffer(self, kind: str, down_s: float) -> None:
        """Let an event happen; return when the device is well again."""
        match kind:
            case "reset":
                self._drop(lambda connection: connection.reset())
            case "end of stream":
                self._drop(lambda connection: connection.end())
            case "half open":
                for connection in self.connections:
                    connection.is_deaf = True
            case "frozen":
                self._is_frozen = True
                await asyncio.sleep(down_s)
                self._thaw()
            case _:
                self._drop(lambda connection: connection.reset())
                self.is_listening = False
                await asyncio.sleep(down_s)
                self.is_listening = True

    def _drop(self, how: Callable[[Connection], None]) -> None:
        connections, self.connections = self.connections, []
        for connection in connections:
            how(connection)

    def _thaw(self) -> None:
        self._is_frozen = False
        waiting, self._waiting = self._waiting, []
        for connection, request in waiting:
            self.hear(connection, request)


def answer_to(request: bytes) -> bytes:
    """Return the answer of a meter whose registers are 0."""
    transaction, _, _, unit, function, _, count = struct.unpack_from(">HHHBBHH", request)
    return HEADER.pack(transaction, 0, 3 + 2 * count, unit) + bytes((function, 2 * count)) + bytes(2 * count)


class MemoryLine:
    """A transport to such a server in memory."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._inbox: Inbox | None = None
        self._far: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Return whether the connection stands, as far as one can see from here."""
        return self._inbox is not None and not self._inbox.is_broken

    async def open(self, timeout_s: float) -> None:  # noqa: ARG002  memory accepts or refuses at once
        """Connect."""
        self.close()
        if not self._server.is_listening:
            raise ConnectionRefusedError("connection refused")
        inbox = self._inbox = Inbox()
        self._far = Connection(inbox.put, lambda: inbox.fail(CLOSED), lambda: inbox.fail(CLOSED))
        self._server.connections.append(self._far)

    def close(self) -> None:
        """Drop the connection."""
        if self._far in self._server.connections:
            self._server.connections.remove(self._far)
        self._inbox = self._far = None

    async def send(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002  memory takes all at once
        """Hand over a request."""
        if self._far is None or not self.is_open:
            raise ConnectionResetError(CLOSED)
        self._server.hear(self._far, data)

    async def receive(self, timeout_s: float) -> bytes:
        """Return what arrived."""
        if self._inbox is None:
            raise ConnectionResetError("not connected")
        return await self._inbox.take(timeout_s)


class SocketServer(Server):
    """The same server at a real port of the loopback."""

    port = 0
    _server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Listen where it did before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Stream(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def suffer(self, kind: str, down_s: float) -> None:
        """Let an event happen; a device that is away has no port."""
        if kind not in ("reboot", "restart"):
            await super().suffer(kind, down_s)
            return
        self.close()
        self._drop(lambda connection: connection.reset())
        await asyncio.sleep(down_s)
        await self.listen()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()


class _Stream(asyncio.Protocol):
    """Cuts a stream into requests; a client sends one at a time."""

    def __init__(self, server: SocketServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        raw = transport.get_extra_info("socket")

        def reset() -> None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()

        self._far = Connection(transport.write, reset, transport.close)
        self._server.connections.append(self._far)

    def data_received(self, data: bytes) -> None:
        self._server.hear(self._far, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  it is gone either way
        if self._far in self._server.connections:
            self._server.connections.remove(self._far)


class _LoopClock:
    """Station time is the time of the event loop."""

    speed = 1.0

    def now(self) -> Instant:
        mono_s = asyncio.get_running_loop().time()
        return Instant(START + timedelta(seconds=mono_s), mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        await asyncio.sleep(max(mono_s - asyncio.get_running_loop().time(), 0.0))

    def hold_until(self, mono_s: float) -> None:
        """Do nothing: nobody holds the loop's time."""


def in_memory(events: int, seed: int) -> Times:
    """Return the times of as many events in virtual time."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return run_virtual(_in_memory(events, seed))


async def _in_memory(events: int, seed: int) -> Times:
    times, server = Times(), Server()
    patient = Patient(server, _binding(0, _profile()), MemoryLine(server))
    await patient.suffer(_kinds(events), random.Random(seed), times)
    return times


def at_sockets(events: int, seed: int) -> Times:
    """Return the times of as many events at real sockets, each at a server of its own and all at once."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return asyncio.run(_at_sockets(events, seed))


async def _at_sockets(events: int, seed: int) -> Times:
    times, profile = Times(), _profile()

    async def one(number: int, kind: str) -> None:
        server = SocketServer()
        await server.listen()
        patient = Patient(server, _binding(server.port, profile), SocketTransport("127.0.0.1", server.port))
        await patient.suffer((kind,), random.Random(seed + number), times)
        server.close()

    await asyncio.gather(*(one(number, kind) for number, kind in enumerate(_kinds(events))))
    return times


def _kinds(events: int) -> Sequence[str]:
    return [KINDS[number % len(KINDS)] for number in range(events)]


def _profile() -> Profile:
    return replace(load_profile("demo-meter"), alive=())


def _binding(port: int, profile: Profile) -> DeviceBinding:
    return DeviceBinding("meter", profile, "127.0.0.1", port, 1, ("grid",), 1.0)


class Watched:
    """A transport that notes how often it was opened."""

    def __init__(self, inner: Transport) -> None:
        self.openings = 0
        self._inner = inner
        self.close, self.send, self.receive = inner.close, inner.send, inner.receive

    @property
    def is_open(self) -> bool:
        """Return whether the connection stands."""
        return self._inner.is_open

    async def open(self, timeout_s: float) -> None:
        """Connect."""
        self.openings += 1
        await self._inner.open(timeout_s)


class Patient:
    """A polled device to which events happen."""

    def __init__(self, server: Server, binding: DeviceBinding, transport: Transport) -> None:
        self._server = server
        self._watched = Watched(transport)
        self._board = Board(binding.asset_ids)
        (device,) = connect_devices([binding], {}, transport_to=lambda _: self._watched)
        self._poller = Poller(device, self._board, _LoopClock())

    async def suffer(self, kinds: Sequence[str], chance: random.Random, times: Times) -> None:
        """Let events of these kinds happen, one after another, and note the times."""
        polling = asyncio.create_task(self._poller.run())
        await asyncio.sleep(3.0)
        for kind in kinds:
            await asyncio.sleep(chance.uniform(0.0, 1.0))
            await self._one(kind, chance.uniform(*DOWN_S.get(kind, (0.0, 0.0))), times)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)

    async def _one(self, kind: str, down_s: float, times: Times) -> None:
        loop = asyncio.get_running_loop()
        began_s, before = loop.time(), self._noticed()
        healing = asyncio.create_task(self._server.suffer(kind, down_s))
        await _until(lambda: self._noticed() > before)
        times.detection_s.append(loop.time() - began_s)
        await healing
        healed_s = loop.time()
        await _until(lambda: self._read_s() >= healed_s)
        times.recovery_s.append(loop.time() - healed_s)

    def _noticed(self) -> int:
        return self._board.snapshot(NOW).errors["grid"] + self._watched.openings

    def _read_s(self) -> float:
        reading = self._board.snapshot(NOW).readings["grid"]
        return -1.0 if isinstance(reading, NoReading) else reading.measured_s


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(int(GIVEN_UP_S / LOOK_S)):
        if is_so():
            return
        await asyncio.sleep(LOOK_S)
    raise SystemExit(f"not so within {GIVEN_UP_S:g} s")
