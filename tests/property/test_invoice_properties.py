"""The invoice under any record: energy adds up, a higher peak never costs less, gaps never change what is known."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import nan

from hypothesis import given, settings
from hypothesis import strategies as st

from configs.tariff_file import TARIFFS, load_tariff
from station.bill_bounds import bill_bounds
from station.billed_meter import Meter
from station.charges import Contract, Ratchet
from station.invoice import Invoice, invoice
from station.meter_record import MeterRecord
from station.tariff import Tariff

MONTH = (2026, 2)
STEPS = 28 * 96
KNOWN = [load_tariff(file) for file in sorted(TARIFFS.glob("*.yaml"))]


def with_extras(tariff: Tariff) -> Tariff:
    """Return a tariff whose demand is contracted and ratcheted as well, where it is a month's."""
    if tariff.regimes is not None:
        return tariff
    demand = replace(
        tariff.demand, price_per_kw=7.0, ratchet=Ratchet(0.7, 1), contract=Contract(80.0, 1.05, 2.0)
    )
    return replace(tariff, demand=demand)


TARIFFS_TRIED = st.sampled_from([*KNOWN, *(with_extras(tariff) for tariff in KNOWN)])
ONE_REGIME = TARIFFS_TRIED.filter(lambda tariff: tariff.regimes is None)
"""Of two regimes the dearer kW comes with the cheaper kWh: there a higher peak may pay."""
WATTS = st.integers(-200_000, 400_000)
SPIKES = st.dictionaries(st.integers(0, STEPS - 1), WATTS, max_size=12)


def bill(tariff: Tariff, watts: dict[int, int], gaps: frozenset[int] = frozenset()) -> Invoice:
    return invoice(meter(tariff, watts, gaps), MONTH)


def meter(tariff: Tariff, watts: dict[int, int], gaps: frozenset[int] = frozenset()) -> Meter:
    means_kw = [0.0] * STEPS
    for step, power_w in watts.items():
        means_kw[step] = power_w / 1000.0
    for step in gaps:
        means_kw[step] = nan
    return Meter(tariff, MeterRecord(tariff.month_span(MONTH)[0], 900.0, tuple(means_kw)))


def sums(found: Invoice) -> tuple[Decimal, Decimal]:
    """Return the cost of energy and of all else."""
    energy = sum((line.amount for line in found.energy), Decimal(0))
    return energy, found.total - energy


@settings(max_examples=60, deadline=None)
@given(TARIFFS_TRIED, SPIKES, st.integers(0, STEPS - 1))
def test_the_bill_of_energy_is_the_sum_of_its_parts(tariff: Tariff, watts: dict[int, int], cut: int) -> None:
    """Up to the cents that rounding each line may move."""
    cut -= cut % 4
    early = {step: power_w for step, power_w in watts.items() if step < cut}
    late = {step: power_w for step, power_w in watts.items() if step >= cut}
    whole, first, second = (bill(tariff, part) for part in (watts, early, late))
    lines = len(whole.energy) + len(first.energy) + len(second.energy)
    assert abs(sums(whole)[0] - sums(first)[0] - sums(second)[0]) <= Decimal("0.005") * lines


@settings(max_examples=60, deadline=None)
@given(ONE_REGIME, SPIKES, st.integers(0, STEPS - 1), st.integers(0, 300_000))
def test_a_higher_peak_never_costs_less(
    tariff: Tariff, watts: dict[int, int], step: int, more_w: int
) -> None:
    higher = {**watts, step: watts.get(step, 0) + more_w}
    assert sums(bill(tariff, higher))[1] >= sums(bill(tariff, watts))[1]


@settings(max_examples=40, deadline=None)
@given(ONE_REGIME, SPIKES, st.frozensets(st.integers(0, STEPS // 4 - 1), min_size=1, max_size=5))
def test_whatever_was_in_a_gap_the_bill_lies_within_the_bounds(
    tariff: Tariff, watts: dict[int, int], hours: frozenset[int]
) -> None:
    gaps = frozenset(4 * hour + quarter for hour in hours for quarter in range(4))
    bounds = bill_bounds(meter(tariff, watts, gaps), MONTH, import_kw=400.0, export_kw=200.0)
    assert bounds is not None
    slack = Decimal("0.01") * 20
    assert bounds[0] - slack <= bill(tariff, watts).total <= bounds[1] + slack


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=1, max_size=40), st.integers(1, 15))
def test_sliding_windows_are_the_means_of_what_was_measured(powers: list[int | None], size: int) -> None:
    starts_at = datetime(2026, 2, 1, tzinfo=UTC)
    record = MeterRecord(
        starts_at, 60.0, tuple(nan if power_w is None else power_w / 1000.0 for power_w in powers)
    )
    until_at = starts_at.replace(minute=len(powers))
    padded = [*powers, *[None] * size]
    for index, window in enumerate(record.sliding(60.0 * size, starts_at, until_at)):
        measured = [power_w for power_w in padded[index : index + size] if power_w is not None]
        is_enough = len(measured) * 2 >= size
        assert window.mean_w == (Fraction(sum(measured), len(measured)) if is_enough else None)
