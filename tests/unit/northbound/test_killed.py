"""Killed a hundred times: no acknowledged row is lost, the audit holds, and sinks get each message once."""

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from northbound.reader import StoreReader
from northbound.store import Store
from northbound.verify import verify
from tests.architecture.house import ROOT
from tests.unit.northbound.killing import FAR, FEEDS, SIGNALS, START, STEP_S

KILLS = int(os.environ.get("HELIODOCK_KILLS", "100"))


@pytest.mark.slow
def test_a_hundred_kills_lose_no_acknowledged_row_and_double_no_message(tmp_path: Path) -> None:
    program = [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path), str(KILLS), "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=110, env=environment)
    assert done.returncode == 0, done.stderr
    kills = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(kills) == KILLS
    lost = [kill for kill in kills if kill[0] > kill[2] or kill[1] > kill[3]]
    assert not lost
    _the_store_is_whole(tmp_path, kills[-1][2], kills[-1][3])


def _the_store_is_whole(directory: Path, commands: int, records: int) -> None:
    """Look at everything once more, after a start that has nothing new to write."""
    store = Store(directory, "demo", feeds=FEEDS)
    store.effective(FAR)
    assert store.flush(30.0)
    parcels = [json.loads(parcel.body) for parcel in store.outbox("copy").parcels(10**9, 10**12)]
    assert store.close(30.0)
    verdict = verify(directory)
    assert not verdict.fault
    with StoreReader(directory) as reader:
        found = [row.asset_id for row in reader.commands(START, FAR)]
        assert found == [f"asset{number}" for number in range(1, commands + 1)]
        for signal in ("s0", f"s{SIGNALS - 1}"):
            values = reader.values(signal, START, FAR)
            assert [value for _, value in values] == [float(number) for number in range(1, records + 1)]
            assert values[-1][0] == START + timedelta(seconds=STEP_S * records)
            assert reader.minutes(signal, START, FAR).counts.sum() == records
    told = [parcel for parcel in parcels if not isinstance(parcel[1], int)]
    assert [value for _, value in told] == [float(number) for number in range(1, records + 1)]
    assert [number for _, number in parcels if isinstance(number, int)] == list(range(1, verdict.entries + 1))
    connection = sqlite3.connect(directory / "history.db")
    assert connection.execute("SELECT COUNT(*) FROM chunk").fetchone()[0] > 0
    connection.close()
    assert datetime.fromisoformat(told[0][0]).tzinfo == UTC
