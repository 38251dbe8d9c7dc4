"""The points of one OPC UA device: nodes found by namespace URI, read in one batch, written with their own type.

Only the security policy None is spoken for now: neither side proves who it is and nothing is encrypted, so such a
server belongs on a network of its own. Nothing runs in the background here: asyncua's supervisor is not used, because
a frozen server must be noticed by the deadline of the call that meets it. After any failure the client is thrown away
and the next call makes a new one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from drivers import codec
from drivers.modbus import FIRST_RETRY_S, LAST_RETRY_S, in_words
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError, Nonsense, Rejected, Unreachable
from station.profile import DeviceBinding, Encoding, Point

VARIANTS = {
    Encoding.BOOL: ua.VariantType.Boolean,
    Encoding.UINT16: ua.VariantType.UInt16,
    Encoding.INT16: ua.VariantType.Int16,
    Encoding.UINT32: ua.VariantType.UInt32,
    Encoding.INT32: ua.VariantType.Int32,
    Encoding.UINT64: ua.VariantType.UInt64,
    Encoding.INT64: ua.VariantType.Int64,
    Encoding.FLOAT32: ua.VariantType.Float,
    Encoding.FLOAT64: ua.VariantType.Double,
    Encoding.STRING: ua.VariantType.String,
}
RENEW_SHARE = 0.75
"""How much of a secure channel's lifetime may pass before it is renewed."""

T = TypeVar("T")

# asyncua logs each failure of each call; the poller says once that a device is lost, and once that it is back.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)


class OpcuaPoints:
    """A ``Wire`` to one OPC UA server. ``read`` and ``write`` may run at the same time."""

    def __init__(self, binding: DeviceBinding) -> None:
        self._device_id = binding.device_id
        self._profile = binding.profile
        self._url = f"opc.tcp://{binding.host}:{binding.port}/"
        self._client: Client | None = None
        self._namespace = 0
        self._renew_at_s = 0.0
        self._connecting = asyncio.Lock()
        self._retry_s = FIRST_RETRY_S
        self._closed_until_s = float("-inf")
        self._cause = ""

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:  # noqa: ARG002
        """Read all points in one request; a missing or bad node fails alone and says its name."""
        client = await self._connected()
        nodes = [client.get_node(self._node_id(ref)) for ref in refs]
        values = await self._call(client.read_attributes(nodes, AttributeIds.Value), client)
        if len(values) != len(refs):
            self._drop(client)
            raise Nonsense(self._device_id, f"{len(values)} values came instead of {len(refs)}")
        return {ref: self._outcome(ref, value) for ref, value in zip(refs, values, strict=True)}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:  # noqa: ARG002
        """Write one point with the variant type of its encoding."""
        point = self._profile.points[ref.name]
        if point.write is None:
            raise Rejected(self._device_id, "cannot be written", ref.name)
        try:
            variant = ua.Variant(codec.encode_raw(point, value), VARIANTS[point.encoding])
        except ValueError as misfit:
            raise Rejected(self._device_id, str(misfit), ref.name) from None
        client = await self._connected()
        node = client.get_node(self._node_id(ref))
        codes = await self._call(client.write_values([node], [ua.DataValue(variant)], False), client)
        if len(codes) != 1 or not codes[0].is_good():
            said = codes[0].name if codes else "nothing"
            raise Rejected(self._device_id, f"the server refuses the write ({said})", ref.name)

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return the value after it was encoded; raise ``ValueError`` where it does not fit."""
        point = self._profile.points[ref.name]
        return codec.decode_raw(point, codec.encode_raw(point, value))

    async def close(self) -> None:
        """Take leave of the server; within one deadline, whether it answers or not."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(self._profile.timeout_s):
                await client.uaclient.close_session(True)
                await client.close_secure_channel()
        except (OSError, TimeoutError, UaError):
            pass
        finally:
            client.disconnect_socket()

    async def _connected(self) -> Client:
        """Return a client with a session, made now if need be."""
        async with self._connecting:
            if self._client is None:
                self._client = await self._reconnected()
            elif asyncio.get_running_loop().time() >= self._renew_at_s:
                await self._call(self._renew(self._client), self._client)
            return self._client

    async def _reconnected(self) -> Client:
        loop = asyncio.get_running_loop()
        if loop.time() < self._closed_until_s:
            raise Unreachable(self._device_id, self._cause)
        try:
            client = await self._call(self._connect())
        except DriverError as failed:
            self._cause = failed.cause
            self._closed_until_s = loop.time() + self._retry_s
            self._retry_s = min(2.0 * self._retry_s, LAST_RETRY_S)
            raise
        self._retry_s = FIRST_RETRY_S
        return client

    async def _connect(self) -> Client:
        client = Client(self._url, timeout=self._profile.timeout_s)
        try:
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            await client.create_session()
            await client.activate_session()
            self._plan_renewal(client)
            uris = await client.get_namespace_array()
        except BaseException:
            client.disconnect_socket()
            raise
        if self._profile.namespace not in uris:
            client.disconnect_socket()
            raise Rejected(self._device_id, f"the server has no namespace {self._profile.namespace}")
        self._namespace = uris.index(self._profile.namespace)
        return client

    async def _renew(self, client: Client) -> None:
        await client.open_secure_channel(renew=True)
        self._plan_renewal(client)

    def _plan_renewal(self, client: Client) -> None:
        lifetime_s = client.secure_channel_timeout / 1000.0
        self._renew_at_s = asyncio.get_running_loop().time() + RENEW_SHARE * lifetime_s

    async def _call(self, call: Awaitable[T], client: Client | None = None) -> T:
        """Await one exchange with a deadline; whatever fails ends the client."""
        timeout_s = self._profile.timeout_s
        what = "answer" if client else "connection"
        try:
            async with asyncio.timeout(timeout_s):
                return await call
        except BaseException as failed:
            self._drop(client)
            if isinstance(failed, TimeoutError):
                raise Unreachable(self._device_id, f"no {what} within {timeout_s:g} s") from None
            if isinstance(failed, OSError):
                raise Unreachable(self._device_id, f"no {what}: {in_words(failed, timeout_s)}") from None
            if isinstance(failed, DriverError) or not isinstance(failed, Exception):
                raise
            raise Nonsense(self._device_id, f"the server's answer is unusable ({failed})") from None

    def _drop(self, client: Client | None) -> None:
        if client is not None:
            client.disconnect_socket()
            if self._client is client:
                self._client = None

    def _node_id(self, ref: PointRef) -> ua.NodeId:
        return ua.NodeId(ua.String(self._node_text(ref)), ua.Int16(self._namespace))

    def _node_text(self, ref: PointRef) -> str:
        return self._profile.points[ref.name].node.replace("{connector}", str(ref.connector + 1))

    def _outcome(self, ref: PointRef, value: ua.DataValue) -> Outcome:
        point = self._profile.points[ref.name]
        node = self._node_text(ref)
        status = value.StatusCode
        if status is not None and not status.is_good():
            return Rejected(self._device_id, f"node {node}: {status.name}", ref.name)
        try:
            return _decoded(point, value.Value)
        except ValueError as nonsense:
            return Nonsense(self._device_id, f"node {node}: {nonsense}", ref.name)


def _decoded(point: Point, variant: ua.Variant | None) -> codec.Value | None:
    expected = VARIANTS[point.encoding]
    if variant is None or variant.VariantType is not expected or variant.is_array:
        held = "nothing" if variant is None else variant.VariantType.name
        raise ValueError(f"holds {held} instead of {expected.name}")
    if variant.Value is None and point.encoding is Encoding.STRING:
        return None
    return codec.decode_raw(point, variant.Value)
