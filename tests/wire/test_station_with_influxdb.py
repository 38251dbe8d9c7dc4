"""A station on real sockets whose InfluxDB is forbidden, hung and back: control goes on and nothing is missing."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from configs.load import load_site
from controller.app import App, AppSettings
from controller.loop import Cycle
from hil.clocks import ScaledClock
from hil.serve import Rig
from northbound.lines import EPOCH, MILLISECOND
from northbound.reader import StoreReader
from tests.wire.influx_shim import Reply, Shim, refusal
from tests.wire.station import world_for, write_site

SPEED = 8.0
CYCLES = 20


@dataclass
class Story:
    """Lets the server change its mind: it forbids, then hangs, then works; each for some cycles of control."""

    shim: Shim
    held: threading.Event
    stop: asyncio.Event
    times_ms: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    """Cycles: when the first request was forbidden, when one began to hang, when that ended."""

    def __call__(self, cycle: Cycle) -> None:
        self.times_ms.append((cycle.snapshot.taken.at - EPOCH) // MILLISECOND)
        now, begun = len(self.times_ms), self.marks[-1] if self.marks else None
        match len(self.marks):
            case 0 if self.shim.requests:
                self.marks.append(now)
            case 1 if begun is not None and now >= begun + CYCLES:
                if self.shim.judge(self.shim.requests[-1]) is not None:
                    self.shim.judge = lambda _: None
                    self.shim.replies.append(Reply(held=self.held, is_late=True))
                elif not self.shim.replies:
                    self.marks.append(now)
            case 2 if begun is not None and now >= begun + CYCLES:
                self.held.set()
                self.marks.append(now)
            case 3 if begun is not None and now >= begun + CYCLES and self.shim.points:
                self.stop.set()


@pytest.fixture
def shim() -> Iterator[Shim]:
    with Shim() as shim:
        yield shim


async def test_control_goes_on_while_influxdb_forbids_and_hangs_and_nothing_is_missing(
    shim: Shim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("northbound.influx.WRONG_S", 1.0)
    site_file = write_site(tmp_path)
    with site_file.open("a") as file:
        file.write(f"northbound: {{influxdb: {{url: '{shim.url}', timeout_s: 60}}}}\n")
    loaded = load_site(site_file)
    world = world_for(loaded, ("ac1",))
    clock = ScaledClock(world.now.at, SPEED)
    clock.hold_until(0.0)
    shim.judge = lambda _: refusal(401, "unauthorized access")
    story = Story(shim, threading.Event(), asyncio.Event())
    async with Rig(loaded, clock, world).started():
        app = App(AppSettings(loaded, store_dir=tmp_path / "store", observers=(story,)), clock)
        await app.run(story.stop, until_s=2000.0)
    assert len(story.marks) == 3  # control went on through each of them
    with StoreReader(tmp_path / "store") as reader:
        alarms = [alarm for alarm in reader.alarms() if alarm.alarm.startswith("influxdb")]
    assert [alarm.alarm for alarm in alarms] == ["influxdb: 401 unauthorized: unauthorized access"]
    assert alarms[0].cleared_at is not None
    points = sorted(shim.points.values(), key=lambda point: point.at_ms)
    sites = [point.at_ms for point in points if point.measurement == "site"]
    assert len(sites) > story.marks[1]
    assert sites == story.times_ms[: len(sites)]
    alarm = [point.fields["raised"] for point in points if point.tags.get("asset") == "influxdb"]
    assert alarm == [1.0, 0.0]
    assert any(point.measurement == "command" for point in points)
