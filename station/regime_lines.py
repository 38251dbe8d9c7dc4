"""The lines of a grid fee with two regimes: which one applies follows from the year's hours of use."""

from decimal import Decimal
from fractions import Fraction

from station.billed_meter import Meter, year_to
from station.charges import Regime, Regimes
from station.invoice_line import Line, already_billed, shown_kw
from station.money import KWH_WS, cents, decimal, exact
from station.tariff import Month


def regime_lines(meter: Meter, regimes: Regimes, month: Month) -> list[Line]:
    """Return the grid fee of the regime that the year so far falls into, less what was billed before."""
    peak_w, energy_ws, name, regime = _regime(meter, regimes, month)
    demand, energy = _regime_amounts(peak_w, energy_ws, regime, month)
    twelfths = f"{month[1]}/12 of the year"
    lines = [
        Line(f"grid fee {name} hours, demand, {twelfths}", shown_kw(peak_w), "kW", demand),
        Line(f"grid fee {name} hours, energy so far", decimal(energy_ws / KWH_WS, 3), "kWh", energy),
    ]
    if month[1] > 1:
        before = (month[0], month[1] - 1)
        peak_w, energy_ws, _, regime = _regime(meter, regimes, before)
        lines.append(
            already_billed("grid fee", sum(_regime_amounts(peak_w, energy_ws, regime, before), Decimal(0)))
        )
    return lines


def _regime(meter: Meter, regimes: Regimes, month: Month) -> tuple[Fraction, Fraction, str, Regime]:
    """Return peak, energy, words and regime of the year up to ``month``; a part of a year stands for all of it."""
    months = year_to(month)
    peak_w, energy_ws = meter.peak(meter.tariff.demand, months)[0], meter.imported_ws(months)
    hours = energy_ws * 12 / (peak_w * 3600 * month[1]) if peak_w else Fraction(0)
    if hours >= exact(regimes.hours_per_year):
        return peak_w, energy_ws, f"from {regimes.hours_per_year:g}", regimes.above
    return peak_w, energy_ws, f"below {regimes.hours_per_year:g}", regimes.below


def _regime_amounts(
    peak_w: Fraction, energy_ws: Fraction, regime: Regime, month: Month
) -> tuple[Decimal, Decimal]:
    demand = cents(peak_w * exact(regime.price_per_kw_year) * month[1] / 12_000)
    return demand, cents(energy_ws * exact(regime.price_per_kwh) / KWH_WS)
