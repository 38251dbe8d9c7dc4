"""``heliodock store why``: what an asset was told at a minute, and what stood in its way."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cli.arguments import STDOUT, moment_of
from cli.paths import check_targets, write_json
from cli.terminal import Column, Table, say, show
from station.errors import ConfigError

if TYPE_CHECKING:
    from northbound.reader import AlarmSeen, StoreReader
    from northbound.rows import CommandRow
    from station.request import Request

MINUTE = timedelta(minutes=1)
BEFORE = timedelta(minutes=10)
"""Commands of so long before the minute are shown, and the last one before them."""

OF_ASSET = ("power_kw", "setpoint_kw", "planned_kw", "soc", "quality", "age_s")
OF_STATION = ("grid_kw", "allowed_kw", "limit_kw", "charging_kw", "pv_kw", "battery_kw", "support_kw")


def why(
    store: Annotated[Path, typer.Argument(metavar="STORE", show_default=False)],
    asset: Annotated[str, typer.Argument(metavar="ASSET", show_default=False)],
    time: Annotated[str, typer.Argument(metavar="TIME", show_default=False)],
    *,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="The same as JSON; - is standard output.")
    ] = None,
) -> None:
    """Show what an asset did in a minute, what it was told, why, and what alarms and wishes stood.

    TIME is local (2026-03-01T14:03) where a site file is named; else it ends in Z or an offset.
    """
    import sqlite3

    from cli.store import directory_of, zone_of
    from northbound.reader import StoreReader

    check_targets(json)
    zone = zone_of(store)
    at = _minute(time, zone, is_local=store.suffix in (".yaml", ".yml"))
    try:
        with StoreReader(directory_of(store)) as reader:
            names = _names(reader, asset, str(store))
            values = {name: _mean(reader, name, at) for name in names}
            commands = _commands(reader, asset, at)
            alarms = [alarm for alarm in reader.alarms() if _stood(alarm, at)]
            wishes = reader.requests_in_force(at)
    except sqlite3.Error as broken:
        raise ConfigError(str(store), 0, "", f"cannot be read: {broken}") from None
    if json:
        write_json(json, _record(asset, at, values, commands, alarms, wishes))
    if json != STDOUT:
        say(f"{asset} at {at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})")
        _show(values, commands, ZoneInfo(zone))
        _tell(alarms, wishes, ZoneInfo(zone))


def _minute(text: str, zone: str, *, is_local: bool) -> datetime:
    """Return the start of the minute that is meant, in UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is not None and at.tzinfo is None and is_local and len(text) > len("2019-09-02"):
        text = at.replace(tzinfo=ZoneInfo(zone)).isoformat()
    return moment_of("TIME", text, zone).replace(second=0, microsecond=0)


def _names(reader: "StoreReader", asset: str, store: str) -> list[str]:
    """Return the signals to show; raise ``ConfigError`` for an asset that the store does not know."""
    from configs.problems import nearest

    known = reader.signals()
    assets = sorted({name.partition(".")[0] for name in known if "." in name} - {"loop", "plan"})
    if asset not in assets:
        raise ConfigError(store, 0, "ASSET", f"no asset '{asset}'; {nearest(asset, assets)}")
    own = [f"{asset}.{name}" for name in OF_ASSET]
    return [name for name in (*own, *OF_STATION) if name in known]


def _mean(reader: "StoreReader", signal: str, at: datetime) -> float | None:
    """Return the mean of what was measured in the minute; None where nothing was."""
    import math

    values = [value for _, value in reader.values(signal, at, at + MINUTE) if not math.isnan(value)]
    return sum(values) / len(values) if values else None


def _commands(reader: "StoreReader", asset: str, at: datetime) -> "list[CommandRow]":
    """Return the commands that led to the minute, the newest first."""
    end_at = at + MINUTE
    found = [row for row in reader.commands(at - BEFORE, end_at) if row.asset_id == asset]
    if not any(row.at <= at for row in found):
        earlier = [
            row for row in reader.commands(at - timedelta(days=1), at - BEFORE) if row.asset_id == asset
        ]
        found = earlier[-1:] + found
    return found[::-1]


def _stood(alarm: "AlarmSeen", at: datetime) -> bool:
    return alarm.raised_at < at + MINUTE and (alarm.cleared_at is None or alarm.cleared_at >= at)


def _show(values: Mapping[str, float | None], commands: "Sequence[CommandRow]", zone: ZoneInfo) -> None:
    rows = [(name, "" if value is None else f"{value:.2f}") for name, value in values.items()]
    show(Table((Column("signal, mean of the minute"), Column("value", True)), rows))
    names = (("time", False), ("power kW", True), ("lease s", True), ("room", False), ("why", False))
    told = [
        (
            f"{row.at.astimezone(zone):%m-%d %H:%M:%S}",
            "" if row.power_kw is None else f"{row.power_kw:.2f}",
            "" if row.lease_s is None else f"{row.lease_s:.0f}",
            "makes room" if row.makes_room else "",
            "; ".join(row.reasons) or "follows the plan",
        )
        for row in commands
    ]
    columns = tuple(Column(name, is_number) for name, is_number in names)
    show(Table(columns, told, title="commands that changed something, newest first"))


def _tell(alarms: "Sequence[AlarmSeen]", wishes: "Sequence[Request]", zone: ZoneInfo) -> None:
    for alarm in alarms:
        say(f"alarm since {alarm.raised_at.astimezone(zone):%m-%d %H:%M:%S}: {alarm.alarm}")
    for wish in wishes:
        low, high = wish.interval.min_kw, wish.interval.max_kw
        span = f"at most {high:g} kW" if not wish.asset_id else f"{low:g} to {high:g} kW"
        whom = f" for {wish.asset_id}" if wish.asset_id else ""
        until = f"{wish.expires_at.astimezone(zone):%m-%d %H:%M:%S}"
        say(f"wish {wish.request_id} of {wish.owner}: {wish.kind.value}{whom}, {span}, until {until}")


def _record(
    asset: str,
    at: datetime,
    values: Mapping[str, float | None],
    commands: "Sequence[CommandRow]",
    *stood: "Sequence[Any]",
) -> dict[str, Any]:
    alarms, wishes = stood
    return {
        "asset": asset,
        "at": at.isoformat(),
        "values": dict(values),
        "commands": [
            {
                "at": row.at.isoformat(),
                "power_kw": row.power_kw,
                "lease_s": row.lease_s,
                "makes_room": row.makes_room,
                "reasons": list(row.reasons),
            }
            for row in commands
        ],
        "alarms": [{"alarm": its.alarm, "raised_at": its.raised_at.isoformat()} for its in alarms],
        "requests": [
            {
                "request_id": its.request_id,
                "kind": its.kind.value,
                "owner": its.owner,
                "asset_id": its.asset_id or None,
                "min_kw": its.interval.min_kw,
                "max_kw": its.interval.max_kw,
                "expires_at": its.expires_at.isoformat(),
            }
            for its in wishes
        ],
    }
