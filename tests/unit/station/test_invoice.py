"""The invoice: each charge by itself, gaps, windows that cross a month, and the rounding of money."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from math import nan

import pytest

from station.bill_bounds import bill_bounds
from station.billed_meter import Meter
from station.charges import Blocks, CapacityCharge, Contract, DemandCharge, Ratchet, Regime, Regimes, Scope
from station.invoice import Invoice, invoice
from station.meter_record import MeterRecord
from station.money import cents
from station.periods import EventDays, Period, Season
from station.price_series import Fallback, PriceSeries
from station.tariff import Month, Tariff
from tests.factories import a_tariff


def tariff(**changes: object) -> Tariff:
    """Return a tariff of 0.1 a kWh, in UTC, without a demand charge."""
    return replace(a_tariff(0.1, 0.0), **changes)


def days(tariff: Tariff, first: Month, last: Month) -> MeterRecord:
    """Return a record of nothing drawn over whole months, in the demand window's steps."""
    from_at, until_at = tariff.month_span(first)[0], tariff.month_span(last)[1]
    step_s = 60.0 if tariff.demand.is_sliding else tariff.demand.window_s
    return MeterRecord(from_at, step_s, (0.0,) * int((until_at - from_at).total_seconds() / step_s))


def with_power(record: MeterRecord, powers_kw: dict[datetime, float]) -> MeterRecord:
    """Return the record with the means of some steps replaced."""
    means_kw = list(record.mean_kw)
    for at, power_kw in powers_kw.items():
        means_kw[int((at - record.starts_at).total_seconds() / record.step_s)] = power_kw
    return replace(record, mean_kw=tuple(means_kw))


def bill(tariff: Tariff, powers_kw: dict[datetime, float], month: Month = (2026, 11)) -> Invoice:
    """Return the bill of a month in which little else was drawn; the record begins a year before it."""
    record = with_power(days(tariff, (month[0] - 1, month[1]), month), powers_kw)
    return invoice(Meter(tariff, record), month)


def at(day: int, hour: int = 12, minute: int = 0, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def amounts(found: Invoice) -> dict[str, Decimal]:
    return {line.name: line.amount for line in found.lines}


def test_a_sum_is_exact_where_floats_are_not() -> None:
    found = bill(tariff(), {at(1, 0): 1.4, at(1, 1): 0.6})
    assert found.total == Decimal("0.05")
    assert found.lines[0].quantity == Decimal("0.500")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.005", "0.01"), ("-0.005", "-0.01"), ("0.0149", "0.01"), ("2.675", "2.68"), ("-0.001", "0.00")],
)
def test_halves_of_a_cent_are_rounded_away_from_zero(amount: str, rounded: str) -> None:
    assert cents(Fraction(amount)) == Decimal(rounded)


def test_an_import_and_an_export_are_not_set_off_against_each_other() -> None:
    found = bill(tariff(export_price_per_kwh=0.04), {at(3): 100.0, at(4): -200.0})
    assert amounts(found) == {"energy at 0.1": Decimal("2.50"), "export": Decimal("-2.00")}


def test_a_negative_price_pays_for_what_is_drawn_and_costs_what_is_given() -> None:
    series = PriceSeries(at(1, 0), 1800.0, (-0.2, 0.3), Fallback.PERIODS)
    export = PriceSeries(at(1, 0), 1800.0, (-0.1, 0.0), Fallback.PERIODS)
    priced = tariff(series=series, export_series=export)
    assert bill(priced, {at(1, 0): 100.0}).total == Decimal("-5.00")
    assert bill(priced, {at(1, 0): -100.0}).total == Decimal("2.50")


def test_a_price_that_is_not_published_is_estimated_and_said_so() -> None:
    prices = (*(0.01 * step for step in range(48)), nan)
    series = PriceSeries(at(1, 0), 1800.0, prices, Fallback.LAST_DAY)
    found = bill(tariff(series=series), {at(2, 5, 30): 400.0, at(2, 0): 400.0, at(1, 5, 30): 400.0})
    assert [(line.is_estimated, line.amount) for line in found.lines] == [
        (False, Decimal("11.00")),
        (True, Decimal("11.00")),
    ]
    assert found.estimated_windows == 29 * 96


def test_long_after_the_last_price_the_last_day_still_counts_and_before_the_first_the_periods() -> None:
    series = PriceSeries(at(3, 0), 1800.0, tuple(0.01 * step for step in range(48)), Fallback.LAST_DAY)
    priced = tariff(series=series)
    assert priced.price_per_kwh(at(25, 6)) == 0.12
    assert priced.price_per_kwh(at(2, 6)) == 0.1
    assert priced.quote(at(2, 6)).is_estimated


