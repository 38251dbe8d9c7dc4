"""Between what sums a month's bill lies when part of its record is missing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import isfinite

from station.billed_meter import Meter
from station.invoice import invoice
from station.invoice_line import Line
from station.meter_record import MeterRecord
from station.money import KWH_WS, cents, exact
from station.tariff import Month


def bill_bounds(
    meter: Meter, month: Month, *, import_kw: float, export_kw: float
) -> tuple[Decimal, Decimal] | None:
    """Return the lowest and the highest total if every missing window lay between these limits (both >= 0).

    Energy takes the cheapest and the dearest of full export, nothing and full import in each window; the other charges
    lie between those of the known record and those with full import in every missing window. Only windows of this month
    are varied. None where a limit is infinite.
    """
    known = invoice(meter, month)
    if not known.missing:
        return known.total, known.total
    if not (isfinite(import_kw) and isfinite(export_kw)):
        return None
    costs = [_costs(meter, at_kw, known.missing) for at_kw in (import_kw, -export_kw)]
    low = high = _sum(known.energy)
    low += sum(min(*pair, 0) for pair in zip(*costs, strict=True))
    high += sum(max(*pair, 0) for pair in zip(*costs, strict=True))
    full = Meter(meter.tariff, _filled(meter, known.missing, import_kw), meter.earlier_peaks_kw)
    others = [_sum(its.charges) for its in (known, invoice(full, month))]
    taxed = 1 + exact(meter.tariff.tax_share)
    return cents((low + min(others)) * taxed), cents((high + max(others)) * taxed)


def _sum(lines: Sequence[Line]) -> Fraction:
    return Fraction(sum((line.amount for line in lines), Decimal(0)))


def _costs(meter: Meter, at_kw: float, missing: Sequence[datetime]) -> list[Fraction]:
    """Return what each missing window would cost at a power."""
    tariff = meter.tariff
    energy_kwh = Fraction(round(at_kw * 1000.0)) * meter.window_s / KWH_WS
    if at_kw > 0:
        return [energy_kwh * exact(tariff.quote(at).price_per_kwh) for at in missing]
    return [energy_kwh * exact(tariff.export_price_at(at)) for at in missing]


def _filled(meter: Meter, missing: Sequence[datetime], at_kw: float) -> MeterRecord:
    """Return the record with a power in all missing windows."""
    record = meter.record
    means_kw = list(record.mean_kw)
    size = round(meter.window_s / record.step_s)
    for at in missing:
        first = round((at - record.starts_at).total_seconds() / record.step_s)
        for index in range(max(first, 0), min(first + size, len(means_kw))):
            means_kw[index] = at_kw
    return replace(record, mean_kw=tuple(means_kw))
