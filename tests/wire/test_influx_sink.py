"""The InfluxDB sink against a server that does everything that servers do. No package is needed."""

import asyncio
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from northbound.influx import AWAY_MOST_S, WRONG_S, InfluxSink
from northbound.lines import SINK, influx_feed
from northbound.store import Store
from station.sinks import InfluxSettings, Secret
from tests.factories import a_site
from tests.wire.influx_shim import Reply, Request, Shim, lines_of, refusal
from tests.wire.sink_bench import QuickClock, a_store, fill, is_drained, run_until

SITE = a_site()


@pytest.fixture
def shim() -> Iterator[Shim]:
    with Shim() as shim:
        yield shim


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = a_store(tmp_path, influx_feed(SITE))
    yield store
    store.close()


def settings(shim: Shim, **changes: object) -> InfluxSettings:
    values: dict[str, object] = {"url": shim.url, "org": "heliodock", "bucket": "station"}
    return InfluxSettings(**(values | changes))  # type: ignore[arg-type]


def dead_letters(store: Store) -> list[tuple[str, bytes]]:
    import zlib

    assert store.flush()
    with sqlite3.connect(store.directory / "history.db") as file:
        rows = file.execute("SELECT cause, body FROM dead_letter ORDER BY id").fetchall()
    file.close()
    return [(cause, zlib.decompress(body)) for cause, body in rows]


def power_points(shim: Shim) -> int:
    return sum(point.measurement == "asset" for point in shim.points.values())


async def drain(shim: Shim, store: Store, **changes: object) -> tuple[InfluxSink, QuickClock]:
    clock = QuickClock()
    sink = InfluxSink(settings(shim, **changes), store.outbox(SINK), clock)
    await run_until(sink, clock, is_drained(store, SINK))
    return sink, clock


async def test_all_that_waits_is_sent_once_in_few_requests(shim: Shim, store: Store) -> None:
    values = fill(store, 600)
    sink, _ = await drain(shim, store)
    assert power_points(shim) == values
    assert len(lines_of(shim.requests)) == len(shim.points) == values + 20
    assert len(shim.requests) == 1
    assert shim.requests[0].query == {"bucket": "station", "org": "heliodock", "precision": "ms"}
    assert sink.status.sent == 620
    assert not sink.status.cause


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (refusal(503, "shutting down"), "503 service unavailable: shutting down"),
        (refusal(500, "timeout"), "500 internal server error: timeout"),
        (Reply(502, b"<html>bad gateway</html>"), "502 bad gateway: <html>bad gateway</html>"),
    ],
)
async def test_a_server_in_trouble_is_asked_again_ever_more_seldom(
    shim: Shim, store: Store, reply: Reply, words: str
) -> None:
    values = fill(store, 60)
    shim.replies.extend([reply] * 8)
    clock, seen = QuickClock(), set()
    sink = InfluxSink(settings(shim), store.outbox(SINK), clock)
    drained = is_drained(store, SINK)
    await run_until(sink, clock, lambda: seen.add(sink.status.cause) or drained())  # type: ignore[func-returns-value]
    assert clock.pauses_s[:8] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, AWAY_MOST_S, AWAY_MOST_S]
    assert seen == {words, ""}
    assert power_points(shim) == values
    assert dead_letters(store) == []


async def test_a_pause_that_the_server_asks_for_is_kept_within_bounds(shim: Shim, store: Store) -> None:
    fill(store, 60)
    dates = {"Retry_After": "Sun, 01 Mar 2026 00:01:40 GMT"}
    shim.replies.append(refusal(429, "too many", Retry_After="17"))
    shim.replies.append(refusal(503, "busy", Retry_After="999999"))
    shim.replies.append(refusal(429, "too many", **dates))
    shim.replies.append(refusal(429, "too many", Retry_After="soon"))
    _, clock = await drain(shim, store)
    assert clock.pauses_s[:4] == [17.0, 300.0, 1.0, 8.0]
    assert power_points(shim) == 180


@pytest.mark.parametrize("status", [401, 403, 404, 301])
async def test_wrong_settings_are_said_and_tried_slowly_and_lose_nothing(
    shim: Shim, store: Store, status: int
) -> None:
    fill(store, 60)
    shim.replies.extend([refusal(status, "no such thing")] * 3)
    clock = QuickClock()
    sink = InfluxSink(settings(shim), store.outbox(SINK), clock)
    await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert sink.status.is_wrong
    assert re.fullmatch(rf"{status} .+: no such thing", sink.status.cause)
    await run_until(sink, clock, is_drained(store, SINK))
    assert clock.pauses_s[:3] == [WRONG_S] * 3
    assert power_points(shim) == 180
    assert sink.status.cause == ""


