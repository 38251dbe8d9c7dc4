"""What a tariff bills besides energy. Each charge is a fact of the contract; ``station.invoice`` adds them up."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """Over which time the highest mean is sought."""

    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Ratchet:
    """No month is billed for less than ``share`` of the highest maximum of the ``months`` before it."""

    share: float
    months: int


@dataclass(frozen=True, slots=True)
class Contract:
    """A contracted demand: billed whether it is used or not.

    Up to ``excess_from_share`` times ``contracted_kw`` the contract is billed. Above that the maximum itself is, and
    the part of it beyond the threshold counts ``excess_factor`` times.
    """

    contracted_kw: float
    excess_from_share: float = 1.0
    excess_factor: float = 1.0

    @property
    def free_kw(self) -> float:
        """Return the maximum up to which nothing more is paid."""
        return self.contracted_kw * self.excess_from_share


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A price on the highest mean import over ``window_s``, per month or, by ``scope``, per year.

    Windows are aligned to the clock; ``is_sliding`` ones may begin at any minute. With ``periods`` only windows that
    begin in a period of such a name count. An exempt charge is measured and not billed.
    """

    price_per_kw: float
    window_s: float
    name: str = "demand"
    is_sliding: bool = False
    scope: Scope = Scope.MONTH
    periods: frozenset[str] = frozenset()
    ratchet: Ratchet | None = None
    contract: Contract | None = None
    is_exempt: bool = False

    @property
    def free_kw(self) -> float:
        """Return the maximum up to which nothing more is paid."""
        return 0.0 if self.contract is None else self.contract.free_kw

    @property
    def marginal_price_per_kw(self) -> float:
        """Return what one more kW above ``free_kw`` costs in the month (year) that makes it; no ratchet in it."""
        if self.is_exempt:
            return 0.0
        return self.price_per_kw if self.contract is None else self.price_per_kw * self.contract.excess_factor


@dataclass(frozen=True, slots=True)
class CapacityCharge:
    """A price per month on the connected capacity, whatever is drawn."""

    price_per_kva_month: float
    connected_kva: float
    is_exempt: bool = False


@dataclass(frozen=True, slots=True)
class Blocks:
    """A subscription of ``count`` blocks of ``size_kw``; each kW of the month's maximum above costs the overage."""

    size_kw: float
    price_per_month: float
    count: int
    overage_price_per_kw: float

    @property
    def subscribed_kw(self) -> float:
        """Return the power that the blocks hold."""
        return self.size_kw * self.count


@dataclass(frozen=True, slots=True)
class Regime:
    """A pair of prices: per kW of the year's maximum, and per kWh on top of the energy price."""

    price_per_kw_year: float
    price_per_kwh: float


@dataclass(frozen=True, slots=True)
class Regimes:
    """Two grid fees. Which one applies follows from the year's hours of use: its energy by its highest mean.

    The planner cannot know the year's end: it counts the one that the contract expects (``expects_above``).
    """

    hours_per_year: float
    below: Regime
    above: Regime
    expects_above: bool = False

    @property
    def expected(self) -> Regime:
        """Return the regime that the planner counts."""
        return self.above if self.expects_above else self.below
