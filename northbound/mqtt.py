"""Empties the outbox into an MQTT broker, and takes commands from it. Nothing is lost: a parcel leaves the outbox when
the broker has acknowledged all its messages.

A broker may swallow what its access list forbids and acknowledge it all the same. So each connection begins with a
proof: its own ``online`` must come back before anything leaves the outbox.
"""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from math import isfinite
from secrets import token_hex
from typing import Any

import aiomqtt
import structlog
from paho.mqtt.subscribeoptions import SubscribeOptions

from northbound.database import utc_text
from northbound.feed import Parcel, SinkStatus
from northbound.mqtt_commands import Told, site_topics
from northbound.mqtt_desk import RequestDesk
from northbound.mqtt_link import TIMEOUT_S, LinkFailed, failure_of, linked
from northbound.mqtt_messages import SINK, Message, topic_of, unpacked
from northbound.store import Store
from station.clock import Clock
from station.sinks import MqttSettings
from station.topology import Site

IDLE_S = 0.5
"""How often the outbox is looked at while nothing waits, in s of wall time."""

AWAY_S = 1.0
AWAY_MOST_S = 30.0
"""The first pause after a failure; it doubles up to the last one."""

WRONG_S = 30.0
"""The pause while the settings are wrong: a person must mend them."""

PARCELS_MOST = 20
"""Sent before the delivery is noted: after a kill so many may come a second time, with the same ids."""

PARCELS_AT_ONCE = 2

MESSAGES_AT_ONCE = 12
"""Few, because control runs in the same event loop: each costs it about 0.2 ms."""

BYTES_MOST = 1_000_000

FAREWELL_S = 2.0

POISONOUS = 10
"""A message during which the broker hung up so many times in a row is put aside: it may never take it."""

log = structlog.get_logger(__name__)


