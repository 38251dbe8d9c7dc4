"""The twin's CSV files are read strictly: every doubt is an error with file, line and column."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.csv_data import read_series, read_sessions
from configs.load import CONFIGS
from station.errors import ConfigError

HEAD = "session_id,connector_id,plugged_in_at,unplugged_at,energy_kwh"
ROW = "a,ev1,2019-09-02T08:00:00-07:00,2019-09-02T16:00:00-07:00,10.5"
EIGHT = datetime(2019, 9, 2, 15, tzinfo=UTC)


def file_of(folder: Path, *lines: str) -> Path:
    file = folder / "data.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_cars_are_read_in_utc_and_by_arrival(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        HEAD + ",requested_kwh,estimated_unplug_at,max_power_kw,arrival_soc,capacity_kwh,v2g",
        "b,,2019-09-02T16:00:00Z,2019-09-02T17:00:00Z,1,,,,,,",
        "",
        ROW + ",20,2019-09-02T17:00:00-07:00,7.4,0.4,60,true",
    )
    first, second = read_sessions(file, {"ev1"})
    assert (first.plugged_in_at, first.energy_kwh, first.requested_kwh) == (EIGHT, 10.5, 20.0)
    assert (first.max_power_kw, first.arrival_soc, first.capacity_kwh, first.v2g) == (7.4, 0.4, 60.0, True)
    assert (second.connector_id, second.requested_kwh, second.estimated_unplug_at) == ("", None, None)


@pytest.mark.parametrize(
    ("lines", "line", "key", "problem"),
    [
        ([HEAD, ROW.replace("-07:00,2019", ",2019")], 2, "plugged_in_at", "names no time zone"),
        ([HEAD, ROW.replace("2019-09-02T08", "2 Sept 08")], 2, "plugged_in_at", "a time is expected"),
        ([HEAD, ROW.replace("T16", "T07")], 2, "unplugged_at", "not after"),
        ([HEAD, ROW.replace("10.5", "-1")], 2, "energy_kwh", "at least 0"),
        ([HEAD, ROW.replace("10.5", "nan")], 2, "energy_kwh", "a number is expected"),
        ([HEAD, ROW.replace("10.5", "1_0")], 2, "energy_kwh", "a number is expected"),
        ([HEAD, ROW.replace("10.5", "")], 2, "energy_kwh", "is empty"),
        ([HEAD, ROW.replace("ev1", "ev2")], 2, "connector_id", "did you mean 'ev1'"),
        ([HEAD, ROW, ROW], 3, "session_id", "first on line 2"),
        ([HEAD, ROW, "b" + ROW[1:].replace("T08", "T15")], 3, "plugged_in_at", "that of line 2"),
        ([HEAD + ",colour", ROW + ",red"], 1, "colour", "unknown column"),
        ([HEAD + ",requested_kw", ROW + ",1"], 1, "requested_kw", "did you mean 'requested_kwh'"),
        ([HEAD + ",v2g,v2g", ROW + ",1,1"], 1, "v2g", "given twice"),
        ([HEAD + ",v2g", ROW + ",maybe"], 2, "v2g", "true or false"),
        ([HEAD + ",arrival_soc", ROW + ",40"], 2, "arrival_soc", "at most 1"),
        ([HEAD.replace(",energy_kwh", ""), ROW], 1, "energy_kwh", "missing"),
        ([HEAD, ROW + ",7"], 2, "", "5 columns are expected, 6 found"),
        (["", ""], 1, "", "is empty"),
        ([HEAD, '"a' + ROW[1:]], 2, "", "is not valid CSV"),
    ],
)
def test_wrong_cars_are_named(tmp_path: Path, lines: list[str], line: int, key: str, problem: str) -> None:
    file = file_of(tmp_path, *lines)
    with pytest.raises(ConfigError) as caught:
        read_sessions(file, {"ev1"})
    assert (caught.value.file, caught.value.line, caught.value.key) == (str(file), line, key)
    assert problem in caught.value.problem


def test_one_car_may_leave_as_the_next_one_comes(tmp_path: Path) -> None:
    following = ROW.replace("T16", "T17").replace("T08", "T16")
    assert len(read_sessions(file_of(tmp_path, HEAD, ROW, "b" + following[1:]), {"ev1"})) == 2


def test_a_series_is_read_with_zeros_for_what_it_lacks(tmp_path: Path) -> None:
    series = read_series(
        file_of(tmp_path, "time,load_kw,price_per_kwh", "2019-09-02T15:00Z,5,-0.1", "2019-09-02T15:15Z,6,0.2")
    )
    assert (series.starts_at, series.step_s, series.load_kw, series.pv_kw) == (
        EIGHT,
        900.0,
        (5.0, 6.0),
        (0.0, 0.0),
    )
    assert series.price_per_kwh == (-0.1, 0.2)
    assert series.temperature_c is None
    assert series.scaled(2.0, 1.0, load_max_kw=11.0).load_kw == (10.0, 11.0)
    assert [series.index_at(EIGHT), series.index_at(series.ends_at)] == [0, None]


@pytest.mark.parametrize(
    ("lines", "line", "key", "problem"),
    [
        (
            ["time,load_kw", "2019-09-02T15:00Z,1", "2019-09-02T15:15Z,1", "2019-09-02T15:45Z,1"],
            4,
            "time",
            "a gap",
        ),
        (["time,load_kw", "2019-09-02T15:00Z,1", "2019-09-02T15:00Z,1"], 3, "time", "given twice"),
        (
            ["time,load_kw", "2019-09-02T15:00Z,1", "2019-09-02T15:15Z,1", "2019-09-02T15:00Z,1"],
            4,
            "time",
            "before",
        ),
        (["time,load_kw", "2019-09-02T15:00,1", "2019-09-02T15:15,1"], 2, "time", "names no time zone"),
        (["time,load_kw", "2019-09-02T15:00Z,1", "2019-09-02T15:07Z,1"], 3, "time", "divide an hour"),
        (["time,load_kw", "2019-09-02T15:07Z,1", "2019-09-02T15:22Z,1"], 2, "time", "multiples"),
        (["time,load_kw", "2019-09-02T15:00Z,1"], 1, "time", "two steps"),
        (["time,pv_kw", "2019-09-02T15:00Z,-1", "2019-09-02T15:15Z,1"], 2, "pv_kw", "at least 0"),
        (["time,pv_kw", "2019-09-02T15:00Z,1", "2019-09-02T15:15Z,"], 3, "pv_kw", "is empty"),
        (["time,pv", "2019-09-02T15:00Z,1"], 1, "pv", "did you mean 'pv_kw'"),
        (["load_kw", "1"], 1, "time", "missing"),
    ],
)
def test_wrong_series_are_named(tmp_path: Path, lines: list[str], line: int, key: str, problem: str) -> None:
    file = file_of(tmp_path, *lines)
    with pytest.raises(ConfigError) as caught:
        read_series(file)
    assert (caught.value.file, caught.value.line, caught.value.key) == (str(file), line, key)
    assert problem in caught.value.problem


def test_the_data_of_the_demonstration_passes() -> None:
    connectors = {"ac1", "ac2", "ac3", "ac4", "ac5", "ac6", "ac7", "ac8", "dc1a", "dc1b"}
    sessions = read_sessions(CONFIGS / "data" / "demo_sessions.csv", connectors)
    series = read_series(CONFIGS / "data" / "series.csv")
    assert len(sessions) == 3403
    assert (len(series.load_kw), series.step_s) == (23524, 900.0)
