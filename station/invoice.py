"""The whole bill of a month from the meter's record, exact to the cent.

Every quantity is exact (whole watts, prices as the tariff file writes them); each line is rounded to the cent, halves
away from zero, and the total is the sum of the rounded lines. A window belongs to the month and to the period in which
it begins; its net mean is imported or exported. What is missing is counted and never billed as zero.

A charge by the year is billed month by month: m twelfths of what the year so far would cost, less what the months
before were billed by the same rule. So a late peak is billed back, and twelve months sum to the year's exact bill.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from station.billed_meter import Meter, year_to
from station.charges import Scope
from station.demand_lines import demand_lines
from station.energy_lines import energy_lines
from station.invoice_line import Line, Maximum, shown_kw
from station.meter_record import Window
from station.money import cents, decimal, exact
from station.regime_lines import regime_lines
from station.tariff import Month, Tariff, months_before


@dataclass(frozen=True, slots=True)
class Invoice:
    """The bill of one month in the tariff's currency; ``missing`` are the starts of windows without a mean.

    ``energy`` are the lines by period and the export, ``charges`` all others before tax.
    """

    tariff_id: str
    currency: str
    month: Month
    energy: tuple[Line, ...]
    charges: tuple[Line, ...]
    tax: Line | None
    maxima: tuple[Maximum, ...]
    windows: int
    missing: tuple[datetime, ...]
    estimated_windows: int
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return all lines in the order of the bill."""
        return (*self.energy, *self.charges, *((self.tax,) if self.tax else ()))

    @property
    def total(self) -> Decimal:
        """Return the sum of the lines."""
        return sum((line.amount for line in self.lines), Decimal("0.00"))


def invoice(meter: Meter, month: Month) -> Invoice:
    """Return the bill of a calendar month. By the year or with a ratchet, the record should hold the months before."""
    tariff = meter.tariff
    windows = meter.windows(month)
    energy = energy_lines(meter, windows)
    charges, maxima = _charges(meter, month)
    return Invoice(
        tariff.tariff_id,
        tariff.currency,
        month,
        tuple(energy),
        tuple(charges),
        _tax(tariff, [*energy, *charges]),
        tuple(maxima),
        len(windows),
        tuple(window.starts_at for window in windows if window.mean_w is None),
        sum(1 for window in windows if _is_estimated(tariff, window)),
        _notes(meter, month),
    )


def _charges(meter: Meter, month: Month) -> tuple[list[Line], list[Maximum]]:
    """Return everything but energy and tax."""
    tariff = meter.tariff
    lines: list[Line] = []
    maxima: list[Maximum] = []
    for charge in (tariff.demand, *tariff.period_demand):
        its_lines, its_maximum = demand_lines(meter, charge, month)
        lines += its_lines
        maxima.append(its_maximum)
    lines += _block_lines(meter, month)
    if tariff.regimes is not None:
        lines += regime_lines(meter, tariff.regimes, month)
    return lines + _fixed_lines(tariff), maxima


def _tax(tariff: Tariff, lines: Sequence[Line]) -> Line | None:
    if not tariff.tax_share:
        return None
    net = sum((line.amount for line in lines), Decimal(0))
    share = exact(tariff.tax_share)
    return Line("tax", decimal(share * 100, 2), "%", cents(share * Fraction(net)))


def _is_estimated(tariff: Tariff, window: Window) -> bool:
    return tariff.series is not None and tariff.quote(window.starts_at).is_estimated


def _block_lines(meter: Meter, month: Month) -> list[Line]:
    """Return the subscription and what was drawn above it."""
    blocks = meter.tariff.blocks
    if blocks is None:
        return []
    peak_w, _ = meter.peak(meter.tariff.demand, [month])
    over_w = max(peak_w - exact(blocks.subscribed_kw) * 1000, Fraction(0))
    return [
        Line("blocks", Decimal(blocks.count), "blocks", cents(exact(blocks.price_per_month) * blocks.count)),
        Line("overage", shown_kw(over_w), "kW", cents(over_w * exact(blocks.overage_price_per_kw) / 1000)),
    ]


def _fixed_lines(tariff: Tariff) -> list[Line]:
    lines = []
    capacity = tariff.capacity
    if capacity is not None and not capacity.is_exempt:
        connected = exact(capacity.connected_kva)
        amount = cents(connected * exact(capacity.price_per_kva_month))
        lines.append(Line("capacity", decimal(connected, 3), "kVA", amount))
    if tariff.fee_per_month:
        lines.append(Line("monthly fee", Decimal(1), "month", cents(exact(tariff.fee_per_month))))
    return lines


def _notes(meter: Meter, month: Month) -> tuple[str, ...]:
    """Return what a reader must know of the time before this month."""
    charges = (meter.tariff.demand, *meter.tariff.period_demand)
    needed = {earlier for c in charges if c.ratchet for earlier in months_before(month, c.ratchet.months)}
    if meter.tariff.regimes or any(charge.scope is Scope.YEAR for charge in charges):
        needed |= set(year_to(month)[:-1])
    notes = []
    for earlier in sorted(needed):
        windows = meter.windows(earlier)
        missing = sum(1 for window in windows if window.mean_w is None)
        if missing and earlier not in meter.earlier_peaks_kw:
            notes.append(f"{earlier[0]}-{earlier[1]:02d}: {missing} of {len(windows)} windows missing")
    return tuple(notes)