async def test_a_changed_token_is_taken_up_and_never_shown(shim: Shim, store: Store, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    fill(store, 60)

    def judge(request: Request) -> Reply | None:
        if request.headers["Authorization"] == "Token new":
            return None
        token.write_text("new\n")
        return refusal(401, "unauthorized access")

    shim.judge = judge
    _, clock = await drain(shim, store, token=Secret(file=token))
    assert [request.headers["Authorization"] for request in shim.requests] == ["Token old", "Token new"]
    assert clock.pauses_s[:1] == [WRONG_S]
    assert power_points(shim) == 180
    token.write_bytes("geh€im\x07".encode())
    fill(store, 1, first_s=100)
    other = InfluxSink(settings(shim, token=Secret(file=token)), store.outbox(SINK), clock)
    await run_until(other, clock, lambda: bool(other.status.cause))
    assert other.status.is_wrong
    assert "geh" not in other.status.cause
    token.unlink()
    await run_until(other, clock, lambda: "No such file" in other.status.cause)
    assert other.status.is_wrong


def refuses(*parts: bytes, words: str = "partial write: unable to parse: dropped=0") -> Callable[..., object]:
    """Return a judge that refuses a request with a line that holds one of ``parts``."""

    def judge(request: Request) -> Reply | None:
        guilty = any(part in request.body for part in parts)
        return refusal(400, words) if guilty else None

    return judge


async def test_refused_lines_become_dead_letters_with_the_servers_words_and_all_others_arrive(
    shim: Shim, store: Store
) -> None:
    values = fill(store, 600)
    guilty = [b"power_kw=77.0 ", b"power_kw=500.125 "]
    shim.judge = refuses(*guilty)  # type: ignore[assignment]
    sink, _ = await drain(shim, store)
    letters = dead_letters(store)
    assert [cause for cause, _ in letters] == [
        "400 bad request: partial write: unable to parse: dropped=0"
    ] * 2
    assert all(part in body for part, (_, body) in zip(guilty, letters, strict=True))
    assert power_points(shim) == values - 2
    assert (sink.status.cause, sink.status.refused) == ("", 2)
    assert len(shim.requests) < 60


async def test_a_batch_that_is_refused_whole_is_not_taken_apart(shim: Shim, store: Store) -> None:
    fill(store, 600)
    lines = 600 * 3 + 20
    shim.replies.append(refusal(400, f"partial write: points beyond retention policy dropped={lines}"))
    sink, _ = await drain(shim, store)
    assert len(shim.requests) == 1
    assert sink.status.refused == lines
    assert len(dead_letters(store)) == 1


async def test_a_server_that_takes_nothing_in_unclear_words_is_a_wrong_address(
    shim: Shim, store: Store
) -> None:
    fill(store, 60)
    shim.judge = lambda _: Reply(400, b"what?")
    clock = QuickClock()
    sink = InfluxSink(settings(shim), store.outbox(SINK), clock)
    await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert sink.status == type(sink.status)("400 bad request: what?", True)
    assert len(shim.requests) < 60
    assert dead_letters(store) == []
    shim.judge = refuses(b"power_kw=7.0 ", words="what?")  # type: ignore[assignment]
    await run_until(sink, clock, is_drained(store, SINK))
    assert power_points(shim) == 179
    assert len(dead_letters(store)) == 1


async def test_a_server_that_falls_ill_while_lines_are_sifted_gets_all_again(
    shim: Shim, store: Store
) -> None:
    values = fill(store, 60)
    guilty = refuses(b"power_kw=7.0 ")
    answered = iter([None, None, None, refusal(503, "ill")])
    shim.judge = lambda request: next(answered, None) or guilty(request)  # type: ignore[return-value]
    _, clock = await drain(shim, store)
    assert clock.pauses_s[0] == 1.0
    assert power_points(shim) == values - 1
    assert len(dead_letters(store)) == 1


async def test_a_server_with_a_small_mouth_is_fed_in_smaller_bites(shim: Shim, store: Store) -> None:
    values = fill(store, 3600)
    limit = 30_000
    shim.judge = lambda request: refusal(413, "too large") if len(request.body) > limit else None
    sink, _ = await drain(shim, store)
    assert power_points(shim) == values
    assert (sink.status.cause, sink.status.refused) == ("", 0)


async def test_a_server_that_is_gone_and_comes_back_gets_all(shim: Shim, store: Store) -> None:
    values = fill(store, 60)
    shim.down()
    clock = QuickClock()
    sink = InfluxSink(settings(shim), store.outbox(SINK), clock)
    await run_until(sink, clock, lambda: len(clock.pauses_s) >= 5)
    assert sink.status.cause == "cannot be reached: Connection refused"
    assert not sink.status.is_wrong
    values += fill(store, 60, first_s=60)
    shim.up()
    await run_until(sink, clock, is_drained(store, SINK))
    assert power_points(shim) == values
    assert sink.status.cause == ""


async def test_an_answer_that_comes_too_late_costs_a_repetition_and_doubles_nothing(
    shim: Shim, store: Store
) -> None:
    values = fill(store, 60)
    held = threading.Event()
    shim.replies.append(Reply(held=held, is_late=True))
    clock = QuickClock()
    sink = InfluxSink(settings(shim, timeout_s=0.2), store.outbox(SINK), clock)
    await run_until(sink, clock, lambda: bool(sink.status.cause))
    assert sink.status.cause == "no answer within 0.2 s"
    held.set()
    await run_until(sink, clock, is_drained(store, SINK))
    assert len(lines_of(shim.requests)) > len(shim.points)
    assert power_points(shim) == values


async def test_a_sink_that_is_cancelled_in_a_request_ends_and_another_sends_the_same_again(
    shim: Shim, store: Store
) -> None:
    values = fill(store, 60)
    held = threading.Event()
    shim.replies.append(Reply(held=held, is_late=True))
    sink = InfluxSink(settings(shim), store.outbox(SINK), QuickClock())
    task = asyncio.create_task(sink.run())
    await asyncio.to_thread(shim.asked.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not held.is_set()
    held.set()
    await drain(shim, store)
    assert len(shim.requests) == 2
    assert power_points(shim) == values
