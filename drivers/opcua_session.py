"""A session with one OPC UA server: made when it is needed, thrown away after any failure, made anew by the next call.

Nothing runs in the background here: asyncua's supervisor is not used, because a frozen server must be noticed by the
deadline of the call that meets it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from configs.secrets import secret_of
from drivers.modbus import FIRST_RETRY_S, in_words
from drivers.opcua_refusal import Barred, refused
from drivers.opcua_security import Papers, endings, papers_of, secure
from drivers.opcua_words import BUSY, in_brackets, name_of
from station.errors import ConfigError, DriverError, Nonsense, Rejected, Unreachable
from station.opcua import OpcuaAccess
from station.profile import DeviceBinding

RENEW_SHARE = 0.75
"""How much of a secure channel's lifetime may pass before it is renewed."""
LAST_RETRY_S = 1.0
BARRED_RETRY_S, LAST_BARRED_RETRY_S = 5.0, 60.0
"""Pauses after a refused user or certificate: servers lock accounts that are tried too often."""
LEAST_SECURED_CONNECT_S = 3.0
"""RSA takes its time on a small server; the deadline of a read stays what the profile says."""
SESSION_S = 15.0
"""How long a server keeps a session that says nothing: one that was cut off must not fill the server's few places."""
MOST_NODES = 500
"""Nodes of one request, where the server names no limit of its own."""
LIMIT_NODES = (
    ObjectIds.Server_NamespaceArray,
    ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
)

T = TypeVar("T")

log = structlog.get_logger(__name__)
# asyncua logs each failure of each call; the poller says once that a device is lost, and once that it is back.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)


