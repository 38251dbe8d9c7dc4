"""``twin`` and ``plan``: what they write is what the contract says, and anyone can recompute it."""

import csv
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from configs.load import load_site
from northbound.store import Store
from station.bill import bill
from tests.unit.cli.station import DEMO, demo_with, heliodock, refusal

DAY = ("--from", "2019-09-09", "--days", 1, "--step-s", 300)
KEYS = re.findall(
    r"\w+",
    "cost_total cost_energy cost_demand cost_wear cost_shortfall captured peak_kw delivered_kwh deliverable_kwh"
    " delivered_fraction sessions sessions_met sessions_unserved violation_count violation_kw_s self_consumption"
    " self_sufficiency battery_efc end_soc co2_kg plan_ms_p50 plan_ms_p99 sim_days_per_s",
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Play a day once; give the JSON and the directory with everything else."""
    out = tmp_path_factory.mktemp("twin")
    words = (
        "--strategy",
        "edf",
        "rules",
        "--json",
        "-",
        "--out",
        out,
        "--html",
        out / "page.html",
        "--seed",
        7,
    )
    result = heliodock("twin", DEMO, *DAY, *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), out


def test_the_json_has_the_keys_of_the_contract(played: tuple[dict[str, Any], Path]) -> None:
    data, _ = played
    head = {key: value for key, value in data.items() if key != "strategies"}
    assert head == {
        "site": "demo",
        "from": "2019-09-09",
        "days": 1,
        "step_s": 300,
        "energy": "requested",
        "currency": "USD",
        "seed": 7,
    }
    assert list(data["strategies"]) == ["edf", "rules"]
    assert all(list(its) == KEYS for its in data["strategies"].values())


def test_captured_is_there_though_nobody_asked_for_the_yardsticks(
    played: tuple[dict[str, Any], Path],
) -> None:
    for its in played[0]["strategies"].values():
        assert 0.0 < its["captured"] < 1.0
        assert (its["plan_ms_p50"], its["plan_ms_p99"], its["co2_kg"]) == (None, None, None)


def test_anyone_can_recompute_the_bill(played: tuple[dict[str, Any], Path]) -> None:
    data, out = played
    tariff = load_site(DEMO).site.tariff
    for name, its in data["strategies"].items():
        rows = rows_of(out / f"{name}.csv")
        assert len(rows) == 96
        assert " ".join(rows[0]) == "time grid_kw load_kw pv_kw battery_kw soc charging_kw"
        sums = [
            float(r["load_kw"]) + float(r["pv_kw"]) + float(r["battery_kw"]) + float(r["charging_kw"])
            for r in rows
        ]
        assert sums == pytest.approx([float(r["grid_kw"]) for r in rows], abs=1e-4)
        starts = [datetime.fromisoformat(r["time"]) for r in rows]
        again = bill(tariff, starts, [float(r["grid_kw"]) for r in rows])
        assert again.energy_cost == pytest.approx(its["cost_energy"], abs=1e-3)
        assert again.demand_cost == pytest.approx(its["cost_demand"], abs=1e-3)
        delivered = [float(row["delivered_kwh"]) for row in rows_of(out / f"{name}_sessions.csv")]
        assert sum(delivered) == pytest.approx(its["delivered_kwh"], abs=1e-3)
        assert len(delivered) == its["sessions"]


def test_the_page_needs_nothing_else(played: tuple[dict[str, Any], Path]) -> None:
    page = (played[1] / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert not re.search(r"<script|<link|@import|(src|href)=\"(?!#)", page.replace("xlink:href", "href"))
    assert "prefers-color-scheme: dark" in page


def test_the_result_is_plain_lines_in_a_pipe() -> None:
    result = heliodock("twin", DEMO, *DAY, "--strategy", "uncontrolled,oracle")
    assert result.exit_code == 0
    assert result.stderr == ""
    head, uncontrolled, oracle, about = result.stdout.splitlines()
    assert head.split()[:3] == ["strategy", "cost", "energy"]
    assert (uncontrolled.split()[0], oracle.split()[0]) == ("uncontrolled", "oracle")
    assert "1 day from 2019-09-09" in about
    assert "USD" in about


def test_emissions_follow_the_import(tmp_path: Path) -> None:
    series = tmp_path / "series.csv"
    start = datetime.fromisoformat("2019-09-09T07:00:00+00:00")
    lines = [f"{(start + timedelta(hours=i)).isoformat()},20,0,0.5" for i in range(24)]
    series.write_text("\n".join(["time,load_kw,pv_kw,kg_co2_per_kwh", *lines]), encoding="utf-8")
    cars = tmp_path / "cars.csv"
    cars.write_text("session_id,connector_id,plugged_in_at,unplugged_at,energy_kwh\n", encoding="utf-8")
    words = ("--series", series, "--sessions", cars, "--strategy", "uncontrolled", "--json", "-")
    result = heliodock("twin", DEMO, *DAY, *words)
    assert result.stderr == "note: no car arrives in these days\n"
    assert json.loads(result.stdout)["strategies"]["uncontrolled"]["co2_kg"] == pytest.approx(240.0)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--strategy", "mcp"), "did you mean 'mpc'?"),
        (("--from", "2030-01-01"), "has no rows for 2030-01-01 to 2030-01-02; it goes from 2019-05-01"),
        (("--from", "2019-09-09T08:00"), "names no time zone"),
        (("--from", "yesterday"), "a date (2019-09-02) or a time"),
        (("--from", "2019-09-09T08:07Z"), "billed 900 s"),
        (("--days", "0"), "must be a positive number"),
        (("--step-s", "7"), "must divide the billed 900 s"),
        (("--sessions", "nowhere.csv"), "no such file"),
        (("--json", "/nowhere/x.json"), "no such directory"),
    ],
    ids=str,
)
def test_a_run_that_cannot_be_is_refused_at_once(words: tuple[str, ...], hint: str) -> None:
    assert hint in refusal(heliodock("twin", DEMO, *DAY, *words))


def test_a_site_without_data_says_what_is_missing(tmp_path: Path) -> None:
    file = demo_with(tmp_path, ("  series: data/series.csv\n", ""))
    assert "twin.series: is needed" in refusal(heliodock("twin", file, *DAY))


def test_a_plan_balances_in_every_slot(tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    result = heliodock("plan", DEMO, "--at", "2019-09-09T10:07-07:00", "--json", "-", "--html", page)
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["made_at"] == "2019-09-09T17:07:00+00:00"
    assert len(data["slots"]) == 144
    assert data["sessions"]
    for slot in data["slots"]:
        used = slot["load_kw"] + slot["pv_kw"] + slot["battery_kw"] + slot["charging_kw"]
        assert used == pytest.approx(slot["grid_kw"], abs=1e-3)
    assert "<svg" in page.read_text(encoding="utf-8")


def test_a_plan_is_printed_by_the_hour() -> None:
    result = heliodock("plan", DEMO)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split()[:3] == ["time", "price", "USD/kWh"]
    assert len(lines) == 2 + 36 + 7 + 2


def test_a_plan_is_made_from_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", "demo")
    at = datetime.fromisoformat("2019-09-09T17:00:00+00:00")
    store.record(at, {"base_load_kw": 30.0, "pv_kw": 10.0, "battery.soc": 0.25})
    assert store.flush()
    store.close()
    data = json.loads(heliodock("plan", DEMO, "--store", tmp_path / "store", "--json", "-").stdout)
    assert data["made_at"] == "2019-09-09T17:00:00+00:00"
    assert "no such store" in refusal(heliodock("plan", DEMO, "--store", tmp_path / "none"))


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
