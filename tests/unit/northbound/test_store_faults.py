"""Kill -9 and a full disk: no acknowledged ledger row is lost, and the loop never waits."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from northbound import writer
from northbound.reader import StoreReader
from northbound.rows import CommandRow
from northbound.store import Store
from northbound.writer import Sinks, Writer

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
FAR = START + timedelta(days=999)

WRITES_UNTIL_KILLED = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from northbound.rows import CommandRow
from northbound.store import Store

start = datetime(2019, 9, 2, 7, tzinfo=UTC)
store = Store(Path(sys.argv[1]), "demo")
number, told = 0, 0
while True:
    for _ in range(20):
        number += 1
        at = start + timedelta(seconds=number)
        store.enter(CommandRow(at, f"asset{number}", 1.0, 30.0, False, ()))
        store.record(at, {"a_kw": float(number)})
    written = store.written
    if written > told:
        told = written
        print(written, flush=True)
"""


def command(number: int) -> CommandRow:
    return CommandRow(START + timedelta(seconds=number), "ac1", float(number), 30.0, False, ("why " * 50,))


@pytest.mark.parametrize("run_s", [0.05, 0.2, 0.5])
def test_kill_9_loses_no_row_that_was_acknowledged(tmp_path: Path, run_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    time.sleep(run_s)
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.wait(timeout=30)
    process.stdout.close()
    acknowledged = max(int(line) for line in lines if line.endswith("\n"))
    with StoreReader(tmp_path) as reader:
        found = [row.asset_id for row in reader.commands(START, FAR)]
    assert len(found) >= acknowledged > 0
    assert found == [f"asset{number}" for number in range(1, len(found) + 1)]
    again = Store(tmp_path, "demo")
    again.enter(command(1))
    assert again.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    yield disk
    # lazy: after a failed test the store still holds its files, and that failure is the one to see
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_is_counted_and_rows_wait_until_there_is_room(small_disk: Path) -> None:
    store = Store(small_disk / "store", "demo", retry_s=0.05)
    store.enter(command(0))
    assert store.flush()
    ballast = small_disk / "ballast"
    fill(ballast)
    for number in range(1, 3001):
        store.enter(command(number))
        store.record(START + timedelta(seconds=number), {"a_kw": 1.0})
    assert not store.flush(0.5)
    status = store.status
    assert status.errors > 0
    assert status.is_failing
    assert "full" in status.last_error
    assert status.ledger_waiting > 0
    assert (status.ledger_dropped, status.ledger_refused) == (0, 0)
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert store.flush(60.0)
    assert not store.status.is_failing
    with StoreReader(store.directory) as reader:
        assert [row.power_kw for row in reader.commands(START, FAR)] == [
            float(number) for number in range(3001)
        ]
    assert store.close()


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


FILES_MAY_NOT_GROW = """
import resource, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from northbound.rows import CommandRow
from northbound.store import Store

start = datetime(2019, 9, 2, 7, tzinfo=UTC)
store = Store(Path(sys.argv[1]), "demo", retry_s=0.02)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
for number in range(2000):
    store.enter(CommandRow(start + timedelta(seconds=number), "ac1", float(number), 30.0, False, ("why " * 50,)))
    store.record(start + timedelta(seconds=number), {"a_kw": 1.0})
assert not store.flush(0.5)
assert store.status.errors and store.status.is_failing, store.status
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert store.flush(60), store.status
assert store.close()
"""


def test_a_write_error_loses_no_ledger_row(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    program = [sys.executable, "-c", FILES_MAY_NOT_GROW, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    with StoreReader(tmp_path) as reader:
        assert [row.power_kw for row in reader.commands(START, FAR)] == [
            float(number) for number in range(2000)
        ]


def broken_sinks() -> Sinks[int, int]:
    def fail(items: object) -> int:
        raise OSError(5, "Input/output error")

    return Sinks(fail, fail, lambda: 0, lambda: 0)


def test_history_is_dropped_oldest_first_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "HISTORY_CAP", 10)
    monkeypatch.setattr(writer, "LEDGER_CAP", 10)
    queue = Writer(broken_sinks(), retry_s=0.01)
    queue.start()
    numbers = [queue.put_ledger(value) for value in range(12)]
    for value in range(25):
        queue.put_history(value)
    assert numbers == [*range(1, 11), 0, 0]
    assert not queue.flush(0.1)
    status = queue.status
    assert (status.history_dropped, status.ledger_dropped) == (15, 2)
    assert (status.history_waiting, status.ledger_waiting) == (10, 10)
    assert "Input/output error" in status.last_error
    assert not queue.close(5.0)


def test_nobody_waits_for_a_disk_that_hangs() -> None:
    released = threading.Event()

    def hang(_: object) -> int:
        return 0 if released.wait(60.0) else 1

    queue: Writer[int, int] = Writer(Sinks(hang, hang, lambda: 0, lambda: 0))
    queue.start()
    for value in range(2000):  # each of these would hang with the disk
        queue.put_ledger(value)
        queue.put_history(value)
    status = queue.status
    assert not released.is_set()
    assert (status.ledger_waiting, status.history_waiting) == (2000, 2000)
    assert queue.ledger_written == 0
    released.set()
    assert queue.close(30.0)
    assert queue.ledger_written == 2000


def test_items_are_written_in_order_and_once() -> None:
    written: list[int] = []

    def keep(items: object) -> int:
        assert isinstance(items, list)
        written.extend(items)
        return 0

    queue: Writer[int, int] = Writer(Sinks(keep, lambda _: 0, lambda: 0, lambda: 0))
    queue.start()
    for value in range(5000):
        queue.put_ledger(value)
    assert queue.flush(10.0)
    assert written == list(range(5000))
    assert queue.close(5.0)
