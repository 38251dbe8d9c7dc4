"""``heliodock device watch``: the points of a site as they change. Nothing is written to a device."""

import asyncio
import csv
import json as jsonlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from cli.paths import check_targets
from cli.point_words import quality, value_data, value_words
from station.errors import ConfigError, DriverError

if TYPE_CHECKING:
    from rich.table import Table

    from cli.watching import Watched
    from drivers.device import Device
    from drivers.wire import Outcome
    from station.profile import DeviceBinding

EXAMPLE = "Example: heliodock device watch SITE.yaml storage power_kw soc --csv storage.csv"
DEADLINE_S = 3.0
HEAD = ("time", "device", "asset", "point", "value", "unit", "quality")


def watch(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    device: Annotated[str | None, typer.Argument(metavar="[DEVICE]", show_default=False)] = None,
    points: Annotated[list[str] | None, typer.Argument(metavar="[POINT ...]", show_default=False)] = None,
    *,
    every: Annotated[
        float | None,
        typer.Option("--every", metavar="S", min=0.1, help="Look so often; else each device's poll_s."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="N", help="End after so long.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One line of JSON for each change, as it comes.")
    ] = False,
    csv_file: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Every value that is read, as rows of a file.")
    ] = None,
) -> None:
    """Show the points of one device or of all, until Ctrl-C: a live table, or a line for each change in a pipe."""
    from cli.device import binding_of, known_points
    from configs.load import load_site

    check_targets(csv_file)
    loaded = load_site(site)
    bindings = list(loaded.devices) if device is None else [binding_of(loaded, device)]
    if not bindings:
        raise ConfigError(str(site), 0, "devices", "this site has no devices to watch")
    names = known_points(bindings[0], points) if points else None
    with ExitStack() as files:
        file = files.enter_context(_opened(csv_file)) if csv_file else None
        view = _View(bindings, as_json=json, rows=file)
        asyncio.run(_watched(bindings, names, view, every, seconds))


def _opened(name: str) -> TextIO:
    try:
        return Path(name).open("w", encoding="utf-8", newline="")
    except OSError as refused:
        raise ConfigError(name, 0, "", f"cannot be written: {refused.strerror}") from None


async def _watched(
    bindings: Sequence["DeviceBinding"],
    names: Sequence[str] | None,
    view: "_View",
    every_s: float | None,
    seconds: float | None,
) -> None:
    from cli.stopping import stop_on_signals
    from drivers.connect import connect_devices

    devices = connect_devices(bindings, {}, may_write=False)
    with stop_on_signals() as stop:
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        async with view.shown():
            tasks = [asyncio.create_task(_follow(its, names, view, every_s)) for its in devices]
            await stop.wait()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    for its in devices:
        await its.close()


async def _follow(
    device: "Device", names: Sequence[str] | None, view: "_View", every_s: float | None
) -> None:
    """Read one device again and again; a device that fails is shown as such."""
    period_s = every_s or device.binding.poll_s
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        view.take(device.binding, await _read(device, names))
        await asyncio.sleep(max(0.0, began_s + period_s - loop.time()))


async def _read(device: "Device", names: Sequence[str] | None) -> "dict[str, dict[str, Outcome]]":
    wanted = names or list(device.binding.profile.points)
    failed: DriverError
    try:
        async with asyncio.timeout(DEADLINE_S):
            answer = await device.read_points()
        return {asset_id: {name: its[name] for name in wanted} for asset_id, its in answer.items()}
    except DriverError as its:
        failed = its
    except TimeoutError:
        failed = DriverError(device.device_id, f"no full answer within {DEADLINE_S:g} s")
    return {asset_id: dict.fromkeys(wanted, failed) for asset_id in device.binding.asset_ids}


class _View:
    """Where what is read goes: a live table, lines, JSON; and rows of a file."""

    def __init__(self, bindings: Sequence["DeviceBinding"], *, as_json: bool, rows: TextIO | None) -> None:
        from cli.watching import Watched

        self.watched: Watched = Watched()
        self._units = {a: b for b in bindings for a in b.asset_ids}
        self._as_json = as_json
        self._is_live = sys.stdout.isatty() and not as_json
        self._rows = csv.writer(rows) if rows else None
        if self._rows:
            self._rows.writerow(HEAD)

    def take(self, binding: "DeviceBinding", points: "Mapping[str, Mapping[str, Outcome]]") -> None:
        """Show an answer."""
        at, now_s = datetime.now(UTC), asyncio.get_running_loop().time()
        changed = set(self.watched.add(now_s, points))
        for asset_id, outcomes in points.items():
            for name, outcome in outcomes.items():
                row = (at, binding, asset_id, name, outcome)
                if self._rows:
                    self._rows.writerow(_texts(*row))
                if (asset_id, name) in changed and not self._is_live:
                    self._print(*row)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Draw the live table inside the block, where there is a terminal."""
        if not self._is_live:
            yield
            return
        from rich.live import Live

        with Live(self._table(), refresh_per_second=4, transient=False, get_renderable=self._table):
            yield

    def _print(
        self, at: datetime, binding: "DeviceBinding", asset_id: str, name: str, outcome: "Outcome"
    ) -> None:
        texts = _texts(at, binding, asset_id, name, outcome)
        if self._as_json:
            record = {**dict(zip(HEAD, texts, strict=True)), "value": value_data(outcome)}
            print(jsonlib.dumps(record, ensure_ascii=False), flush=True)
            return
        time, _, asset, point, value_text, unit, quality = texts
        told = f"{value_text} {unit}".strip() if quality == "good" else quality
        print(f"{time}  {asset}.{point}  {told}", flush=True)

    def _table(self) -> "Table":
        return table_of(self.watched, self._units, asyncio.get_running_loop().time())


def table_of(watched: "Watched", bindings: Mapping[str, "DeviceBinding"], now_s: float) -> "Table":
    """Return the live table at a moment of the event loop."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, is_number in (
        ("asset", 0),
        ("point", 0),
        ("value", 1),
        ("unit", 0),
        ("age s", 1),
        ("per s", 1),
    ):
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    table.add_column("quality")
    table.add_column("lately", no_wrap=True, overflow="crop")
    for (asset_id, name), course in watched.courses.items():
        age_s, rate = course.age_s(now_s), course.rate_per_s()
        said = quality(course.outcome)
        table.add_row(
            asset_id,
            name,
            *value_words(course.outcome),
            bindings[asset_id].profile.points[name].unit,
            "" if age_s is None else f"{age_s:.1f}",
            "" if rate is None else f"{rate:+.3g}",
            Text(said, style="" if said == "good" else "yellow"),
            course.curve(),
        )
    return table


def _texts(
    at: datetime, binding: "DeviceBinding", asset_id: str, name: str, outcome: "Outcome"
) -> tuple[str, ...]:
    unit = binding.profile.points[name].unit
    time = at.isoformat(timespec="milliseconds")
    return time, binding.device_id, asset_id, name, *value_words(outcome), unit, quality(outcome)
