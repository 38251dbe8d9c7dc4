"""Every signal of the history: its name, unit, sign and meaning. ``docs/schema.md`` is made of this, and tests compare.

``python -m northbound.signals`` prints the tables of that page.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from station.assets import Asset, ConnectorKind
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal, or one of each battery, PV plant or connector where its name begins with their place holder."""

    name: str
    unit: str
    sign: str
    meaning: str


BATTERY, PV, CONNECTOR = "<battery>", "<pv>", "<connector>"
DC, ANY = "<dc>", "<any>"
"""A DC connector; any of them, and the meter at the point of common coupling."""

CARBON = "kg_co2_per_h"
"""Recorded only where the site declares an intensity."""

_LOAD = "+ into the battery or car, − out of it"
_NONE = "not negative"
_LEASE = "for how long the newest setpoint counts, its way to the device included; NaN without one"

STATION = (
    Signal(
        "grid_kw",
        "kW",
        "+ import, − export",
        "power at the point of common coupling; NaN while the meter is stale",
    ),
    Signal(
        "base_load_kw", "kW", "+ consumption", "what nobody controls; NaN while only its worst case is known"
    ),
    Signal("pv_kw", "kW", "+ generation", "all PV plants together"),
    Signal(
        "battery_kw",
        "kW",
        "+ charging, − discharging",
        "all batteries together; NaN while one of them is stale",
    ),
    Signal("charging_kw", "kW", "+ into cars", "all connectors together, as the controller believes it"),
    Signal(
        "allowed_kw",
        "kW",
        "+ import",
        "import that the controller means not to exceed: limits less the load's growth, and the demand window",
    ),
    Signal(
        "limit_kw", "kW", "+ import", "limit in force at the point of common coupling, an operator's included"
    ),
    Signal("support_kw", "kW", "+ discharging", "what the batteries add against a limit, beside the plan"),
    Signal("lag_s", "s", _NONE, "believed delay of the meter at the point of common coupling"),
    Signal("window_mean_kw", "kW", "+ import", "mean so far of the demand window that is being formed"),
    Signal("month_peak_kw", "kW", "+ import", "highest billed mean of the month so far"),
    Signal("planned_grid_kw", "kW", "+ import, − export", "in the plan's present slot"),
    Signal("price_per_kwh", "currency/kWh", "+ is paid", "price of import; NaN where the tariff has none"),
    Signal("export_price_per_kwh", "currency/kWh", "+ is earned", "price of export"),
    Signal("cost_per_h", "currency/h", "+ is paid, − is earned", "import or export at its price"),
    Signal("pv_value_per_h", "currency/h", "+ is saved", "what the PV gives, at the price of import"),
    Signal(
        "battery_value_per_h", "currency/h", "+ is saved", "what the batteries give, at the price of import"
    ),
    Signal(CARBON, "kg/h", _NONE, "carbon of the import; only where the site declares its intensity"),
    Signal("alarms", "1", _NONE, "alarms that stand"),
    Signal("cars", "1", _NONE, "cars that are plugged in, as the controller believes it"),
    Signal("loop.lateness_ms", "ms", _NONE, "wall time by which the cycle began late"),
    Signal("loop.missed", "1", _NONE, "cycles that were left out since the start"),
    Signal("plan.solve_ms", "ms", _NONE, "time that the plan in force took to solve; NaN without a plan"),
)

ASSETS = (
    Signal(f"{BATTERY}.power_kw", "kW", _LOAD, "measured power"),
    Signal(f"{BATTERY}.soc", "0..1", _NONE, "state of charge"),
    Signal(f"{BATTERY}.max_charge_kw", "kW", _NONE, "most that the BMS lets in"),
    Signal(f"{BATTERY}.max_discharge_kw", "kW", _NONE, "most that the BMS lets out"),
    Signal(f"{BATTERY}.planned_kw", "kW", _LOAD, "power in the plan's present slot"),
    Signal(f"{BATTERY}.setpoint_kw", "kW", _LOAD, "commanded power; NaN where nothing is commanded"),
    Signal(f"{PV}.power_kw", "kW", "+ generation", "measured power"),
    Signal(f"{PV}.planned_kw", "kW", "+ generation", "most that it may feed in, by the plan's present slot"),
    Signal(f"{PV}.setpoint_kw", "kW", "+ generation", "most that it may feed in, as commanded"),
    Signal(f"{CONNECTOR}.power_kw", "kW", _LOAD, "measured power"),
    Signal(
        f"{CONNECTOR}.session_kwh",
        "kWh",
        _NONE,
        "energy of the present session, by the charger's own counter",
    ),
    Signal(f"{CONNECTOR}.occupied", "0 or 1", _NONE, "a car is plugged in"),
    Signal(f"{CONNECTOR}.planned_kw", "kW", _LOAD, "highest power in the plan's present slot"),
    Signal(f"{CONNECTOR}.setpoint_kw", "kW", _LOAD, "highest power, as commanded"),
    Signal(f"{DC}.soc", "0..1", _NONE, "state of charge of the car, where it says so"),
    *(Signal(f"{holder}.lease_left_s", "s", _NONE, _LEASE) for holder in (BATTERY, PV, CONNECTOR)),
    Signal(f"{ANY}.age_s", "s", _NONE, "age of the last reading; NaN where there was none"),
    Signal(f"{ANY}.quality", "0 or 1", _NONE, "1: the reading is believed; 0: it is stale, or there is none"),
    Signal(f"{ANY}.errors", "1", _NONE, "reads that failed since the start"),
)


def names_of(site: Site) -> Iterator[str]:
    """Yield the name of every signal of a site."""
    knows_carbon = site.grid_kg_co2_per_kwh is not None
    yield from (signal.name for signal in STATION if knows_carbon or signal.name != CARBON)
    assets: dict[str, Iterable[Asset]] = {
        BATTERY: site.batteries,
        PV: site.pv_plants,
        CONNECTOR: site.connectors,
        DC: [connector for connector in site.connectors if connector.kind is ConnectorKind.DC],
        ANY: [site.meter, *site.controllables],
    }
    for signal in ASSETS:
        holder, _, name = signal.name.partition(".")
        yield from (f"{asset.asset_id}.{name}" for asset in assets[holder])


def tables() -> str:
    """Return the tables of ``docs/schema.md``."""
    parts = (("Of the station", STATION), ("Of each asset", ASSETS))
    return "\n".join(f"### {title}\n\n{_table(signals)}" for title, signals in parts)


def _table(signals: Sequence[Signal]) -> str:
    rows = (f"| `{s.name}` | {s.unit} | {s.sign} | {s.meaning} |\n" for s in signals)
    return "| signal | unit | sign | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(tables())
