"""Where records go besides the store: the one place that knows every sink, keeps it running and tells what ails it."""

from collections.abc import Sequence
from math import isfinite

import structlog

from northbound.feed import Feed, Sink, SinkStatus
from northbound.lines import influx_feed
from northbound.mqtt_messages import mqtt_feed
from northbound.store import Store
from station.clock import Clock, Instant
from station.sinks import SinkSettings
from station.topology import Site

FAILING_S = 60.0
"""A sink that fails for so long raises an alarm; one whose settings are wrong does at once."""

RESTART_S = (1.0, 10.0, 60.0)
"""The pause in s before a sink that broke down is started again: the first, the second and every further time."""

log = structlog.get_logger(__name__)


def feeds_of(site: Site, settings: SinkSettings) -> tuple[Feed, ...]:
    """Return how the sinks of a site want things told; the store makes their messages."""
    feeds: list[Feed] = []
    if settings.influxdb is not None:
        feeds.append(influx_feed(site))
    if settings.mqtt is not None:
        feeds.append(mqtt_feed(site, settings.mqtt))
    return tuple(feeds)


def sinks_of(site: Site, settings: SinkSettings, store: Store, clock: Clock) -> tuple[Sink, ...]:
    """Return the sinks of a site; each empties its outbox in ``store``, and MQTT's may leave requests there."""
    sinks: list[Sink] = []
    if settings.influxdb is not None:
        from northbound.influx import InfluxSink  # noqa: PLC0415  half a second that others need not wait for

        sinks.append(InfluxSink(settings.influxdb, store.outbox(InfluxSink.name), clock))
    if settings.mqtt is not None:
        from northbound.mqtt import MqttSink  # noqa: PLC0415  the same

        sinks.append(MqttSink(settings.mqtt, site, store, clock))
    return tuple(sinks)


async def keep_running(sink: Sink, clock: Clock) -> None:
    """Run a sink until cancelled; one that breaks down is logged and started again. Never raises."""
    speed = clock.speed if isfinite(clock.speed) else 1.0
    breakdowns = 0
    while True:
        try:
            await sink.run()
        except Exception as broken:  # noqa: BLE001  whatever a sink throws, control goes on
            cause = f"{type(broken).__name__}: {broken}"
            log.error("a sink broke down; it is started again", sink=sink.name, cause=cause)
        pause_s = RESTART_S[min(breakdowns, len(RESTART_S) - 1)]
        breakdowns += 1
        await clock.sleep_until(clock.now().mono_s + pause_s * speed)


class SinkWatch:
    """Turns what ails the sinks into alarms."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)
        self._failing_since_s: dict[str, float] = {}
        self._alarms: dict[str, tuple[bool, str]] = {}

    def alarms(self, now: Instant) -> frozenset[str]:
        """Return the alarms that stand now. An alarm keeps its text while the same thing ails a sink."""
        for sink in self._sinks:
            self._look(sink.name, sink.status, now)
        return frozenset(text for _, text in self._alarms.values())

    def _look(self, name: str, status: SinkStatus, now: Instant) -> None:
        if not status.cause:
            self._failing_since_s.pop(name, None)
            self._alarms.pop(name, None)
            return
        since_s = self._failing_since_s.setdefault(name, now.mono_s)
        is_due = status.is_wrong or now.mono_s - since_s >= FAILING_S
        if is_due and self._alarms.get(name, (None, ""))[0] is not status.is_wrong:
            self._alarms[name] = (status.is_wrong, f"{name}: {status.cause}")
