"""Carries bytes: over a TCP socket, or between two ends in memory. Every wait has a deadline.

``TimeoutError`` and ``OSError`` (``ConnectionError`` among them) are all that a transport raises; links turn them into
the words of ``station.errors``.
"""

import asyncio
import contextlib
import socket
from typing import Protocol

CHUNK = 4096


class Transport(Protocol):
    """What a link needs of a connection. It may be opened again after it was closed."""

    @property
    def is_open(self) -> bool:
        """Return whether bytes may be sent; a peer that went away silently is not noticed here."""
        ...

    async def open(self, timeout_s: float) -> None:
        """Connect; raise ``OSError`` or ``TimeoutError``."""
        ...

    def close(self) -> None:
        """Drop the connection and whatever was still on its way."""
        ...

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Hand over all of ``data``."""
        ...

    async def receive(self, timeout_s: float) -> bytes:
        """Return the next bytes, at least one; raise ``ConnectionError`` when the peer has closed."""
        ...


class SocketTransport:
    """A TCP connection: sends at once (TCP_NODELAY) and probes idle peers (keepalive)."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Return whether the socket is there and neither side has closed it."""
        return (
            self._streams is not None and not self._streams[1].is_closing() and not self._streams[0].at_eof()
        )

    async def open(self, timeout_s: float) -> None:
        """Connect within ``timeout_s``."""
        self.close()
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(self.host, self.port)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._streams = reader, writer

    def close(self) -> None:
        """Drop the connection at once."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Write and flush."""
        _, writer = self._connected()
        writer.write(data)
        async with asyncio.timeout(timeout_s):
            await writer.drain()

    async def receive(self, timeout_s: float) -> bytes:
        """Return what arrived."""
        reader, _ = self._connected()
        async with asyncio.timeout(timeout_s):
            data = await reader.read(CHUNK)
        if not data:
            raise ConnectionResetError("the device closed the connection")
        return data

    def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise ConnectionResetError("not connected")
        return self._streams


class MemoryTransport:
    """One end of a connection in memory; ``memory_pair`` makes two. Frames are the real ones, only the wire is missing.

    The client's end opens the connection; while ``is_listening`` of the server's end is False that is refused.
    """

    def __init__(self) -> None:
        self.is_listening = True
        self.peer: MemoryTransport = self
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Return whether the connection stands."""
        return self._is_open

    async def open(self, timeout_s: float) -> None:
        """Connect both ends and empty both inboxes."""
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(0)
        if not self.peer.is_listening:
            raise ConnectionRefusedError("connection refused")
        for end in (self, self.peer):
            end._drop()
            end._is_open = True

    def close(self) -> None:
        """Close both ends; a peer that waits for bytes is told."""
        if not self._is_open:
            return
        self._drop()
        self.peer._drop()
        self.peer._inbox.put_nowait(b"")

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Put the bytes into the peer's inbox."""
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(0)
        if not self._is_open:
            raise ConnectionResetError("not connected")
        self.peer._inbox.put_nowait(data)

    async def receive(self, timeout_s: float) -> bytes:
        """Return the next bytes from the inbox."""
        async with asyncio.timeout(timeout_s):
            data = await self._inbox.get()
        if not data:
            raise ConnectionResetError("the device closed the connection")
        return data

    def _drop(self) -> None:
        self._is_open = False
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self._inbox.get_nowait()


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Return the client's and the server's end of a connection in memory."""
    client, server = MemoryTransport(), MemoryTransport()
    client.peer, server.peer = server, client
    return client, server
