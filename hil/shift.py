"""Moves recorded days to another time, so that cars and sun of 2019 can appear today. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from station.inputs import Series, SessionRow

LEAST_STAY_S = 60.0


def weeks_until(now_at: datetime, first_day: date, timezone: str) -> timedelta:
    """Return by how much to move data so that its week from ``first_day`` on plays at ``now_at``.

    Local weekday and clock time stay as they were: whole weeks, and an hour where one of both has summer time.
    """
    zone = ZoneInfo(timezone)
    now = now_at.astimezone(zone)
    day = first_day + timedelta(days=(now.weekday() - first_day.weekday()) % 7)
    there_at = datetime.combine(day, now.time(), zone)
    return now_at.astimezone(UTC) - there_at.astimezone(UTC)


def shift_sessions(rows: Iterable[SessionRow], by: timedelta) -> tuple[SessionRow, ...]:
    """Return the cars, each as much later; what their drivers say moves with them."""
    return tuple(
        replace(
            row,
            plugged_in_at=row.plugged_in_at + by,
            unplugged_at=row.unplugged_at + by,
            estimated_unplug_at=row.estimated_unplug_at and row.estimated_unplug_at + by,
        )
        for row in rows
    )


def shift_series(series: Series, by: timedelta) -> Series:
    """Return the series, as much later."""
    return replace(series, starts_at=series.starts_at + by)


def join_late(rows: Iterable[SessionRow], at: datetime) -> tuple[SessionRow, ...]:
    """Return the cars for a station that is switched on at ``at``: who is there already arrives at that instant.

    Such a car needs as much less as it has stayed already, and asks for as much less; it knows no state of charge.
    """
    return tuple(_late(row, at) for row in rows)


def _late(row: SessionRow, at: datetime) -> SessionRow:
    if row.plugged_in_at >= at or (row.unplugged_at - at).total_seconds() < LEAST_STAY_S:
        return row
    left = (row.unplugged_at - at) / (row.unplugged_at - row.plugged_in_at)
    return replace(
        row,
        plugged_in_at=at,
        energy_kwh=row.energy_kwh * left,
        requested_kwh=None if row.requested_kwh is None else row.requested_kwh * left,
        arrival_soc=None,
    )