class MqttSink:
    """The sink (``northbound.feed.Sink``)."""

    name = SINK

    def __init__(self, settings: MqttSettings, site: Site, store: Store, clock: Clock) -> None:
        """Send what waits in the outbox of ``store``, and enter there what is asked for, if commands are taken."""
        self._settings = settings
        self._outbox = store.outbox(SINK)
        self._clock = clock
        self._speed = clock.speed if isfinite(clock.speed) else 1.0
        self._desk = RequestDesk(site, store, self._speed)
        self._site_id = site.site_id
        self._status = SinkStatus()
        self._failures = 0
        self._hung_up = (0, 0)
        self._gate = asyncio.Semaphore(MESSAGES_AT_ONCE)

    @property
    def status(self) -> SinkStatus:
        """Return how it does."""
        return self._status

    async def run(self) -> None:
        """Connect and send until cancelled; then say ``offline`` where there is a connection."""
        while True:
            session = asyncio.create_task(self._session())
            try:
                await asyncio.wait([session])
            finally:
                await _end([session], FAREWELL_S + 1.0)
            await self._pause(self._failed(session.result()))

    async def _session(self) -> LinkFailed:
        """Work through one connection and return why it ended."""
        connected_at = self._clock.now().at
        try:
            will = self._state("offline", None, connected_at)
            async with linked(self._settings, f"heliodock-{self._site_id}", will) as client:
                online = self._state("online", connected_at, connected_at)
                heard = asyncio.Event()
                try:
                    await self._subscribe(client)
                    await _first_failure(
                        self._listen(client, online, heard), self._talk(client, online, heard)
                    )
                except asyncio.CancelledError:
                    with suppress(aiomqtt.MqttError):
                        offline = self._state("offline", self._clock.now().at, connected_at)
                        await _publish(client, offline, FAREWELL_S)
                    raise
        except LinkFailed as failed:
            return failed
        except aiomqtt.MqttError as error:
            return failure_of(error, self._settings)
        return LinkFailed("the connection ended")

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        filters = [(topic_of(self._site_id, "status"), SubscribeOptions(qos=1))]
        if self._settings.takes_commands:
            options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
            filters.append((site_topics(self._site_id), options))
        for topic, options in filters:
            answers = await client.subscribe(topic, options=options)
            if any(getattr(answer, "value", answer) >= 128 for answer in answers):
                raise LinkFailed(
                    f"not authorised: the broker does not let us subscribe to {topic}", is_wrong=True
                )

    async def _listen(self, client: aiomqtt.Client, online: Message, heard: asyncio.Event) -> None:
        """Take what the broker sends, until it is gone."""
        async for message in client.messages:
            topic, payload = str(message.topic), _bytes(message.payload)
            if topic == online.topic:
                if payload == online.payload.encode():
                    heard.set()
                continue
            told = Told(topic, payload, message.retain)
            ack = await asyncio.to_thread(self._desk.take, told, self._clock.now())
            if ack is not None:
                await _publish(client, ack)

    async def _talk(self, client: aiomqtt.Client, online: Message, heard: asyncio.Event) -> None:
        """Prove that messages pass, then empty the outbox for ever."""
        await _publish(client, online)
        try:
            await asyncio.wait_for(heard.wait(), TIMEOUT_S)
        except TimeoutError:
            cause = (
                f"not authorised: user '{self._settings.username}' must be let write and read {online.topic}"
            )
            raise LinkFailed(cause, is_wrong=True) from None
        self._came_back()
        while True:
            parcels = await asyncio.to_thread(self._outbox.parcels, PARCELS_MOST, BYTES_MOST)
            if parcels:
                await self._send(client, parcels)
            else:
                await asyncio.sleep(IDLE_S)

    async def _send(self, client: aiomqtt.Client, parcels: list[Parcel]) -> None:
        """Send parcels in order, a few at once; one during which the broker hung up before goes alone."""
        at_once = 1 if self._hung_up[1] else PARCELS_AT_ONCE
        sent = 0
        try:
            while sent < len(parcels):
                some = parcels[sent : sent + at_once]
                passed, failed = await self._send_some(client, some)
                sent += passed
                if failed is not None:
                    raise self._noted(some[passed].number, failed)
                self._hung_up = (0, 0)
        finally:
            if sent:
                await asyncio.to_thread(self._outbox.delivered, parcels[sent - 1].number)
                self._status = replace(self._status, sent=self._status.sent + sent)

    async def _send_some(
        self, client: aiomqtt.Client, parcels: list[Parcel]
    ) -> tuple[int, BaseException | None]:
        """Send parcels; return how many the broker has before the first that it has not, and why it has not."""
        tasks = [asyncio.create_task(self._send_one(client, parcel)) for parcel in parcels]
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        return next(((i, end) for i, end in enumerate(ends) if end is not None), (len(ends), None))

    def _noted(self, number: int, error: BaseException) -> BaseException:
        """Count how often the broker hung up while a parcel was the first that it did not have."""
        if isinstance(error, aiomqtt.MqttCodeError):
            self._hung_up = (number, self._hung_up[1] + 1 if self._hung_up[0] == number else 1)
        return error

    async def _send_one(self, client: aiomqtt.Client, parcel: Parcel) -> None:
        """Return once the broker has acknowledged all messages of a parcel, or it is put aside."""
        number, times = self._hung_up
        if parcel.number == number and times >= POISONOUS:
            return await self._put_aside(parcel, f"the broker hung up {times} times while this was sent")
        try:
            messages = unpacked(parcel.body)
        except ValueError as wrong:
            return await self._put_aside(parcel, str(wrong))
        ends = await asyncio.gather(*(self._pass(client, m) for m in messages), return_exceptions=True)
        for end in ends:
            if end is not None:
                raise end
        return None

    async def _pass(self, client: aiomqtt.Client, message: Message) -> None:
        """Publish a message when few others are on their way; those that wait keep their order."""
        async with self._gate:
            await _publish(client, message)

    async def _put_aside(self, parcel: Parcel, cause: str) -> None:
        log.warning("mqtt: a message is put aside", number=parcel.number, cause=cause)
        await asyncio.to_thread(self._outbox.refuse, parcel.at, parcel.body, cause)
        self._status = replace(self._status, refused=self._status.refused + 1)
        self._hung_up = (0, 0)

    def _state(self, state: str, at: datetime | None, connected_at: datetime) -> Message:
        """Return what stands at ``status``. Nobody knows when a connection breaks: ``at`` of the will is null."""
        payload = {
            "state": state,
            "at": None if at is None else utc_text(at),
            "connected_at": utc_text(connected_at),
            "id": token_hex(8),
        }
        return Message(topic_of(self._site_id, "status"), json.dumps(payload), retain=True)

    def _came_back(self) -> None:
        if self._status.cause:
            log.info("mqtt is back", host=self._settings.host)
        self._failures = 0
        self._status = replace(self._status, cause="", is_wrong=False)

    def _failed(self, failed: LinkFailed) -> float:
        """Note why there is no connection and return the pause in s before the next attempt."""
        if not self._status.cause or failed.is_wrong is not self._status.is_wrong:
            log.warning("mqtt does not take records", host=self._settings.host, cause=failed.cause)
        self._status = replace(self._status, cause=failed.cause, is_wrong=failed.is_wrong)
        pause_s = WRONG_S if failed.is_wrong else min(AWAY_S * 2.0**self._failures, AWAY_MOST_S)
        self._failures = min(self._failures + 1, 16)
        return pause_s

    async def _pause(self, pause_s: float) -> None:
        """Let wall time pass, whatever the station clock's speed."""
        await self._clock.sleep_until(self._clock.now().mono_s + pause_s * self._speed)


async def _publish(client: aiomqtt.Client, message: Message, timeout_s: float = TIMEOUT_S) -> None:
    await client.publish(message.topic, message.payload, qos=1, retain=message.retain, timeout=timeout_s)


def _bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else str(payload).encode()


async def _first_failure(*works: Coroutine[None, None, None]) -> None:
    """Run all until one ends, end the others, and raise what it raised.

    No ``TaskGroup``: where a task of it fails just as it is cancelled itself, Python 3.11 forgets the cancellation.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(tasks, 1.0)
    for task in done:
        task.result()


async def _end(tasks: Sequence[asyncio.Task[Any]], patience_s: float) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: Python 3.11's ``wait_for``, which aiomqtt uses, forgets a cancellation that comes in the moment
    in which its wait is over.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=patience_s)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it
