"""One connection to an MQTT broker, on aiomqtt: made without blocking, ended for certain, its failures in plain words.

MQTT 5, because it tells a retained command from a fresh one, and why the broker refuses. What aiomqtt leaves open and
is closed here: its socket after a failed or cancelled connect, its flood of warnings, its unbounded queue.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from configs.secrets import secret_of
from northbound.mqtt_messages import Message
from station.errors import ConfigError, HeliodockError
from station.sinks import MqttSettings

KEEPALIVE_S = 8
TIMEOUT_S = 8.0
"""A broker that is frozen is noticed after this time where something is sent, else after twice the keepalive."""

CONNECT_S = 4.0
"""Bounds each of name look-up apart: the connection, and each step of the TLS handshake."""

IN_FLIGHT_MOST = 100
"""Messages to the broker that it has not acknowledged; it may permit fewer."""

QUEUED_MOST = 100
"""Messages from the broker that may wait; more are dropped and not acknowledged."""

PACKET_BYTES_MOST = 65_536
"""A broker does not send us more at once."""

REFUSED_FOR_GOOD = {133, 134, 135, 138, 140}
"""Reasons of a broker that only a person can mend: client id, user or password, not authorised, banned, method."""

_quiet = logging.getLogger("heliodock.mqtt")
_quiet.setLevel(logging.CRITICAL)


@dataclass
class LinkFailed(HeliodockError):
    """There is no connection, or none any more. ``is_wrong``: only a person can mend it."""

    cause: str
    is_wrong: bool = False

    def __str__(self) -> str:
        return self.cause


@asynccontextmanager
async def linked(settings: MqttSettings, identifier: str, will: Message) -> AsyncIterator[aiomqtt.Client]:
    """Give a connected client; raise ``LinkFailed`` where that fails. ``will`` is told when it breaks.

    What the body raises passes unchanged; after ``MqttError`` the broker is asked to tell the will.
    """
    client = await _made(settings, identifier, will)
    try:
        await _connected(client)
    except aiomqtt.MqttError as error:
        raise failure_of(error, settings) from None
    try:
        yield client
    except asyncio.CancelledError:
        client.drop(tells_will=False)
        raise
    finally:
        client.drop(tells_will=True)


def failure_of(error: aiomqtt.MqttError, settings: MqttSettings) -> LinkFailed:
    """Return what an error of aiomqtt means to an operator."""
    text = str(error)
    if isinstance(error, MqttConnectError):
        code = getattr(error.rc, "value", error.rc)
        if code in REFUSED_FOR_GOOD:
            return LinkFailed(f"not authorised: the broker refuses user '{settings.username}'", is_wrong=True)
        return LinkFailed(f"the broker refuses the connection: {error.rc}")
    if "certificate verify failed" in text.lower():
        why = text.partition("certificate verify failed: ")[2].partition(" (_ssl")[0] or text
        return LinkFailed(f"certificate not trusted: {why}", is_wrong=True)
    if text == "Operation timed out":
        return LinkFailed(f"no answer within {TIMEOUT_S:.0f} s")
    return LinkFailed(text or "the connection broke")


class _Socket(ssl.SSLSocket):
    """A TLS socket that closes itself where the handshake fails: paho forgets it open then."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class _Client(aiomqtt.Client):
    """A client that can be ended at any time. The only place that looks inside aiomqtt."""

    is_connecting = False

    def _client_connect(self) -> None:
        """Connect; aiomqtt runs this in a thread."""
        try:
            self._client.connect_timeout = CONNECT_S
            super()._client_connect()
        finally:
            self.is_connecting = False

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        """As aiomqtt does it, but not for a socket that is closed when the event loop comes to it."""

        def write() -> None:
            try:
                client.loop_write()
            except Exception as broken:  # noqa: BLE001  whatever it is, the connection is over
                if not self._disconnected.done():
                    self._disconnected.set_exception(broken)

        def register() -> None:
            if client.socket() is sock:
                self._loop.add_writer(sock.fileno(), write)

        self._loop.call_soon_threadsafe(register)

    def drop(self, *, tells_will: bool) -> None:
        """End the connection at once, in whatever state it is."""
        reason = "Disconnect with will message" if tells_will else "Normal disconnection"
        with suppress(OSError, ValueError):
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, reason))
            self._client.loop_write()
        self._client._sock_close()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # so that asyncio does not report it as never seen


async def _made(settings: MqttSettings, identifier: str, will: Message) -> _Client:
    password, context = await asyncio.to_thread(_credentials, settings)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = PACKET_BYTES_MOST
    client = _Client(
        settings.host,
        settings.port,
        username=settings.username or None,
        password=password or None,
        tls_context=context,
        protocol=aiomqtt.ProtocolVersion.V5,
        properties=properties,
        identifier=identifier,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=will.retain),
        keepalive=KEEPALIVE_S,
        max_inflight_messages=IN_FLIGHT_MOST,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        timeout=TIMEOUT_S,
        max_queued_incoming_messages=QUEUED_MOST,
        logger=_quiet,
    )
    client.pending_calls_threshold = 100_000  # else it warns
    return client


def _credentials(settings: MqttSettings) -> tuple[str, ssl.SSLContext | None]:
    """Read password and CA; each time anew, because a person may just have mended them."""
    try:
        password = secret_of(settings.password)
    except ConfigError as wrong:
        raise LinkFailed(str(wrong), is_wrong=True) from None
    if settings.ca_file is None:
        return password, None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as wrong:
        cause = wrong.strerror if not isinstance(wrong, ssl.SSLError) else "is no certificate"
        raise LinkFailed(f"{settings.ca_file}: {cause}", is_wrong=True) from None
    context.sslsocket_class = _Socket
    return password, context


async def _connected(client: _Client) -> None:
    """Connect; where that fails or is cancelled, leave no socket behind."""
    client.is_connecting = True
    try:
        await client.__aenter__()
    except BaseException:
        await _thread_over(client)
        client.drop(tells_will=False)
        raise


async def _thread_over(client: _Client) -> None:
    """Wait until the thread that connects is done: it cannot be cancelled."""
    with suppress(TimeoutError):
        async with asyncio.timeout(3.0 * CONNECT_S):
            while client.is_connecting:  # noqa: ASYNC110  it is a thread that ends it
                await asyncio.sleep(0.02)
    await asyncio.sleep(0)  # what the thread gave to this loop comes first
