"""The MQTT sink against a real Mosquitto with TLS, users and an access list: nothing lost, nothing doubled."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from controller.clock import LiveClock
from northbound.feed import Backlog, Outbox, Parcel
from northbound.mqtt import MqttSink
from northbound.mqtt_messages import SINK, mqtt_feed
from northbound.store import Store
from station.sinks import MqttSettings, Secret
from tests.factories import a_site
from tests.wire.broker import Broker
from tests.wire.sink_bench import START, QuickClock, a_store, fill, is_drained, run_until

SITE = a_site()
ROOT = f"heliodock/{SITE.site_id}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = a_store(tmp_path / "store", mqtt_feed(SITE, MqttSettings("", 0, interval_s=1.0)))
    yield store
    store.close()


@dataclass
class Listener:
    """A subscriber with a session that outlives it: what it is told, in order."""

    messages: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)

    def of(self, *levels: str) -> list[dict[str, Any]]:
        """Return the payloads at a topic of the site."""
        topic = "/".join((ROOT, *levels))
        return [payload for told, payload, _ in self.messages if told == topic]

    @property
    def ids(self) -> Counter[tuple[str, str]]:
        """Return how often each record and event came; what a broker had kept is told again to each who comes."""
        told = ((topic, payload["id"]) for topic, payload, is_kept in self.messages if not is_kept)
        return Counter(each for each in told if not each[0].endswith("/status"))


@asynccontextmanager
async def listening(broker: Broker, told: Listener, identifier: str | None = "ear") -> AsyncIterator[None]:
    """Collect in ``told`` what the broker sends, until the body ends or the broker does.

    The broker keeps what an ``identifier`` misses; without one only what comes now is heard.
    """
    async with broker.client("operator", identifier=identifier) as client:
        await client.subscribe(f"{ROOT}/#", qos=1)

        async def collect() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                told.messages.append((str(message.topic), json.loads(message.payload), message.retain))

        task = asyncio.create_task(collect())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110  it becomes true elsewhere
            await asyncio.sleep(0.02)


async def drain(broker: Broker, store: Store) -> MqttSink:
    """Send all that waits."""
    clock = QuickClock()
    sink = MqttSink(broker.settings(), SITE, store, clock)
    task = asyncio.create_task(sink.run())
    await until(is_drained(store, SINK), 60.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return sink


def records(seconds: int, first_s: int = 0) -> set[tuple[str, str]]:
    """Return topic and id of what ``fill`` means to MQTT, alarms excepted."""
    told = set()
    for second in range(first_s, first_s + seconds):
        at = (START + timedelta(seconds=second)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        told |= {(f"{ROOT}/{owner}/state", f"{owner}@{at}") for owner in ("site", "ac1", "ac2", "ac3")}
    return told


async def test_every_record_and_event_arrives_once(broker: Broker, store: Store) -> None:
    fill(store, 120)
    told = Listener()
    async with listening(broker, told):
        sink = await drain(broker, store)
        await until(lambda: len(told.ids) == 120 * 4 + 4)
    assert set(told.ids.values()) == {1}
    assert records(120) <= set(told.ids)
    assert [event["kind"] for event in told.of("event", "alarm_raised")] == ["alarm_raised"] * 2
    assert told.of("ac2", "state")[-1] == {
        "id": "ac2@2026-03-01T00:01:59.000000Z",
        "at": "2026-03-01T00:01:59.000000Z",
        "kind": "connector",
        "power_kw": 119.125,
    }
    assert (sink.status.cause, sink.status.sent) == ("", 124)


async def test_who_comes_later_finds_states_and_no_events(broker: Broker, store: Store) -> None:
    fill(store, 61)
    await drain(broker, store)
    told = Listener()
    async with listening(broker, told):
        await until(lambda: len(told.messages) >= 5)
        await asyncio.sleep(0.2)
    assert all(is_retained for _, _, is_retained in told.messages)
    found = {topic.removeprefix(f"{ROOT}/"): payload for topic, payload, _ in told.messages}
    assert set(found) == {"status", "site/state", "ac1/state", "ac2/state", "ac3/state"}
    assert found["ac1/state"]["power_kw"] == 60.0
    assert (found["status"]["state"], found["status"]["at"] is not None) == ("offline", True)


def make_other_authority(directory: Path) -> None:
    """Make an authority that the broker's certificate does not come from."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    files = ["-keyout", directory / "other.key", "-out", directory / "other.crt", "-subj", "/CN=other"]
    subprocess.run([*command, *files], check=True, capture_output=True)


