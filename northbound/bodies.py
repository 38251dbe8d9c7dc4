"""What the audit says of a row, made from its table's columns: when it is entered, and again when it is verified."""

import json
from hashlib import sha256
from typing import Any


def command(
    asset_id: str, power_kw: float | None, lease_s: float | None, makes_room: int, reasons: str
) -> dict[str, Any]:
    """Return what is audited of a command; ``reasons`` is a JSON list."""
    return {
        "asset_id": asset_id,
        "power_kw": _number(power_kw),
        "lease_s": _number(lease_s),
        "makes_room": bool(makes_room),
        "reasons": json.loads(reasons),
    }


def session_ended(*columns: Any) -> dict[str, Any]:
    """Return what is audited of a session that is over."""
    session_id, connector_id, plugged_in_at, unplugged_at, energy_kwh, requested_kwh, estimate_at = columns
    return {
        "session_id": session_id,
        "connector_id": connector_id,
        "plugged_in_at": plugged_in_at,
        "unplugged_at": unplugged_at,
        "energy_kwh": _number(energy_kwh),
        "requested_kwh": _number(requested_kwh),
        "estimated_unplug_at": estimate_at,
    }


def request(*columns: Any) -> dict[str, Any]:
    """Return what is audited of a wish."""
    request_id, kind, owner, expires_at, min_kw, max_kw, asset_id = columns
    return {
        "request_id": request_id,
        "kind": kind,
        "owner": owner,
        "expires_at": expires_at,
        "min_kw": _number(min_kw),
        "max_kw": _number(max_kw),
        "asset_id": asset_id,
    }


def plan(*columns: Any) -> dict[str, Any]:
    """Return what is audited of a plan: its figures, and the hash of the whole as it is packed in its table."""
    starts_at, origin, peak_kw, expected_cost, solve_ms, note, packed = columns
    return {
        "starts_at": starts_at,
        "origin": origin,
        "peak_kw": _number(peak_kw),
        "expected_cost": _number(expected_cost),
        "solve_ms": _number(solve_ms),
        "note": note,
        "sha256": sha256(packed).hexdigest(),
    }


def _number(value: float | None) -> float | None:
    """Return a number as its column keeps it, so that 5 and 5.0 are the same."""
    return None if value is None else float(value)
