"""The lines of a demand charge: by the month with ratchet and contract, or by the year."""

from decimal import Decimal
from fractions import Fraction

from station.billed_meter import Meter, year_to
from station.charges import DemandCharge, Scope
from station.invoice_line import Line, Maximum, already_billed, shown_kw
from station.money import cents, exact
from station.tariff import Month, months_before


def demand_lines(meter: Meter, charge: DemandCharge, month: Month) -> tuple[list[Line], Maximum]:
    """Return the lines of a demand charge and its maximum."""
    if charge.scope is Scope.YEAR:
        return _year_demand(meter, charge, month)
    peak_w, at = meter.peak(charge, [month])
    billed_w = _contracted(charge, max(peak_w, _ratchet_w(meter, charge, month)))
    amount = cents(billed_w * exact(charge.price_per_kw) / 1000)
    lines = [Line(charge.name, shown_kw(billed_w), "kW", amount)] if _is_billed(charge) else []
    return lines, Maximum(charge.name, at, shown_kw(peak_w), shown_kw(billed_w if lines else Fraction(0)))


def _year_demand(meter: Meter, charge: DemandCharge, month: Month) -> tuple[list[Line], Maximum]:
    """Return this year's part of a charge by the year, less what the months before were billed."""
    peak_w, at = meter.peak(charge, year_to(month))
    billed_w = _contracted(charge, peak_w)
    lines = []
    if _is_billed(charge):
        name = f"{charge.name}, {month[1]}/12 of the year"
        lines.append(Line(name, shown_kw(billed_w), "kW", _year_amount(meter, charge, month)))
        if month[1] > 1:
            before = _year_amount(meter, charge, (month[0], month[1] - 1))
            lines.append(already_billed(charge.name, before))
    return lines, Maximum(charge.name, at, shown_kw(peak_w), shown_kw(billed_w if lines else Fraction(0)))


def _year_amount(meter: Meter, charge: DemandCharge, month: Month) -> Decimal:
    billed_w = _contracted(charge, meter.peak(charge, year_to(month))[0])
    return cents(billed_w * exact(charge.price_per_kw) * month[1] / 12_000)


def _is_billed(charge: DemandCharge) -> bool:
    return not charge.is_exempt and charge.price_per_kw > 0.0


def _contracted(charge: DemandCharge, peak_w: Fraction) -> Fraction:
    """Return the watts that are billed for a maximum."""
    contract = charge.contract
    if contract is None:
        return peak_w
    contracted_w = exact(contract.contracted_kw) * 1000
    threshold_w = contracted_w * exact(contract.excess_from_share)
    if peak_w <= threshold_w:
        return contracted_w
    return threshold_w + (peak_w - threshold_w) * exact(contract.excess_factor)


def _ratchet_w(meter: Meter, charge: DemandCharge, month: Month) -> Fraction:
    """Return the least that a ratchet bills: a share of the highest maximum of the months before."""
    if charge.ratchet is None:
        return Fraction(0)
    before = months_before(month, charge.ratchet.months)
    known = [exact(meter.earlier_peaks_kw.get(earlier, 0.0)) * 1000 for earlier in before]
    return max(*known, meter.peak(charge, before)[0]) * exact(charge.ratchet.share)
