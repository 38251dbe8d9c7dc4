"""The tariff reader: the figures that it gives, and files with an hour that has no price or two."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from configs.tariff_file import TARIFFS, load_tariff
from station.errors import ConfigError

SCE = TARIFFS / "sce-tou-ev-4-2019.yaml"
PACIFIC = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize(
    ("at", "price"),
    [
        ("2019-09-03T07:59", 0.05623),
        ("2019-09-03T08:00", 0.0925),
        ("2019-09-03T12:00", 0.26668),
        ("2019-09-03T17:59:59", 0.26668),
        ("2019-09-03T18:00", 0.0925),
        ("2019-09-03T23:00", 0.05623),
        ("2019-09-01T13:00", 0.05623),
        ("2019-10-01T13:00", 0.0869),
        ("2019-05-31T09:00", 0.07492),
        ("2019-06-01T13:00", 0.05623),
        ("2020-02-29T13:00", 0.06087),
    ],
)
def test_the_tariff_of_2019_has_its_published_prices(at: str, price: float) -> None:
    assert load_tariff(SCE).price_per_kwh(datetime.fromisoformat(at).replace(tzinfo=PACIFIC)) == price


def test_demand_is_billed_on_quarter_hours() -> None:
    demand = load_tariff(SCE).demand
    assert (demand.price_per_kw, demand.window_s) == (15.51, 900.0)


def test_every_quarter_hour_of_two_years_has_a_price() -> None:
    tariff = load_tariff(SCE)
    first = datetime(2019, 1, 1, tzinfo=PACIFIC)
    assert all(tariff.price_per_kwh(first + timedelta(minutes=30 * step)) > 0 for step in range(731 * 48))


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        (
            '"08:00-12:00": 0.0925',
            '"09:00-12:00": 0.0925',
            "seasons[0].weekday.09:00-12:00",
            "summer, weekday: 08:00 has no price",
        ),
        (
            '"08:00-12:00": 0.0925',
            '"07:30-12:00": 0.0925',
            "seasons[0].weekday.07:30-12:00",
            "07:30 has two prices",
        ),
        ('      "23:00-24:00": 0.05623\n', "", "seasons[0].weekday", "23:00 has no price"),
        (
            '"08:00-12:00": 0.0925',
            '"22:00-06:00": 0.0925',
            "seasons[0].weekday.22:00-06:00",
            "within one day",
        ),
        ('"08:00-12:00": 0.0925', '"8-12": 0.0925', "seasons[0].weekday.8-12", "HH:MM-HH:MM"),
        ('first: "10-01"', 'first: "10-02"', "seasons", "no season holds 10-01"),
        ('first: "10-01"', 'first: "09-30"', "seasons", "seasons summer and winter both hold 09-30"),
        ('first: "10-01"', 'first: "10-32"', "seasons[1].first", "MM-DD"),
        ("window_s: 900", "window_s: 700", "demand.window_s", "divide an hour"),
        ("currency: USD", "currency: dollars", "currency", ""),
        ("America/Los_Angeles", "America/Los_Angles", "timezone", "did you mean 'America/Los_Angeles'"),
        ("price_per_kw: 15.51", "price_per_kw: '15.51'", "demand.price_per_kw", "currency per kW"),
    ],
)
def test_a_wrong_tariff_names_season_and_hour(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    text = SCE.read_text()
    assert old in text
    file = tmp_path / "tariff.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_tariff(file)
    assert caught.value.key == key
    assert problem in caught.value.problem
    assert caught.value.line > 1
