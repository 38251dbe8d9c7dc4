"""Carries bytes: over a TCP socket, or between two ends in memory. Every wait has a deadline.

``TimeoutError`` and ``OSError`` (``ConnectionError`` among them) are all that a transport raises; links turn them into
the words of ``station.errors``.
"""

import asyncio
import contextlib
import socket
from typing import Protocol

CLOSED = "the device closed the connection"
MOST_UNSENT = 4096
"""Bytes that may wait for a peer that takes none."""


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


class Inbox:
    """Bytes that came and that nobody has taken yet. It has one reader.

    One timer is kept for many waits: most end long before it rings, and then it is not worth a new one.
    """

    __slots__ = ("_data", "_deadline_s", "_failed", "_loop", "_timer", "_waiter")

    def __init__(self) -> None:
        self._data = bytearray()
        self._failed = ""
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s = 0.0

    @property
    def is_broken(self) -> bool:
        """Return whether nothing more will come."""
        return bool(self._failed)

    def put(self, data: bytes) -> None:
        """Add bytes that came."""
        self._data += data
        self._wake()

    def fail(self, cause: str) -> None:
        """Let the reader know, once it took what came before, that nothing more will come."""
        self._failed = self._failed or cause
        self._wake()

    async def take(self, timeout_s: float) -> bytes:
        """Return what came, at least one byte; raise ``TimeoutError`` or ``ConnectionResetError``."""
        if not self._data and not self._failed and timeout_s > 0.0:
            self._waiter = self._loop.create_future()
            self._ring_at(self._loop.time() + timeout_s)
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._data:
            data = bytes(self._data)
            self._data.clear()
            return data
        if self._failed:
            raise ConnectionResetError(self._failed)
        raise TimeoutError

    def close(self) -> None:
        """Let no timer ring any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _ring_at(self, deadline_s: float) -> None:
        """Wake the reader at ``deadline_s``, or see then that the deadline was moved."""
        self._deadline_s = deadline_s
        if self._timer is None or self._timer.when() > deadline_s:
            self.close()
            self._timer = self._loop.call_at(deadline_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiter is not None and self._loop.time() < self._deadline_s:
            self._ring_at(self._deadline_s)
        else:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Stream(asyncio.Protocol):
    """Puts what a socket receives into an inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self.data_received = inbox.put  # type: ignore[method-assign]  # one call less for each answer

    def eof_received(self) -> None:
        self._inbox.fail(CLOSED)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the reader is told the same of each
        self._inbox.fail(CLOSED)


class SocketTransport:
    """A TCP connection: sends at once (TCP_NODELAY) and probes idle peers (keepalive)."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._inbox: Inbox | None = None
        self._stream: asyncio.Transport | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_open(self) -> bool:
        """Return whether the socket is there and neither side has closed it."""
        return self._inbox is not None and self._stream is not None and not self._inbox.is_broken

    async def open(self, timeout_s: float) -> None:
        """Connect within ``timeout_s``."""
        self.close()
        inbox = Inbox()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            stream, _ = await loop.create_connection(lambda: _Stream(inbox), self.host, self.port)
        raw = stream.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._stream, self._inbox = stream, inbox

    def close(self) -> None:
        """Drop the connection at once."""
        if self._stream is not None and self._inbox is not None:
            self._stream.abort()
            self._inbox.close()
        self._stream = self._inbox = None

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Hand the bytes to the system. They are few; where it takes none for long, the peer is away."""
        if self._stream is None or self._inbox is None or self._inbox.is_broken:
            raise ConnectionResetError(CLOSED)
        if self._stream.get_write_buffer_size() > MOST_UNSENT:
            raise TimeoutError(f"nothing was taken within {timeout_s:g} s")
        self._stream.write(data)

    async def receive(self, timeout_s: float) -> bytes:
        """Return what arrived."""
        if self._inbox is None:
            raise ConnectionResetError("not connected")
        return await self._inbox.take(timeout_s)


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
