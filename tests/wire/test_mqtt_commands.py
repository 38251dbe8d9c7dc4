"""Commands through a real Mosquitto: only what is right, fresh, permitted and new becomes a wish; all are answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from controller.clock import LiveClock
from northbound.mqtt import MqttSink
from northbound.mqtt_desk import LIVE_MOST
from northbound.mqtt_messages import SINK, mqtt_feed
from northbound.reader import StoreReader
from northbound.store import Store
from station.request import Request
from station.sinks import MqttSettings
from tests.factories import a_site
from tests.wire.broker import Broker
from tests.wire.sink_bench import a_store

SITE = a_site()
ROOT = f"heliodock/{SITE.site_id}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = a_store(tmp_path / "store", mqtt_feed(SITE, MqttSettings("", 0)))
    yield store
    store.close()


class Caller:
    """Somebody who sends commands and hears the answers."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.acks: dict[str, list[dict[str, Any]]] = {}

    async def hear(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.acks.setdefault(str(message.topic).rpartition("/")[2], []).append(
                json.loads(message.payload)
            )

    async def say(self, what: str, payload: object, *, retain: bool = False, site: str = ROOT) -> None:
        text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        await self._client.publish(f"{site}/set/{what}", text, qos=1, retain=retain)

    async def answer(self, command_id: str, number: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(10.0):
            while len(self.acks.get(command_id, ())) < number:  # noqa: ASYNC110  it comes from elsewhere
                await asyncio.sleep(0.02)
        return self.acks[command_id][number - 1]


@asynccontextmanager
async def calling(broker: Broker, user: str = "operator") -> AsyncIterator[Caller]:
    async with broker.client(user) as client:
        caller = Caller(client)
        await client.subscribe(f"{ROOT}/ack/+", qos=1)
        task = asyncio.create_task(caller.hear())
        try:
            yield caller
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def station(broker: Broker, store: Store) -> AsyncIterator[MqttSink]:
    """Run the sink; it listens when the body begins."""
    sink = MqttSink(broker.settings(), SITE, store, LiveClock())
    async with broker.client() as client:
        await client.subscribe(f"{ROOT}/status", qos=1)
        task = asyncio.create_task(sink.run())
        try:
            async with asyncio.timeout(20.0):
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    if json.loads(message.payload)["state"] == "online" and not message.retain:
                        break
        except TimeoutError:
            raise AssertionError(f"not online: {sink.status}") from None
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def limit(command_id: str, kw: float = 50.0, since_s: float = 0.0, lasts_s: float = 3600.0) -> dict[str, Any]:
    issued_at = datetime.now(UTC) + timedelta(seconds=since_s)
    return {
        "id": command_id,
        "issued_at": issued_at.isoformat(),
        "expires_at": (issued_at + timedelta(seconds=lasts_s)).isoformat(),
        "owner": "ann",
        "max_import_kw": kw,
    }


def wishes(store: Store) -> tuple[Request, ...]:
    """Return what the loop would be told now."""
    assert store.flush()
    with StoreReader(store.directory) as reader:
        return reader.requests(datetime.now(UTC))


def refused(store: Store) -> list[tuple[str, str]]:
    """Return id and cause of the refusals that were audited."""
    assert store.flush()
    import sqlite3

    with sqlite3.connect(store.directory / "ledger.db") as file:
        rows = file.execute(
            "SELECT body FROM audit WHERE kind = 'request_refused' ORDER BY number"
        ).fetchall()
    file.close()
    bodies = [json.loads(body) for (body,) in rows]
    return [(body["request_id"], body["cause"]) for body in bodies]


async def test_a_command_becomes_a_wish_that_is_answered_and_can_be_withdrawn(
    broker: Broker, store: Store
) -> None:
    async with station(broker, store), calling(broker) as caller:
        command = limit("c1")
        await caller.say("limit", command)
        ack = await caller.answer("c1")
        assert (ack["accepted"], ack["cause"]) == (True, None)
        (wish,) = wishes(store)
        assert (wish.request_id, wish.owner, wish.interval.max_kw) == ("c1", "ann", 50.0)
        assert wish.expires_at.isoformat() == command["expires_at"]
        assert ack["expires_at"].startswith(command["expires_at"][:19])
        told = {"id": "c2", "issued_at": datetime.now(UTC).isoformat(), "owner": "bob", "request_id": "c1"}
        await caller.say("withdraw", told)
        assert "no request 'c1' of this owner" in (await caller.answer("c2"))["cause"]
        assert len(wishes(store)) == 1
        await caller.say("withdraw", told | {"id": "c3", "owner": "ann"})
        assert (await caller.answer("c3"))["accepted"]
        assert wishes(store) == ()


async def test_what_is_repeated_old_future_kept_or_malformed_is_refused_and_never_reaches_the_loop(
    broker: Broker, store: Store
) -> None:
    async with station(broker, store), calling(broker) as caller:
        first = limit("good", 80.0)
        await caller.say("limit", first)
        await caller.answer("good")
        await caller.say("limit", first | {"max_import_kw": 10.0})
        again = await caller.answer("good", 2)
        await caller.say("limit", limit("old", since_s=-120.0))
        await caller.say("limit", limit("over", since_s=-50.0, lasts_s=40.0))
        await caller.say("limit", limit("ahead", since_s=60.0))
        await caller.say("limit", limit("kept"), retain=True)
        await caller.say("limit", limit("more") | {"force": True})
        await caller.say("limit", json.dumps(limit("nan") | {"max_import_kw": float("nan")}).encode())
        await caller.say("asset/nobody", limit("who"))
        await caller.say("limit", b"\x00" * 60_000)
        await caller.say("limit", limit("last", 70.0))
        causes = {name: (await caller.answer(name))["cause"] for name in ("old", "over", "ahead", "kept")}
        causes |= {name: (await caller.answer(name))["cause"] for name in ("more", "who")}
        assert (await caller.answer("last"))["accepted"]
    assert again["cause"] == "id: was used before"
    assert "s old by this station's clock" in causes["old"]
    assert causes["over"] == "expires_at: is over already"
    assert "ahead of this station's clock" in causes["ahead"]
    assert causes["kept"] == "a command must not be retained"
    assert causes["more"] == "unknown key 'force'"
    assert causes["who"] == "no asset 'nobody' takes commands"
    assert {(wish.request_id, wish.interval.max_kw) for wish in wishes(store)} == {
        ("good", 80.0),
        ("last", 70.0),
    }
    audited = dict(refused(store))
    assert set(audited) == {"good", "", "old", "over", "ahead", "kept", "more", "who"}


async def test_a_kept_command_is_refused_at_each_connection_and_does_nothing(
    broker: Broker, store: Store
) -> None:
    async with calling(broker) as caller:
        await caller.say("limit", limit("kept"), retain=True)
        for number in (1, 2):
            async with station(broker, store):
                ack = await caller.answer("kept", number)
                assert ack["cause"] == "a command must not be retained"
    assert wishes(store) == ()


async def test_who_may_not_command_is_not_heard(broker: Broker, store: Store) -> None:
    """The broker swallows it without a word, so the test is that nothing arrives."""
    async with station(broker, store), calling(broker) as caller:
        async with broker.client("heliodock") as stranger:
            await stranger.publish(f"{ROOT}/set/limit", json.dumps(limit("stolen", 1.0)), qos=1)
        await caller.say("limit", limit("other"), site="heliodock/elsewhere")
        await caller.say("limit", limit("known", 60.0))
        await caller.answer("known")
        await asyncio.sleep(0.3)
    assert set(caller.acks) == {"known"}
    assert [wish.request_id for wish in wishes(store)] == ["known"]
    assert refused(store) == []


async def test_nobody_but_the_station_can_answer_or_tell_states(broker: Broker, store: Store) -> None:
    heard: list[str] = []
    async with broker.client() as ear:
        await ear.subscribe("heliodock/#", qos=1)
        async with broker.client() as liar:
            for topic in (f"{ROOT}/ack/c1", f"{ROOT}/status", f"{ROOT}/site/state", f"{ROOT}/event/command"):
                await liar.publish(topic, b"{}", qos=1, retain=True)
            await liar.publish(f"{ROOT}/set/limit", b"{}", qos=1)
        async with asyncio.timeout(10.0):
            async for message in ear.messages:
                heard.append(str(message.topic))
                break
    assert heard == [f"{ROOT}/set/limit"]


async def test_a_flood_of_commands_fills_neither_the_audit_nor_the_list_of_wishes(
    broker: Broker, store: Store
) -> None:
    async with station(broker, store), calling(broker) as caller:
        for number in range(LIVE_MOST + 30):
            await caller.say("limit", limit(f"n{number}"))
        await caller.answer(f"n{LIVE_MOST - 1}")
        for number in range(300):
            await caller.say("limit", limit(f"bad{number}") | {"x": 1})
        for attempt in range(20):  # what comes too fast is dropped without an answer
            await asyncio.sleep(0.3)
            await caller.say("limit", limit(f"late{attempt}"))
            if any(name.startswith("late") for name in caller.acks):
                break
        late = next(ack for name, acks in caller.acks.items() if name.startswith("late") for ack in acks)
    assert late["cause"] == f"{LIVE_MOST} requests hold already"
    assert len(wishes(store)) == LIVE_MOST
    assert len(refused(store)) <= 31


async def test_a_station_that_takes_no_commands_listens_to_none(broker: Broker, store: Store) -> None:
    sink = MqttSink(broker.settings(takes_commands=False), SITE, store, LiveClock())
    async with calling(broker) as caller:
        task = asyncio.create_task(sink.run())
        await asyncio.sleep(0.5)
        await caller.say("limit", limit("c1"))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert caller.acks == {}
    assert wishes(store) == ()
    assert not store.outbox(SINK).parcels(1, 1)