def test_with_periods_as_fallback_the_clock_prices_what_is_not_published() -> None:
    priced = tariff(series=PriceSeries(at(3, 0), 1800.0, (0.7,), Fallback.PERIODS))
    assert [priced.price_per_kwh(at(3, 0)), priced.price_per_kwh(at(3, 1))] == [0.7, 0.1]


def test_the_maximum_of_the_month_is_billed_with_its_time() -> None:
    found = bill(tariff(demand=DemandCharge(10.0, 900.0)), {at(7, 9, 15): 80.0, at(8, 9): 79.999})
    assert amounts(found)["demand"] == Decimal("800.00")
    assert (found.maxima[0].at, found.maxima[0].measured) == (at(7, 9, 15), Decimal("80.000"))


def test_an_exempt_charge_is_measured_and_not_billed() -> None:
    exempt = tariff(
        demand=DemandCharge(10.0, 900.0, is_exempt=True), capacity=CapacityCharge(23.0, 630.0, is_exempt=True)
    )
    found = bill(exempt, {at(7): 80.0})
    assert found.total == Decimal("2.00")
    assert (found.maxima[0].measured, found.maxima[0].billed) == (Decimal("80.000"), Decimal("0.000"))
    assert exempt.peak_price_per_kw == 0.0


def test_a_sliding_window_finds_the_peak_that_blocks_cut_in_two() -> None:
    sliding = tariff(demand=DemandCharge(10.0, 900.0, is_sliding=True))
    burst = {at(5, 10, 8) + timedelta(minutes=minute): 90.0 for minute in range(15)}
    record = with_power(days(sliding, (2026, 11), (2026, 11)), burst)
    found = invoice(Meter(sliding, record), (2026, 11))
    assert (found.maxima[0].at, found.maxima[0].measured) == (at(5, 10, 8), Decimal("90.000"))
    assert found.lines[0].quantity == Decimal("22.500")
    block = replace(sliding, demand=DemandCharge(10.0, 900.0))
    assert invoice(Meter(block, record), (2026, 11)).maxima[0].measured == Decimal("48.000")


def test_a_ratchet_bills_a_share_of_an_earlier_maximum() -> None:
    ratchet = tariff(demand=DemandCharge(10.0, 900.0, ratchet=Ratchet(0.8, 11)))
    powers_kw = {at(7): 50.0, at(7, month=12, year=2025): 100.0, at(20, year=2025): 500.0}
    found = bill(ratchet, powers_kw)
    assert amounts(found)["demand"] == Decimal("800.00")
    assert (found.maxima[0].measured, found.maxima[0].billed) == (Decimal("50.000"), Decimal("80.000"))
    assert amounts(bill(ratchet, {**powers_kw, at(8): 90.0}))["demand"] == Decimal("900.00")


def test_a_ratchet_takes_months_before_the_record_from_the_ledger_and_names_those_that_nobody_knows() -> None:
    ratchet = tariff(demand=DemandCharge(10.0, 900.0, ratchet=Ratchet(0.5, 2)))
    record = days(ratchet, (2026, 11), (2026, 11))
    found = invoice(Meter(ratchet, record, {(2026, 9): 60.0}), (2026, 11))
    assert amounts(found)["demand"] == Decimal("300.00")
    assert found.notes == ("2026-10: 2976 of 2976 windows missing",)


@pytest.mark.parametrize(
    ("peak_kw", "billed"), [(0.0, "500"), (525.0, "500"), (526.0, "527"), (600.0, "675"), (625.0, "725")]
)
def test_a_contract_is_billed_in_any_case_and_its_excess_more(peak_kw: float, billed: str) -> None:
    contracted = tariff(demand=DemandCharge(1.0, 900.0, contract=Contract(500.0, 1.05, 2.0)))
    found = bill(contracted, {at(7): peak_kw})
    assert amounts(found)["demand"] == Decimal(billed)
    assert (contracted.free_kw, contracted.peak_price_per_kw) == (525.0, 2.0)


def test_maxima_of_periods_look_at_their_own_hours() -> None:
    evening = DemandCharge(8.0, 900.0, name="evening", periods=frozenset({"on_peak"}))
    hours = (
        Period(time(0), time(16), 0.1, "off_peak"),
        Period(time(16), time(21), 0.1, "on_peak"),
        Period(time(21), time(0), 0.1, "off_peak"),
    )
    rest = (Period(time(0), time(0), 0.1, "off_peak"),)
    both = tariff(
        demand=DemandCharge(5.0, 900.0),
        period_demand=(evening,),
        seasons=(Season("all", (1, 1), (12, 31), hours, rest),),
        holidays=frozenset({date(2026, 11, 26)}),
    )
    powers_kw = {at(4, 12): 90.0, at(4, 20, 45): 60.0, at(7, 18): 70.0, at(26, 18): 80.0}
    found = bill(both, powers_kw)
    assert [(its.name, its.measured, its.at) for its in found.maxima] == [
        ("demand", Decimal("90.000"), at(4, 12)),
        ("evening", Decimal("60.000"), at(4, 20, 45)),
    ]
    assert amounts(found)["evening"] == Decimal("480.00")


