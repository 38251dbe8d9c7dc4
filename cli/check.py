"""``heliodock check``: is this site fit to run?"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.device_certificate import certificate_faults
from cli.terminal import Column, Table, fail, note, say, show
from cli.twin_input import TwinWords, twin_run
from station.assets import Asset, BaseLoad, Battery, Connector, GridMeter, PvPlant
from station.limits import CurrentLimit, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.load import LoadedSite
    from station.topology import LimitNode, Site


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock check configs/stations/demo.yaml --connect")(check)


def check(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml|TARIFF.yaml", show_default=False)],
    connect: Annotated[
        bool, typer.Option("--connect", help="Read every point of every device once; nothing is written.")
    ] = False,
) -> None:
    """Validate a site with its tariff, profiles and the twin's data; 2 where it can't run, 1 where a device fails.

    A tariff file is told by its `seasons` and checked by itself.
    """
    from configs.load import load_site
    from configs.tariff_file import is_tariff_file

    if is_tariff_file(site):
        from cli.check_tariff import check_tariff

        check_tariff(site)
        return
    loaded = load_site(site)
    if loaded.twin.series is not None and loaded.twin.first_day is not None:
        twin_run(loaded, TwinWords())
    _show_site(loaded)
    problems = loaded.site.fallback_problems
    for problem in problems:
        fail(f"{site}: limits: {problem}")
    if problems:
        raise typer.Exit(2)
    faults = [*_room_faults(site, loaded), *certificate_faults(loaded, datetime.now(UTC))]
    for fault in faults:
        fail(fault)
    if faults:
        raise typer.Exit(1)
    say(f"{site}: fit to run; all fallbacks together with the base load stay below every limit", "green")
    if connect:
        from cli.check_devices import check_devices

        check_devices(loaded)


def _room_faults(file: Path, loaded: "LoadedSite") -> "Iterator[str]":
    """Tell of devices that are always booked at their rating; yield the limits that this alone fills."""
    from cli.check_guards import full_limits, unguarded

    at_rating = unguarded(loaded)
    for asset_id, why in at_rating.items():
        rating = loaded.site.by_id[asset_id].nameplate
        note(
            f"{asset_id}: {why}, so it is booked at its rating, {rating.min_kw:g} to {rating.max_kw:g} kW, at all times"
        )
    for problem in full_limits(loaded.site, at_rating):
        yield f"{file}: limits: nothing could be granted: {problem}"


def _show_site(loaded: "LoadedSite") -> None:
    site = loaded.site
    say(f"site {site.site_id} · {site.timezone} · tariff {site.tariff.tariff_id} ({site.tariff.currency})")
    show(Table((Column("asset"), Column("kind"), Column("what")), list(_asset_rows(site)), "Assets"))
    unfinished = site.tariff.provenance.warning(site.tariff.tariff_id)
    if unfinished:
        note(unfinished)
    limits = [row for node in site.nodes for row in _limit_rows(node, len(site.members_below(node.node_id)))]
    names = (Column("node"), Column("parent"), Column("limit"), Column("bound"), Column("assets", True, 2))
    show(Table((*names, Column("source", rank=1)), limits, "Limits"))
    if loaded.devices:
        show(device_table(loaded))
    else:
        say("no devices: for the twin only")


def device_table(loaded: "LoadedSite") -> Table:
    """Return the devices of a site, one per row."""
    names = ("device", "profile", "protocol", "address", "assets")
    columns = (*(Column(name) for name in names), Column("verified", rank=1))
    rows = [
        (
            binding.device_id,
            binding.profile.profile_id,
            binding.profile.protocol.value,
            f"{binding.via} unit {binding.unit}"
            if binding.profile.protocol.value.startswith("modbus")
            else str(binding.via),
            " ".join(binding.asset_ids),
            binding.profile.verified,
        )
        for binding in loaded.devices
    ]
    return Table(columns, rows, "Devices")


def _asset_rows(site: "Site") -> "Iterator[tuple[str, str, str]]":
    singles: tuple[Asset, ...] = (site.meter, site.base_load, *site.batteries, *site.pv_plants)
    for asset in singles:
        yield asset.asset_id, *_words(asset)
    groups: dict[tuple[str, str], list[str]] = {}
    for connector in site.connectors:
        groups.setdefault(_words(connector), []).append(connector.asset_id)
    for words, ids in groups.items():
        yield (ids[0] if len(ids) == 1 else f"{ids[0]} … {ids[-1]}, {len(ids)} of them"), *words


def _words(asset: Asset) -> tuple[str, str]:
    """Return an asset's kind and nameplate; connectors of the same words are one row."""
    match asset:
        case GridMeter():
            return "grid meter", f"lag {asset.lag_s:g} s"
        case BaseLoad():
            return (
                "base load",
                f"{asset.min_kw:g} to {asset.max_kw:g} kW, grows at most {asset.growth_kw:g} kW",
            )
        case Battery():
            power = f"+{asset.max_charge_kw:g} / −{asset.max_discharge_kw:g} kW"
            return (
                "battery",
                f"{asset.capacity_kwh:g} kWh, {power}, SoC {asset.soc_min:.0%} to {asset.soc_max:.0%}",
            )
        case PvPlant():
            return "pv", f"{asset.rated_kw:g} kW"
        case Connector():
            power = f"{asset.min_kw:g} to {asset.max_kw:g} kW, {len(asset.phases)}-phase"
            return f"{asset.kind.value} connector", f"{power}, fallback {asset.fallback_kw:g} kW"


def _limit_rows(node: "LimitNode", below: int) -> "Iterator[tuple[str, ...]]":
    for limit in node.limits:
        yield node.node_id, node.parent_id or "", *_bound(limit), str(below), limit.source


def _bound(limit: Limit) -> tuple[str, str]:
    if isinstance(limit, CurrentLimit):
        return "current", f"{limit.continuous_a:g} A per phase"
    text = f"{limit.continuous_kw:g} kW"
    if limit.short_time_s:
        text += f", {limit.short_time_kw:g} kW for {limit.short_time_s:g} s"
    return f"{limit.limit_class} {limit.direction}", text
