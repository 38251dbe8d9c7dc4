"""The devices of a site file: which profile, where on the wire, which assets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from configs.asset_list import named_assets
from configs.links import Linked, link_of, own_problems, shared_problems
from configs.opcua_settings import opcua_access
from configs.problems import nearest
from configs.profile_names import required_names
from configs.profiles import load_profile, profile_ids
from configs.schema import DeviceModel, JoinedModel, SiteFile
from configs.site_checks import Problem
from configs.yaml_lines import KeyPath, YamlFile
from station.assets import Connector
from station.links import Link
from station.profile import DeviceBinding, Profile, Protocol
from station.quantities import power_kw_of


def device_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield what is wrong between devices and assets."""
    kinds = {asset.asset_id: asset.kind for asset in named_assets(model.assets)}
    device_of: dict[str, str] = {}
    seen: set[str] = set()
    for index, device in enumerate(model.devices):
        named = (
            (("id",), device.id),
            *((("joined", i, "id"), part.id) for i, part in enumerate(device.joined)),
        )
        for key, device_id in named:
            if device_id in seen:
                yield ("devices", index, *key), f"'{device_id}' is the id of another device already"
            seen.add(device_id)
        yield from _own_problems(model, device, index)
        for place, asset_id in enumerate(device.assets):
            path: KeyPath = ("devices", index, "assets", place)
            yield from _asset_problems(path, asset_id, kinds)
            if asset_id in device_of:
                yield path, f"'{asset_id}' is served by device '{device_of[asset_id]}' already"
            device_of[asset_id] = device.id
    places: dict[KeyPath, Linked] = {}
    for index, device in enumerate(model.devices):
        places[("devices", index)] = device
        places |= {("devices", index, "joined", place): part for place, part in enumerate(device.joined)}
    yield from shared_problems(places)


def unserved_problems(model: SiteFile) -> Iterator[Problem]:
    """Yield the assets without a device; a site without any device is for the twin only."""
    served = {asset_id for device in model.devices for asset_id in device.assets}
    for asset in named_assets(model.assets):
        if served and asset.kind != "base_load" and asset.asset_id not in served:
            yield asset.path, f"no device serves '{asset.asset_id}'"


def bindings_of(
    source: YamlFile, model: SiteFile, connectors: tuple[Connector, ...]
) -> tuple[DeviceBinding, ...]:
    """Return the devices with their profiles read; raise ``ConfigError`` for a profile that does not fit."""
    kinds = {asset.asset_id: asset.kind for asset in named_assets(model.assets)}
    by_id = {connector.asset_id: connector for connector in connectors}
    return tuple(
        _joined(
            source,
            index,
            device,
            _binding(source, index, _fitting_profile(source, index, device, kinds), device, by_id),
        )
        for index, device in enumerate(model.devices)
    )


def kw_per_a(connector: Connector) -> float:
    """Return the power of one ampere on each of a connector's phases."""
    return power_kw_of(1.0, len(connector.phases), connector.voltage_v)


def _own_problems(model: SiteFile, device: DeviceModel, index: int) -> Iterator[Problem]:
    parts: dict[KeyPath, DeviceModel | JoinedModel] = {(): device}
    parts |= {("joined", place): part for place, part in enumerate(device.joined)}
    for inside, part in parts.items():
        for path, problem in own_problems(part):
            yield ("devices", index, *inside, *path), problem
        if part.link is not None and part.link.serial is not None and part.unit == 0:
            yield (
                ("devices", index, *inside, "unit"),
                "0 speaks to all devices of a serial line, and none answers",
            )
    if device.poll_s >= model.control.stale_s:
        yield (
            ("devices", index, "poll_s"),
            f"must be below control.stale_s {model.control.stale_s:g} s, or no value would be believed",
        )


def _asset_problems(path: KeyPath, asset_id: str, kinds: dict[str, str]) -> Iterator[Problem]:
    if asset_id not in kinds:
        yield path, f"unknown asset '{asset_id}'; {nearest(asset_id, list(kinds))}"
    elif kinds[asset_id] == "base_load":
        yield path, "the base load has no device; it is what the grid meter sees beyond the metered assets"


