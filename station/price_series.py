"""Prices that are published step by step, and what counts where one is not published yet."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite
from zoneinfo import ZoneInfo

SEARCHED_DAYS = 14
"""How far back the fallback looks for a published price of the same hour."""


class Fallback(StrEnum):
    """What counts where the series has no price.

    The latest published price of the same local time of day, or that of the tariff's own periods.
    """

    LAST_DAY = "last_day"
    PERIODS = "periods"


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices per step of ``step_s`` from ``starts_at`` (UTC); NaN where none is published. They may be negative."""

    starts_at: datetime
    step_s: float
    price_per_kwh: tuple[float, ...]
    fallback: Fallback

    def published(self, at: datetime) -> float | None:
        """Return the published price at ``at``, or None: before the first, after the last, or in a hole."""
        index = int((at - self.starts_at).total_seconds() // self.step_s)
        if not 0 <= index < len(self.price_per_kwh):
            return None
        price = self.price_per_kwh[index]
        return price if isfinite(price) else None

    def estimated(self, at: datetime, timezone: str) -> float | None:
        """Return the latest published price of the same local time on a day before; None where the periods count."""
        if self.fallback is Fallback.PERIODS:
            return None
        local = at.astimezone(ZoneInfo(timezone))
        ends_at = self.starts_at + timedelta(seconds=self.step_s * len(self.price_per_kwh))
        late_days = max(0, (at - ends_at).days - 1)
        for days in range(1 + late_days, 1 + late_days + SEARCHED_DAYS):
            price = self.published((local - timedelta(days=days)).astimezone(UTC))
            if price is not None:
                return price
        return None
