"""``heliodock device``: the devices of a site, and what they say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import device_capture, device_certificate, device_scan, device_selftest, device_watch, device_write
from cli.arguments import STDOUT
from cli.paths import check_targets, write_json
from cli.terminal import Column, Table, busy, fail, say, show
from station.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.field import DeviceAnswer
    from configs.load import LoadedSite
    from station.profile import DeviceBinding


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        help="Commissioning: find, read, write, watch and test the devices of a site.", no_args_is_help=True
    )
    group.command("list", epilog="Example: heliodock device list configs/stations/demo.yaml")(list_devices)
    read_example = "Example: heliodock device read configs/stations/demo.yaml storage soc power_kw"
    group.command("read", epilog=read_example)(read_device)
    group.command("scan", epilog=device_scan.EXAMPLE)(device_scan.scan)
    group.command("write", epilog=device_write.EXAMPLE)(device_write.write)
    group.command("watch", epilog=device_watch.EXAMPLE)(device_watch.watch)
    group.command("selftest", epilog=device_selftest.EXAMPLE)(device_selftest.selftest)
    group.command("capture", epilog=device_capture.CAPTURE_EXAMPLE)(device_capture.capture)
    group.command("replay", epilog=device_capture.REPLAY_EXAMPLE)(device_capture.replay)
    group.command("certificate", epilog=device_certificate.CERTIFICATE_EXAMPLE)(
        device_certificate.certificate
    )
    group.command("pin", epilog=device_certificate.PIN_EXAMPLE)(device_certificate.pin)
    app.add_typer(group, name="device")


def list_devices(
    site: Annotated[Path | None, typer.Argument(metavar="SITE.yaml", show_default=False)] = None,
    *,
    profiles: Annotated[bool, typer.Option("--profiles", help="The device profiles that are known.")] = False,
) -> None:
    """List the devices of a site, or the profiles that come with heliodock."""
    if profiles:
        show(_profile_table())
        return
    if site is None:
        raise ConfigError("SITE.yaml", 0, "", "is needed; or --profiles")
    from cli.check import device_table
    from configs.load import load_site

    loaded = load_site(site)
    if not loaded.devices:
        say(f"{site}: no devices; the site is for the twin only")
        return
    show(device_table(loaded))


def read_device(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    device: Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)],
    points: Annotated[list[str] | None, typer.Argument(metavar="[POINT ...]", show_default=False)] = None,
    *,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="The values as JSON; - is standard output.")
    ] = None,
) -> None:
    """Read a device once, all its points or those named; 1 where it fails. Nothing is written to it."""
    from cli.field import read_devices
    from configs.load import load_site

    check_targets(json)
    binding = binding_of(load_site(site), device)
    names = known_points(binding, points or [])
    with busy(f"reading {device}"):
        answer = read_devices([binding])[0].only(names)
    if json:
        write_json(json, _record(answer))
    if json != STDOUT and not answer.cause:
        _show(answer)
    if not answer.is_good:
        fail(f"{device}: {answer.cause or 'not every point could be read'}")
        raise typer.Exit(1)


def binding_of(loaded: "LoadedSite", device_id: str) -> "DeviceBinding":
    """Return a device of a site; raise ``ConfigError`` where there is none of that id."""
    from configs.problems import nearest

    for binding in loaded.devices:
        if binding.device_id == device_id:
            return binding
    hint = nearest(device_id, [binding.device_id for binding in loaded.devices])
    raise ConfigError(str(loaded.file), 0, "devices", f"no device '{device_id}'; {hint}")


def known_points(binding: "DeviceBinding", names: "Sequence[str]") -> list[str]:
    """Return the named points of a device, or all; raise ``ConfigError`` where it has one of them not."""
    from configs.problems import nearest

    known = list(binding.profile.points)
    for name in names:
        if name not in known:
            profile_id = binding.profile.profile_id
            raise ConfigError(profile_id, 0, "points", f"no point '{name}'; {nearest(name, known)}")
    return list(names) or known


def _show(answer: "DeviceAnswer") -> None:
    from cli.point_words import quality, value_words

    many = len(answer.binding.asset_ids) > 1
    rows = [
        (
            *((asset_id,) if many else ()),
            name,
            *value_words(outcome),
            answer.unit(name),
            quality(outcome),
            answer.age,
        )
        for asset_id, outcomes in answer.points.items()
        for name, outcome in outcomes.items()
    ]
    first = (Column("asset"),) if many else ()
    rest = (Column("point"), Column("value", True), Column("unit"), Column("quality"), Column("age s", True))
    show(Table((*first, *rest), rows))


def _record(answer: "DeviceAnswer") -> dict[str, Any]:
    from cli.point_words import quality, value_data

    return {
        "device": answer.binding.device_id,
        "cause": answer.cause or None,
        "assets": {
            asset_id: {
                name: {
                    "value": value_data(outcome),
                    "unit": answer.unit(name),
                    "quality": quality(outcome),
                    "age_s": round(answer.age_s, 3),
                }
                for name, outcome in outcomes.items()
            }
            for asset_id, outcomes in answer.points.items()
        },
    }


def _profile_table() -> Table:
    from configs.profiles import load_profile, profile_ids

    loaded = [load_profile(profile_id) for profile_id in profile_ids()]
    names = ("profile", "protocol", "kind", "points", "verified")
    columns = (*(Column(name, name == "points") for name in names), Column("source", rank=1))
    rows = [
        (its.profile_id, its.protocol.value, its.kind, str(len(its.points)), its.verified, its.source)
        for its in loaded
    ]
    return Table(columns, rows)
