"""``heliodock device scan``: what answers at an address that is named. Nothing is written, and no network is swept."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, write_json
from cli.terminal import Column, Table, fail, note, progress, say, show
from station.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.scan import SunSpec, Unit
    from drivers.scan_opcua import Server
    from station.profile import Profile

EXAMPLE = "Example: heliodock device scan 10.0.0.5 --port 502 --units 1-16"
TIMEOUT_S = 0.5
PORTS = (502, 4840)
SHOWN_LIKES = 3


def scan(
    hosts: Annotated[list[str], typer.Argument(metavar="HOST ...", show_default=False)],
    *,
    port: Annotated[
        list[int] | None,
        typer.Option("--port", metavar="N", min=1, max=65535, help="May be repeated; else 502 and 4840."),
    ] = None,
    units: Annotated[str, typer.Option(metavar="RANGE", help="Modbus unit ids: 1-16, or 1,3,247.")] = "1-16",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.05, help="How long a unit may take to answer.")
    ] = TIMEOUT_S,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="What was found as JSON; - is standard output."),
    ] = None,
) -> None:
    """Ask the named hosts, one short read at a time, which units answer and what they look like; 1 where none does."""
    from configs.profiles import load_profile, profile_ids

    check_targets(json)
    numbers = _numbers(units)
    profiles = [load_profile(profile_id) for profile_id in profile_ids()]
    places = [(host, number) for host in hosts for number in port or PORTS]
    found = asyncio.run(_scanned(places, numbers, profiles, timeout))
    if json:
        write_json(json, [its.record() for its in found])
    if json != STDOUT:
        for its in found:
            its.show()
    if not any(its.units or its.server for its in found):
        fail("nothing answers")
        raise typer.Exit(1)


class Place:
    """One address and what was found there."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.units: list[Unit] = []
        self.server: Server | None = None
        self.causes: list[str] = []
        self.answers_every_unit = False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def record(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "host": self.host,
            "port": self.port,
            "units": [asdict(its) for its in self.units],
            "answers_every_unit": self.answers_every_unit,
            "opcua": asdict(self.server) if self.server else None,
            "causes": self.causes,
        }

    def show(self) -> None:
        """Print it."""
        if self.units:
            self._show_units()
        if self.server:
            self._show_server(self.server)
        if not self.units and not self.server:
            note(f"{self}: {'; '.join(self.causes)}")

    def _show_units(self) -> None:
        rows = [(str(its.unit), its.said, _sunspec(its.sunspec), _likes(its)) for its in self.units]
        names = (Column("unit", True), Column("said"), Column("SunSpec"), Column("looks like"))
        show(Table(names, rows, f"{self}, Modbus"))
        if self.answers_every_unit:
            note(
                f"{self} answers to every unit id that was asked: it does not look at it, or a gateway answers for all"
            )

    def _show_server(self, server: "Server") -> None:
        rows = [(its.policy, its.mode, " ".join(its.users)) for its in server.endpoints]
        show(
            Table((Column("policy"), Column("mode"), Column("users")), rows, f"{self}, OPC UA, {server.name}")
        )
        for uri in server.namespaces:
            say(f"namespace {uri}")


def _sunspec(block: "SunSpec | None") -> str:
    if block is None:
        return ""
    words = (
        block.maker,
        block.model,
        block.version and f"firmware {block.version}",
        block.serial and f"serial {block.serial}",
    )
    return f"at {block.base}: {' '.join(word for word in words if word)}"


def _likes(unit: "Unit") -> str:
    likes = unit.looks_like[:SHOWN_LIKES]
    return ", ".join(
        f"{its.profile_id} ({its.points} points, {its.telling} of them telling)" for its in likes
    )


def _numbers(text: str) -> list[int]:
    """Return the unit ids that a text such as ``1-16,247`` names; raise ``ConfigError``."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or last.isdecimal() is not bool(dash):
            raise ConfigError(
                "--units", 0, "", f"unit ids such as 1-16 or 1,3,247 are expected, not '{text[:40]}'"
            )
        numbers += range(int(first), int(last or first) + 1)
    if not numbers or max(numbers) > 255:
        raise ConfigError("--units", 0, "", f"unit ids are 0 to 255, not '{text[:40]}'")
    return list(dict.fromkeys(numbers))


async def _scanned(
    places: "Sequence[tuple[str, int]]",
    numbers: "Sequence[int]",
    profiles: "Sequence[Profile]",
    timeout_s: float,
) -> list[Place]:
    found = [Place(host, port) for host, port in places]
    with progress([str(its) for its in found]) as told:
        for its in found:
            await _modbus(its, numbers, profiles, timeout_s, told)
            if not its.units and not any(cause.startswith("no connection") for cause in its.causes):
                await _opcua(its, timeout_s)
            told(str(its), 1.0)
    return found


async def _modbus(
    place: Place,
    numbers: "Sequence[int]",
    profiles: "Sequence[Profile]",
    timeout_s: float,
    told: "Callable[[str, float], None]",
) -> None:
    from drivers.modbus import ModbusLink, Pace
    from drivers.scan import Scanner
    from drivers.transport import SocketTransport

    link = ModbusLink(SocketTransport(place.host, place.port), Pace(gap_s=0.02, back_off_s=0.0))
    scanner = Scanner(link, timeout_s)
    fitting = [its for its in profiles if its.protocol.value.startswith("modbus")]
    try:
        present = []
        for done, number in enumerate(numbers):
            unit = await scanner.find(number)
            present += [unit] if unit is not None else []
            told(str(place), 0.5 * (done + 1) / len(numbers))
        place.answers_every_unit = len(present) == len(numbers) > 3
        looked_at = present[:1] if place.answers_every_unit else present
        for done, unit in enumerate(looked_at):
            place.units.append(await scanner.look(unit, fitting))
            told(str(place), 0.5 + 0.5 * (done + 1) / len(looked_at))
        if not present:
            place.causes.append("connects, and no Modbus unit answers")
    except DriverError as failed:
        place.causes.append(failed.cause)
    finally:
        link.close()


async def _opcua(place: Place, timeout_s: float) -> None:
    from drivers.scan_opcua import scan_server

    try:
        place.server = await scan_server(place.host, place.port, max(timeout_s, 1.0))
    except DriverError as failed:
        place.causes.append(failed.cause)
