"""``store``: what is in it comes out right, a fault is found, and nothing is overwritten."""

import csv
import json
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from northbound.feed import Feed
from northbound.rows import AlarmCleared, AlarmRaised, CommandRow, RequestMade
from northbound.store import Store
from station.limits import Interval
from station.request import Request, RequestKind
from tests.unit.cli.station import demo_with, heliodock, refusal

START = datetime(2019, 9, 2, 7, tzinfo=UTC)
FEED = Feed("influxdb", lambda at, values: b"line", lambda event: None)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store of half an hour, with a command, an alarm and a sink that has one dead letter."""
    opened = Store(tmp_path / "my.store", "demo", feeds=(FEED,))
    for second in range(1800):
        values = {"grid_kw": second / 10, "battery.soc": nan if second < 60 else 0.5}
        opened.record(at(second), values)
    opened.enter(CommandRow(at(5), "ac1", 7.5, 30.0, False, ("plan: 7.5 kW",)))
    opened.enter(AlarmRaised(at(6), "ac1: silent"))
    opened.outbox("influxdb").refuse(at(7), b"bad line", "field type conflict")
    assert opened.close(30.0)
    return tmp_path / "my.store"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_info_tells_what_is_held_and_what_waits(store: Path) -> None:
    result = heliodock("store", "info", store, "--json", "-")
    data = json.loads(result.stdout)
    assert (data["site"], data["history"]["cycles"], data["history"]["signals"]) == ("demo", 1800, 2)
    assert data["history"]["cycle_span"] == [at(0).isoformat(), at(1799).isoformat()]
    assert data["ledger"]["rows"]["command"]["count"] == 1
    assert data["ledger"]["rows"]["audit"]["count"] == 2
    sink = data["sinks"]["influxdb"]
    assert (sink["waiting"], sink["dropped"], sink["dead_letters"]) == (1800, 0, 1)
    assert sink["last_cause"] == "field type conflict"
    table = heliodock("store", "info", store).stdout
    assert "store of demo" in table
    assert "2019-09-02 07:29Z" in table
    assert "field type conflict" in table


def test_a_store_is_found_beside_its_site_file(store: Path) -> None:
    site = demo_with(store.parent)
    store.rename(store.parent / "site.store")
    assert heliodock("store", "verify", site).stdout.startswith("whole: audit entries 2, ")
    result = heliodock("store", "export", site, "-", "--from", "2019-09-02", "--until", "2019-09-03")
    assert rows_of(result.stdout)[0]["time"] == "2019-09-02T07:00:00.000000Z"


def test_every_cycle_of_chosen_signals_comes_out_as_csv(store: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    span = ("--from", at(58).isoformat(), "--until", at(700).isoformat())
    result = heliodock(
        "store", "export", store, target, "--signal", "grid_kw", "--signal", "battery.soc", *span
    )
    assert (result.exit_code, result.output) == (0, "")
    rows = rows_of(target.read_text())
    assert len(rows) == 642
    assert rows[1:3] == [
        {"time": "2019-09-02T07:00:59.000000Z", "grid_kw": "5.9", "battery.soc": ""},
        {"time": "2019-09-02T07:01:00.000000Z", "grid_kw": "6.0", "battery.soc": "0.5"},
    ]


def test_minutes_come_out_with_their_extremes(store: Path) -> None:
    rows = rows_of(heliodock("store", "export", store, "-", "--step", "1min", "--signal", "grid_kw").stdout)
    assert len(rows) == 30
    assert rows[1] == {
        "time": "2019-09-02T07:01:00.000000Z",
        "grid_kw": "8.95",
        "grid_kw.min": "6.0",
        "grid_kw.max": "11.9",
    }


def test_parquet_holds_times_with_zone_and_nothing_where_nothing_was_measured(
    store: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    assert heliodock("store", "export", store, target).exit_code == 0
    table = pq.read_table(target)
    assert table.column_names == ["time", "grid_kw", "battery.soc"]
    assert table["time"][1799].as_py() == at(1799)
    assert table["battery.soc"].null_count == 60
    assert table["grid_kw"][1799].as_py() == pytest.approx(179.9)


def test_parquet_without_pyarrow_is_one_clear_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    line = refusal(heliodock("store", "export", store, "out.parquet"))
    assert "pip install 'heliodock[parquet]'" in line


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("out.xlsx",), "must end in .csv or .parquet"),
        (("-", "--signal", "grid_kv"), "did you mean 'grid_kw'?"),
        (("-", "--from", "yesterday"), "a date (2019-09-02) or a time"),
        (("-", "--from", "2019-09-03", "--until", "2019-09-02"), "is not before"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(
    store: Path, words: tuple[str, ...], problem: str
) -> None:
    assert problem in refusal(heliodock("store", "export", store, *words))


def test_a_directory_without_a_store_is_refused(tmp_path: Path) -> None:
    for verb in ("info", "verify"):
        assert "no such store" in refusal(heliodock("store", verb, tmp_path / "none"))
    assert "no such store" in refusal(heliodock("store", "backup", tmp_path / "none", tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()


def test_a_changed_row_is_found_and_named(store: Path) -> None:
    connection = sqlite3.connect(store / "ledger.db")
    connection.execute("UPDATE command SET power_kw = 70.0")
    connection.commit()
    connection.close()
    result = heliodock("store", "verify", store)
    assert result.exit_code == 1
    assert "ledger.db: audit entry 1 (command at 2019-09-02T07:00:05" in result.stderr
    assert "its row '1' says otherwise" in result.stderr
    data = json.loads(heliodock("store", "verify", store, "--json", "-").stdout)
    assert data["fault"].startswith("ledger.db: audit entry 1")


def test_a_backup_made_while_the_store_is_written_comes_back_whole(store: Path, tmp_path: Path) -> None:
    writing = Store(store, "demo", feeds=(FEED,))
    for second in range(1800, 4000):
        writing.record(at(second), {"grid_kw": 1.0, "battery.soc": 0.5})
        writing.enter(AlarmRaised(at(second), f"alarm {second}"))
        if second == 2500:
            assert writing.flush(30.0)
    assert heliodock("store", "backup", store, tmp_path / "copy").exit_code == 0
    assert "not overwritten" in refusal(heliodock("store", "backup", store, tmp_path / "copy"))
    assert writing.close(30.0)
    assert "not overwritten" in refusal(heliodock("store", "restore", tmp_path / "copy", store))
    result = heliodock("store", "restore", tmp_path / "copy", tmp_path / "again")
    assert result.exit_code == 0, result.stderr
    again = Store(tmp_path / "again", "demo", feeds=(FEED,))
    again.enter(AlarmRaised(at(9000), "later"))
    assert again.close(30.0)
    assert heliodock("store", "verify", tmp_path / "again").exit_code == 0
    data = json.loads(heliodock("store", "info", tmp_path / "again", "--json", "-").stdout)
    assert data["history"]["cycles"] >= 2501


def test_a_backup_with_a_fault_is_not_brought_back(store: Path, tmp_path: Path) -> None:
    assert heliodock("store", "backup", store, tmp_path / "copy").exit_code == 0
    connection = sqlite3.connect(tmp_path / "copy" / "ledger.db")
    connection.execute("UPDATE alarm SET alarm = 'other'")
    connection.commit()
    connection.close()
    result = heliodock("store", "restore", tmp_path / "copy", tmp_path / "again")
    assert (result.exit_code, "says otherwise" in result.stderr) == (1, True)
    assert not (tmp_path / "again").exists()


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Return a store in which connector ac3 was slow at 07:03 UTC: a limit of the operator held it back."""
    opened = Store(tmp_path / "my.store", "demo")
    for second in range(600):
        slow = 120 <= second < 300
        measured = {"ac3.power_kw": 2.0 if slow else 7.0, "ac3.setpoint_kw": 2.0 if slow else 7.0}
        opened.record(at(second), {**measured, "ac3.soc": nan, "ac4.power_kw": 1.0, "grid_kw": 49.0})
    limit = Interval(-1e6, 50.0)
    wish = Request("r1", RequestKind.OPERATOR_IMPORT_LIMIT, "grid", at(300), limit)
    opened.enter(CommandRow(at(1), "ac3", 7.0, 30.0, False, ()))
    opened.enter(CommandRow(at(2), "ac4", 1.0, 30.0, False, ("own limit",)))
    opened.enter(RequestMade(at(119), wish))
    opened.enter(CommandRow(at(120), "ac3", 2.0, 30.0, True, ("pcc: 50 kW by the operator",)))
    opened.enter(AlarmRaised(at(150), "ac4: silent"))
    opened.enter(AlarmCleared(at(170), "ac4: silent"))
    opened.enter(CommandRow(at(300), "ac3", 7.0, 30.0, False, ()))
    assert opened.close(30.0)
    return tmp_path / "my.store"