class OpcuaSession:
    """The way to one server. Calls may run at the same time."""

    def __init__(self, binding: DeviceBinding) -> None:
        self.device_id = binding.device_id
        self.access = binding.opcua or OpcuaAccess()
        self.namespace = 0
        self._uri = binding.profile.namespace
        self._url = f"opc.tcp://{binding.host}:{binding.port}{self.access.path}"
        self._timeout_s = binding.profile.timeout_s
        self._client: Client | None = None
        self._most_nodes = MOST_NODES
        self._renew_at_s = 0.0
        self._connecting = asyncio.Lock()
        self._retry_s = FIRST_RETRY_S
        self._barred_retry_s = BARRED_RETRY_S
        self._closed_until_s = float("-inf")
        self._failed: DriverError | None = None
        self._warned_on = ""

    async def client(self) -> Client:
        """Return a client with a session, made now if need be; raise ``DriverError``."""
        async with self._connecting:
            if self._client is None:
                self._client = await self._reconnected()
            elif asyncio.get_running_loop().time() >= self._renew_at_s:
                await self.call(self._client, self._renew(self._client))
            return self._client

    async def read(self, client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """Return the value of each node with its status and both time stamps, in few requests."""
        values: list[ua.DataValue] = []
        for first in range(0, len(nodes), self._most_nodes):
            values += await self.call(client, read_values(client, nodes[first : first + self._most_nodes]))
        if len(values) != len(nodes):
            await self.drop(client)
            raise Nonsense(self.device_id, f"{len(values)} values came instead of {len(nodes)}")
        return values

    async def call(self, client: Client, exchange: Awaitable[T]) -> T:
        """Await one exchange with a deadline; whatever fails ends the client."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await exchange
        except BaseException as failed:
            await self.drop(client)
            if not isinstance(failed, Exception) or isinstance(failed, DriverError):
                raise
            raise self._told(failed, f"no answer within {self._timeout_s:g} s", "no answer") from None

    async def drop(self, client: Client) -> None:
        """Throw a client away, without a word to the server."""
        if self._client is client:
            self._client = None
        client.disconnect_socket()
        await client.uaclient.close_session(False)  # ends asyncua's publish loop; there is no socket any more

    async def close(self) -> None:
        """Take leave of the server; within one deadline, whether it answers or not."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.uaclient.close_session(True)
                await client.close_secure_channel()
        except (OSError, TimeoutError, UaError):
            pass
        finally:
            client.disconnect_socket()

    async def _reconnected(self) -> Client:
        loop = asyncio.get_running_loop()
        if self._failed is not None and loop.time() < self._closed_until_s:
            raise self._failed
        try:
            client = await self._entered()
        except DriverError as failed:
            self._failed = failed
            self._closed_until_s = loop.time() + self._pause_s(failed)
            raise
        self._failed = None
        self._retry_s, self._barred_retry_s = FIRST_RETRY_S, BARRED_RETRY_S
        return client

    def _pause_s(self, failed: DriverError) -> float:
        """Return how long nobody knocks, and let it be longer the next time."""
        if isinstance(failed, Barred):
            pause_s = self._barred_retry_s
            self._barred_retry_s = min(2.0 * pause_s, LAST_BARRED_RETRY_S)
        else:
            pause_s = self._retry_s
            self._retry_s = min(2.0 * pause_s, LAST_RETRY_S)
        return pause_s

    async def _entered(self) -> Client:
        """Return a client that has a session and knows the namespace, or raise why it can't be had."""
        papers, password = self._papers(), self._password()
        connect_s = max(self._timeout_s, LEAST_SECURED_CONNECT_S) if papers else self._timeout_s
        client = Client(self._url, timeout=connect_s)
        client.session_timeout = int(1000.0 * SESSION_S)
        try:
            if papers is not None:
                secure(client, self.access, papers)
            async with asyncio.timeout(connect_s):
                await client.connect_socket()
                await client.send_hello()  # a frozen server gets no further
            await self._enter(client, password, connect_s)
        except BaseException as failed:
            await self.drop(client)
            if isinstance(failed, _ShutError):
                raise await refused(self.device_id, client, self.access, papers, failed.reason) from None
            if isinstance(failed, DriverError) or not isinstance(failed, Exception):
                raise
            raise self._told(failed, f"no connection within {connect_s:g} s", "no connection") from None
        self._warn()
        return client

    async def _enter(self, client: Client, password: str, within_s: float) -> None:
        """Open channel and session, and look around."""
        try:
            async with asyncio.timeout(within_s):
                await client.open_secure_channel()
                await client.create_session()
                await client.activate_session(self.access.user or None, password or None)
                self._plan_renewal(client)
                await self._look_around(client)
        except DriverError:
            raise
        except Exception as failed:  # noqa: BLE001  asyncua raises anything, AssertionError among it
            raise _ShutError(failed) from None

    async def _look_around(self, client: Client) -> None:
        """Find the namespace's present index, which may differ after a restart, and the server's limit."""
        found = await read_values(client, [ua.NodeId(ua.Int32(its), ua.Int16(0)) for its in LIMIT_NODES])
        uris, most = (value.Value.Value if value.Value is not None else None for value in found)
        if not isinstance(uris, list) or self._uri not in uris:
            raise Rejected(self.device_id, f"the server has no namespace {self._uri}")
        self.namespace = uris.index(self._uri)
        self._most_nodes = min(most, MOST_NODES) if isinstance(most, int) and most > 0 else MOST_NODES

    async def _renew(self, client: Client) -> None:
        await client.open_secure_channel(renew=True)
        self._plan_renewal(client)
        self._warn()

    def _plan_renewal(self, client: Client) -> None:
        lifetime_s = client.secure_channel_timeout / 1000.0
        self._renew_at_s = asyncio.get_running_loop().time() + RENEW_SHARE * lifetime_s

    def _papers(self) -> Papers | None:
        """Return our papers as they are in their files now: renewed ones are taken without a restart."""
        if not self.access.is_secured:
            return None
        try:
            return papers_of(self.access, datetime.now(UTC))
        except ValueError as unusable:
            raise Rejected(self.device_id, str(unusable)) from None

    def _password(self) -> str:
        try:
            return secret_of(self.access.password)
        except ConfigError as unusable:
            raise Rejected(self.device_id, str(unusable)) from None

    def _warn(self) -> None:
        """Tell once a day of a certificate that will end soon."""
        now_at = datetime.now(UTC)
        if self._warned_on == f"{now_at:%Y-%m-%d}":
            return
        self._warned_on = f"{now_at:%Y-%m-%d}"
        for text in endings(self.access, now_at):
            log.warning("renew the certificate", device=self.device_id, cause=text)

    def _told(self, failed: Exception, silent: str, gone: str) -> DriverError:
        """Return what a failed exchange means; the connection is gone with it."""
        if isinstance(failed, TimeoutError):
            return Unreachable(self.device_id, silent)
        if isinstance(failed, OSError):
            return Unreachable(self.device_id, f"{gone}: {in_words(failed, self._timeout_s)}")
        name = name_of(failed)
        if name in BUSY:
            return Unreachable(self.device_id, in_brackets(BUSY, name))
        return Nonsense(self.device_id, f"the server's answer is unusable ({name or failed})")


class _ShutError(Exception):
    """The server did not let us in; ``reason`` is what asyncua made of it."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


async def read_values(client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
    """Return the values of nodes in one request, with status and time stamps; raises what asyncua raises."""
    asked = [ua.ReadValueId(node, AttributeIds.Value) for node in nodes]
    both = ua.TimestampsToReturn.Both
    return await client.uaclient.read(ua.ReadParameters(TimestampsToReturn=both, NodesToRead=asked))
