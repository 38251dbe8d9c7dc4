"""A Modbus server for emulated devices: TCP, or the frames of a serial line over TCP.

It is our own, on asyncio: pymodbus's server answers an absent unit with exception 4 and a logged KeyError, can't keep
silent without holding a task per request, and needs about four times the processor time, which the fast demonstration
would take from the controller. pymodbus's client, mbpoll and libmodbus test it.
"""

import asyncio
import struct
from collections.abc import Mapping

from drivers.rtu_frame import framed
from hil.emulators.device import EmulatedDevice
from hil.emulators.registers import WRITE_MANY, WRITE_ONE, Code, Declined, Registers
from hil.emulators.rtu import RtuCutter
from hil.emulators.sunspec import SunspecRegisters
from station.profile import Protocol

HEADER = struct.Struct(">HHHB")
LONGEST = 254
"""Bytes of a frame after its length field, by the specification."""


class Units:
    """The devices behind one port or on one line, by their unit numbers."""

    def __init__(self, devices: Mapping[int, EmulatedDevice]) -> None:
        self._devices = devices
        self._registers = {unit: registers_of(device) for unit, device in devices.items()}

    def answer(self, unit: int, request: bytes) -> bytes | None:
        """Return the answer to a request (function code and data), None where the device is silent."""
        device = self._devices.get(unit)
        if device is not None and device.silent:
            return None
        try:
            if device is None:
                raise Declined(Code.NO_SUCH_UNIT)
            return _performed(self._registers[unit], request)
        except Declined as declined:
            return bytes((request[0] | 0x80, declined.code))

    def answer_on_a_line(self, unit: int, request: bytes) -> bytes | None:
        """Return the same as ``answer``; but where there is no gateway, nobody speaks for an absent unit."""
        return self.answer(unit, request) if unit in self._devices else None


class ModbusServer:
    """Serves the devices of one port."""

    def __init__(
        self, host: str, port: int, devices: Mapping[int, EmulatedDevice], *, is_rtu: bool = False
    ) -> None:
        self._host = host
        self._port = port
        self._is_rtu = is_rtu
        self._units = Units(devices)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def port(self) -> int:
        """Return the port; where 0 was asked for, the one that the system chose."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        kind = _RtuConnection if self._is_rtu else _Connection
        self._server = await loop.create_server(lambda: kind(self), self._host, self._port)

    async def publish(self) -> None:
        """Do nothing: Modbus tells values only when asked."""

    async def close(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.drop()
        await self._server.wait_closed()
        self._server = None

    def answer(self, unit: int, request: bytes) -> bytes | None:
        """Return the answer to a request (function code and data), None where the device is silent."""
        return (
            self._units.answer_on_a_line(unit, request) if self._is_rtu else self._units.answer(unit, request)
        )

    def opened(self, connection: "_Connection") -> None:
        """Remember a connection."""
        self._connections.add(connection)

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)


def registers_of(device: EmulatedDevice) -> Registers | SunspecRegisters:
    """Return the registers that a device shows."""
    is_sunspec = device.binding.profile.protocol is Protocol.SUNSPEC
    return SunspecRegisters(device) if is_sunspec else Registers(device)


class _Connection(asyncio.Protocol):
    """Cuts a stream into frames. A stream that is no Modbus is dropped."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._server.closed(self)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(self._buffer)
            if protocol != 0 or not 2 <= length <= LONGEST:
                self.drop()
                return
            end = HEADER.size - 1 + length
            if len(self._buffer) < end:
                return
            request, self._buffer = self._buffer[HEADER.size : end], self._buffer[end:]
            answer = self._server.answer(unit, request)
            if answer is not None and self._transport is not None:
                self._transport.write(HEADER.pack(transaction, 0, len(answer) + 1, unit) + answer)


class _RtuConnection(_Connection):
    """Cuts a stream into the frames of a serial line."""

    def __init__(self, server: ModbusServer) -> None:
        super().__init__(server)
        self._cutter = RtuCutter()

    def data_received(self, data: bytes) -> None:
        for unit, request in self._cutter.feed(data):
            answer = self._server.answer(unit, request)
            if answer is not None and self._transport is not None:
                self._transport.write(framed(unit, answer))


def _performed(registers: Registers | SunspecRegisters, request: bytes) -> bytes:
    """Return the answer to a request; raise ``Declined``."""
    function = request[0]
    if len(request) < 5:
        raise Declined(
            Code.ILLEGAL_VALUE if function in (3, 4, WRITE_ONE, WRITE_MANY) else Code.ILLEGAL_FUNCTION
        )
    address, number = struct.unpack_from(">HH", request, 1)
    if function == WRITE_ONE:
        registers.write(function, address, [number])
        return request[:5]
    if function == WRITE_MANY:
        registers.write(function, address, _payload(request, number))
        return request[:5]
    words = registers.read(function, address, number)
    return struct.pack(f">BB{number}H", function, 2 * number, *words)


def _payload(request: bytes, count: int) -> list[int]:
    """Return the registers that a request writes; it must carry as many as it says."""
    if not 1 <= count <= 123 or len(request) != 6 + 2 * count or request[5] != 2 * count:
        raise Declined(Code.ILLEGAL_VALUE)
    return list(struct.unpack_from(f">{count}H", request, 6))
