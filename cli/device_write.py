"""``heliodock device write``: one value to one device, asked for, checked and read back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.running import ask, controller_kept_out
from cli.terminal import fail, note, say
from station.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from cli.field_write import Wanted
    from configs.load import LoadedSite
    from drivers.wire import Outcome
    from station.profile import DeviceBinding

EXAMPLE = "Example: heliodock device write SITE.yaml storage setpoint_kw -- -5"


def write(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    device: Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)],
    point: Annotated[str, typer.Argument(metavar="POINT", show_default=False)],
    value: Annotated[float, typer.Argument(metavar="VALUE", show_default=False)],
    *,
    asset: Annotated[
        str | None, typer.Option("--asset", metavar="ID", help="Which, where the device serves several.")
    ] = None,
    unit_as_device: Annotated[
        bool,
        typer.Option(
            "--unit-as-device",
            help="VALUE is in the device's own unit, as `device read` shows it; else as the point's name says "
            "(kW, s), power positive into the asset.",
        ),
    ] = False,
    wear: Annotated[
        bool, typer.Option("--wear", help="Write although the point is kept in memory that wears out.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The store; else SITE.store beside the site file.")
    ] = None,
) -> None:
    """Write one point: shows what the device holds, asks, writes, reads back. 1 where the device does not take it.

    Refused while a controller runs on the site, in local mode, beyond the nameplate, and for memory that wears out.
    A negative value comes after `--`.
    """
    from cli.device import binding_of, known_points
    from cli.field_write import wanted_of, write_one
    from configs.load import load_site

    loaded = load_site(site)
    binding = binding_of(loaded, device)
    known_points(binding, [point])
    wanted = wanted_of(binding, _asset(binding, asset), point, value, in_own_unit=unit_as_device)
    _check(loaded, wanted, is_worn=wear)

    def agreed(held: "Outcome") -> None:
        say(f"{_name(wanted)} holds {_shown(wanted, held)}")
        ask(f"Write {_shown(wanted, wanted.own_value)}?", is_agreed=yes)

    with controller_kept_out(site, store):
        try:
            done = write_one(wanted, agreed)
        except DriverError as failed:
            fail(f"{device}: {failed.cause}; nothing was written")
            raise typer.Exit(1) from None
    say(f"{_name(wanted)} holds {_shown(wanted, done.after)} now")
    if done.cause:
        fail(f"{device}: {done.cause}")
        raise typer.Exit(1)
    _tell_lease(loaded, wanted)


def _asset(binding: "DeviceBinding", asset_id: str | None) -> str:
    if asset_id in binding.asset_ids:
        return asset_id
    served = ", ".join(binding.asset_ids)
    if asset_id is not None:
        raise ConfigError("--asset", 0, "", f"{binding.device_id} serves {served}, not '{asset_id}'")
    if len(binding.asset_ids) > 1:
        raise ConfigError("--asset", 0, "", f"is needed: {binding.device_id} serves {served}")
    return binding.asset_ids[0]


def _check(loaded: "LoadedSite", wanted: "Wanted", *, is_worn: bool) -> None:
    """Refuse what would wear the device out, or lies beyond its nameplate."""
    name = wanted.point.name
    if getattr(wanted.point.write, "storage", "volatile") != "volatile" and not is_worn:
        raise ConfigError(
            "--wear", 0, "", f"is needed: {name} is kept in memory that wears out with each write"
        )
    known = loaded.site.by_id.get(wanted.asset_id)
    if known is None or name not in ("setpoint_kw", "fallback_kw"):
        return
    if not known.nameplate.holds(wanted.value, 1e-6):
        low_kw, high_kw = known.nameplate.min_kw, known.nameplate.max_kw
        problem = (
            f"{wanted.value:g} kW is beyond the nameplate of {wanted.asset_id}, {low_kw:g} to {high_kw:g} kW"
        )
        raise ConfigError("VALUE", 0, "", problem)


def _tell_lease(loaded: "LoadedSite", wanted: "Wanted") -> None:
    known = loaded.site.by_id.get(wanted.asset_id)
    if known is not None and wanted.point.name == "setpoint_kw":
        note(f"the setpoint ends with its lease; then {wanted.asset_id} goes to its fallback")


def _name(wanted: "Wanted") -> str:
    return f"{wanted.asset_id}.{wanted.point.name}"


def _shown(wanted: "Wanted", held: "Outcome") -> str:
    """Return a value in the device's unit, and as heliodock counts where that differs."""
    from drivers import codec

    if isinstance(held, DriverError):
        return f"nothing readable ({held.cause})"
    if not isinstance(held, float):
        return "no value" if held is None else str(held)
    point, kw_per_a = wanted.point, wanted.binding.kw_per_a.get(wanted.asset_id, 0.0)
    own = f"{held:.10g} {point.unit}".strip()
    inside = codec.to_canonical(point, held, kw_per_a)
    return own if inside == held else f"{own} ({inside:.6g}{_unit(point.name)})"


def _unit(name: str) -> str:
    ends = {"_kwh": " kWh", "_kw": " kW", "_s": " s", "_a": " A"}
    return next((unit for end, unit in ends.items() if name.endswith(end)), "")
