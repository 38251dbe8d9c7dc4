"""A station on real sockets that is limited over a real Mosquitto: it obeys, and the limit ends by itself."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from configs.load import load_site
from controller.app import App, AppSettings
from controller.loop import Cycle
from hil.clocks import ScaledClock
from hil.serve import Rig
from northbound.reader import StoreReader
from tests.wire.broker import Broker
from tests.wire.station import world_for, write_site

SPEED = 8.0
LIMIT_KW, FREE_KW = 22.0, 25.0
"""The building draws 20 kW, and cars are in a hurry: without the limit more than the second is drawn."""

LASTS_S = 60.0
"""Of station time."""


@dataclass
class Story:
    """Sees every cycle: when it was, and the true power at the meter."""

    grid_kw: Callable[[], float]
    seen: list[tuple[datetime, float]] = field(default_factory=list)

    def __call__(self, cycle: Cycle) -> None:
        self.seen.append((cycle.snapshot.taken.at, self.grid_kw()))

    async def until(self, what: Callable[[float], bool], seconds: float = 40.0) -> datetime:
        """Wait until the power is as asked, and return when that was."""
        first = len(self.seen)
        async with asyncio.timeout(seconds):
            while not any(what(power_kw) for _, power_kw in self.seen[first:]):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return next(at for at, power_kw in self.seen[first:] if what(power_kw))

    def between(self, from_at: datetime, until_at: datetime) -> list[float]:
        return [power_kw for at, power_kw in self.seen if from_at <= at < until_at]


async def test_a_limit_over_mqtt_holds_and_ends_by_itself_and_none_can_raise_what_is_allowed(
    broker: Broker, tmp_path: Path
) -> None:
    site_file = write_site(tmp_path)
    with site_file.open("a") as file:
        file.write(
            f"northbound: {{mqtt: {{host: localhost, port: {broker.port}, username: heliodock, takes_commands: true,"
            f" password: {{file: {broker.secrets}/heliodock_mqtt_password}}, ca_file: {broker.secrets}/ca.crt}}}}\n"
        )
    loaded = load_site(site_file)
    world = world_for(loaded, ("dc1a", "dc1b", "ac1"))
    clock = ScaledClock(world.now.at, SPEED)
    clock.hold_until(0.0)
    story, stop = Story(lambda: world.state.grid_kw), asyncio.Event()

    def command(command_id: str, kw: float, lasts_s: float) -> bytes:
        issued_at = clock.now().at
        return json.dumps(
            {
                "id": command_id,
                "owner": "grid operator",
                "issued_at": issued_at.isoformat(),
                "expires_at": (issued_at + timedelta(seconds=lasts_s)).isoformat(),
                "max_import_kw": kw,
            }
        ).encode()

    async with Rig(loaded, clock, world).started(), broker.client() as operator:
        app = App(AppSettings(loaded, store_dir=tmp_path / "store", observers=(story,)), clock)
        running = asyncio.create_task(app.run(stop, until_s=3000.0))
        await story.until(lambda power_kw: power_kw > FREE_KW)
        free_from_at = clock.now().at
        await clock.sleep_until(clock.now().mono_s + 60.0)
        await operator.publish("heliodock/small/set/limit", command("more", 500.0, 600.0), qos=1)
        await operator.publish("heliodock/small/set/limit", command("less", LIMIT_KW, LASTS_S), qos=1)
        obeyed_at = await story.until(lambda power_kw: power_kw <= LIMIT_KW)
        over_at = await story.until(lambda power_kw: power_kw > FREE_KW)
        stop.set()
        await running
    with StoreReader(tmp_path / "store") as reader:
        wishes = reader.requests_in_force(obeyed_at)
        reasons = {
            why for row in reader.commands(obeyed_at - timedelta(minutes=1), over_at) for why in row.reasons
        }
    limit = next(wish for wish in wishes if wish.request_id == "less")
    assert {wish.request_id for wish in wishes} == {"more", "less"}
    made_at = limit.expires_at - timedelta(seconds=LASTS_S)
    assert obeyed_at - made_at < timedelta(seconds=20.0)
    held = story.between(made_at + timedelta(seconds=20.0), limit.expires_at)
    assert len(held) > 10
    assert max(held) <= 1.01 * LIMIT_KW
    assert over_at >= limit.expires_at
    assert max(story.between(free_from_at, made_at)) > FREE_KW
    assert max(power_kw for _, power_kw in story.seen) <= 1.01 * 80.0
    assert any("to hold 22 kW (grid operator import kW)" in why for why in reasons)
