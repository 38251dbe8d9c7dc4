"""Small stations for the tests of hil/."""

from datetime import UTC, datetime, time

from station.assets import BaseLoad, Battery, Connector, ConnectorKind, GridMeter, PvPlant
from station.limits import CurrentLimit, Direction, Limit, LimitClass, PowerLimit
from station.quantities import ALL_PHASES, Phase
from station.tariff import DemandCharge, Period, Season, Tariff
from station.topology import LimitNode, Site

START_AT = datetime(2019, 9, 2, 7, 0, tzinfo=UTC)
DAY = (Period(time(0), time(0), 0.2),)
TARIFF = Tariff(
    "flat",
    "USD",
    "America/Los_Angeles",
    (Season("all", (1, 1), (12, 31), DAY, DAY),),
    0.05,
    DemandCharge(15.0, 900.0),
    "test",
)


def battery(asset_id: str = "bess", **fields: float) -> Battery:
    """Return a battery of 100 kWh and 50 kW."""
    values = {
        "capacity_kwh": 100.0,
        "max_charge_kw": 50.0,
        "max_discharge_kw": 50.0,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.9,
        "soc_min": 0.1,
        "soc_max": 0.9,
        "wear_price_per_kwh": 0.02,
        "ramp_kw_per_s": 50.0,
        "fallback_kw": 0.0,
        "lease_s": 10.0,
    }
    return Battery(asset_id, **{**values, **fields})


def pv_plant(asset_id: str = "pv", rated_kw: float = 60.0, fallback_kw: float = -60.0) -> PvPlant:
    """Return a PV plant that is left free when nobody commands it."""
    return PvPlant(asset_id, rated_kw, fallback_kw, 30.0)


def ac_connector(asset_id: str = "ac1", phases: tuple[Phase, ...] = ALL_PHASES) -> Connector:
    """Return a 22 kW connector (7.36 kW on one phase) that falls back to 6 A."""
    count = len(phases)
    return Connector(
        asset_id,
        ConnectorKind.AC,
        phases,
        230.0,
        max_kw=count * 230.0 * 32.0 / 1000.0,
        min_kw=count * 230.0 * 6.0 / 1000.0,
        efficiency=1.0,
        ramp_kw_per_s=20.0,
        fallback_kw=count * 230.0 * 6.0 / 1000.0,
        lease_s=10.0,
    )


def dc_connector(asset_id: str = "dc1") -> Connector:
    """Return a 60 kW connector that stops when nobody commands it."""
    return Connector(asset_id, ConnectorKind.DC, ALL_PHASES, 230.0, 60.0, 5.0, 0.95, 20.0, 0.0, 10.0)


def site(
    *assets: Battery | PvPlant | Connector, nodes: tuple[LimitNode, ...] = (), limits: tuple[Limit, ...] = ()
) -> Site:
    """Return a site of these assets on one node with ``limits``, or with further ``nodes`` below it."""
    below = {member for node in nodes for member in node.members}
    direct = tuple(asset.asset_id for asset in assets if asset.asset_id not in below)
    root = LimitNode("pcc", None, ("building", *direct), limits)
    return Site(
        "test",
        "America/Los_Angeles",
        34.2,
        -118.2,
        GridMeter("meter", 1.0),
        BaseLoad("building", 60.0, 0.0, 5.0),
        tuple(a for a in assets if isinstance(a, Battery)),
        tuple(a for a in assets if isinstance(a, PvPlant)),
        tuple(a for a in assets if isinstance(a, Connector)),
        (root, *nodes),
        TARIFF,
    )


def whole_site(ac: int = 8) -> Site:
    """Return battery, PV, two DC connectors and ``ac`` AC connectors on their own feeder of 100 A."""
    chargers = tuple(ac_connector(f"ac{index + 1}") for index in range(ac))
    feeder = LimitNode(
        "feeder", "pcc", tuple(c.asset_id for c in chargers), (CurrentLimit(100.0, "breaker"),)
    )
    limits = (power_limit(150.0), power_limit(80.0, Direction.EXPORT))
    return site(
        battery(),
        pv_plant(),
        *chargers,
        dc_connector("dc1"),
        dc_connector("dc2"),
        nodes=(feeder,),
        limits=limits,
    )


def power_limit(
    limit_kw: float, direction: Direction = Direction.IMPORT, kind: LimitClass = LimitClass.HARD
) -> PowerLimit:
    """Return a limit without permitted overload."""
    return PowerLimit(kind, direction, limit_kw, limit_kw, 0.0, "test")
