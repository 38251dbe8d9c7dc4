"""The history: journal, chunks and rollups are one to a reader, whatever clock, kill, age and size do."""

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest

from northbound.chunk import pack_row
from northbound.database import micros
from northbound.journal import Journal
from northbound.reader import StoreReader
from northbound.store import Store
from northbound.trim import Keeping

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
FAR = START + timedelta(days=99_999)
PAST = START - timedelta(days=9_999)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record(seconds: Iterable[float], directory: Path, signals: int = 3, **more: Keeping) -> None:
    """Record the second itself as every signal (``s0`` ...), and a signal that is rarely measured."""
    store = Store(directory, "demo", keeping=more.get("keeping"))
    for second in seconds:
        values = {f"s{place}": float(second) + place for place in range(signals)}
        store.record(at(second), values | {"rare": nan if second % 7 else float(second)})
    assert store.close(60.0)
    assert store.status.history_dropped == 0


def tables(directory: Path, name: str) -> int:
    connection = sqlite3.connect(directory / "history.db")
    (count,) = connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()
    connection.close()
    return int(count)


@pytest.mark.parametrize("last", [1, 599, 600, 601, 750, 900, 1199, 1200, 1201, 1500, 3000])
def test_a_signal_is_whole_whatever_part_of_it_is_chunks(tmp_path: Path, last: int) -> None:
    record(range(last), tmp_path)
    with StoreReader(tmp_path) as reader:
        for place in range(3):
            found = reader.values(f"s{place}", PAST, FAR)
            assert found == [(at(second), float(second + place)) for second in range(last)]
        rare = [value for _, value in reader.values("rare", PAST, FAR)]
        assert [second for second, value in enumerate(rare) if not isnan(value)] == list(range(0, last, 7))
        assert reader.counts()["cycle"] == last
        minutes = reader.minutes("s1", PAST, FAR)
    assert minutes.counts.sum() == last
    assert minutes.starts_us.tolist() == [micros(at(60 * n)) for n in range((last + 59) // 60)]
    assert minutes.least.tolist() == [60 * n + 1 for n in range(len(minutes.least))]
    assert minutes.last[-1] == minutes.most[-1] == last
    assert tables(tmp_path, "block") == (last - 1) // 600


def test_the_journal_is_emptied_as_its_rows_become_chunks(tmp_path: Path) -> None:
    record(range(3000), tmp_path, signals=100)
    assert tables(tmp_path, "cycle") <= 1200
    assert tables(tmp_path, "chunk") >= 3 * 101


def test_each_commit_does_a_small_part_of_the_work(tmp_path: Path) -> None:
    store = Store(tmp_path, "demo")
    names = tuple(f"s{n}" for n in range(300))
    assert store.close()
    connection = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    written, most, chunks = Journal(connection), 0, 0
    for second in range(1300):
        connection.execute("BEGIN")
        written.add(micros(at(second)), names, pack_row([float(second)] * 300))
        connection.execute("COMMIT")
        now = connection.execute("SELECT COUNT(*) FROM chunk").fetchone()[0]
        most, chunks = max(most, now - chunks), now
    connection.close()
    assert (chunks, most) == (600, 1)


def test_a_clock_that_jumps_back_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    seconds = [*range(700), *range(300, 1500), *range(1400, 1410)]
    record(seconds, tmp_path)
    with StoreReader(tmp_path) as reader:
        found = reader.values("s0", PAST, FAR)
        minutes = reader.minutes("s0", PAST, FAR)
        assert reader.counts()["cycle"] == len(seconds)
        assert reader.means("s0", at(0), at(900)) == [(at(0), np.mean([s for s in seconds if s < 900]), 1300)]
    assert [(when - START).total_seconds() for when, _ in found] == sorted(seconds)
    assert [value for _, value in found] == [float(second) for second in sorted(seconds)]
    assert minutes.counts.sum() == len(seconds)
    assert minutes.counts[5:12].tolist() == [120] * 6 + [100]
    assert minutes.last[5] == 359.0


def test_a_restart_amid_the_work_goes_on_with_it(tmp_path: Path) -> None:
    bounds = [0, 605, 700, 1150, 1203, 1204, 1900]
    for first, last in zip(bounds, bounds[1:], strict=False):
        record(range(first, last), tmp_path, signals=40)
    with StoreReader(tmp_path) as reader:
        for signal in ("s0", "s39"):
            shift = int(signal[1:])
            assert [v for _, v in reader.values(signal, PAST, FAR)] == [float(s + shift) for s in range(1900)]
            assert reader.minutes(signal, PAST, FAR).counts.tolist() == [60] * 31 + [40]
    assert tables(tmp_path, "chunk") >= 2 * 41


def test_slow_and_uneven_cycles_are_packed_too(tmp_path: Path) -> None:
    seconds = [37.0 * number + 0.25 * (number % 3) for number in range(300)]
    record(seconds, tmp_path, signals=50)
    with StoreReader(tmp_path) as reader:
        found = reader.values("s0", PAST, FAR)
    assert [when for when, _ in found] == [at(second) for second in seconds]
    assert tables(tmp_path, "cycle") < 60


def test_signals_that_come_and_go_keep_their_own_history(tmp_path: Path) -> None:
    store = Store(tmp_path, "demo")
    for second in range(2000):
        names = ("a_kw", "b_kw") if second % 900 < 450 else ("b_kw", "c_kw")
        store.record(at(second), dict.fromkeys(names, float(second)))
    assert store.close(30.0)
    with StoreReader(tmp_path) as reader:
        assert len(reader.values("b_kw", PAST, FAR)) == 2000
        assert [v for _, v in reader.values("a_kw", PAST, FAR)] == [s for s in range(2000) if s % 900 < 450]
        assert reader.minutes("c_kw", PAST, FAR).counts.sum() == sum(s % 900 >= 450 for s in range(2000))
        assert reader.signals() == ("a_kw", "b_kw", "c_kw")
        assert reader.values("unknown", PAST, FAR) == []


def test_a_span_is_cut_to_the_microsecond(tmp_path: Path) -> None:
    record(range(2000), tmp_path)
    with StoreReader(tmp_path) as reader:
        found = reader.values("s0", at(550) + timedelta(microseconds=1), at(1300))
        assert [value for _, value in found] == list(range(551, 1300))
        starts_us = reader.minutes("s0", at(61), at(600)).starts_us
        assert starts_us.tolist() == [micros(at(60 * n)) for n in range(2, 10)]


def test_cycles_grow_old_and_their_minutes_stay_until_they_are_old_too(tmp_path: Path) -> None:
    keeping = Keeping(history=timedelta(hours=2), rollups=timedelta(hours=10))
    record(range(0, 24 * 3600, 10), tmp_path, keeping=keeping)
    with StoreReader(tmp_path) as reader:
        kept_s = len(reader.values("s0", PAST, FAR)) * 10
        minutes = reader.minutes("s0", PAST, FAR)
    assert 2 * 3600 <= kept_s <= 2.5 * 3600
    assert 10 * 60 <= len(minutes.starts_us) <= 11 * 60 + 1


def test_an_hour_of_a_wrong_clock_costs_little_history(tmp_path: Path) -> None:
    year_s = 366 * 86_400
    seconds = [*range(0, 86_400, 10), *range(year_s, year_s + 3600, 10), *range(86_400, 87_000, 10)]
    record(seconds, tmp_path, keeping=Keeping(history=timedelta(days=1)))
    with StoreReader(tmp_path) as reader:
        kept = [when for when, _ in reader.values("s0", at(0), at(87_000))]
    assert kept[0] < at(86_400 * 0.75)
    assert len(kept) > 0.25 * 8_640


def test_a_full_file_lets_the_oldest_cycles_go_first_and_never_the_ledger(tmp_path: Path) -> None:
    keeping = Keeping(size_bytes=1_500_000)
    rng = np.random.default_rng(1)
    store = Store(tmp_path, "demo", keeping=keeping)
    for second in range(0, 200_000, 10):
        store.record(at(second), {f"s{place}": v for place, v in enumerate(rng.random(40).tolist())})
        if second % 50_000 == 0:
            assert store.flush(60.0)
    assert store.close(60.0)
    connection = sqlite3.connect(tmp_path / "history.db")
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    connection.close()
    assert (pages - free) * page_bytes < 1.2 * keeping.size_bytes
    with StoreReader(tmp_path) as reader:
        found = reader.values("s0", PAST, FAR)
        assert found[-1][0] == at(199_990)
        assert 500 < len(found) < 15_000


def test_free_pages_are_given_back_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from northbound import trim

    record(range(0, 60_000, 10), tmp_path, signals=100)
    before_bytes = (tmp_path / "history.db").stat().st_size
    monkeypatch.setattr(trim, "FREE_PAGES", 10)
    keeping = Keeping(history=timedelta(hours=1), rollups=timedelta(hours=1))
    record(range(60_000, 90_000, 10), tmp_path, signals=100, keeping=keeping)
    assert (tmp_path / "history.db").stat().st_size < before_bytes / 2


def test_a_reader_beside_the_writer_never_sees_a_gap(tmp_path: Path) -> None:
    store = Store(tmp_path, "demo")
    for second in range(0, 9000):
        store.record(at(second), {"a_kw": float(second), "b_kw": 1.0})
        if second % 500 == 499:
            with StoreReader(tmp_path) as reader:
                found = [value for _, value in reader.values("a_kw", PAST, FAR)]
                assert found == [float(number) for number in range(len(found))]
                assert reader.minutes("b_kw", PAST, FAR).counts.sum() >= len(found)
    assert store.close(30.0)
