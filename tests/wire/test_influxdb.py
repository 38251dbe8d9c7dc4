"""An hour of outage and every trouble on the way, counted on real servers: nothing lost, nothing doubled."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from northbound.feed import Parcel
from northbound.influx import InfluxSink
from northbound.lines import SINK, influx_feed
from northbound.store import Store
from station.sinks import InfluxSettings
from tests.factories import a_site
from tests.wire.influx_shim import Reply, Request, Shim, refusal
from tests.wire.sink_bench import START, QuickClock, a_store, fill, is_drained, run_until
from tests.wire.timeseries import InfluxQuery, exported

SITE = a_site()
HOUR_S = 3600
SIGNALS = 4


@pytest.fixture
def database(influxdb_port: int, request: pytest.FixtureRequest) -> InfluxQuery:
    return InfluxQuery(influxdb_port, request.node.name[:60])


@pytest.fixture
def shim(influxdb_port: int) -> Iterator[Shim]:
    with Shim(influxdb_port) as shim:
        yield shim


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = a_store(tmp_path, influx_feed(SITE))
    yield store
    store.close()


def a_sink(url: str, store: Store, clock: QuickClock, bucket: str, timeout_s: float = 30.0) -> InfluxSink:
    return InfluxSink(
        InfluxSettings(url, "heliodock", bucket, timeout_s=timeout_s), store.outbox(SINK), clock
    )


def expected(seconds: int, *, first_s: int = 0) -> tuple[int, float]:
    """Return how many values ``fill`` makes, and their sum; eighths add up exactly."""
    values = [s + i / 8.0 for s in range(first_s, first_s + seconds) for i in range(SIGNALS)]
    return len(values), sum(values)


async def test_after_an_hour_of_outage_every_point_is_there_once(
    shim: Shim, store: Store, database: InfluxQuery
) -> None:
    shim.down()
    fill(store, HOUR_S, signals=SIGNALS)
    clock = QuickClock()
    sink = a_sink(shim.url, store, clock, database.database)
    await run_until(sink, clock, lambda: sum(clock.pauses_s) > HOUR_S)
    assert sink.status.cause
    shim.up()
    await run_until(sink, clock, is_drained(store, SINK))
    assert database.total("asset", "power_kw") == expected(HOUR_S)
    assert database.total("alarm", "raised") == (120, 60.0)


async def test_busy_failing_slow_and_forbidding_servers_lose_and_double_nothing(
    shim: Shim, store: Store, database: InfluxQuery
) -> None:
    fill(store, HOUR_S, signals=SIGNALS)
    held = threading.Event()
    shim.replies.extend(
        [
            refusal(429, "slow down", Retry_After="20"),
            refusal(503, "no"),
            refusal(401, "unauthorized"),
            Reply(503, b"taken all the same", is_late=True),
            Reply(held=held, is_late=True),
        ]
    )
    clock = QuickClock()
    sink = a_sink(shim.url, store, clock, database.database, timeout_s=1.0)
    await run_until(sink, clock, lambda: "no answer" in sink.status.cause)
    held.set()
    sink = a_sink(shim.url, store, clock, database.database)
    await run_until(sink, clock, is_drained(store, SINK))
    assert database.total("asset", "power_kw") == expected(HOUR_S)


async def test_lines_that_a_real_server_refuses_are_found_and_the_rest_arrives(
    shim: Shim, store: Store, database: InfluxQuery
) -> None:
    query = {"bucket": database.database, "precision": "ms"}
    whole = f"asset,site=test,asset=battery soc=1i {int(START.timestamp() * 1000)}".encode()
    assert shim.answer(Request("/api/v2/write", query, {}, whole)).status == 204
    fill(store, HOUR_S, signals=SIGNALS)
    for second in (5, 700, 701):
        store.record(
            START + timedelta(seconds=second, milliseconds=500), {"battery.soc": 0.5, "grid_kw": 1.0}
        )
    assert store.flush()
    clock = QuickClock()
    sink = a_sink(shim.url, store, clock, database.database)
    await run_until(sink, clock, is_drained(store, SINK))
    assert (sink.status.cause, sink.status.refused) == ("", 3)
    assert database.total("asset", "power_kw") == expected(HOUR_S)
    assert database.total("site", "grid_kw") == (3, 3.0)
    assert database.total("asset", "soc") == (1, 1.0)


class Forgetful:
    """An outbox whose process is killed after the server has the messages, before it could say so."""

    def __init__(self, store: Store) -> None:
        self._real = store.outbox(SINK)
        self.kills = 0

    def parcels(self, most: int, most_bytes: int) -> list[Parcel]:
        return self._real.parcels(min(most, 500), most_bytes)

    def delivered(self, number: int) -> None:
        self.kills += 1
        if self.kills % 2:
            raise ProcessKilledError
        self._real.delivered(number)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


class ProcessKilledError(Exception):
    """What stands for a kill."""


async def test_killed_between_sending_and_forgetting_it_sends_again_and_nothing_is_doubled(
    shim: Shim, store: Store, database: InfluxQuery
) -> None:
    fill(store, HOUR_S, signals=SIGNALS)
    outbox = Forgetful(store)
    clock = QuickClock()
    settings = InfluxSettings(shim.url, "heliodock", database.database)
    while not is_drained(store, SINK)():
        sink = InfluxSink(settings, outbox, clock)  # type: ignore[arg-type]
        try:
            await run_until(sink, clock, is_drained(store, SINK))
        except ProcessKilledError:
            continue
    assert outbox.kills >= 10
    assert database.total("asset", "power_kw") == expected(HOUR_S)
    assert database.total("alarm", "raised") == (120, 60.0)


async def test_victoria_metrics_has_every_point_once_even_when_all_is_sent_twice(
    victoria_port: int, tmp_path: Path
) -> None:
    for directory in ("first", "second"):
        store = a_store(tmp_path / directory, influx_feed(SITE))
        fill(store, HOUR_S, signals=SIGNALS)
        clock = QuickClock()
        sink = a_sink(f"http://127.0.0.1:{victoria_port}", store, clock, "station")
        await run_until(sink, clock, is_drained(store, SINK))
        assert sink.status.cause == ""
        store.close()
    points = await asyncio.to_thread(exported, victoria_port, "asset_power_kw")
    assert (len(points), sum(value for _, value in points)) == expected(HOUR_S)
