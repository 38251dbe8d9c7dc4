"""``heliodock device capture`` and ``replay``: what an engineer saw on the wire, for somebody who is not there."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, write_json
from cli.terminal import Column, Table, fail, note, progress, say, show
from station.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from configs.load import LoadedSite
    from drivers.capture import Capture, Header
    from drivers.replay import Round
    from drivers.transport import Transport
    from station.links import Link
    from station.profile import DeviceBinding, Profile

CAPTURE_EXAMPLE = "Example: heliodock device capture SITE.yaml storage --out storage.capture --seconds 30"
REPLAY_EXAMPLE = "Example: heliodock device replay storage.capture --profile my-fix.yaml"
SHOWN_FAULTS = 20


def capture(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    device: Annotated[str, typer.Argument(metavar="DEVICE", show_default=False)],
    *,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where the capture goes.")],
    seconds: Annotated[float, typer.Option(metavar="N", min=0.0, help="For how long.")] = 10.0,
) -> None:
    """Read a device again and again, and keep every byte that passes in a file. Nothing is written to the device.

    The file holds no address and no secret; `heliodock device replay` shows it anywhere.
    """
    from cli.device import binding_of
    from configs.load import load_site

    check_targets(out)
    loaded = load_site(site)
    binding = binding_of(loaded, device)
    if not binding.profile.protocol.value.startswith("modbus"):
        raise ConfigError(
            str(site), 0, f"device {device}", f"{binding.profile.protocol} can't be captured; Modbus can"
        )
    try:
        with Path(out).open("w", encoding="utf-8") as file:
            counts = asyncio.run(_captured(loaded, binding, file, seconds))
    except OSError as refused:
        raise ConfigError(out, 0, "", f"cannot be written: {refused.strerror}") from None
    polls, frames, failed = counts
    say(f"{out}: {polls} rounds, {frames} frames, {failed} rounds failed")


async def _captured(
    loaded: "LoadedSite", binding: "DeviceBinding", file: TextIO, seconds: float
) -> tuple[int, int, int]:
    """Write the capture; return how many rounds, frames and failed rounds there were."""
    from drivers.capture import CapturedTransport, Event, What
    from drivers.connect import connect_devices, transport_over

    frames = 0

    def keep(event: Event) -> None:
        nonlocal frames
        frames += event.what in (What.SENT, What.GOT)
        file.write(f"{event.line()}\n")
        file.flush()

    made: list[CapturedTransport] = []

    def transport_to(link: "Link") -> "Transport":
        made.append(CapturedTransport(transport_over(link), keep))
        return made[-1]

    file.write(f"{_header(loaded, binding).line()}\n")
    (device,) = connect_devices([binding], {}, may_write=False, transport_to=transport_to)
    loop = asyncio.get_running_loop()
    began_s, polls, failed = loop.time(), 0, 0
    with progress([binding.device_id]) as told:
        while polls == 0 or loop.time() - began_s < seconds:
            made[0].poll()
            try:
                await device.read_points()
            except DriverError:
                failed += 1
            polls += 1
            told(binding.device_id, min((loop.time() - began_s) / max(seconds, 1e-9), 1.0))
            await asyncio.sleep(
                max(0.0, min(began_s + polls * binding.poll_s, began_s + seconds) - loop.time())
            )
    await device.close()
    return polls, frames, failed


def _header(loaded: "LoadedSite", binding: "DeviceBinding") -> "Header":
    from importlib.metadata import version

    from drivers.capture import Header
    from drivers.connect import is_rtu

    return Header(
        f"heliodock {version('heliodock')}",
        loaded.site.site_id,
        binding.device_id,
        binding.profile.profile_id,
        "rtu" if is_rtu(binding.via) else "tcp",
        binding.unit,
        binding.asset_ids,
        dict(binding.kw_per_a),
    )


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    *,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="P", help="Decode with this profile (an id or a file), not with that of the capture."
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Every round as JSON; - is standard output.")
    ] = None,
) -> None:
    """Decode a capture through the real driver, without a device: values, and what went wrong; 1 where anything did."""
    from drivers.capture import read_capture
    from drivers.replay import replay as replayed

    check_targets(json)
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            found = read_capture(str(file), lines)
    except OSError as refused:
        raise ConfigError(
            str(file), 0, "", f"cannot be read: {(refused.strerror or str(refused)).lower()}"
        ) from None
    known = _profile(profile or found.header.profile)
    rounds = asyncio.run(replayed(found, known))
    if json:
        write_json(json, _record(found, known, rounds))
    if json != STDOUT:
        _show(found, known, rounds)
    if _faults(rounds) or not rounds:
        raise typer.Exit(1)


def _profile(name: str) -> "Profile":
    from configs.problems import nearest
    from configs.profiles import load_profile, profile_ids

    if name.endswith((".yaml", ".yml")):
        return load_profile(Path(name))
    if name not in profile_ids():
        hint = nearest(name, list(profile_ids()))
        problem = f"no profile '{name}'; {hint}; one of your own is named by its file"
        raise ConfigError("--profile", 0, "", problem)
    return load_profile(name)


def _faults(rounds: "Sequence[Round]") -> list[tuple[str, str, str]]:
    return [
        (f"{exchange.at_s:.3f}", str(exchange), exchange.fault.cause)
        for its in rounds
        for exchange in its.exchanges
        if exchange.fault is not None
    ]


def _show(found: "Capture", profile: "Profile", rounds: "Sequence[Round]") -> None:
    from cli.point_words import quality, value_words

    header = found.header
    where = f"{header.device} of {header.site}, by {header.software}"
    say(f"{where}; decoded with {profile.profile_id}; {len(rounds)} rounds")
    if found.damaged:
        shown = ", ".join(map(str, found.damaged[:5]))
        note(f"{len(found.damaged)} lines can't be read and are left out: {shown}; a torn last one is usual")
    if not rounds:
        fail("the capture holds nothing")
        return
    rows = [
        (
            asset_id,
            name,
            *value_words(outcome),
            profile.points[name].unit,
            quality(outcome),
            _span(rounds, asset_id, name),
        )
        for asset_id, outcomes in rounds[-1].points.items()
        for name, outcome in outcomes.items()
    ]
    names = (Column("asset"), Column("point"), Column("value", True), Column("unit"), Column("quality"))
    show(
        Table((*names, Column("all rounds", rank=1)), rows, f"After the last round, {rounds[-1].at_s:.1f} s")
    )
    faults = _faults(rounds)
    if faults:
        columns = (Column("at s", True), Column("what"), Column("cause"))
        show(Table(columns, faults[:SHOWN_FAULTS], f"What went wrong, {len(faults)} times"))


def _span(rounds: "Sequence[Round]", asset_id: str, name: str) -> str:
    """Return between which values a point was in all rounds."""
    values = [value for its in rounds if isinstance(value := its.points[asset_id][name], float)]
    if not values:
        return ""
    low, high = min(values), max(values)
    return f"{low:.6g}" if low == high else f"{low:.6g} … {high:.6g}"


def _record(found: "Capture", profile: "Profile", rounds: "Sequence[Round]") -> dict[str, Any]:
    from cli.point_words import quality, value_data

    return {
        "site": found.header.site,
        "device": found.header.device,
        "profile": profile.profile_id,
        "software": found.header.software,
        "damaged_lines": list(found.damaged),
        "rounds": [
            {
                "at_s": round(its.at_s, 6),
                "faults": [
                    {"at_s": round(e.at_s, 6), "what": str(e), "cause": e.fault.cause}
                    for e in its.exchanges
                    if e.fault is not None
                ],
                "points": {
                    asset_id: {
                        name: {
                            "value": value_data(outcome),
                            "unit": profile.points[name].unit,
                            "quality": quality(outcome),
                        }
                        for name, outcome in outcomes.items()
                    }
                    for asset_id, outcomes in its.points.items()
                },
            }
            for its in rounds
        ],
    }
