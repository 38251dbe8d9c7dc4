"""What must fit together inside a site file. Each check yields the key at fault and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence

from configs.asset_list import named_assets, phases_of_text
from configs.schema import (
    ROTATE,
    AssetsModel,
    BatteryModel,
    ConnectorModel,
    PlanningModel,
    PvPlantModel,
    SiteFile,
)
from configs.yaml_lines import KeyPath
from station.assets import ConnectorKind
from station.quantities import power_kw_of

Problem = tuple[KeyPath, str]

LEAST_CURRENT_A = 6.0
"""An AC connector offers 0 or at least this (IEC 61851)."""

TOLERANCE_KW = 1e-6


def site_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield what is wrong with assets and settings; the limit tree and the devices have their own checks."""
    yield from _duplicate_assets(model.assets)
    yield from _base_load(model.assets)
    for index, battery in enumerate(model.assets.batteries):
        yield from _battery(battery, ("assets", "batteries", index))
    for index, plant in enumerate(model.assets.pv_plants):
        yield from _pv_plant(plant, ("assets", "pv_plants", index))
    for index, connector in enumerate(model.assets.connectors):
        yield from _connector(connector, ("assets", "connectors", index))
    yield from _leases(model)
    yield from _planning(model.planning)


def _duplicate_assets(assets: AssetsModel) -> Iterator[Problem]:
    seen: set[str] = set()
    for asset in named_assets(assets):
        if asset.asset_id in seen:
            yield asset.path, f"'{asset.asset_id}' is the id of another asset already"
        seen.add(asset.asset_id)


def _base_load(assets: AssetsModel) -> Iterator[Problem]:
    load = assets.base_load
    if load.min_kw > load.max_kw:
        yield ("assets", "base_load", "min_kw"), f"{load.min_kw:g} is above max_kw {load.max_kw:g}"


def _battery(battery: BatteryModel, path: KeyPath) -> Iterator[Problem]:
    if battery.soc_min >= battery.soc_max:
        yield (*path, "soc_min"), f"{battery.soc_min:g} is not below soc_max {battery.soc_max:g}"
    if not -battery.max_discharge_kw <= battery.fallback_kw <= battery.max_charge_kw:
        reach = f"{-battery.max_discharge_kw:g} (discharging) to {battery.max_charge_kw:g}"
        yield (*path, "fallback_kw"), f"must be from {reach}, not {battery.fallback_kw:g}"


def _pv_plant(plant: PvPlantModel, path: KeyPath) -> Iterator[Problem]:
    if not -plant.rated_kw <= plant.fallback_kw <= 0.0:
        yield (
            (*path, "fallback_kw"),
            f"must be from {-plant.rated_kw:g} (free) to 0 (off): generation is negative; not {plant.fallback_kw:g}",
        )


def _connector(model: ConnectorModel, path: KeyPath) -> Iterator[Problem]:
    if (model.count is not None) != ("{" in model.id):
        yield (*path, "id"), "count and a number in braces go together: count: 52, id: ev{:02d}"
    if model.min_kw > model.max_kw:
        yield (*path, "min_kw"), f"{model.min_kw:g} is above max_kw {model.max_kw:g}"
    elif not (model.fallback_kw == 0.0 or model.min_kw <= model.fallback_kw <= model.max_kw):
        yield (
            (*path, "fallback_kw"),
            f"must be 0 or from min_kw {model.min_kw:g} to max_kw {model.max_kw:g}, not {model.fallback_kw:g}",
        )
    if model.kind is ConnectorKind.DC and model.efficiency is None:
        yield (*path, "efficiency"), "is missing; a DC charger has converter losses"
    yield from _phases(model, path)


def _phases(model: ConnectorModel, path: KeyPath) -> Iterator[Problem]:
    phases = phases_of_text(model.phases)
    if phases is None:
        yield (*path, "phases"), f"L1, L2, L3 or 'L1 L2 L3' is expected, not '{model.phases}'"
        return
    if model.phases == ROTATE and model.count is None:
        yield (*path, "phases"), f"'{ROTATE}' needs a repeated connector (count)"
    least_kw = power_kw_of(LEAST_CURRENT_A, len(phases), model.voltage_v)
    if model.kind is ConnectorKind.AC and model.min_kw < least_kw - TOLERANCE_KW:
        yield (
            (*path, "min_kw"),
            f"must be at least {least_kw:g} kW, 6 A on {model.phases} (IEC 61851), not {model.min_kw:g}",
        )


def _leases(model: SiteFile) -> Iterator[Problem]:
    """Yield times that a single late cycle would break."""
    least_s = 2 * model.control.cycle_s
    if model.control.stale_s < least_s:
        yield ("control", "stale_s"), f"must be at least two cycles, {least_s:g} s"
    sections: Mapping[str, Sequence[BatteryModel | PvPlantModel | ConnectorModel]] = {
        "batteries": model.assets.batteries,
        "pv_plants": model.assets.pv_plants,
        "connectors": model.assets.connectors,
    }
    for name, entries in sections.items():
        for index, entry in enumerate(entries):
            if entry.lease_s < least_s:
                yield ("assets", name, index, "lease_s"), f"must be at least two cycles, {least_s:g} s"


def _planning(planning: PlanningModel) -> Iterator[Problem]:
    if 3600.0 % planning.slot_s:
        yield ("planning", "slot_s"), "must divide an hour (900 is 15 minutes)"
    if planning.horizon_s < planning.slot_s:
        yield ("planning", "horizon_s"), f"must hold at least one slot, {planning.slot_s:g} s"