def _fitting_profile(source: YamlFile, index: int, device: DeviceModel, kinds: dict[str, str]) -> Profile:
    profile = _profile(source, ("devices", index, "profile"), device.profile)
    for place, asset_id in enumerate(device.assets):
        if kinds[asset_id] != profile.kind:
            raise source.error(
                ("devices", index, "assets", place),
                f"'{asset_id}' is a {kinds[asset_id]}, but profile {profile.profile_id} serves a {profile.kind}",
            )
    if len(device.assets) > 1 and not _serves_several(profile):
        raise source.error(
            ("devices", index, "assets"),
            f"profile {profile.profile_id} serves one asset, not {len(device.assets)}",
        )
    if profile.protocol is Protocol.OPCUA and device.link is not None:
        raise source.error(
            ("devices", index, "link"), f"profile {profile.profile_id} speaks OPC UA: give host and port"
        )
    return profile


def _profile(source: YamlFile, path: KeyPath, name: str) -> Profile:
    """Return a profile by id, or from a file beside the site file."""
    if name.endswith((".yaml", ".yml")):
        file = source.file.parent / name
        if not file.is_file():
            raise source.error(path, f"no such file: {file}")
        return load_profile(Path(file))
    if name not in profile_ids():
        raise source.error(path, f"unknown profile '{name}'; {nearest(name, list(profile_ids()))}")
    return load_profile(name)


def _joined(source: YamlFile, index: int, device: DeviceModel, first: DeviceBinding) -> DeviceBinding:
    """Return the binding with the devices that are joined to it; raise where something is missing or told twice."""
    parts = [first]
    for place, joined in enumerate(device.joined):
        path: KeyPath = ("devices", index, "joined", place, "profile")
        profile = _profile(source, path, joined.profile)
        if profile.kind != first.profile.kind:
            raise source.error(path, f"{profile.profile_id} is a {profile.kind}, not a {first.profile.kind}")
        told = {name for part in parts for name in part.profile.points} & profile.points.keys()
        if told:
            raise source.error(path, f"{profile.profile_id} tells {', '.join(sorted(told))} a second time")
        part = replace(first, device_id=joined.id, profile=profile, unit=joined.unit)
        parts.append(_reached(part, link_of(joined)))
    points = {name: point for part in parts for name, point in part.profile.points.items()}
    missing = required_names(first.profile.kind) - points.keys()
    if missing:
        names = ", ".join(sorted(missing))
        raise source.error(
            ("devices", index, "profile"),
            f"{first.profile.profile_id} does not tell {names}: join the device that does (docs/profiles.md)",
        )
    if len(parts) == 1:
        return first
    whole = replace(
        first.profile,
        points=points,
        alive=tuple(name for part in parts for name in part.profile.alive),
        auxiliary=frozenset(name for part in parts for name in part.profile.auxiliary),
        is_partial=False,
    )
    return replace(first, profile=whole, parts=tuple(parts))


def _serves_several(profile: Profile) -> bool:
    if profile.protocol is Protocol.MODBUS_TCP:
        return profile.unit_stride > 0
    return any("{connector}" in point.node for point in profile.points.values())


def _binding(
    source: YamlFile, index: int, profile: Profile, device: DeviceModel, connectors: dict[str, Connector]
) -> DeviceBinding:
    binding = DeviceBinding(
        device_id=device.id,
        profile=profile,
        host="",
        port=0,
        unit=device.unit,
        asset_ids=device.assets,
        poll_s=device.poll_s,
        kw_per_a={
            asset_id: kw_per_a(connectors[asset_id]) for asset_id in device.assets if asset_id in connectors
        },
        opcua=opcua_access(source, ("devices", index, "opcua"), device.opcua, profile),
    )
    return _reached(binding, link_of(device))


def _reached(binding: DeviceBinding, link: Link) -> DeviceBinding:
    return replace(binding, host=getattr(link, "host", str(link)), port=getattr(link, "port", 0), link=link)
