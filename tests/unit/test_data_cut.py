"""The data in configs/data are what their README says: whole, in order, with zones, unchanged."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

DATA = Path(__file__).parents[2] / "configs" / "data"
SESSION_FILES = {
    "demo_sessions.csv": {*(f"ac{number}" for number in range(1, 9)), "dc1a", "dc1b"},
    "jpl_sessions.csv": {f"ev{number:02d}" for number in range(1, 53)},
}
SERIES_START = datetime(2019, 5, 1, 7, tzinfo=UTC)
SERIES_END = datetime(2020, 1, 1, 8, tzinfo=UTC)
STEP = timedelta(minutes=15)
each_session_file = pytest.mark.parametrize("name", SESSION_FILES)


@cache
def rows(name: str) -> list[dict[str, str]]:
    """All rows of one data file as text."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stays(name: str) -> Iterator[tuple[str, datetime, datetime]]:
    """Connector, arrival and departure of every session."""
    for row in rows(name):
        arrival, departure = row["plugged_in_at"], row["unplugged_at"]
        yield row["connector_id"], datetime.fromisoformat(arrival), datetime.fromisoformat(departure)


def test_series_has_every_quarter_hour_once_and_in_order() -> None:
    times = [datetime.fromisoformat(row["time"]) for row in rows("series.csv")]
    count = (SERIES_END - SERIES_START) // STEP
    assert times == [SERIES_START + STEP * number for number in range(count)]


def test_series_stays_in_the_ranges_of_plant_and_building() -> None:
    load = [float(row["load_kw"]) for row in rows("series.csv")]
    generation = [float(row["pv_kw"]) for row in rows("series.csv")]
    assert (min(load), max(load)) == (10.0, 60.0)
    assert min(generation) == 0.0
    assert 80.0 < max(generation) <= 100.0


@pytest.mark.parametrize("month", range(5, 13))
def test_middle_of_the_generating_day_is_near_noon_of_pacific_standard_time(month: int) -> None:
    hours_by_day: dict[int, list[float]] = defaultdict(list)
    for row in rows("series.csv"):
        standard = datetime.fromisoformat(row["time"]) - timedelta(hours=8)
        if standard.month == month and float(row["pv_kw"]) > 2.0:
            hours_by_day[standard.day].append(standard.hour + standard.minute / 60)
    assert 11.3 < median((hours[0] + hours[-1]) / 2 for hours in hours_by_day.values()) < 12.2


@each_session_file
def test_every_time_of_a_session_is_utc(name: str) -> None:
    for row in rows(name):
        times = [row["plugged_in_at"], row["unplugged_at"], row["estimated_unplug_at"]]
        assert all(time.endswith("+00:00") for time in times if time)


@each_session_file
def test_cars_leave_after_they_arrive(name: str) -> None:
    assert all(arrival < departure for _, arrival, departure in stays(name))


@each_session_file
def test_sessions_lie_within_the_series_and_are_ordered_by_arrival(name: str) -> None:
    arrivals = [arrival for _, arrival, _ in stays(name)]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= SERIES_START
    assert all(departure <= SERIES_END for _, _, departure in stays(name))


@each_session_file
def test_no_connector_holds_two_cars_at_once(name: str) -> None:
    by_connector: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for connector, arrival, departure in stays(name):
        by_connector[connector].append((arrival, departure))
    assert set(by_connector) == SESSION_FILES[name]
    for sessions in by_connector.values():
        for earlier, later in pairwise(sessions):
            assert earlier[1] <= later[0]


@each_session_file
def test_session_ids_are_unique_and_energies_are_a_cars(name: str) -> None:
    identifiers = [row["session_id"] for row in rows(name)]
    assert len(set(identifiers)) == len(identifiers)
    assert all(0 < float(row["energy_kwh"]) < 100 for row in rows(name))
    assert all(float(row["requested_kwh"]) > 0 for row in rows(name) if row["requested_kwh"])


@each_session_file
def test_a_driver_answers_both_questions_or_none(name: str) -> None:
    for row in rows(name):
        assert bool(row["requested_kwh"]) == bool(row["estimated_unplug_at"])
        if row["estimated_unplug_at"]:
            assert row["estimated_unplug_at"] >= row["plugged_in_at"]


@each_session_file
def test_most_cars_arrive_in_the_morning_of_the_workplace(name: str) -> None:
    # Standard time: 4 to 9 covers 5 to 9 on the wall in summer and in winter.
    mornings = [4 <= (arrival - timedelta(hours=8)).hour < 9 for _, arrival, _ in stays(name)]
    assert sum(mornings) > len(mornings) / 3


def test_readme_gives_the_checksum_of_every_data_file() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    stated = {
        name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+\.csv)$", readme, re.MULTILINE)
    }
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DATA.glob("*.csv")}
    assert stated == found
