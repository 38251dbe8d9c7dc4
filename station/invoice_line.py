"""What an invoice is made of: its lines, and the maxima that some of them bill."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from station.money import decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One line: ``quantity`` in ``unit`` for ``amount`` of money; ``is_estimated`` where a price stood in."""

    name: str
    quantity: Decimal
    unit: str
    amount: Decimal
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class Maximum:
    """The highest mean that a charge looks at, when it was, and what is billed for it."""

    name: str
    at: datetime | None
    measured: Decimal
    billed: Decimal


def already_billed(name: str, amount: Decimal) -> Line:
    """Return the line that takes off what the months before were billed."""
    return Line(f"{name}, billed in earlier months", Decimal(1), "", -amount)


def shown_kw(power_w: Fraction) -> Decimal:
    """Return a power as an invoice shows it."""
    return decimal(power_w / 1000, 3)
