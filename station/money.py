"""Money and quantities, exact until they are shown: prices as they are written, cents with halves away from zero."""

from decimal import Decimal
from fractions import Fraction

KWH_WS = 3_600_000
"""Watt-seconds of a kWh."""


def cents(amount: Fraction) -> Decimal:
    """Return money rounded to the cent, halves away from zero."""
    return decimal(amount, 2)


def decimal(value: Fraction, places: int) -> Decimal:
    """Return a fraction with ``places`` decimals, halves rounded away from zero."""
    scaled = abs(value) * 10**places
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-places)


def exact(price: float) -> Fraction:
    """Return a price exactly as it is written: 0.1 is a tenth."""
    return Fraction(repr(price))
