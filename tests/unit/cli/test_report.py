"""``heliodock report`` and ``check`` of a tariff, as somebody types them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from re import sub

import pytest

from configs.tariff_file import TARIFFS
from northbound.store import Store
from tests.unit.cli.station import demo_with, heliodock, refusal

FIRST = datetime(2019, 9, 16, 7, tzinfo=UTC)
"""Midnight of a Monday in California."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site with two days of record, one hour of which is lost: 40 kW, at noon 90, and 20 kW export at 16."""
    file = demo_with(tmp_path, ("cycle_s: 1 ", "cycle_s: 60 "), ("stale_s: 3 ", "stale_s: 120 "))
    text = sub(r"lease_s: \d+", "lease_s: 120", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    store = Store(tmp_path / "site.store", "demo")
    for minute in range(2 * 24 * 60):
        hour = minute // 60 % 24
        if minute // 60 != 30:
            grid_kw = {12: 90.0, 16: -20.0}.get(hour, 40.0)
            store.record(FIRST + timedelta(minutes=minute), {"grid_kw": grid_kw})
    assert store.flush(30.0)
    store.close()
    return file


def test_the_bill_names_its_gaps_and_their_bounds(site: Path) -> None:
    result = heliodock("report", site, "--month", "2019-09", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    known = 2 * 96 - 4
    assert (told["windows"], told["missing_windows"]) == (30 * 96, 30 * 96 - known)
    assert [(gap["from"], gap["windows"]) for gap in told["missing"]] == [
        ("2019-09-01T07:00:00+00:00", 15 * 96),
        ("2019-09-17T13:00:00+00:00", 4),
        ("2019-09-18T07:00:00+00:00", 13 * 96),
    ]
    lines = {line["name"]: line["amount"] for line in told["lines"]}
    assert lines == {
        "energy at 0.05623": round((2 * 9 - 1) * 40 * 0.05623, 2),
        "energy at 0.0925": round(2 * 9 * 40 * 0.0925, 2),
        "energy at 0.26668": round(2 * (4 * 40 + 90) * 0.26668, 2),
        "export": 0.0,
        "demand": round(90 * 15.51, 2),
    }
    assert told["total"] == pytest.approx(sum(lines.values()))
    assert told["maxima"][0]["at"] == "2019-09-16T19:00:00+00:00"
    low, high = told["bounds"]
    assert low == told["total"]
    assert high > told["total"] + 30 * 15.51


def test_a_person_reads_lines_maxima_gaps_and_the_total(site: Path) -> None:
    result = heliodock("report", site, "--month", "2019-09")
    assert result.exit_code == 0, result.output
    assert "demand" in result.stdout
    assert "2019-09-16 12:00-0700" in result.stdout
    assert "for the 188 windows on record" in result.stdout
    assert "2692 of 2880 windows are missing and not billed" in result.stderr
    assert "2019-09-17 06:00-0700 to 2019-09-17 07:00-0700 (4 windows)" in result.stderr


def test_the_page_needs_nothing_else(site: Path, tmp_path: Path) -> None:
    page = tmp_path / "bill.html"
    assert heliodock("report", site, "--month", "2019-09", "--html", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "missing" in text
    assert "1395.90" in text
    assert "http" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("month", "words"),
    [
        ("2019-13", "--month: a month is expected"),
        ("september", "--month"),
        ("2018-05", "holds no grid power of 2018-05"),
    ],
)
def test_a_month_that_cannot_be_billed_is_one_line(site: Path, month: str, words: str) -> None:
    assert words in refusal(heliodock("report", site, "--month", month))


def test_without_a_store_there_is_no_bill(tmp_path: Path) -> None:
    assert "site.store" in refusal(heliodock("report", demo_with(tmp_path), "--month", "2019-09"))


def test_an_unfinished_tariff_is_said_by_check_and_by_report(site: Path) -> None:
    text = site.read_text(encoding="utf-8").replace("sce-tou-ev-4-2019", "sce-tou-ev-8")
    site.write_text(text, encoding="utf-8")
    for result in (heliodock("check", site), heliodock("report", site, "--month", "2019-09")):
        assert result.exit_code == 0, result.output
        assert "tariff sce-tou-ev-8 is unfinished" in result.stderr


@pytest.mark.parametrize("file", sorted(TARIFFS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_tariff_that_is_shipped_passes_its_check_and_tells_its_doubts(file: Path) -> None:
    result = heliodock("check", file)
    assert result.exit_code == 0, result.output
    assert "every hour of every day has one price" in result.stdout
    is_unfinished = "complete: false" in file.read_text(encoding="utf-8")
    assert ("is unfinished" in result.stderr) == is_unfinished
    assert ("doubt: " in result.stdout) == is_unfinished


def test_check_finds_what_is_wrong_in_a_tariff(tmp_path: Path) -> None:
    text = (TARIFFS / "guangdong-2021.yaml").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace('"08:00-10:00": flat', '"08:00-10:00": flta'), encoding="utf-8")
    line = refusal(heliodock("check", file))
    assert "mine.yaml:" in line
    assert "unknown price 'flta'; did you mean 'flat'?" in line
