"""Empties the outbox into an InfluxDB. Nothing is lost: a message leaves the outbox when the server has it.

Requests are blocking and run in a thread, one at a time. Pauses are wall time on the clock that was given.
"""

import asyncio
from dataclasses import replace
from math import isfinite

import structlog

from northbound.feed import Outbox, Parcel, SinkStatus
from northbound.influx_server import Answer, InfluxServer, Verdict
from northbound.lines import SINK
from northbound.sieve import Refused, Sieve
from station.clock import Clock
from station.sinks import InfluxSettings

IDLE_S = 1.0
"""How often the outbox is looked at while nothing waits."""

WRONG_S = 30.0
"""The pause while the settings are wrong: a person must mend them."""

AWAY_S = 1.0
AWAY_MOST_S = 60.0
"""The first pause while the server is away; it doubles up to the last one."""

MESSAGES_MOST = 5_000
BYTES_MOST = 1_000_000
BYTES_LEAST = 20_000
"""A request's size: halved where the server finds it too large or is too slow for it, then grown again."""

GROWTH = 1.25

log = structlog.get_logger(__name__)


class InfluxSink:
    """The sink (``northbound.feed.Sink``)."""

    name = SINK

    def __init__(self, settings: InfluxSettings, outbox: Outbox, clock: Clock) -> None:
        """Send what waits in ``outbox`` to the server of ``settings``."""
        self._url = settings.url
        self._server = InfluxServer(settings)
        self._outbox = outbox
        self._clock = clock
        self._status = SinkStatus()
        self._most_bytes = BYTES_MOST
        self._failures = 0
        self._refusal = ""

    @property
    def status(self) -> SinkStatus:
        """Return how it does."""
        return self._status

    async def run(self) -> None:
        """Send until cancelled. A request that is under way then ends by itself, within its timeout."""
        while True:
            await self._pause(await self._round())

    async def _round(self) -> float:
        """Send one batch and return the pause in s before the next."""
        parcels = await asyncio.to_thread(self._outbox.parcels, MESSAGES_MOST, self._most_bytes)
        if not parcels:
            return IDLE_S
        sieve = Sieve(self._post)
        ended = await sieve.sift(b"\n".join(parcel.body for parcel in parcels))
        if ended is not None:
            return self._failed(ended)
        await asyncio.to_thread(self._settle, parcels, sieve.refused)
        self._succeeded(parcels, sieve.refused)
        return 0.0

    async def _post(self, body: bytes) -> Answer:
        answer = await asyncio.to_thread(self._server.post, body, self._clock.now().at)
        if answer.verdict is Verdict.TOO_LARGE or answer.is_slow:
            self._most_bytes = max(len(body) // 2, BYTES_LEAST)
        return answer

    def _settle(self, parcels: list[Parcel], refused: list[Refused]) -> None:
        now_at = self._clock.now().at
        for entry in refused:
            self._outbox.refuse(now_at, entry.body, entry.answer.words)
        self._outbox.delivered(parcels[-1].number)

    def _succeeded(self, parcels: list[Parcel], refused: list[Refused]) -> None:
        if self._status.cause:
            log.info("influxdb is back", url=self._url)
        self._failures = 0
        self._most_bytes = min(int(self._most_bytes * GROWTH), BYTES_MOST)
        lines = sum(entry.body.count(b"\n") + 1 for entry in refused)
        before = self._status
        self._status = SinkStatus(sent=before.sent + len(parcels), refused=before.refused + lines)
        self._note_refusal(refused, lines)

    def _note_refusal(self, refused: list[Refused], lines: int) -> None:
        """Log what is refused when it begins and when it ends, not each time."""
        words = refused[-1].answer.words.split(":")[0] if refused else ""
        if words and not self._refusal:
            log.warning("influxdb refuses lines", lines=lines, cause=refused[-1].answer.words)
        self._refusal = words

    def _failed(self, answer: Answer) -> float:
        """Note that the batch must be sent again and return the pause in s before that."""
        is_wrong = answer.verdict is Verdict.WRONG
        if not self._status.cause or is_wrong is not self._status.is_wrong:
            log.warning("influxdb does not take records", url=self._url, cause=answer.words)
        self._status = replace(self._status, cause=answer.words, is_wrong=is_wrong)
        pause_s = WRONG_S if is_wrong else min(AWAY_S * 2.0**self._failures, AWAY_MOST_S)
        self._failures = min(self._failures + 1, 16)
        return pause_s if answer.wait_s is None else max(answer.wait_s, AWAY_S)

    async def _pause(self, pause_s: float) -> None:
        """Let wall time pass, whatever the station clock's speed."""
        speed = self._clock.speed if isfinite(self._clock.speed) else 1.0
        await self._clock.sleep_until(self._clock.now().mono_s + pause_s * speed)
