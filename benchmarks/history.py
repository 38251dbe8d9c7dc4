"""What the history costs on disk and in time at 500 signals a second, beside two plain ways of keeping the same values.

``python -m benchmarks.history [--json FILE]`` prints ``mb_per_day``, ``signal_day_ms`` (read one signal over a day at
1 s), ``month_rollup_ms`` (its one-minute means over 30 days) and ``commit_ms_p99`` of heliodock's history, and the same
four of ``sqlite_rows`` (one row per value, primary key (time, signal), WAL) and ``duckdb`` (one row per value).

Signals: a random walk with a resolution of 0.1, and every third one constant; times with a jitter of milliseconds. Time
is virtual, everything else is what the store's thread does: one transaction per cycle, ``synchronous`` NORMAL.

* heliodock: 29 days of one record a minute of every tenth signal, so that a month of rollups is there, then one whole
  day of one record a second of all. ``mb_per_day`` is what that day added, its journal included; ``commit_ms_p99`` is
  over that day's 86,400 transactions from BEGIN to COMMIT; reads are the median of several over that last day and over
  the whole month, the file in the system's cache.
* The rivals hold ``RIVAL_S`` seconds, because a day of 43 million rows would take too long; ``mb_per_day``,
  ``signal_day_ms`` and ``month_rollup_ms`` are scaled up in proportion to time, which suits their scans. They keep no
  rollups, so theirs are grouped from the rows. DuckDB takes a cycle as one insert from a table in memory.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import duckdb
import numpy as np
import numpy.typing as npt

from northbound import journal
from northbound.books import Books
from northbound.database import micros
from northbound.reader import StoreReader
from northbound.trim import Keeping

SIGNALS = 500
DAY_S = 86_400
RIVAL_S = 3_600
READS = 9
START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = tuple(f"asset{n // 5}.signal{n % 5}_kw" for n in range(SIGNALS))
READ = 400
"""The signal that is read: one that moves."""

Values = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]


@dataclass
class Figures:
    """What is measured of one way of keeping history."""

    mb_per_day: float = 0.0
    signal_day_ms: float = 0.0
    month_rollup_ms: float = 0.0
    commits_ms: list[float] = field(default_factory=list)

    def plain(self) -> dict[str, float]:
        """Return the four figures."""
        return {
            "mb_per_day": round(self.mb_per_day, 1),
            "signal_day_ms": round(self.signal_day_ms, 2),
            "month_rollup_ms": round(self.month_rollup_ms, 2),
            "commit_ms_p99": round(float(np.percentile(self.commits_ms, 99)), 2),
        }


def cycles(count: int, step_s: float, start_at: datetime) -> Iterator[tuple[datetime, Values]]:
    """Yield times and values of ``count`` cycles; the same ones on every run."""
    rng = np.random.default_rng(7)
    moves = np.arange(SIGNALS) % 3 != 0
    values = np.round(rng.uniform(0.0, 100.0, SIGNALS), 1)
    for number in range(count):
        values = np.round(values + moves * rng.integers(-1, 2, SIGNALS) * 0.1, 1)
        jitter_us = int(rng.integers(0, 5_000))
        yield start_at + timedelta(seconds=step_s * number, microseconds=jitter_us), values


def ours(directory: Path, progress: Progress) -> Figures:
    """Fill and read heliodock's own history."""
    figures = Figures()
    books = Books(directory, "bench", Keeping(), ())
    books.open()
    day_at = START + timedelta(days=29)
    for number, (at, values) in enumerate(cycles(29 * 1440, 60.0, START)):
        books.write_history([(at, dict(zip(NAMES[::10], values[::10].tolist(), strict=True)))])
        progress("month of minutes", (number + 1) / (29 * 1440))
    before_bytes = _size_bytes(directory)
    for number, (at, values) in enumerate(cycles(DAY_S, 1.0, day_at)):
        record = dict(zip(NAMES, values.tolist(), strict=True))
        began = perf_counter()
        books.write_history([(at, record)])
        figures.commits_ms.append(1000.0 * (perf_counter() - began))
        progress("day of seconds", (number + 1) / DAY_S)
    figures.mb_per_day = (_size_bytes(directory) - before_bytes) / 1e6
    end_at = day_at + timedelta(days=1)
    with StoreReader(directory) as reader:
        name = NAMES[READ]
        if len(reader.column(name, day_at, end_at)[0]) != DAY_S:
            raise SystemExit("the day was not read whole")
        if len(reader.minutes(name, START, end_at).starts_us) != 30 * 1440:
            raise SystemExit("the month was not read whole")
        figures.signal_day_ms = _median_ms(lambda: reader.column(name, day_at, end_at))
        figures.month_rollup_ms = _median_ms(lambda: reader.minutes(name, START, end_at))
    books.close()
    return figures


