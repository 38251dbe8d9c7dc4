"""The assets of a site file: repeated connectors written out, and each model turned into its nameplate."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from configs.schema import ROTATE, AssetsModel, BatteryModel, ConnectorModel, PvPlantModel
from configs.yaml_lines import KeyPath
from station.assets import BaseLoad, Battery, Connector, GridMeter, PvPlant
from station.quantities import ALL_PHASES, Phase


@dataclass(frozen=True, slots=True)
class NamedAsset:
    """An asset's id, the kind of device that serves it, and where the file names it."""

    asset_id: str
    kind: str
    path: KeyPath


def named_assets(model: AssetsModel) -> tuple[NamedAsset, ...]:
    """Return every asset in the order of the file's sections; ids may still collide."""
    return tuple(_named(model))


def _named(model: AssetsModel) -> Iterator[NamedAsset]:
    yield NamedAsset(model.grid_meter.id, "meter", ("assets", "grid_meter", "id"))
    yield NamedAsset(model.base_load.id, "base_load", ("assets", "base_load", "id"))
    for index, battery in enumerate(model.batteries):
        yield NamedAsset(battery.id, "battery", ("assets", "batteries", index, "id"))
    for index, plant in enumerate(model.pv_plants):
        yield NamedAsset(plant.id, "pv", ("assets", "pv_plants", index, "id"))
    for index, connector in enumerate(model.connectors):
        for asset_id in connector_ids(connector):
            yield NamedAsset(asset_id, "connector", ("assets", "connectors", index, "id"))


def connector_ids(model: ConnectorModel) -> tuple[str, ...]:
    """Return the ids that one entry stands for; the braces are replaced by 1, 2, 3, …"""
    if model.count is None:
        return (model.id,)
    return tuple(_numbered(model.id, number) for number in range(1, model.count + 1))


def _numbered(text: str, number: int) -> str:
    match = re.search(r"\{(?::(\d?\d?d))?\}", text)
    if match is None:
        return text
    return text[: match.start()] + format(number, match.group(1) or "d") + text[match.end() :]


def phases_of_text(text: str, number: int = 1) -> tuple[Phase, ...] | None:
    """Return the conductors that ``L1`` or ``L1 L2 L3`` names; None where the text names none or one twice.

    ``rotate`` gives the ``number``-th connector of a repeated entry its one phase in turn.
    """
    if text == ROTATE:
        return (ALL_PHASES[(number - 1) % len(ALL_PHASES)],)
    words = text.split()
    if not words or len(set(words)) != len(words) or not set(words) <= set(ALL_PHASES):
        return None
    return tuple(Phase(word) for word in words)


def grid_meter_of(model: AssetsModel) -> GridMeter:
    """Return the PCC meter."""
    return GridMeter(model.grid_meter.id, model.grid_meter.lag_s)


def base_load_of(model: AssetsModel) -> BaseLoad:
    """Return the base load."""
    load = model.base_load
    return BaseLoad(load.id, load.max_kw, load.min_kw, load.growth_kw)


def batteries_of(model: AssetsModel) -> tuple[Battery, ...]:
    """Return the batteries."""
    return tuple(_battery(battery) for battery in model.batteries)


def pv_plants_of(model: AssetsModel) -> tuple[PvPlant, ...]:
    """Return the PV plants."""
    return tuple(_pv_plant(plant) for plant in model.pv_plants)


def connectors_of(model: AssetsModel) -> tuple[Connector, ...]:
    """Return the connectors, repeated entries written out."""
    return tuple(
        _connector(entry, asset_id, number)
        for entry in model.connectors
        for number, asset_id in enumerate(connector_ids(entry), start=1)
    )


def _battery(model: BatteryModel) -> Battery:
    fields = model.model_dump(exclude={"id"})
    return Battery(asset_id=model.id, **fields)


def _pv_plant(model: PvPlantModel) -> PvPlant:
    return PvPlant(model.id, model.rated_kw, model.fallback_kw, model.lease_s)


def _connector(model: ConnectorModel, asset_id: str, number: int) -> Connector:
    return Connector(
        asset_id=asset_id,
        kind=model.kind,
        phases=phases_of_text(model.phases, number) or (),
        voltage_v=model.voltage_v,
        max_kw=model.max_kw,
        min_kw=model.min_kw,
        efficiency=1.0 if model.efficiency is None else model.efficiency,
        ramp_kw_per_s=model.ramp_kw_per_s,
        fallback_kw=model.fallback_kw,
        lease_s=model.lease_s,
    )
