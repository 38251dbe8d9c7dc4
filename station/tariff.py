"""A tariff: time-of-use prices and a demand charge. The planner and the bill use this same object."""

from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """A price from ``starts_at`` to ``ends_at`` local time (``ends_at`` of midnight means the end of the day)."""

    starts_at: time
    ends_at: time
    price_per_kwh: float


@dataclass(frozen=True, slots=True)
class Season:
    """The days from ``first`` to ``last`` (month, day; both included; may wrap the year) and their periods."""

    name: str
    first: tuple[int, int]
    last: tuple[int, int]
    weekday: tuple[Period, ...]
    weekend: tuple[Period, ...]

    def covers(self, day: date) -> bool:
        """Return whether ``day`` belongs to this season."""
        key = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= key <= self.last
        return key >= self.first or key <= self.last


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price on the month's highest mean import over blocks of ``window_s`` aligned to the clock."""

    price_per_kw: float
    window_s: float


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices in ``currency``; ``timezone`` is where its clock hangs. Exported energy earns ``export_price_per_kwh``."""

    tariff_id: str
    currency: str
    timezone: str
    seasons: tuple[Season, ...]
    export_price_per_kwh: float
    demand: DemandCharge
    source: str

    def price_per_kwh(self, at: datetime) -> float:
        """Return the price of a kWh imported at ``at`` (timezone-aware).

        Raises LookupError where no season or period covers it; ``check`` makes sure that this can't happen.
        """
        local = at.astimezone(ZoneInfo(self.timezone))
        season = next((s for s in self.seasons if s.covers(local.date())), None)
        if season is None:
            raise LookupError(f"tariff {self.tariff_id} has no season for {local.date()}")
        clock = local.time().replace(tzinfo=None)
        for period in season.weekend if local.weekday() >= 5 else season.weekday:
            if period.starts_at <= clock and (clock < period.ends_at or period.ends_at == time(0)):
                return period.price_per_kwh
        raise LookupError(f"tariff {self.tariff_id} has no period for {local}")

    def billing_month(self, at: datetime) -> tuple[int, int]:
        """Return (year, month) of the demand charge's period that holds ``at``."""
        local = at.astimezone(ZoneInfo(self.timezone))
        return local.year, local.month
