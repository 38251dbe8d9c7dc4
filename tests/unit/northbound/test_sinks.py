"""Sinks are kept running whatever they throw, and what ails them becomes an alarm."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from northbound.feed import SinkStatus
from northbound.sinks import FAILING_S, SinkWatch, feeds_of, keep_running, sinks_of
from northbound.store import Store
from station.sinks import InfluxSettings, SinkSettings
from tests.factories import a_site, an_instant
from tests.wire.sink_bench import QuickClock, a_store

AWAY = SinkStatus("503 service unavailable")
WRONG = SinkStatus("401 unauthorized", is_wrong=True)


class FakeSink:
    """A sink that breaks down each time it is run, as often as ``breakdowns`` says."""

    name = "influxdb"

    def __init__(self, breakdowns: int = 0) -> None:
        self.status = SinkStatus()
        self.runs = 0
        self.settled = asyncio.Event()
        self._breakdowns = breakdowns

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self._breakdowns:
            raise RuntimeError("broken")
        self.settled.set()
        await asyncio.Event().wait()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = a_store(tmp_path)
    yield store
    store.close()


def test_a_site_without_northbound_settings_has_no_feed_and_no_sink(store: Store) -> None:
    assert feeds_of(a_site(), SinkSettings()) == ()


async def test_a_site_with_an_influxdb_has_its_feed_and_its_sink_under_one_name(store: Store) -> None:
    settings = SinkSettings(influxdb=InfluxSettings("http://127.0.0.1:1", "heliodock", "heliodock"))
    feeds, sinks = feeds_of(a_site(), settings), sinks_of(a_site(), settings, store, QuickClock())
    assert [feed.sink for feed in feeds] == [sink.name for sink in sinks] == ["influxdb"]
    assert sinks_of(a_site(), SinkSettings(), store, QuickClock()) == ()


async def test_a_sink_that_breaks_down_is_started_again_ever_later() -> None:
    sink, clock = FakeSink(breakdowns=4), QuickClock()
    task = asyncio.create_task(keep_running(sink, clock))
    await sink.settled.wait()
    assert sink.runs == 5
    assert clock.pauses_s == [1.0, 10.0, 60.0, 60.0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_wrong_settings_raise_an_alarm_at_once_and_trouble_only_when_it_lasts() -> None:
    sink = FakeSink()
    watch = SinkWatch([sink])
    assert watch.alarms(an_instant(0.0)) == frozenset()
    sink.status = AWAY
    assert watch.alarms(an_instant(1.0)) == frozenset()
    assert watch.alarms(an_instant(FAILING_S)) == frozenset()
    assert watch.alarms(an_instant(1.0 + FAILING_S)) == {"influxdb: 503 service unavailable"}
    sink.status = SinkStatus("cannot be reached: Connection refused")
    assert watch.alarms(an_instant(100.0)) == {"influxdb: 503 service unavailable"}
    sink.status = WRONG
    assert watch.alarms(an_instant(101.0)) == {"influxdb: 401 unauthorized"}
    sink.status = SinkStatus(sent=5)
    assert watch.alarms(an_instant(102.0)) == frozenset()
    sink.status = WRONG
    assert watch.alarms(an_instant(103.0)) == {"influxdb: 401 unauthorized"}


async def test_trouble_that_comes_and_goes_raises_no_alarm() -> None:
    sink = FakeSink()
    watch = SinkWatch([sink])
    for second in range(0, 600, 30):
        sink.status = AWAY if second % 60 else SinkStatus()
        assert watch.alarms(an_instant(float(second))) == frozenset()