@pytest.mark.parametrize(("peak_kw", "overage"), [(0.0, "0.00"), (100.0, "0.00"), (112.5, "47.75")])
def test_blocks_are_paid_in_any_case_and_what_is_above_them_by_the_kw(peak_kw: float, overage: str) -> None:
    blocks = tariff(blocks=Blocks(50.0, 95.56, 2, 3.82))
    found = amounts(bill(blocks, {at(7): peak_kw}))
    assert (found["blocks"], found["overage"]) == (Decimal("191.12"), Decimal(overage))
    assert (blocks.free_kw, blocks.peak_price_per_kw) == (100.0, 3.82)


def test_a_late_peak_of_the_year_is_billed_back_for_the_months_before_it() -> None:
    yearly = tariff(demand=DemandCharge(40.0, 900.0, scope=Scope.YEAR), timezone="Europe/Berlin")
    powers_kw = {at(7, month=1): 60.0, at(7, month=11): 120.0}
    record = with_power(days(yearly, (2026, 1), (2026, 12)), powers_kw)
    meter = Meter(yearly, record)
    demand = [
        sum(line.amount for line in invoice(meter, (2026, month)).lines if line.unit != "kWh")
        for month in range(1, 13)
    ]
    assert demand[:10] == [Decimal("200.00")] * 10
    assert demand[10:] == [Decimal("2400.00"), Decimal("400.00")]
    assert sum(demand) == 120 * 40


@pytest.mark.parametrize(("hours", "word"), [(2499, "below 2500"), (2500, "from 2500")])
def test_the_regime_follows_from_the_hours_of_use(hours: int, word: str) -> None:
    regimes = Regimes(2500.0, Regime(6.59, 0.0368), Regime(90.12, 0.0034))
    split = tariff(demand=DemandCharge(0.0, 900.0, scope=Scope.YEAR), regimes=regimes)
    record = days(split, (2026, 1), (2026, 12))
    full = replace(record, mean_kw=tuple(100.0 if index < hours * 4 else 0.0 for index in range(35_040)))
    fees = [line.name for line in invoice(Meter(split, full), (2026, 12)).lines if "grid fee" in line.name]
    assert all(word in name for name in fees[:2])
    assert split.peak_price_per_kw == 6.59
    assert split.price_per_kwh(at(1)) == pytest.approx(0.1368)


def test_fees_capacity_and_tax_close_the_bill() -> None:
    closed = tariff(fee_per_month=12.5, capacity=CapacityCharge(23.0, 630.0), tax_share=0.19)
    found = amounts(bill(closed, {at(7): 400.0}))
    assert found["capacity"] == Decimal("14490.00")
    assert found["monthly fee"] == Decimal("12.50")
    assert found["tax"] == Decimal("2757.38")


def test_announced_days_have_their_own_hours() -> None:
    critical = EventDays((Period(time(11), time(12), 0.9, "critical"),), spans=(((7, 1), (9, 30)),))
    hot = tariff(events=critical)
    assert hot.price_per_kwh(at(30, 11, month=9)) == 0.9
    assert hot.price_per_kwh(at(30, 12, month=9)) == 0.1
    assert hot.price_per_kwh(at(1, 11, month=10)) == 0.1
    told = hot.with_event_days([date(2026, 10, 1)])
    assert told.price_per_kwh(at(1, 11, month=10)) == 0.9
    assert told.price_per_kwh(at(2, 11, month=10)) == 0.1
    with pytest.raises(LookupError):
        tariff().with_event_days([date(2026, 10, 1)])


def test_missing_windows_are_named_and_neither_billed_nor_zero() -> None:
    billed = tariff(demand=DemandCharge(10.0, 900.0))
    powers_kw = {at(7): 40.0, at(8): nan, at(8, 12, 15): nan}
    found = bill(billed, powers_kw)
    assert found.missing == (at(8), at(8, 12, 15))
    assert found.total == Decimal("401.00")


def test_what_is_missing_bounds_the_bill() -> None:
    billed = tariff(demand=DemandCharge(10.0, 900.0), export_price_per_kwh=0.04, tax_share=0.5)
    record = with_power(days(billed, (2026, 11), (2026, 11)), {at(7): 40.0, at(8): nan, at(9): nan})
    meter = Meter(billed, record)
    # known: 1 + 400; low: two windows of 80 kW export; high: two of 100 kW import, and the demand charge of 100 kW
    assert bill_bounds(meter, (2026, 11), import_kw=100.0, export_kw=80.0) == (
        Decimal("599.10"),
        Decimal("1509.00"),
    )
    assert bill_bounds(meter, (2026, 11), import_kw=float("inf"), export_kw=80.0) is None
    whole = Meter(billed, days(billed, (2026, 11), (2026, 11)))
    assert bill_bounds(whole, (2026, 11), import_kw=100.0, export_kw=80.0) == (Decimal(0), Decimal(0))


