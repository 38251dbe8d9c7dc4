"""Wishes from outside: grid operator limits and manual overrides. Each has an owner and an expiry and only narrows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.limits import Interval


class RequestKind(StrEnum):
    """Who asks: the grid operator limits the whole site, a person overrides one asset."""

    OPERATOR_IMPORT_LIMIT = "operator_import_limit"
    OPERATOR_EXPORT_LIMIT = "operator_export_limit"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Request:
    """One wish. For ``MANUAL``, ``asset_id`` names the asset and ``interval`` what it may do.

    For the operator limits ``interval.max_kw`` is the limit in kW (positive) at the PCC and ``asset_id`` is empty.
    """

    request_id: str
    kind: RequestKind
    owner: str
    expires_at: datetime
    interval: Interval
    asset_id: str = ""
