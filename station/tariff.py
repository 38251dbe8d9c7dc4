"""A tariff: what a kWh and a kW cost, and when. The planner and the bill use this same object.

The planner sees its linear part: ``price_per_kwh``, ``export_price_at``, and ``peak_price_per_kw`` for each kW of the
billing period's highest mean above ``free_kw``. The invoice sees all of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from station.charges import Blocks, CapacityCharge, DemandCharge, Regimes, Scope
from station.periods import EventDays, Period, Season, period_at
from station.price_series import PriceSeries
from station.provenance import Provenance

__all__ = ["DemandCharge", "Period", "Quote", "Season", "Tariff"]

Month = tuple[int, int]
"""A year and a month of it."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The energy price at a moment, the period that it comes from, and whether it is a stand-in."""

    price_per_kwh: float
    name: str
    is_estimated: bool = False


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices in ``currency``; ``timezone`` is where its clock hangs. Exported energy earns ``export_price_per_kwh``.

    A day in ``holidays`` has the prices of a weekend. A ``series`` goes before the periods, ``export_series`` before
    the flat export price. ``tax_share`` comes on top of everything.
    """

    tariff_id: str
    currency: str
    timezone: str
    seasons: tuple[Season, ...]
    export_price_per_kwh: float
    demand: DemandCharge
    source: str
    provenance: Provenance = field(default_factory=Provenance)
    holidays: frozenset[date] = frozenset()
    events: EventDays | None = None
    series: PriceSeries | None = None
    export_series: PriceSeries | None = None
    period_demand: tuple[DemandCharge, ...] = ()
    capacity: CapacityCharge | None = None
    blocks: Blocks | None = None
    regimes: Regimes | None = None
    fee_per_month: float = 0.0
    tax_share: float = 0.0

    def price_per_kwh(self, at: datetime) -> float:
        """Return the price of a kWh imported at ``at`` (timezone-aware), the expected regime's grid fee included.

        Raises LookupError where no season or period covers it; ``check`` makes sure that this can't happen.
        """
        price_per_kwh = self.quote(at).price_per_kwh
        return price_per_kwh + self.regimes.expected.price_per_kwh if self.regimes else price_per_kwh

    def quote(self, at: datetime) -> Quote:
        """Return the energy price at ``at`` with the name of its period; raises LookupError like ``price_per_kwh``."""
        if self.series is None:
            return self._clock_quote(at)
        price_per_kwh = self.series.published(at)
        if price_per_kwh is not None:
            return Quote(price_per_kwh, "series")
        price_per_kwh = self.series.estimated(at, self.timezone)
        if price_per_kwh is None:
            price_per_kwh = self._clock_quote(at).price_per_kwh
        return Quote(price_per_kwh, "series", is_estimated=True)

    def export_price_at(self, at: datetime) -> float:
        """Return what a kWh exported at ``at`` earns; negative where it costs."""
        if self.export_series is None:
            return self.export_price_per_kwh
        price_per_kwh = self.export_series.published(at)
        if price_per_kwh is None:
            price_per_kwh = self.export_series.estimated(at, self.timezone)
        return self.export_price_per_kwh if price_per_kwh is None else price_per_kwh

    @property
    def peak_price_per_kw(self) -> float:
        """Return what the planner counts for a kW of the billing period's highest mean above ``free_kw``.

        The demand charge (beyond a contract: its excess), the overage of subscribed blocks, and the kW price of the
        expected regime. A ratchet's later months and maxima of single periods are billed and not counted here.
        """
        price_per_kw = self.demand.marginal_price_per_kw
        if self.blocks is not None:
            price_per_kw += self.blocks.overage_price_per_kw
        if self.regimes is not None:
            price_per_kw += self.regimes.expected.price_per_kw_year
        return price_per_kw

    @property
    def free_kw(self) -> float:
        """Return the kW below which a higher peak costs nothing more: contracted or subscribed, paid anyway."""
        free_kw = [self.demand.free_kw] if self.demand.marginal_price_per_kw else []
        if self.blocks is not None:
            free_kw.append(self.blocks.subscribed_kw)
        if self.regimes is not None:
            free_kw.append(0.0)
        return min(free_kw, default=0.0)

    def billing_month(self, at: datetime) -> Month:
        """Return (year, month) of the demand charge's period that holds ``at``; month 1 where it is the year."""
        local = at.astimezone(ZoneInfo(self.timezone))
        return local.year, local.month if self.demand.scope is Scope.MONTH else 1

    def billed_share(self, key: Month, days: float) -> float:
        """Return the share of a billing period's demand charge that ``days`` of it carry; at most 1."""
        from_at, until_at = self.month_span(key)
        if self.demand.scope is Scope.YEAR:
            until_at = self.month_span((key[0], 12))[1]
        return min(1.0, days / round((until_at - from_at).total_seconds() / 86_400.0))

    def month_span(self, month: Month) -> tuple[datetime, datetime]:
        """Return the first moment of a local calendar month and that of the next, in UTC."""
        zone = ZoneInfo(self.timezone)
        first = datetime(month[0], month[1], 1, tzinfo=zone)
        after = datetime(month[0] + month[1] // 12, month[1] % 12 + 1, 1, tzinfo=zone)
        return first.astimezone(UTC), after.astimezone(UTC)

    def with_event_days(self, days: Iterable[date]) -> "Tariff":
        """Return the tariff with more announced days, as they are told the evening before.

        Raises LookupError where the tariff has no event prices.
        """
        if self.events is None:
            raise LookupError(f"tariff {self.tariff_id} has no event days")
        announced = self.events.announced.union(days)
        return replace(self, events=replace(self.events, announced=announced))

    def _clock_quote(self, at: datetime) -> Quote:
        """Return the price by the clock: an event's hours, else the season's."""
        local = at.astimezone(ZoneInfo(self.timezone))
        day, clock = local.date(), local.time().replace(tzinfo=None)
        if self.events is not None and self.events.hold(day):
            period = period_at(self.events.periods, clock)
            if period is not None:
                return Quote(period.price_per_kwh, period.name)
        season = next((s for s in self.seasons if s.covers(day)), None)
        if season is None:
            raise LookupError(f"tariff {self.tariff_id} has no season for {day}")
        is_weekend = local.weekday() >= 5 or day in self.holidays
        period = period_at(season.weekend if is_weekend else season.weekday, clock)
        if period is None:
            raise LookupError(f"tariff {self.tariff_id} has no period for {local}")
        return Quote(period.price_per_kwh, period.name)


def months_before(month: Month, count: int) -> tuple[Month, ...]:
    """Return the ``count`` calendar months before ``month``, the earliest first."""
    number = month[0] * 12 + month[1] - 1
    return tuple((earlier // 12, earlier % 12 + 1) for earlier in range(number - count, number))
