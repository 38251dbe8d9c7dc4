"""The site file, key by key. Keys carry units; what relates several keys to each other is checked in ``site_checks``.

Powers are in load convention: into the asset is positive. Nameplate values and limits are positive numbers.
"""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from configs.links import Linked
from configs.opcua_settings import OpcuaModel
from configs.sink_settings import SinksModel
from configs.yaml_lines import Checked
from station.assets import ConnectorKind

ROTATE = "rotate"
"""In a repeated connector: L1, L2, L3, L1, … in turn."""


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", text):
        raise ValueError(f"a name of letters, digits, - and _ is expected (a letter first), not '{text}'")
    return text


def _connector_name(text: str) -> str:
    bare = re.sub(r"\{(:\d?\d?d)?\}", "1", text, count=1)
    return text if _name(bare) else bare


Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, Field(min_length=1)]
Size = Annotated[float, Field(gt=0.0)]
"""A number that is more than zero."""
Amount = Annotated[float, Field(ge=0.0)]
"""A number that may be zero."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]


class PlaceModel(Checked):
    """Which site, and where; degrees north and east, IANA time zone; the carbon of a kWh from the grid, if known."""

    id: Name
    timezone: str
    latitude: float = Field(ge=-90.0, le=90.0)
    longitude: float = Field(ge=-180.0, le=180.0)
    grid_kg_co2_per_kwh: Amount | None = None


class PlanningModel(Checked):
    """How often and how far the schedule looks; the fields of ``station.topology.Planning``."""

    interval_s: Size = 300.0
    slot_s: Size = 900.0
    horizon_s: Size = 129_600.0
    timeout_s: Size = 20.0
    shortfall_price_per_kwh: Amount = 1.0


class ControlModel(Checked):
    """The fast loop; the fields of ``station.topology.Control``."""

    cycle_s: float = Field(1.0, gt=0.0, le=60.0)
    stale_s: Size = 3.0
    restart_shadow_cycles: int = Field(2, ge=0)


class GridMeterModel(Checked):
    """The meter at the point of common coupling."""

    id: Name
    lag_s: Amount


class BaseLoadModel(Checked):
    """What is not metered by itself: the building."""

    id: Name
    max_kw: Amount
    min_kw: float
    growth_kw: Amount


class BatteryModel(Checked):
    """A battery with its converter, seen from the AC side."""

    id: Name
    capacity_kwh: Size
    max_charge_kw: Amount
    max_discharge_kw: Amount
    charge_efficiency: Efficiency
    discharge_efficiency: Efficiency
    soc_min: Share
    soc_max: Share
    wear_price_per_kwh: Amount
    ramp_kw_per_s: Size
    fallback_kw: float
    lease_s: Size


class PvPlantModel(Checked):
    """A PV plant behind one inverter; ``fallback_kw`` is the lowest power permitted, so zero or negative."""

    id: Name
    rated_kw: Size
    fallback_kw: float
    lease_s: Size


class ConnectorModel(Checked):
    """One connector; or ``count`` equal ones, numbered from 1 by the braces in ``id`` (``ev{:02d}``)."""

    id: Annotated[str, AfterValidator(_connector_name)]
    count: int | None = Field(None, ge=1, le=1000)
    kind: ConnectorKind
    phases: str
    voltage_v: Size = 230.0
    max_kw: Size
    min_kw: Amount
    efficiency: Efficiency | None = None
    ramp_kw_per_s: Size = 10.0
    fallback_kw: Amount
    lease_s: Size


class AssetsModel(Checked):
    """All things of the site."""

    grid_meter: GridMeterModel
    base_load: BaseLoadModel
    batteries: tuple[BatteryModel, ...] = ()
    pv_plants: tuple[PvPlantModel, ...] = ()
    connectors: tuple[ConnectorModel, ...] = ()


class PowerLimitModel(Checked):
    """A limit that is booked: continuous, and optionally more for ``short_time_s`` seconds."""

    continuous_kw: Amount
    short_time_kw: Amount | None = None
    short_time_s: Size | None = None
    source: Text


class WindowLimitModel(Checked):
    """A contracted mean over the tariff's demand window."""

    continuous_kw: Amount
    source: Text


class ImportModel(Checked):
    """Limits on power from the grid towards the assets."""

    hard: PowerLimitModel | None = None
    operator: PowerLimitModel | None = None
    window: WindowLimitModel | None = None


class ExportModel(Checked):
    """Limits on power from the assets towards the grid."""

    hard: PowerLimitModel | None = None
    operator: PowerLimitModel | None = None


class CurrentLimitModel(Checked):
    """A limit in A on each phase, both directions."""

    continuous_a: Size
    source: Text


class NodeModel(Checked):
    """A node of the limit tree; ``members`` are asset ids or patterns such as ``ev*``."""

    id: Name
    parent: str | None = None
    members: tuple[str, ...] = ()
    import_: ImportModel = Field(default_factory=ImportModel, alias="import")
    export: ExportModel = Field(default_factory=ExportModel)
    current: CurrentLimitModel | None = None


class JoinedModel(Linked):
    """A device that together with another is one asset: a battery behind its converter."""

    id: Name
    profile: Text
    unit: int = Field(1, ge=0, le=255)


class DeviceModel(Linked):
    """One device on the wire: a profile's id (or file), its address, and the assets that it serves."""

    id: Name
    profile: Text
    unit: int = Field(1, ge=0, le=255)
    assets: tuple[str, ...] = Field(min_length=1)
    joined: tuple[JoinedModel, ...] = ()
    poll_s: Size = 1.0
    opcua: OpcuaModel | None = None


class ScaleModel(Checked):
    """Factors on the columns of the series file."""

    load_kw: Amount = 1.0
    pv_kw: Amount = 1.0


class TwinModel(Checked):
    """What the twin plays: files relative to the site file, or to heliodock's own configs."""

    sessions: Text | None = None
    series: Text | None = None
    scale: ScaleModel = Field(default_factory=ScaleModel)
    from_: date | None = Field(None, alias="from")
    days: int | None = Field(None, ge=1)


class SiteFile(Checked):
    """A whole site file."""

    site: PlaceModel
    tariff: Text
    planning: PlanningModel = Field(default_factory=PlanningModel)
    control: ControlModel = Field(default_factory=ControlModel)
    assets: AssetsModel
    limits: tuple[NodeModel, ...] = Field(min_length=1)
    devices: tuple[DeviceModel, ...] = ()
    northbound: SinksModel = Field(default_factory=SinksModel)
    twin: TwinModel = Field(default_factory=TwinModel)
