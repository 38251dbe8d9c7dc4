"""Kills a process that writes a store, again and again: ``python killing.py DIRECTORY KILLS SEED``.

One process imports everything once and forks the writers, so that a kill costs little time. Each writer goes on where
the last one was killed, and tells through a pipe what it knows to be on disk. Prints, for each kill, the last ledger
row and the last record that were acknowledged.
"""

import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from northbound.feed import Event, Feed
from northbound.reader import StoreReader
from northbound.rows import AlarmCleared, AlarmRaised, CommandRow
from northbound.store import Store
from station.errors import ConfigError

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
FAR = START + timedelta(days=9_999)
STEP_S = 5.0
SIGNALS = 20


def _record(when: datetime, values: Mapping[str, float]) -> bytes:
    return json.dumps([when.isoformat(), values["s0"]]).encode()


def _event(event: Event) -> bytes:
    return json.dumps([event.kind, event.number]).encode()


FEEDS = (Feed("copy", _record, _event),)


def at(number: int) -> datetime:
    """Return the time of a record."""
    return START + timedelta(seconds=STEP_S * number)


def write(directory: Path, pipe: int) -> None:
    """Write commands and records from where the store ends, until killed."""
    commands, records = _found(directory)
    store = Store(directory, "demo", feeds=FEEDS)
    before, queued, told = (commands, records), 0, (0, 0)
    while True:
        for _ in range(5):
            commands, records = commands + 1, records + 1
            store.enter(CommandRow(at(commands), f"asset{commands}", 1.0, 30.0, False, ("why",)))
            queued = store.record(at(records), {f"s{place}": float(records) for place in range(SIGNALS)})
        store.enter(
            AlarmRaised(at(commands), "flaps") if commands % 10 else AlarmCleared(at(commands), "flaps")
        )
        while queued - store.recorded > 20:
            time.sleep(0.0005)
        if (now := (store.written, store.recorded)) > told:
            told = now
            rows = now[0] * 5 // 6  # every sixth row is an alarm
            os.write(pipe, f"{before[0] + rows} {before[1] + now[1]}\n".encode())


def _found(directory: Path) -> tuple[int, int]:
    try:
        with StoreReader(directory) as reader:
            return reader.counts()["command"], reader.counts()["cycle"]
    except ConfigError:
        return 0, 0


def kill_once(directory: Path, wait_s: float) -> tuple[int, int]:
    """Fork a writer, kill it some time after its first acknowledgement, and return the last one."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        write(directory, into)
        os._exit(1)
    os.close(into)
    text = b""
    if not select.select([out], [], [], 60.0)[0]:
        raise SystemExit("the writer acknowledges nothing")
    time.sleep(wait_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(out, 65_536):
        text += part
    os.close(out)
    if not text:
        raise SystemExit("the writer died by itself")
    last = text[: text.rindex(b"\n")].splitlines()[-1].split()
    return int(last[0]), int(last[1])


def main() -> None:
    """Kill and tell."""
    directory, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    for _ in range(kills):
        acknowledged = kill_once(directory, rng.uniform(0.0, 0.12))
        commands, records = _found(directory)
        print(*acknowledged, commands, records, flush=True)


if __name__ == "__main__":
    main()