def test_a_month_that_begins_inside_a_window_leaves_that_window_to_the_month_before() -> None:
    """India is half an hour off: hourly windows of UTC begin at half past local time."""
    hourly = tariff(demand=DemandCharge(1.0, 3600.0), timezone="Asia/Kolkata")
    midnight_at = datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    powers_kw = {midnight_at - timedelta(minutes=30): 70.0, midnight_at + timedelta(minutes=30): 20.0}
    record = MeterRecord(datetime(2026, 10, 1, tzinfo=UTC), 3600.0, (0.0,) * 24 * 80)
    meter = Meter(hourly, with_power(record, powers_kw))
    october, november = invoice(meter, (2026, 10)), invoice(meter, (2026, 11))
    assert [its.maxima[0].measured for its in (october, november)] == [Decimal("70.000"), Decimal("20.000")]
    assert november.windows == 30 * 24
    quarters = replace(hourly, demand=DemandCharge(1.0, 900.0))
    finer = MeterRecord(record.starts_at, 900.0, (0.0,) * 96 * 80)
    cut = with_power(finer, {midnight_at - timedelta(minutes=15): 70.0, midnight_at: 20.0})
    assert invoice(Meter(quarters, cut), (2026, 11)).maxima[0].at == midnight_at


@pytest.mark.parametrize(("first_minute", "mean"), [(5, Fraction(60_000)), (10, None), (0, Fraction(40_000))])
def test_a_record_that_begins_inside_a_window_counts_it_from_half_a_window_on(
    first_minute: int, mean: Fraction | None
) -> None:
    powers_kw = (0.0, 50.0, 70.0)[first_minute // 5 :]
    record = MeterRecord(at(1, 10, first_minute), 300.0, powers_kw)
    assert record.windows(900.0, at(1, 10), at(1, 10, 15))[0].mean_w == mean


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", date(2026, 3, 8), 23),
        ("America/Los_Angeles", date(2026, 11, 1), 25),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
    ],
)
def test_the_change_of_the_clocks_makes_a_night_shorter_or_longer(zone: str, day: date, hours: int) -> None:
    """100 kW all month: the night's energy is that of the hours that the night really had."""
    hours_of_day = (
        Period(time(0), time(6), 0.1, "night"),
        Period(time(6), time(0), 0.2, "day"),
    )
    local = tariff(timezone=zone, seasons=(Season("all", (1, 1), (12, 31), hours_of_day, hours_of_day),))
    month = (day.year, day.month)
    record = days(local, month, month)
    full = replace(record, mean_kw=(100.0,) * len(record.mean_kw))
    found = {line.name: line.quantity for line in invoice(Meter(local, full), month).lines}
    nights = 30 if day.month == 11 else 31
    assert found["energy night"] == (nights * 6 + hours - 24) * 100
    assert found["energy day"] == nights * 18 * 100


@pytest.mark.parametrize(
    ("changes", "free_kw", "price_per_kw"),
    [
        ({"demand": DemandCharge(15.0, 900.0)}, 0.0, 15.0),
        ({"demand": DemandCharge(15.0, 900.0), "blocks": Blocks(50.0, 95.0, 2, 4.0)}, 0.0, 19.0),
        ({"demand": DemandCharge(15.0, 900.0, is_exempt=True, contract=Contract(9.0))}, 0.0, 0.0),
        ({"demand": DemandCharge(15.0, 900.0, contract=Contract(80.0))}, 80.0, 15.0),
    ],
)
def test_the_planner_sees_one_price_above_what_is_paid_anyway(
    changes: dict[str, object], free_kw: float, price_per_kw: float
) -> None:
    seen = tariff(**changes)
    assert (seen.free_kw, seen.peak_price_per_kw) == (free_kw, price_per_kw)


def test_a_year_is_one_billing_period_for_the_controller_too() -> None:
    yearly = tariff(demand=DemandCharge(40.0, 900.0, scope=Scope.YEAR))
    assert yearly.billing_month(at(7)) == (2026, 1)
    assert yearly.billed_share((2026, 1), 73.0) == pytest.approx(0.2)
    assert tariff().billed_share((2026, 11), 15.0) == 0.5


def test_no_line_is_there_for_what_was_not_drawn() -> None:
    assert bill(tariff(), {}).lines == ()
