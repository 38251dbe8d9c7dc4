"""Rows of a sessions file as history."""

from station.inputs import SessionRow
from station.session import PastSession


def past_session(row: SessionRow) -> PastSession:
    """Return a row of a sessions file as a session that has ended."""
    return PastSession(
        row.session_id,
        row.connector_id,
        row.plugged_in_at,
        row.unplugged_at,
        row.energy_kwh,
        row.requested_kwh,
        row.estimated_unplug_at,
    )
