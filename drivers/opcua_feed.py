"""What a server sends by itself: a subscription that is believed while it keeps talking, and checked by full reads.

The server talks at least once in each quarter of a poll, if only to say that nothing changed. When it doesn't, or when
a full read shows what it never told, all points are read as if there were no subscription, and a new one is made.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaStatusCodeError

from drivers.opcua_session import OpcuaSession

FULL_READ_S = 10.0
TALK_SHARE = 0.25
"""How much of a poll may pass before the server says something."""
SILENT_SHARE = 0.6
"""After how much of a poll without a word the values are read."""
LIFE_S = 30.0
"""For how long the server keeps a subscription that nobody asks about."""
AGAIN_S = 60.0
"""Pause before a server that refuses subscriptions is asked for one again."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Item:
    """One subscribed node: its last value, how often the server told it, and what a full read saw untold."""

    value: ua.DataValue | None = None
    told: int = 0
    untold_at: int | None = None


class Feed:
    """The subscription to the polled points of one server. ``age_s``: how long ago they were last confirmed."""

    def __init__(self, session: OpcuaSession, poll_s: float) -> None:
        self._session = session
        self._poll_s = poll_s
        self._client: Client | None = None
        self._number = 0
        self._items: dict[ua.NodeId, _Item] = {}
        self._heard_s = float("-inf")
        self._full_at_s = 0.0
        self._again_at_s = float("-inf")
        self.age_s = 0.0

    async def read(self, client: Client, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """Return what the server told of each node, or what a read gives where it can't be believed."""
        now_s = asyncio.get_running_loop().time()
        told = self._told(nodes) if self._client is client else None
        is_silent = now_s - self._heard_s > SILENT_SHARE * self._poll_s
        if told is not None and not is_silent and not self._deaf() and now_s < self._full_at_s:
            self.age_s = now_s - self._heard_s
            return told
        self.age_s = 0.0
        values = await self._session.read(client, nodes)
        if told is None or is_silent or self._deaf():
            await self._subscribe(client, nodes)
        else:
            self._compare(nodes, values)
        self._full_at_s = now_s + FULL_READ_S
        return values

    def _told(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue] | None:
        """Return the values that the server sent; None where one is missing."""
        values = [item.value for node in nodes if (item := self._items.get(node)) and item.value is not None]
        return values if len(values) == len(nodes) else None

    def _compare(self, nodes: Sequence[ua.NodeId], values: Sequence[ua.DataValue]) -> None:
        """Note what a full read sees otherwise than it was told; the server has until the next poll to tell it."""
        for node, value in zip(nodes, values, strict=True):
            item = self._items[node]
            item.untold_at = item.told if item.value is not None and _differ(item.value, value) else None

    def _deaf(self) -> bool:
        """Return whether something that a full read saw was still not told."""
        return any(item.untold_at == item.told for item in self._items.values())

    async def _subscribe(self, client: Client, nodes: Sequence[ua.NodeId]) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._again_at_s:
            return
        if self._client is client and self._items:
            log.warning("subscription renewed", device=self._session.device_id, cause=self._why(now_s))
        former = self._number if self._client is client else 0
        self._client, self._items = client, {node: _Item() for node in nodes}
        told = await self._session.call(client, self._made(client, former))
        if told:
            self._again_at_s = now_s + AGAIN_S
            self._client, self._items = None, {}
            log.warning("no subscription, reading instead", device=self._session.device_id, cause=told)

    def _why(self, now_s: float) -> str:
        if self._deaf():
            return "a full read saw what the server did not tell"
        return f"nothing heard for {now_s - self._heard_s:.1f} s"

    async def _made(self, client: Client, former: int) -> str:
        """Subscribe to all items, in place of subscription ``former``; return why the server does not want that."""
        try:
            if former:
                await client.uaclient.delete_subscriptions([former])
            made = await client.uaclient.create_subscription(self._wishes(), self._hear)
            self._number = made.SubscriptionId
            beat_s = made.RevisedPublishingInterval * made.RevisedMaxKeepAliveCount / 1000.0
            if beat_s > SILENT_SHARE * self._poll_s:
                await client.uaclient.delete_subscriptions([made.SubscriptionId])
                return f"the server talks only every {beat_s:g} s"
            results = await client.uaclient.create_monitored_items(self._wanted(made.SubscriptionId))
        except UaStatusCodeError as refused:
            return ua.StatusCode(ua.UInt32(refused.code)).name
        for item, result in zip(self._items.values(), results, strict=True):
            if not result.StatusCode.is_good():  # what can't be watched is no value for a reader either
                item.value = ua.DataValue(StatusCode=result.StatusCode)
        self._heard_s = asyncio.get_running_loop().time()
        return ""

    def _wishes(self) -> ua.CreateSubscriptionParameters:
        interval_ms = 1000.0 * TALK_SHARE * self._poll_s
        return ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=ua.Duration(interval_ms),
            RequestedLifetimeCount=ua.UInt32(max(3, int(1000.0 * LIFE_S / interval_ms))),
            RequestedMaxKeepAliveCount=ua.UInt32(1),
            PublishingEnabled=True,
        )

    def _wanted(self, number: int) -> ua.CreateMonitoredItemsParameters:
        items = [
            ua.MonitoredItemCreateRequest(
                ItemToMonitor=ua.ReadValueId(node, AttributeIds.Value),
                MonitoringMode=ua.MonitoringMode.Reporting,
                RequestedParameters=ua.MonitoringParameters(
                    ClientHandle=ua.UInt32(handle),
                    SamplingInterval=ua.Duration(1000.0 * TALK_SHARE * self._poll_s),
                    QueueSize=ua.UInt32(1),
                    DiscardOldest=True,
                ),
            )
            for handle, node in enumerate(self._items)
        ]
        both = ua.TimestampsToReturn.Both
        return ua.CreateMonitoredItemsParameters(
            SubscriptionId=ua.UInt32(number), TimestampsToReturn=both, ItemsToCreate=items
        )

    async def _hear(self, message: ua.PublishResult) -> None:
        """Take what the server tells; that it ends the subscription counts as silence."""
        if message.SubscriptionId != self._number:
            return
        items = list(self._items.values())
        for notice in message.NotificationMessage.NotificationData or ():
            if isinstance(notice, ua.StatusChangeNotification):
                self._heard_s = float("-inf")
                return
            for change in getattr(notice, "MonitoredItems", ()):
                item = items[change.ClientHandle]
                item.value, item.told = change.Value, item.told + 1
        self._heard_s = asyncio.get_running_loop().time()


def _differ(told: ua.DataValue, read: ua.DataValue) -> bool:
    """Return whether two values are not the same; NaN is NaN."""
    return repr(told.Value) != repr(read.Value) or told.StatusCode != read.StatusCode