async def test_an_hour_of_outage_loses_nothing_and_doubles_nothing(broker: Broker, store: Store) -> None:
    told = Listener()
    sink = MqttSink(broker.settings(), SITE, store, QuickClock())
    task = asyncio.create_task(sink.run())
    async with listening(broker, told):
        fill(store, 60)
        await until(lambda: len(told.ids) == 60 * 4 + 2)
    broker.stop()
    fill(store, 3600, first_s=60)
    await until(lambda: sink.status.cause)
    assert "refused" in sink.status.cause
    assert not sink.status.is_wrong
    broker.start()
    async with listening(broker, told):
        await until(lambda: len(told.ids) == 3660 * 4 + 122, 90.0)
        await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(told.ids.values()) == {1}
    assert records(3660) <= set(told.ids)
    assert (sink.status.cause, sink.status.refused) == ("", 0)


async def test_a_broker_that_is_killed_in_the_midst_of_it_gets_the_rest_when_it_is_back(
    broker: Broker, store: Store
) -> None:
    """What it had acknowledged and neither passed on nor saved when it was killed is its own loss (docs/mqtt.md)."""
    fill(store, 2000)
    told = Listener()
    sink = MqttSink(broker.settings(), SITE, store, QuickClock())
    task = asyncio.create_task(sink.run())
    before = 0
    for kills in range(3):
        with suppress(aiomqtt.MqttError):
            async with listening(broker, told, None):
                await until(lambda kills=kills: len(told.ids) >= 1000 * (kills + 1), 30.0)  # type: ignore[misc]
                broker.stop(signal.SIGKILL)
        before = len(told.messages)
        assert not is_drained(store, SINK)()
        broker.start()
    async with listening(broker, told, None):
        await until(is_drained(store, SINK), 60.0)
        await until(lambda: ("site@2026-03-01T00:33:19.000000Z") in {i for _, i in told.ids})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    live = [(topic, payload) for topic, payload, is_kept in told.messages[before:] if not is_kept]
    back = [payload["at"] for topic, payload in live if topic.endswith("/state")]
    rest = {each for each in records(2000) if each[1].partition("@")[2] > min(back)}
    assert rest <= set(told.ids)
    assert len(records(2000) - set(told.ids)) < 1000
    assert (sink.status.cause, sink.status.refused) == ("", 0)


@dataclass
class Forgetful:
    """An outbox whose process dies before it notes a delivery."""

    outbox: Outbox

    def parcels(self, most: int, most_bytes: int) -> list[Parcel]:
        return self.outbox.parcels(most, most_bytes)

    def delivered(self, number: int) -> None:
        return

    def refuse(self, at: datetime, body: bytes, cause: str) -> None:
        raise AssertionError(cause)

    def backlog(self) -> Backlog:
        return self.outbox.backlog()


async def test_a_process_that_dies_before_it_notes_the_delivery_sends_the_same_ids_again(
    broker: Broker, store: Store
) -> None:
    fill(store, 15)
    told = Listener()
    async with listening(broker, told):
        first = MqttSink(broker.settings(), SITE, store, QuickClock())
        first._outbox = Forgetful(store.outbox(SINK))
        task = asyncio.create_task(first.run())
        await until(lambda: len(told.ids) >= 62)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        before = dict(told.ids)
        await drain(broker, store)
        await until(lambda: sum(told.ids.values()) >= sum(before.values()) + 62)
    assert set(told.ids) == set(before)
    payloads = {(topic, payload["id"]): payload for topic, payload, _ in told.messages}
    assert all(payload == payloads[topic, payload["id"]] for topic, payload, _ in told.messages)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"password": "wrong"}, "not authorised: the broker refuses user 'heliodock'"),
        ({"username": "nobody"}, "not authorised: the broker refuses user 'nobody'"),
        ({"ca_file": "other"}, "certificate not trusted: self-signed certificate in certificate chain"),
        ({"ca_file": "missing"}, "missing.crt: No such file or directory"),
        ({"host": "127.0.0.2"}, "refused"),
    ],
    ids=["password", "user", "authority", "no file", "host"],
)
async def test_what_is_wrong_is_named_and_nothing_is_sent(
    broker: Broker, store: Store, tmp_path: Path, changes: dict[str, str], cause: str
) -> None:
    (tmp_path / "password").write_text("wrong\n")
    make_other_authority(tmp_path)
    given: dict[str, Any] = dict(changes)
    if "password" in given:
        given["password"] = Secret(tmp_path / "password")
    if "ca_file" in given:
        given["ca_file"] = tmp_path / f"{given['ca_file']}.crt"
    fill(store, 5)
    clock = QuickClock()
    sink = MqttSink(broker.settings(**given), SITE, store, clock)
    await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert cause in sink.status.cause
    assert sink.status.is_wrong is ("host" not in changes)
    assert len(store.outbox(SINK).parcels(10, 10**6)) == 7


