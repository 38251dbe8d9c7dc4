"""The twin's CSV files: cars, and series of load, sun and prices. Strict: nothing is repaired or guessed."""

from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path

from configs.csv_rows import Row, read_rows
from configs.problems import nearest
from station.errors import ConfigError
from station.inputs import Series, SessionRow

SESSION_COLUMNS = ("session_id", "connector_id", "plugged_in_at", "unplugged_at", "energy_kwh")
SESSION_OPTIONAL = (
    "requested_kwh",
    "estimated_unplug_at",
    "max_power_kw",
    "arrival_soc",
    "capacity_kwh",
    "v2g",
)

SERIES_OPTIONAL = (
    "load_kw",
    "pv_kw",
    "price_per_kwh",
    "export_price_per_kwh",
    "kg_co2_per_kwh",
    "temperature_c",
    "load_forecast_kw",
    "pv_forecast_kw",
)
POSITIVE = frozenset({"load_kw", "pv_kw", "kg_co2_per_kwh", "load_forecast_kw", "pv_forecast_kw"})
"""Columns that can't be negative: generation and consumption both count positive here."""


def read_sessions(path: Path, connector_ids: Collection[str]) -> tuple[SessionRow, ...]:
    """Return the cars in ``path`` by arrival; raise ``ConfigError`` with file, line and column."""
    rows = list(read_rows(path, SESSION_COLUMNS, SESSION_OPTIONAL))
    sessions = [(_session(row, connector_ids), row) for row in rows]
    _check_ids(sessions)
    _check_overlaps(sessions)
    return tuple(sorted((session for session, _ in sessions), key=lambda s: (s.plugged_in_at, s.session_id)))


def _session(row: Row, connector_ids: Collection[str]) -> SessionRow:
    connector_id = row.cells["connector_id"]
    if connector_id and connector_id not in connector_ids:
        hint = nearest(connector_id, sorted(connector_ids))
        raise row.error("connector_id", f"unknown connector '{connector_id}'; {hint}")
    session = SessionRow(
        session_id=row.text("session_id"),
        connector_id=connector_id,
        plugged_in_at=row.moment("plugged_in_at"),
        unplugged_at=row.moment("unplugged_at"),
        energy_kwh=row.number("energy_kwh", least=0.0),
        requested_kwh=row.number_or_none("requested_kwh"),
        estimated_unplug_at=row.moment_or_none("estimated_unplug_at"),
        max_power_kw=row.number_or_none("max_power_kw"),
        arrival_soc=row.number_or_none("arrival_soc", most=1.0),
        capacity_kwh=row.number_or_none("capacity_kwh"),
        v2g=row.flag("v2g"),
    )
    if session.unplugged_at <= session.plugged_in_at:
        raise row.error("unplugged_at", "is not after plugged_in_at")
    return session


def _check_ids(sessions: Iterable[tuple[SessionRow, Row]]) -> None:
    lines: dict[str, int] = {}
    for session, row in sessions:
        if session.session_id in lines:
            first = lines[session.session_id]
            raise row.error("session_id", f"'{session.session_id}' is given twice; first on line {first}")
        lines[session.session_id] = row.line


def _check_overlaps(sessions: Iterable[tuple[SessionRow, Row]]) -> None:
    """Raise where two cars would be plugged into one connector at once; one may leave as the next arrives."""
    last: dict[str, tuple[SessionRow, Row]] = {}
    for session, row in sorted(sessions, key=lambda pair: pair[0].plugged_in_at):
        if not session.connector_id:
            continue
        before = last.get(session.connector_id)
        if before is not None and before[0].unplugged_at > session.plugged_in_at:
            raise row.error(
                "plugged_in_at",
                f"two cars at once on '{session.connector_id}': that of line {before[1].line} has not left",
            )
        last[session.connector_id] = session, row


def read_series(path: Path) -> Series:
    """Return the series in ``path``; raise ``ConfigError`` with file, line and column.

    ``time`` is the start of each step, in equal steps that divide an hour, without gap or repetition.
    """
    rows = list(read_rows(path, ("time",), SERIES_OPTIONAL))
    times = [row.moment("time") for row in rows]
    if len(rows) < 2:
        raise ConfigError(str(path), 1, "time", "at least two steps are needed")
    step_s = _step_s(rows, times)
    columns = {name: _column(rows, name) for name in rows[0].cells if name != "time"}
    zeros = (0.0,) * len(rows)
    return Series(
        starts_at=times[0],
        step_s=step_s,
        load_kw=columns.pop("load_kw", zeros),
        pv_kw=columns.pop("pv_kw", zeros),
        **columns,
    )


def _column(rows: Iterable[Row], name: str) -> tuple[float, ...]:
    least = 0.0 if name in POSITIVE else -float("inf")
    return tuple(row.number(name, least=least) for row in rows)


def _step_s(rows: list[Row], times: list[datetime]) -> float:
    """Return the length of a step in seconds; every step must have it."""
    step_s = (times[1] - times[0]).total_seconds()
    if step_s <= 0.0:
        raise rows[1].error("time", _fault(step_s, step_s))
    if 3600.0 % step_s:
        raise rows[1].error("time", f"steps must divide an hour; this one has {step_s:g} s")
    if times[0].timestamp() % step_s:
        raise rows[0].error("time", f"steps of {step_s:g} s must start on the clock's multiples of it")
    for row, before, at in zip(rows[1:], times, times[1:], strict=False):
        this_s = (at - before).total_seconds()
        if this_s != step_s:
            raise row.error("time", _fault(this_s, step_s))
    return step_s


def _fault(this_s: float, step_s: float) -> str:
    if this_s == 0.0:
        return "is given twice"
    if this_s < 0.0:
        return "lies before the line above it"
    return f"comes {this_s:g} s after the line above; steps have {step_s:g} s (a gap, or a wrong time)"
