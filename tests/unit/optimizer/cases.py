"""A small station, cars and days to plan for."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from optimizer.problem import PlanningInput
from station.assets import BaseLoad, Battery, Connector, ConnectorKind, GridMeter, PvPlant
from station.forecast import Forecast, History
from station.limits import CurrentLimit, Direction, LimitClass, PowerLimit
from station.quantities import ALL_PHASES, Phase
from station.session import PastSession, Session
from station.tariff import DemandCharge, Period, Season, Tariff
from station.topology import LimitNode, Site

MONDAY = datetime(2024, 6, 3, 7, 0, tzinfo=UTC)


def tariff(*, export: float = 0.0, night: float = 0.05, day: float = 0.25, demand: float = 15.0) -> Tariff:
    """A cheap night, a dear day, and a demand charge."""
    periods = (
        Period(time(0), time(8), night),
        Period(time(8), time(20), day),
        Period(time(20), time(0), night),
    )
    season = Season("all year", (1, 1), (12, 31), periods, periods)
    return Tariff("test", "USD", "UTC", (season,), export, DemandCharge(demand, 900.0), "made up")


def battery(**changes: float) -> Battery:
    """A battery of 100 kWh and 50 kW."""
    made = Battery("battery", 100.0, 50.0, 50.0, 0.95, 0.95, 0.1, 0.9, 0.02, 50.0, 0.0, 60.0)
    return replace(made, **changes)  # type: ignore[arg-type]


def connector(
    name: str, *, phases: tuple[Phase, ...] = ALL_PHASES, max_kw: float = 22.0, min_kw: float = 4.14
) -> Connector:
    """An AC connector without losses."""
    return Connector(name, ConnectorKind.AC, phases, 230.0, max_kw, min_kw, 1.0, 50.0, 0.0, 60.0)


def site(
    *,
    import_kw: float = 60.0,
    connectors: Sequence[Connector] | None = None,
    batteries: Sequence[Battery] | None = None,
    prices: Tariff | None = None,
    feeder_a: float = 63.0,
) -> Site:
    """A station with one feeder for its connectors; single-phase ones are rotated."""
    if connectors is None:
        connectors = [connector("c1"), connector("c2")]
        connectors += [
            connector(f"c{3 + i}", phases=(p,), max_kw=7.36, min_kw=1.38) for i, p in enumerate(ALL_PHASES)
        ]
    batteries = [battery()] if batteries is None else batteries
    limits = (
        PowerLimit(LimitClass.OPERATOR, Direction.IMPORT, import_kw, import_kw, 0.0, "contract"),
        PowerLimit(LimitClass.OPERATOR, Direction.EXPORT, 40.0, 40.0, 0.0, "contract"),
    )
    root = LimitNode("pcc", None, ("load", "pv", *(b.asset_id for b in batteries)), limits)
    feeder = LimitNode(
        "feeder", "pcc", tuple(c.asset_id for c in connectors), (CurrentLimit(feeder_a, "breaker"),)
    )
    return Site(
        site_id="test",
        timezone="UTC",
        latitude=48.0,
        longitude=11.0,
        meter=GridMeter("meter", 0.5),
        base_load=BaseLoad("load", 40.0, 0.0, 2.0),
        batteries=tuple(batteries),
        pv_plants=(PvPlant("pv", 50.0, -50.0, 60.0),),
        connectors=tuple(connectors),
        nodes=(root, feeder),
        tariff=prices or tariff(),
    )


def sun_kw(hour: float, most_kw: float = 40.0) -> float:
    """PV in load convention on a clear day."""
    return -most_kw * max(0.0, math.sin((hour - 6.0) / 12.0 * math.pi)) if 6.0 <= hour <= 18.0 else 0.0


def load_kw(hour: float) -> float:
    """A building that works from eight to six."""
    return 20.0 if 8.0 <= hour < 18.0 else 5.0


def history(until: datetime = MONDAY, days: int = 14, sessions: Sequence[PastSession] = ()) -> History:
    """Days that are all alike."""
    starts_at = until - timedelta(days=days)
    hours = [(starts_at + timedelta(minutes=15 * slot)).hour + (slot % 4) / 4.0 for slot in range(96 * days)]
    return History(starts_at, 900.0, tuple(map(load_kw, hours)), tuple(map(sun_kw, hours)), tuple(sessions))


def past_sessions(days: int = 14, ratio: float = 0.5, late_h: float = 0.0) -> list[PastSession]:
    """One car a day on c1 from eight to four that asked for 20 kWh."""
    found = []
    for day in range(1, days + 1):
        came = MONDAY.replace(hour=8) - timedelta(days=day)
        said = came + timedelta(hours=8)
        left = said + timedelta(hours=late_h)
        found.append(PastSession(f"past{day}", "c1", came, left, 20.0 * ratio, 20.0, said))
    return found


def car(
    connector_id: str = "c1",
    *,
    kwh: float = 20.0,
    hours: float = 8.0,
    now: datetime = MONDAY,
    known: bool = False,
    taken: float = 0.0,
) -> Session:
    """A car that has just been plugged in."""
    said = now + timedelta(hours=hours)
    return Session(f"s-{connector_id}", connector_id, now, taken, kwh, said, kwh if known else None)


def request(
    *sessions: Session, where: Site | None = None, now: datetime = MONDAY, soc: float = 0.5
) -> PlanningInput:
    """A planning input; change it with dataclasses.replace."""
    where = where or site()
    charge = {b.asset_id: soc for b in where.batteries}
    return PlanningInput(where, now, history(), tuple(sessions), charge)


def known(load: Sequence[float], pv: Sequence[float], starts_at: datetime = MONDAY) -> Forecast:
    """A forecast that a study reveals."""
    return Forecast(starts_at, 900.0, tuple(load), tuple(pv))