async def test_a_name_that_the_certificate_does_not_carry_is_refused(broker: Broker, store: Store) -> None:
    clock = QuickClock()
    settings = broker.settings("127.0.0.1")
    fill(store, 1)
    trusted = MqttSink(settings, SITE, store, QuickClock())
    task = asyncio.create_task(trusted.run())
    await until(is_drained(store, SINK))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    sink = MqttSink(broker.settings("ip6-localhost"), SITE, store, clock)
    with pytest.MonkeyPatch.context() as patch:
        import socket

        real = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
        await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert "certificate not trusted" in sink.status.cause
    assert "ip6-localhost" in sink.status.cause


async def test_a_password_that_is_mended_needs_no_restart(
    broker: Broker, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    fill(store, 3)
    clock = QuickClock()
    sink = MqttSink(broker.settings(password=Secret(file)), SITE, store, clock)
    await run_until(sink, clock, lambda: sink.status.is_wrong)
    assert clock.pauses_s[-1] == 30.0
    file.write_text((broker.secrets / "heliodock_mqtt_password").read_text())
    task = asyncio.create_task(sink.run())
    clock.is_over = lambda: False
    await until(is_drained(store, SINK))
    assert sink.status.cause == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_broker_that_swallows_what_it_forbids_is_found_out(
    broker: Broker, store: Store, tmp_path: Path
) -> None:
    line = "topic readwrite heliodock/+/status"
    acl = (Path(__file__).parents[2] / "deploy" / "mosquitto" / "acl").read_text()
    assert line in acl
    (tmp_path / "acl").write_text(acl.replace(line, ""))
    (tmp_path / "acl").chmod(0o600)
    broker.stop()
    broker.changes = {"acl_file " + str(DEPLOYED): f"acl_file {tmp_path / 'acl'}"}
    broker.start()
    fill(store, 3)
    clock = QuickClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("northbound.mqtt.TIMEOUT_S", 1.0)
        sink = MqttSink(broker.settings(), SITE, store, clock)
        await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert "must be let write and read" in sink.status.cause
    assert sink.status.is_wrong
    assert len(store.outbox(SINK).parcels(10, 10**6)) == 5


DEPLOYED = Path(__file__).parents[2] / "deploy" / "mosquitto" / "acl"


async def test_a_frozen_broker_is_noticed_within_twenty_seconds_and_control_is_not_touched(
    broker: Broker, store: Store
) -> None:
    clock = LiveClock()
    sink = MqttSink(broker.settings(), SITE, store, clock)
    task = asyncio.create_task(sink.run())
    fill(store, 3)
    await until(is_drained(store, SINK))
    broker.freeze()
    began_s = clock.now().mono_s
    late_s = 0.0
    while not sink.status.cause:
        due_s = clock.now().mono_s + 0.05
        await asyncio.sleep(0.05)
        late_s = max(late_s, clock.now().mono_s - due_s)
        assert clock.now().mono_s - began_s < 25.0
    noticed_s = clock.now().mono_s - began_s
    broker.thaw()
    fill(store, 3, first_s=10)
    await until(is_drained(store, SINK), 60.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert noticed_s <= 20.0
    assert late_s < 1.0


async def test_a_process_that_is_killed_is_told_offline_by_its_will(broker: Broker, store: Store) -> None:
    told = Listener()
    sink = MqttSink(broker.settings(), SITE, store, LiveClock())
    async with listening(broker, told):
        task = asyncio.create_task(sink.run())
        await until(lambda: told.of("status"))
        broker.freeze()
        task.cancel()  # it cannot say farewell
        await asyncio.gather(task, return_exceptions=True)
        broker.thaw()
        await until(lambda: told.of("status")[-1]["state"] == "offline")
    states = [(payload["state"], payload["at"]) for payload in told.of("status")]
    assert states[0][0] == "online"
    assert states[-1] == ("offline", None)


async def test_it_ends_although_a_wait_forgets_the_first_cancellation(
    broker: Broker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listens = asyncio.Event()

    async def listen(*_: object) -> None:
        listens.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(MqttSink, "_listen", listen)
    task = asyncio.create_task(MqttSink(broker.settings(), SITE, store, LiveClock()).run())
    await listens.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10.0)
    assert done
    assert task.cancelled()


async def test_it_ends_when_it_is_told_to_whatever_breaks_in_that_moment(
    broker: Broker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listens = asyncio.Event()

    async def listen(*_: object) -> None:
        listens.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise aiomqtt.MqttError("broke in the same moment") from None

    monkeypatch.setattr(MqttSink, "_listen", listen)
    task = asyncio.create_task(MqttSink(broker.settings(), SITE, store, LiveClock()).run())
    await listens.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10.0)
    assert done
    assert task.cancelled()
