"""A year of quarter hours goes through the store; each tariff's bill is computed again here, in another way.

Nothing below reads a price or a rule from the engine: numbers, hours, holidays and the changes of the clocks stand in
this file, money is ``Decimal`` in plain loops, and local time is UTC plus an offset looked up in a table.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from random import Random

import pytest

from configs.tariff_file import TARIFFS, load_tariff
from northbound.meter import recorded_meter, step_for
from northbound.reader import StoreReader
from northbound.store import Store
from station.billed_meter import Meter
from station.invoice import Invoice, invoice
from station.tariff import Tariff

pytestmark = [pytest.mark.xdist_group("bill-replay"), pytest.mark.timeout(300)]

FIRST = datetime(2024, 12, 31, tzinfo=UTC)
QUARTERS = 367 * 96
QUARTER = timedelta(minutes=15)
D = Decimal

Local = datetime
"""Naive local time."""


def generated_watts() -> list[int]:
    """Return a net load in whole watts: a building, cars by day, the sun that exports at noon, and a few wild peaks."""
    chance = Random(20250101)
    watts = []
    for number in range(QUARTERS):
        hour = (number % 96) / 4
        summer = 1 - abs((number // 96) % 365 - 182) / 182
        sun = max(0.0, 1 - abs(hour - 20) / 6) * (40_000 + 120_000 * summer) * chance.random()
        cars = 60_000 * chance.random() if 14 <= hour < 24 else 5_000 * chance.random()
        wild = 150_000 if chance.random() < 0.0005 else 0
        watts.append(round(15_000 + cars + wild - sun + 3_000 * chance.random()))
    return watts


WATTS = generated_watts()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreReader]:
    directory = tmp_path_factory.mktemp("year") / "store"
    written = Store(directory, "demo")
    for number, power_w in enumerate(WATTS):
        written.record(FIRST + QUARTER * number, {"grid_kw": power_w / 1000.0})
        if number % 1000 == 999:
            assert written.flush(30.0)
    assert written.flush(30.0)
    written.close()
    with StoreReader(directory) as reader:
        yield reader


def bills(store: StoreReader, tariff: Tariff) -> list[Invoice]:
    """Return the twelve bills of 2025 as the engine replays them from the store."""
    from_at, _ = tariff.month_span((2025, 1))
    _, until_at = tariff.month_span((2025, 12))
    step_s = step_for(tariff.demand.window_s, is_sliding=tariff.demand.is_sliding)
    found = recorded_meter(store, from_at, until_at, step_s=step_s, cycle_s=900.0)
    meter = Meter(tariff, found.record)
    months = [invoice(meter, (2025, month)) for month in range(1, 13)]
    assert not any(month.missing or month.notes for month in months)
    return months


def pacific(at: datetime) -> Local:
    is_summer = datetime(2025, 3, 9, 10, tzinfo=UTC) <= at < datetime(2025, 11, 2, 9, tzinfo=UTC)
    return at.replace(tzinfo=None) - timedelta(hours=7 if is_summer else 8)


def berlin(at: datetime) -> Local:
    is_summer = datetime(2025, 3, 30, 1, tzinfo=UTC) <= at < datetime(2025, 10, 26, 1, tzinfo=UTC)
    return at.replace(tzinfo=None) + timedelta(hours=2 if is_summer else 1)


def london(at: datetime) -> Local:
    return berlin(at) - timedelta(hours=1)


def shenzhen(at: datetime) -> Local:
    return at.replace(tzinfo=None) + timedelta(hours=8)


@cache
def year(zone: Callable[[datetime], Local]) -> list[tuple[datetime, Local, int]]:
    """Return each quarter hour with its local time and its watts."""
    starts = [FIRST + QUARTER * number for number in range(QUARTERS)]
    return [(at, zone(at), power_w) for at, power_w in zip(starts, WATTS, strict=True)]


@cache
def quarters(zone: Callable[[datetime], Local], month: int) -> list[tuple[datetime, Local, int]]:
    """Return the quarter hours of a local month of 2025."""
    return [entry for entry in year(zone) if (entry[1].year, entry[1].month) == (2025, month)]


def cent(money: Decimal) -> Decimal:
    return money.quantize(D("0.01"), ROUND_HALF_UP)


def by_hours(
    zone: Callable[[datetime], Local], month: int, price: Callable[[Local], tuple[str, str]]
) -> Decimal:
    """Return the energy part of a month: imported kWh by name, each name rounded to the cent; exports earn nothing."""
    sums: dict[str, Decimal] = {}
    for _, local, power_w in quarters(zone, month):
        if power_w > 0:
            name, text = price(local)
            sums[name] = sums.get(name, D(0)) + D(power_w) / D(4000) * D(text)
    return sum((cent(money) for money in sums.values()), D(0))


def highest(
    zone: Callable[[datetime], Local], month: int, is_counted: Callable[[Local], bool] = lambda _: True
) -> Decimal:
    """Return the highest quarter hour of a month in kW."""
    watts = [power_w for _, local, power_w in quarters(zone, month) if is_counted(local)]
    return D(max([0, *watts])) / 1000


def check(found: list[Invoice], expected: Callable[[int], Decimal]) -> None:
    for month in range(1, 13):
        assert (month, found[month - 1].total) == (month, expected(month))


def test_sce_tou_ev_4_equals_the_independent_bill(store: StoreReader) -> None:
    def price(local: Local) -> tuple[str, str]:
        is_summer = 6 <= local.month <= 9
        if local.weekday() >= 5 or local.hour < 8 or local.hour == 23:
            text = "0.05623" if is_summer else "0.06087"
        elif 12 <= local.hour < 18:
            text = "0.26668" if is_summer else "0.0869"
        else:
            text = "0.0925" if is_summer else "0.07492"
        return text, text

    def expected(month: int) -> Decimal:
        return by_hours(pacific, month, price) + cent(highest(pacific, month) * D("15.51"))

    check(bills(store, load_tariff(TARIFFS / "sce-tou-ev-4-2019.yaml")), expected)


@pytest.mark.parametrize("is_exempt", [False, True])
def test_guangdong_equals_the_independent_bill(store: StoreReader, tmp_path: Path, is_exempt: bool) -> None:
    text = (TARIFFS / "guangdong-2021.yaml").read_text(encoding="utf-8")
    assert "dates: []" in text
    assert "exempt: false" in text
    text = text.replace("dates: []", 'dates: ["2025-06-21", "2025-10-02"]')
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("exempt: false", "exempt: true") if is_exempt else text, encoding="utf-8")

    def price(local: Local) -> tuple[str, str]:
        is_hot = local.month in (7, 8, 9) or local.date() in (date(2025, 6, 21), date(2025, 10, 2))
        if is_hot and local.hour in (11, 15, 16):
            return "critical", "1.38125"
        if local.hour < 8:
            return "valley", "0.247"
        if 10 <= local.hour < 12 or 14 <= local.hour < 19:
            return "peak", "1.105"
        return "flat", "0.65"

    def expected(month: int) -> Decimal:
        demand = D(0) if is_exempt else cent(highest(shenzhen, month) * 32)
        return by_hours(shenzhen, month, price) + demand

    check(bills(store, load_tariff(file)), expected)


SCE_HOLIDAYS = {(1, 1), (2, 17), (5, 26), (7, 4), (9, 1), (11, 11), (11, 27), (12, 25)}


def test_sce_tou_ev_8_with_two_maxima_and_holidays_equals_the_independent_bill(store: StoreReader) -> None:
    def is_working_day(local: Local) -> bool:
        return local.weekday() < 5 and (local.month, local.day) not in SCE_HOLIDAYS

    def price(local: Local) -> tuple[str, str]:
        is_evening = 16 <= local.hour < 21
        if 6 <= local.month <= 9:
            if is_evening:
                return ("on", "0.5") if is_working_day(local) else ("mid", "0.3")
            return "off", "0.15"
        if is_evening:
            return ("winter mid", "0.35") if is_working_day(local) else ("winter mid, weekend", "0.35")
        return ("super off", "0.1") if 8 <= local.hour < 16 else ("winter off", "0.16")

    def expected(month: int) -> Decimal:
        evening = highest(pacific, month, lambda local: is_working_day(local) and 16 <= local.hour < 21)
        timed = cent(evening * (8 if 6 <= month <= 9 else 2))
        return by_hours(pacific, month, price) + cent(highest(pacific, month) * 5) + timed

    check(bills(store, load_tariff(TARIFFS / "sce-tou-ev-8.yaml")), expected)


def test_pge_blocks_equal_the_independent_bill(store: StoreReader) -> None:
    def price(local: Local) -> tuple[str, str]:
        if 16 <= local.hour < 21:
            return "peak", "0.39"
        return ("super", "0.16") if 9 <= local.hour < 14 else ("off", "0.18")

    def expected(month: int) -> Decimal:
        overage = cent(max(highest(pacific, month) - 100, D(0)) * D("3.82"))
        return by_hours(pacific, month, price) + D("191.12") + overage

    found = bills(store, load_tariff(TARIFFS / "pge-bev-2.yaml"))
    check(found, expected)
    overages = [line.amount for bill in found for line in bill.lines if line.name == "overage"]
    assert min(overages) == 0
    assert max(overages) > 100


@pytest.mark.parametrize("expects", ["below", "above"])
def test_german_regimes_equal_the_independent_bill(store: StoreReader, tmp_path: Path, expects: str) -> None:
    """The regime that applies does not depend on the one that the planner expects."""
    text = (TARIFFS / "de-two-regimes.yaml").read_text(encoding="utf-8")
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("expects: below", f"expects: {expects}"), encoding="utf-8")

    def grid_fee(month: int) -> Decimal:
        """Return what the year up to a month costs: m twelfths of the kW, all kWh so far."""
        if month == 0:
            return D(0)
        peak = max(highest(berlin, earlier) for earlier in range(1, month + 1))
        energy = D(0)
        for earlier in range(1, month + 1):
            energy += sum((D(w) / 4000 for _, _, w in quarters(berlin, earlier) if w > 0), D(0))
        is_above = energy * 12 >= 2500 * peak * month
        per_kw, per_kwh = ("90.12", "0.0034") if is_above else ("6.59", "0.0368")
        return cent(peak * D(per_kw) * month / 12) + cent(energy * D(per_kwh))

    fees = [grid_fee(month) for month in range(13)]

    def expected(month: int) -> Decimal:
        supply = by_hours(berlin, month, lambda _: ("supply", "0.2"))
        return supply + fees[month] - fees[month - 1]

    found = bills(store, load_tariff(file))
    check(found, expected)
    supply = sum((by_hours(berlin, month, lambda _: ("supply", "0.2")) for month in range(1, 13)), D(0))
    assert sum((bill.total for bill in found), D(0)) == supply + fees[12]


def test_half_hourly_prices_with_a_missing_tail_equal_the_independent_bill(
    store: StoreReader, tmp_path: Path
) -> None:
    chance = Random(7)
    half = timedelta(minutes=30)
    published: dict[datetime, Decimal] = {}
    at = datetime(2024, 12, 31, 23, 30, tzinfo=UTC)
    while at < datetime(2025, 12, 29, 12, tzinfo=UTC):
        published[at] = (D(chance.randint(-600, 4000)) / 10_000).normalize()
        at += half
    hole = [datetime(2025, 3, 30, 0, tzinfo=UTC) + half * step for step in range(8)]
    rows = [f"{time:%Y-%m-%dT%H:%MZ},{'' if time in hole else price}" for time, price in published.items()]
    for time in hole:
        del published[time]
    (tmp_path / "year.csv").write_text("\n".join(["time,price_per_kwh", *rows]) + "\n", encoding="utf-8")
    text = (TARIFFS / "uk-agile.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("uk-agile-example.csv", "year.csv"), encoding="utf-8")
    by_clock = {london(time): price for time, price in published.items()}
    watts = {FIRST + QUARTER * number: power_w for number, power_w in enumerate(WATTS)}

    def price_at(time: datetime) -> tuple[str, Decimal]:
        if time in published:
            return "series", published[time]
        local = london(time) - timedelta(days=1)
        while local not in by_clock:
            local -= timedelta(days=1)
        return "estimated", by_clock[local]

    def expected(month: int) -> Decimal:
        sums: dict[str, Decimal] = {}
        for time, _, power_w in quarters(london, month):
            if time.minute not in (0, 30):
                continue
            both = power_w + watts[time + QUARTER]
            if both > 0:
                name, price = price_at(time)
                sums[name] = sums.get(name, D(0)) + D(both) / 4000 * price
        return sum((cent(money) for money in sums.values()), D(0))

    found = bills(store, load_tariff(tmp_path / "mine.yaml"))
    check(found, expected)
    tail = int((datetime(2026, 1, 1, tzinfo=UTC) - datetime(2025, 12, 29, 12, tzinfo=UTC)) / half)
    assert [bill.estimated_windows for bill in found] == [0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, tail]


def test_days_of_23_and_25_hours_have_92_and_100_windows(store: StoreReader) -> None:
    found = bills(store, load_tariff(TARIFFS / "de-two-regimes.yaml"))
    assert [bill.windows for bill in found] == [
        {3: 31 * 96 - 4, 10: 31 * 96 + 4, 2: 28 * 96}.get(month, (30 if month in (4, 6, 9, 11) else 31) * 96)
        for month in range(1, 13)
    ]
