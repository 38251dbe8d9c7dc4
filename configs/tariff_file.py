"""Reads a tariff file and makes sure that every minute of every day has exactly one price."""

from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from configs.problems import nearest
from configs.tariff_clock import PriceList, check_days, season_of
from configs.tariff_days import events_of, holidays_of, series_of
from configs.tariff_model import (
    BlocksModel,
    CapacityModel,
    ContractModel,
    DemandModel,
    PeriodDemandModel,
    RatchetModel,
    RegimesModel,
    TariffModel,
)
from configs.yaml_lines import KeyPath, YamlFile, read_model, read_yaml
from station.charges import Blocks, CapacityCharge, Contract, DemandCharge, Ratchet, Regime, Regimes, Scope
from station.periods import EventDays, Season
from station.provenance import Provenance
from station.tariff import Tariff

TARIFFS = Path(__file__).with_name("tariffs")
"""Where heliodock keeps the tariffs that a site names by id."""

SLIDING_STEP_S = 60
"""A sliding window may begin at any minute."""


def load_tariff(file: Path) -> Tariff:
    """Return the tariff in ``file``; raise ``ConfigError`` where an hour has no price or two."""
    model, source = read_model(file, TariffModel)
    check_timezone(source, ("timezone",), model.timezone)
    _check_demand(source, model)
    prices = PriceList(source, model.prices, model.base_price_per_kwh)
    seasons = tuple(season_of(prices, index, season) for index, season in enumerate(model.seasons))
    check_days(source, seasons)
    events = events_of(prices, model.events)
    _check_period_names(source, model, seasons, events)
    series, export_series = series_of(source, model.series)
    return Tariff(
        tariff_id=model.id,
        currency=model.currency,
        timezone=model.timezone,
        seasons=seasons,
        export_price_per_kwh=model.export_price_per_kwh,
        demand=_demand(model.demand),
        source=model.source,
        provenance=Provenance(model.as_of, model.doubts, model.complete),
        holidays=holidays_of(source, model.holidays),
        events=events,
        series=series,
        export_series=export_series,
        period_demand=tuple(_period_demand(model.demand, charge) for charge in model.period_demand),
        capacity=_capacity(model.capacity),
        blocks=_blocks(model.blocks),
        regimes=_regimes(model.regimes),
        fee_per_month=model.fee_per_month,
        tax_share=model.tax_share,
    )


def is_tariff_file(file: Path) -> bool:
    """Return whether a YAML file looks like a tariff: it has ``seasons`` and no ``site``."""
    data = read_yaml(file).data
    return "seasons" in data and "site" not in data


def check_timezone(source: YamlFile, path: KeyPath, name: str) -> None:
    """Raise ``ConfigError`` where ``name`` is no IANA time zone."""
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        hint = nearest(name, sorted(available_timezones()))
        hint = hint if hint.startswith("did") else "an IANA name such as Europe/Berlin is expected"
        raise source.error(path, f"unknown timezone '{name}'; {hint}") from None


def _check_demand(source: YamlFile, model: TariffModel) -> None:
    """Raise ``ConfigError`` where charges do not go together."""
    demand = model.demand
    if 3600 % demand.window_s:
        raise source.error(("demand", "window_s"), "must divide an hour (900 is 15 minutes)")
    if demand.window == "sliding" and demand.window_s % SLIDING_STEP_S:
        raise source.error(("demand", "window_s"), "a sliding window must be whole minutes")
    if model.series is not None and model.series.step_s % demand.window_s:
        raise source.error(
            ("demand", "window_s"), f"must divide the series' step of {model.series.step_s} s: one price each"
        )
    if model.regimes is not None and (demand.scope != "year" or demand.price_per_kw):
        raise source.error(("regimes",), "need demand of scope year and price_per_kw 0: they bring the price")
    if model.blocks is not None and demand.scope != "month":
        raise source.error(("blocks",), "need demand of scope month")
    charges: list[tuple[KeyPath, DemandModel | PeriodDemandModel]] = [(("demand",), demand)]
    charges += [(("period_demand", index), charge) for index, charge in enumerate(model.period_demand)]
    for path, charge in charges:
        if charge.ratchet is not None and charge.scope == "year":
            raise source.error((*path, "ratchet"), "needs scope month: a year's maximum has no ratchet")


def _check_period_names(
    source: YamlFile, model: TariffModel, seasons: tuple[Season, ...], events: EventDays | None
) -> None:
    """Raise ``ConfigError`` where a maximum is sought in a period that no hour has."""
    periods = [period for season in seasons for period in (*season.weekday, *season.weekend)]
    names = {period.name for period in (*periods, *(events.periods if events else ()))} - {""}
    for index, charge in enumerate(model.period_demand):
        for name in charge.periods:
            if name not in names:
                path = ("period_demand", index, "periods")
                raise source.error(path, f"no hour has the price '{name}'; {nearest(name, sorted(names))}")


def _demand(model: DemandModel) -> DemandCharge:
    return DemandCharge(
        model.price_per_kw,
        float(model.window_s),
        name=model.name,
        is_sliding=model.window == "sliding",
        scope=Scope(model.scope),
        ratchet=_ratchet(model.ratchet),
        contract=_contract(model.contract),
        is_exempt=model.exempt,
    )


def _period_demand(demand: DemandModel, model: PeriodDemandModel) -> DemandCharge:
    """Return a maximum of some periods; its windows are those of the first demand charge."""
    return DemandCharge(
        model.price_per_kw,
        float(demand.window_s),
        name=model.name,
        is_sliding=demand.window == "sliding",
        scope=Scope(model.scope),
        periods=frozenset(model.periods),
        ratchet=_ratchet(model.ratchet),
        contract=_contract(model.contract),
        is_exempt=model.exempt,
    )


def _ratchet(model: RatchetModel | None) -> Ratchet | None:
    return None if model is None else Ratchet(model.share, model.months)


def _contract(model: ContractModel | None) -> Contract | None:
    if model is None:
        return None
    return Contract(model.contracted_kw, model.excess_from_share, model.excess_factor)


def _capacity(model: CapacityModel | None) -> CapacityCharge | None:
    if model is None:
        return None
    return CapacityCharge(model.price_per_kva_month, model.connected_kva, model.exempt)


def _blocks(model: BlocksModel | None) -> Blocks | None:
    if model is None:
        return None
    return Blocks(model.size_kw, model.price_per_month, model.count, model.overage_price_per_kw)


def _regimes(model: RegimesModel | None) -> Regimes | None:
    if model is None:
        return None
    below, above = (Regime(its.price_per_kw_year, its.price_per_kwh) for its in (model.below, model.above))
    return Regimes(model.hours_per_year, below, above, model.expects == "above")
