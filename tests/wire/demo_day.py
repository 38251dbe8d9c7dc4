"""A day of the demonstration station in the twin, told to an InfluxDB by the real journal, store, feed and sink.

Two things are added, so that the day has everything to show: the site declares a carbon intensity, and connector ac3
says nothing from ten to twenty past ten.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.twin_input import TwinWords, twin_run
from configs.load import load_site
from controller.journal import StoreKeeper
from controller.lateness import Lateness
from controller.loop import Cycle
from hil.run import TwinRun
from hil.twin import run_strategy
from hil.world import World
from northbound.influx import InfluxSink
from northbound.lines import SINK, influx_feed
from northbound.sinks import SinkWatch
from northbound.store import Store
from station.measurement import Measurement, NoReading
from station.sinks import InfluxSettings
from tests.wire.influx_shim import Shim
from tests.wire.sink_bench import QuickClock, is_drained, run_until

STATION = Path(__file__).parents[2] / "configs" / "stations" / "demo.yaml"
SITE = "demo"
DAY = "2019-09-18"
STARTS_AT = datetime(2019, 9, 18, 7, tzinfo=UTC)
"""Midnight in Los Angeles."""

ENDS_AT = STARTS_AT + timedelta(days=1)
PLANS_S = 900.0
"""A new plan at least so often: with one every 300 s, as the station has, the test would take twice as long."""

SILENT = "ac3"
SILENT_FROM_AT = STARTS_AT + timedelta(hours=10)
SILENT_UNTIL_AT = SILENT_FROM_AT + timedelta(minutes=20)


class _World(World):
    """A world in which one charger says nothing for a while."""

    def readings(self) -> Mapping[str, Measurement]:
        readings = dict(super().readings())
        if SILENT_FROM_AT <= self.now.at < SILENT_UNTIL_AT:
            readings[SILENT] = NoReading("no answer")
        return readings


class _Run(TwinRun):
    """A run in that world."""

    def world(self) -> World:
        return _World(
            self.site,
            self.surroundings(),
            self.sessions,
            start_at=self.start_at,
            soc=self.soc,
            slot_s=self.site.tariff.demand.window_s,
        )


async def tell_demo_day(directory: Path, port: int, database: str) -> None:
    """Play the day at 60 s steps and send all of it to ``database`` of the InfluxDB at ``port``."""
    store = play(directory)
    with Shim(port) as shim:
        clock = QuickClock()
        sink = InfluxSink(InfluxSettings(shim.url, "heliodock", database), store.outbox(SINK), clock)
        await run_until(sink, clock, is_drained(store, SINK))
        assert (sink.status.cause, sink.status.refused) == ("", 0)
    store.close()


def play(directory: Path) -> Store:
    """Return a store that has the day, with all messages for InfluxDB waiting."""
    loaded = load_site(STATION)
    run = twin_run(loaded, TwinWords(from_text=DAY, days=1.0))
    planning = replace(run.site.planning, interval_s=PLANS_S)
    site = replace(run.site, planning=planning, grid_kg_co2_per_kwh=0.25)
    run = _Run(site, run.sessions, run.series, run.start_at, run.days, run.step_s)
    assert run.start_at == STARTS_AT
    store = Store(directory, site.site_id, feeds=(influx_feed(site),))
    keeper = StoreKeeper(run.controlled_site, store, Lateness(), frozenset(), SinkWatch(()))
    silent = 0

    def keep(cycle: Cycle) -> None:
        nonlocal silent
        silent += isinstance(cycle.snapshot.readings[SILENT], NoReading)
        errors = dict.fromkeys((site.meter.asset_id, *site.by_id), 0) | {SILENT: silent}
        keeper(replace(cycle, snapshot=replace(cycle.snapshot, errors=errors)))

    run_strategy(run, "mpc", observer=keep)
    assert store.flush(60.0)
    return store
