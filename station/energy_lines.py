"""The energy lines of an invoice: by period, estimated prices apart, and the export."""

from collections.abc import Sequence
from fractions import Fraction

from station.billed_meter import Meter
from station.invoice_line import Line
from station.meter_record import Window
from station.money import KWH_WS, cents, decimal, exact


def energy_lines(meter: Meter, windows: Sequence[Window]) -> list[Line]:
    """Return a line per period, estimated prices apart, and one for what was exported."""
    tariff = meter.tariff
    energy_ws: dict[tuple[str, bool], Fraction] = {}
    amounts: dict[tuple[str, bool], Fraction] = {}
    for window in windows:
        if window.mean_w is None or not window.mean_w:
            continue
        if window.mean_w > 0:
            quote = tariff.quote(window.starts_at)
            key = f"energy {quote.name or f'at {quote.price_per_kwh:g}'}", quote.is_estimated
            price = quote.price_per_kwh
        else:
            key, price = ("export", False), tariff.export_price_at(window.starts_at)
        taken_ws = window.mean_w * meter.window_s
        energy_ws[key] = energy_ws.get(key, Fraction(0)) + taken_ws
        amounts[key] = amounts.get(key, Fraction(0)) + taken_ws * exact(price) / KWH_WS
    ordered = sorted(energy_ws, key=lambda key: (key[0] == "export", key))
    return [
        Line(key[0], decimal(energy_ws[key] / KWH_WS, 3), "kWh", cents(amounts[key]), key[1])
        for key in ordered
    ]