def sqlite_rows(directory: Path, progress: Progress) -> Figures:
    """Fill and read one narrow row per value in SQLite."""
    figures = Figures()
    file = directory / "rows.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE v (ts INTEGER, sig INTEGER, v REAL, PRIMARY KEY (ts, sig)) WITHOUT ROWID"
    )
    for number, (at, values) in enumerate(cycles(RIVAL_S, 1.0, START)):
        at_us = micros(at)
        rows = [(at_us, sig, value) for sig, value in enumerate(values.tolist())]
        began = perf_counter()
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO v VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
        figures.commits_ms.append(1000.0 * (perf_counter() - began))
        progress("SQLite rows", (number + 1) / RIVAL_S)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    _scale(figures, file.stat().st_size, lambda text: connection.execute(text, (READ,)).fetchall())
    connection.close()
    return figures


def duckdb_rows(directory: Path, progress: Progress) -> Figures:
    """Fill and read one narrow row per value in DuckDB."""
    figures = Figures()
    file = directory / "rows.duckdb"
    connection = duckdb.connect(str(file))
    connection.execute("CREATE TABLE v (ts BIGINT, sig SMALLINT, v FLOAT)")
    signals = np.arange(SIGNALS, dtype=np.int16)
    for number, (at, values) in enumerate(cycles(RIVAL_S, 1.0, START)):
        times = np.full(SIGNALS, micros(at))
        began = perf_counter()
        connection.register("batch", {"ts": times, "sig": signals, "v": values.astype(np.float32)})
        connection.execute("INSERT INTO v SELECT ts, sig, v FROM batch")
        figures.commits_ms.append(1000.0 * (perf_counter() - began))
        progress("DuckDB", (number + 1) / RIVAL_S)
    connection.execute("CHECKPOINT")
    _scale(figures, file.stat().st_size, lambda text: connection.execute(text, (READ,)).fetchnumpy())
    connection.close()
    return figures


def _scale(figures: Figures, size_bytes: int, run: Callable[[str], object]) -> None:
    """Measure a rival's reads and scale them from what it holds to a day and to a month."""
    figures.mb_per_day = size_bytes / 1e6 * DAY_S / RIVAL_S
    day_ms = _median_ms(lambda: run("SELECT ts, v FROM v WHERE sig = ? ORDER BY ts"))
    figures.signal_day_ms = day_ms * DAY_S / RIVAL_S
    minutes = "SELECT ts // 60000000 AS m, AVG(v) FROM v WHERE sig = ? GROUP BY m"
    if isinstance(run("SELECT 1 WHERE 1 = ?"), list):
        minutes = minutes.replace("//", "/")
    figures.month_rollup_ms = _median_ms(lambda: run(minutes)) * 30 * DAY_S / RIVAL_S


def _median_ms(read: Callable[[], object]) -> float:
    times_ms = []
    for _ in range(READS):
        began = perf_counter()
        read()
        times_ms.append(1000.0 * (perf_counter() - began))
    return float(np.median(times_ms))


def _size_bytes(directory: Path) -> int:
    """Return the pages in use, those still in the log included."""
    connection = sqlite3.connect(f"file:{directory / journal.FILE}?mode=ro", uri=True)
    count, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    connection.close()
    return (count - free) * size


def measure(progress: Progress) -> dict[str, object]:
    """Return all figures."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="heliodock-history-") as name:
        figures |= ours(Path(name), progress).plain()
        figures["sqlite_rows"] = sqlite_rows(Path(name), progress).plain()
        figures["duckdb"] = duckdb_rows(Path(name), progress).plain()
    return figures


class Shown:
    """Tells on a terminal's standard error what is being done and how far it is."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def __call__(self, name: str, share: float) -> None:
        """Show a new percent."""
        now = (name, int(100.0 * share))
        if sys.stderr.isatty() and now != self._last:
            end = "\n" if now[1] == 100 else ""
            sys.stderr.write(f"\r{name}: {now[1]:3d} %{end}")
            sys.stderr.flush()
            self._last = now


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    file = parser.parse_args().json
    figures = json.dumps(measure(Shown()))
    if file is None or file == "-":
        sys.stdout.write(figures + "\n")
    else:
        Path(file).write_text(figures + "\n")


if __name__ == "__main__":
    main()
