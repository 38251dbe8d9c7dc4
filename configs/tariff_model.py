"""What a tariff file may say. Meaning that spans several keys is checked where it is read."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from configs.yaml_lines import Checked

Money = Annotated[float, Field(ge=0)]
PriceOrName = float | str
"""A price per kWh, or the name of one under ``prices``."""
ByClock = Annotated[dict[str, PriceOrName], Field(min_length=1)]
"""Prices by ``HH:MM-HH:MM`` of local time."""


class RatchetModel(Checked):
    """No month is billed for less than ``share`` of the highest maximum of the ``months`` before."""

    share: float = Field(gt=0, le=1)
    months: int = Field(ge=1, le=36)


class ContractModel(Checked):
    """A contracted demand that is billed in any case, and how more of it counts."""

    contracted_kw: float = Field(gt=0)
    excess_from_share: float = Field(default=1.0, ge=1)
    excess_factor: float = Field(default=1.0, ge=1)


class DemandModel(Checked):
    """The demand charge: a price per kW on the highest mean over ``window_s`` of a month, or of a year."""

    price_per_kw: Money
    window_s: int = Field(ge=60, le=3600)
    name: str = Field(default="demand", min_length=1)
    window: Literal["block", "sliding"] = "block"
    scope: Literal["month", "year"] = "month"
    ratchet: RatchetModel | None = None
    contract: ContractModel | None = None
    exempt: bool = False


class PeriodDemandModel(Checked):
    """One more maximum: of the windows that begin in the named ``periods``."""

    name: str = Field(min_length=1)
    price_per_kw: Money
    periods: tuple[str, ...] = Field(min_length=1)
    scope: Literal["month", "year"] = "month"
    ratchet: RatchetModel | None = None
    contract: ContractModel | None = None
    exempt: bool = False


class CapacityModel(Checked):
    """A price per month on the connected capacity."""

    price_per_kva_month: Money
    connected_kva: float = Field(gt=0)
    exempt: bool = False


class BlocksModel(Checked):
    """Subscribed blocks of power, and the price of a kW above them."""

    size_kw: float = Field(gt=0)
    price_per_month: Money
    count: int = Field(ge=0)
    overage_price_per_kw: Money


class RegimeModel(Checked):
    """One of two grid fees; the energy part comes on top of the energy price."""

    price_per_kw_year: Money
    price_per_kwh: Money


class RegimesModel(Checked):
    """Two grid fees, split by the year's hours of use; ``expects`` is what the planner counts."""

    hours_per_year: float = Field(gt=0, lt=8784)
    expects: Literal["below", "above"]
    below: RegimeModel
    above: RegimeModel


class HolidaysModel(Checked):
    """Days with the prices of a weekend: single ``dates``, and public holidays of a country (ISO 3166 codes)."""

    dates: tuple[date, ...] = ()
    country: str | None = None
    subdivision: str | None = None


class SpanModel(Checked):
    """Days of the year (``MM-DD``), both included."""

    first: str
    last: str


class EventsModel(Checked):
    """Days with prices of their own for some hours: every day of ``every_day``, ``dates``, and those of a CSV file."""

    periods: ByClock
    every_day: tuple[SpanModel, ...] = ()
    dates: tuple[date, ...] = ()
    file: str | None = None


class SeriesModel(Checked):
    """Published prices in a CSV file, and what stands in where one is missing."""

    file: str = Field(min_length=1)
    step_s: int = Field(ge=300, le=3600)
    fallback: Literal["last_day", "periods"]


class SeasonModel(Checked):
    """Days of the year (``MM-DD``) and their prices by the clock; ``prices`` go before those of the file."""

    name: str = Field(min_length=1)
    first: str
    last: str
    prices: dict[str, float] = Field(default_factory=dict)
    weekday: dict[str, PriceOrName]
    weekend: dict[str, PriceOrName]


class TariffModel(Checked):
    """A tariff file."""

    id: str = Field(min_length=1)
    currency: str = Field(pattern="^[A-Z]{3}$")
    timezone: str
    source: str = Field(min_length=1)
    as_of: date | None = None
    complete: bool = True
    doubts: tuple[str, ...] = ()
    export_price_per_kwh: float
    base_price_per_kwh: float | None = None
    prices: dict[str, float] = Field(default_factory=dict)
    holidays: HolidaysModel | None = None
    events: EventsModel | None = None
    series: SeriesModel | None = None
    demand: DemandModel
    period_demand: tuple[PeriodDemandModel, ...] = ()
    capacity: CapacityModel | None = None
    blocks: BlocksModel | None = None
    regimes: RegimesModel | None = None
    fee_per_month: float = 0.0
    tax_share: float = Field(default=0.0, ge=0, lt=1)
    seasons: tuple[SeasonModel, ...] = Field(min_length=1)
