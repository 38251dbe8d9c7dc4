"""Every signal of the history: its name, unit, sign and meaning. ``docs/schema.md`` is made of this, and tests compare.

``python -m northbound.signals`` prints the tables of that page.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from station.topology import Site


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal, or one of each battery, PV plant or connector where its name begins with their place holder."""

    name: str
    unit: str
    sign: str
    meaning: str


BATTERY, PV, CONNECTOR = "<battery>", "<pv>", "<connector>"

_LOAD = "+ into the battery or car, − out of it"
_NONE = "not negative"

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
        "all batteries together, as the controller believes it",
    ),
    Signal("charging_kw", "kW", "+ into cars", "all connectors together, as the controller believes it"),
    Signal(
        "allowed_kw",
        "kW",
        "+ import",
        "import that the controller means not to exceed: limits less the load's growth, and the demand window",
    ),
    Signal("support_kw", "kW", "+ discharging", "what the batteries add against a limit, beside the plan"),
    Signal("lag_s", "s", _NONE, "believed delay of the meter at the point of common coupling"),
    Signal("window_mean_kw", "kW", "+ import", "mean so far of the demand window that is being formed"),
    Signal("month_peak_kw", "kW", "+ import", "highest billed mean of the month so far"),
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
)


def names_of(site: Site) -> Iterator[str]:
    """Yield the name of every signal of a site."""
    yield from (signal.name for signal in STATION)
    assets = ((BATTERY, site.batteries), (PV, site.pv_plants), (CONNECTOR, site.connectors))
    for holder, its_assets in assets:
        for signal in ASSETS:
            if signal.name.startswith(holder):
                yield from (signal.name.replace(holder, asset.asset_id) for asset in its_assets)


def tables() -> str:
    """Return the tables of ``docs/schema.md``."""
    parts = (("Of the station", STATION), ("Of each asset", ASSETS))
    return "\n".join(f"### {title}\n\n{_table(signals)}" for title, signals in parts)


def _table(signals: Sequence[Signal]) -> str:
    rows = (f"| `{s.name}` | {s.unit} | {s.sign} | {s.meaning} |\n" for s in signals)
    return "| signal | unit | sign | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(tables())
