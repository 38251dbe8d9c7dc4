"""What a tariff file can say beside seasons: events, holidays, price series, charges; and every way to get it wrong."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from configs.tariff_file import TARIFFS, load_tariff
from station.errors import ConfigError

SCE = TARIFFS / "sce-tou-ev-4-2019.yaml"


def refused(directory: Path, name: str, old: str, new: str) -> ConfigError:
    """Return the error of a shipped tariff with a piece of its text replaced."""
    text = (TARIFFS / f"{name}.yaml").read_text(encoding="utf-8")
    assert old in text
    (directory / "mine.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    (directory / "uk-agile-example.csv").write_bytes((TARIFFS / "uk-agile-example.csv").read_bytes())
    with pytest.raises(ConfigError) as caught:
        load_tariff(directory / "mine.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("name", "change", "key", "problem"),
    [
        (
            "guangdong-2021",
            ("flat: 1.0", "flt: 1.0"),
            "seasons[0].weekday.08:00-10:00",
            "unknown price 'flat'",
        ),
        (
            "guangdong-2021",
            ('"15:00-17:00": crit', '"11:30-17:00": crit'),
            "events.periods.11:30-17:00",
            "two prices",
        ),
        ("guangdong-2021", ('{first: "07-01"', '{first: "07-32"'), "events.every_day[0].first", "MM-DD"),
        ("guangdong-2021", ("dates: []", "dates: [2026-02-30]"), "events.dates[0]", "a date"),
        ("guangdong-2021", ("dates: []", "file: hot.csv"), "", "no such file"),
        ("guangdong-2021", ("exempt: false", "exempted: true"), "demand.exempted", "did you mean 'exempt'"),
        (
            "guangdong-2021",
            ("exempt: false", "contract: {contracted_kw: 0}"),
            "demand.contract.contracted_kw",
            "kW",
        ),
        ("guangdong-2021", ("complete: false", "complete: perhaps"), "complete", "true or false"),
        (
            "sce-tou-ev-8",
            ("periods: [on_peak]", "periods: [onpeak]"),
            "period_demand[0].periods",
            "'on_peak'?",
        ),
        ("sce-tou-ev-8", ('"2025-01-01"', '"2025-1-1"'), "holidays.dates[0]", "a date"),
        (
            "sce-tou-ev-8",
            ("holidays:  ", "holidays:\n  country: XX\n#"),
            "holidays.country",
            "unknown country 'XX'",
        ),
        ("pge-bev-2", ("count: 2", "count: 2.5"), "blocks.count", "whole number"),
        ("pge-bev-2", ("window_s: 900", "window_s: 900\n  scope: year"), "blocks", "scope month"),
        ("de-two-regimes", ("scope: year", "scope: month"), "regimes", "scope year"),
        ("de-two-regimes", ("expects: below", "expects: cheap"), "regimes.expects", "below"),
        (
            "de-two-regimes",
            ("scope: year", "scope: year\n  ratchet: {share: 0.8, months: 3}"),
            "demand.ratchet",
            "month",
        ),
        ("uk-agile", ("step_s: 1800", "step_s: 900"), "demand.window_s", "must divide the series' step"),
        ("uk-agile", ("fallback: last_day", "fallback: zero"), "series.fallback", "last_day"),
        ("uk-agile", ("uk-agile-example", "nowhere"), "", "no such file"),
    ],
)
def test_a_wrong_key_of_any_feature_is_named(
    tmp_path: Path, name: str, change: tuple[str, str], key: str, problem: str
) -> None:
    error = refused(tmp_path, name, *change)
    assert error.key == key
    assert problem in error.problem


@pytest.mark.parametrize(
    ("rows", "line", "problem"),
    [
        ("2022-01-01T00:10Z,0.1", 2, "must start on the clock's multiples"),
        ("2022-01-01T00:00Z,0.1\n2022-01-01T00:10Z,0.1", 3, "no multiple of 1800 s"),
        ("2022-01-01T00:30Z,0.1\n2022-01-01T00:30Z,0.1", 3, "given twice"),
        ("2022-01-01T00:30Z,0.1\n2022-01-01T00:00Z,0.1", 3, "before the line above"),
        ("2022-01-01T00:00Z,cheap", 2, "a number is expected"),
        ("2022-01-01T00:00,0.1", 2, "names no time zone"),
        ("2022-01-01T00:00Z,0.1\n2222-01-01T00:00Z,0.1", 3, "years after"),
        ("", 1, "at least one step"),
    ],
)
def test_a_wrong_price_series_names_its_line(tmp_path: Path, rows: str, line: int, problem: str) -> None:
    text = (TARIFFS / "uk-agile.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "uk-agile-example.csv").write_text(f"time,price_per_kwh\n{rows}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_tariff(tmp_path / "mine.yaml")
    assert caught.value.line == line
    assert problem in caught.value.problem


def test_an_empty_cell_and_a_missing_row_are_not_published(tmp_path: Path) -> None:
    text = (TARIFFS / "uk-agile.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("last_day", "periods"), encoding="utf-8")
    rows = "time,price_per_kwh,export_price_per_kwh\n2022-01-01T00:00Z,-0.05,\n2022-01-01T00:30Z,,0.04\n"
    (tmp_path / "uk-agile-example.csv").write_text(f"{rows}2022-01-01T02:00Z,0.07,0.05\n", encoding="utf-8")
    tariff = load_tariff(tmp_path / "mine.yaml")
    quotes = [
        tariff.quote(datetime(2022, 1, 1, hour, half, tzinfo=UTC)) for hour in (0, 1, 2) for half in (0, 30)
    ]
    assert [quote.is_estimated for quote in quotes] == [False, True, True, True, False, True]
    assert [quote.price_per_kwh for quote in quotes] == [-0.05, 0.2, 0.2, 0.2, 0.07, 0.2]
    exports = [tariff.export_price_at(datetime(2022, 1, 1, hour, tzinfo=UTC)) for hour in (0, 2, 3)]
    assert exports == [0.0, 0.05, 0.0]


def test_holidays_of_a_country_have_weekend_prices(tmp_path: Path) -> None:
    text = SCE.read_text(encoding="utf-8")
    public = "holidays: {country: DE, subdivision: HE, dates: [2025-12-24]}\n"
    (tmp_path / "mine.yaml").write_text(
        public + text.replace("America/Los_Angeles", "Europe/Berlin"), encoding="utf-8"
    )
    tariff = load_tariff(tmp_path / "mine.yaml")
    berlin = ZoneInfo("Europe/Berlin")

    def noon(year: int, month: int, day: int) -> float:
        return tariff.price_per_kwh(datetime(year, month, day, 12, tzinfo=berlin))

    assert noon(2025, 6, 19) == 0.05623, "Corpus Christi, in Hesse"
    assert noon(2025, 12, 24) == 0.06087
    assert noon(2025, 12, 23) == 0.0869
    assert noon(2026, 1, 6) == 0.0869, "Epiphany is none in Hesse"


def test_announced_days_come_from_a_file_too(tmp_path: Path) -> None:
    text = (TARIFFS / "guangdong-2021.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("dates: []", "file: hot.csv"), encoding="utf-8")
    (tmp_path / "hot.csv").write_text("date\n2026-05-20\n", encoding="utf-8")
    tariff = load_tariff(tmp_path / "mine.yaml")
    shenzhen = ZoneInfo("Asia/Shanghai")
    assert tariff.price_per_kwh(datetime(2026, 5, 20, 16, tzinfo=shenzhen)) == 1.38125
    assert tariff.price_per_kwh(datetime(2026, 5, 21, 16, tzinfo=shenzhen)) == 1.105


def test_a_tariff_that_lacks_prices_says_so() -> None:
    provenance = load_tariff(TARIFFS / "pge-bev-2.yaml").provenance
    assert "unfinished" in (provenance.warning("pge-bev-2") or "")
    assert load_tariff(SCE).provenance.warning("sce") is None
