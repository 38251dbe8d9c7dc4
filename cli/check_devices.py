"""What ``heliodock check --connect`` finds: every point of every device, watchdogs, clocks. Nothing is written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from cli.field import DeviceAnswer, read_devices
from cli.point_words import quality, value_words
from cli.terminal import Column, Table, busy, fail, note, say, show
from controller.leases import lease_s
from drivers import codec
from station.errors import DriverError

if TYPE_CHECKING:
    from configs.load import LoadedSite
    from station.profile import DeviceBinding, Point
    from station.topology import Site

CLOCK = "clock_at"
"""A point of this name is the device's own clock."""

SKEW_S = 5.0
"""A clock that is off by more is a fault: schedules and time stamps of the device mean something else than ours."""


def check_devices(loaded: "LoadedSite") -> None:
    """Read every device once and tell what was found; leave with 1 where something is wrong."""
    with busy("reading every device"):
        answers = read_devices(loaded.devices)
    now_at = datetime.now(UTC)
    _show_points(answers)
    guards = [row for answer in answers for row in guard_rows(answer, loaded.site)]
    _show_guards(guards)
    faults = [*_faults(answers), *(text for row in guards for text in row.faults)]
    faults += [text for answer in answers for text in clock_faults(answer, now_at)]
    for text in faults:
        fail(text)
    failed = [answer.binding.device_id for answer in answers if not answer.is_good]
    if failed:
        fail(f"{len(failed)} of {len(answers)} devices failed: {', '.join(failed)}")
    if faults or failed:
        raise typer.Exit(1)
    say(f"all {len(answers)} devices answered", "green")


def _show_points(answers: Sequence[DeviceAnswer]) -> None:
    columns = (
        *(Column(name) for name in ("device", "asset", "point")),
        Column("value", True),
        Column("unit"),
        Column("group", rank=2),
        Column("age s", True, rank=1),
        Column("quality"),
    )
    show(Table(columns, [row for answer in answers for row in point_rows(answer)], "Points"))


def point_rows(answer: DeviceAnswer) -> Sequence[tuple[str, ...]]:
    """Return a row for each point of a device; one row with the cause where it gave nothing at all."""
    device_id = answer.binding.device_id
    if answer.cause:
        return [(device_id, " ".join(answer.binding.asset_ids), "", "", "", "", "", answer.cause)]
    return [
        (
            device_id,
            asset_id,
            name,
            *value_words(outcome),
            answer.unit(name),
            answer.binding.profile.points[name].group,
            answer.age,
            quality(outcome),
        )
        for asset_id, outcomes in answer.points.items()
        for name, outcome in outcomes.items()
    ]


def _faults(answers: Sequence[DeviceAnswer]) -> Iterator[str]:
    """Yield the points that gave nothing at devices that answer."""
    for answer in answers:
        for asset_id, outcomes in answer.points.items():
            for name, outcome in outcomes.items():
                if isinstance(outcome, DriverError):
                    yield f"{answer.binding.device_id}: {asset_id}.{name}: {outcome.cause}"


@dataclass(frozen=True, slots=True)
class GuardRow:
    """What a device does when it hears nothing: as it is set now, and as the site wants it."""

    asset_id: str
    held: str
    wanted: str
    said: str
    faults: tuple[str, ...] = ()


def guard_rows(answer: DeviceAnswer, site: "Site") -> Iterator[GuardRow]:
    """Yield how each controllable asset's watchdog is set; the control process sets it at its start."""
    if answer.cause:
        return
    for asset_id, outcomes in answer.points.items():
        asset = site.by_id.get(asset_id)
        if asset is None:
            continue
        wanted_s = lease_s(asset, site.control)
        wanted = f"{wanted_s:g} s, then {asset.fallback_kw:g} kW"
        watchdog = answer.binding.profile.watchdog
        if watchdog is None:
            yield GuardRow(asset_id, "", wanted, "the profile has no watchdog: it counts with its rating")
            continue
        names = (watchdog.timeout_point, watchdog.fallback_point)
        values = [_canonical(answer.binding, asset_id, name, outcomes.get(name)) for name in names]
        if values[0] is None or values[1] is None:
            fault = f"{answer.binding.device_id}: {asset_id}: its watchdog can't be read"
            yield GuardRow(asset_id, "", wanted, "can't be read", (fault,))
            continue
        held = f"{values[0]:g} s, then {values[1]:g} kW"
        is_set = abs(values[0] - wanted_s) < 0.5 and abs(values[1] - asset.fallback_kw) < 0.05
        yield GuardRow(
            asset_id, held, wanted, "set as wanted" if is_set else "will be set at the start of control"
        )


def _canonical(binding: "DeviceBinding", asset_id: str, name: str, outcome: object) -> float | None:
    point: Point | None = binding.profile.points.get(name)
    if point is None or not isinstance(outcome, float):
        return None
    return codec.to_canonical(point, outcome, binding.kw_per_a.get(asset_id, 0.0))


def _show_guards(rows: Sequence[GuardRow]) -> None:
    if not rows:
        return
    columns = (Column("asset"), Column("held"), Column("wanted"), Column("watchdog"))
    show(Table(columns, [(its.asset_id, its.held, its.wanted, its.said) for its in rows], "Watchdogs"))


def clock_faults(answer: DeviceAnswer, now_at: datetime) -> Iterator[str]:
    """Yield the devices whose own clock is off by more than ``SKEW_S``; tell those that are right."""
    for asset_id, outcomes in answer.points.items():
        value = outcomes.get(CLOCK)
        if not isinstance(value, float):
            continue
        skew_s = value - now_at.timestamp()
        said = f"{answer.binding.device_id}: {asset_id}: its clock is {skew_s:+.0f} s off ours"
        if abs(skew_s) > SKEW_S:
            yield said
        else:
            note(said)