def test_why_tells_what_a_device_did_and_what_held_it_back(told: Path) -> None:
    found = json.loads(heliodock("store", "why", told, "ac3", at(190).isoformat(), "--json", "-").stdout)
    assert found["at"] == at(180).isoformat()
    assert found["values"] == {
        "ac3.power_kw": 2.0,
        "ac3.setpoint_kw": 2.0,
        "ac3.soc": None,
        "grid_kw": pytest.approx(49.0),
    }
    assert [(row["power_kw"], row["reasons"]) for row in found["commands"]] == [
        (2.0, ["pcc: 50 kW by the operator"]),
        (7.0, []),
    ]
    assert [wish["request_id"] for wish in found["requests"]] == ["r1"]
    assert found["alarms"] == []
    text = heliodock("store", "why", told, "ac3", at(160).isoformat()).stdout
    assert "pcc: 50 kW by the operator" in text
    assert "alarm since 09-02 07:02:30: ac4: silent" in text
    assert "wish r1 of grid: operator_import_limit, at most 50 kW, until 09-02 07:05:00" in text


def test_why_reaches_back_to_the_last_command_and_forgets_a_wish_that_is_over(told: Path) -> None:
    later = at(1200).isoformat()
    found = json.loads(heliodock("store", "why", told, "ac3", later, "--json", "-").stdout)
    assert [row["power_kw"] for row in found["commands"]] == [7.0]
    assert (found["requests"], set(found["values"].values())) == ([], {None})


def test_why_takes_local_time_beside_a_site_file_and_refuses_it_elsewhere(told: Path) -> None:
    site = demo_with(told.parent)
    assert "no asset 'ac9'; did you mean" in refusal(
        heliodock("store", "why", told, "ac9", at(0).isoformat())
    )
    assert "names no time zone" in refusal(heliodock("store", "why", told, "ac3", "2019-09-02T07:03"))
    told.rename(told.parent / "site.store")
    text = heliodock("store", "why", site, "ac3", "2019-09-02T00:03").stdout
    assert text.startswith("ac3 at 2019-09-02 00:03 (America/Los_Angeles)")
    assert "pcc: 50 kW by the operator" in text
