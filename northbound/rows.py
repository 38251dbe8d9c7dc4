"""What can be entered in the ledger. All immutable, so that the loop may hand them to the writer's thread."""

from dataclasses import dataclass
from datetime import datetime

from station.clock import Instant
from station.decision import ControlState
from station.plan import Plan
from station.request import Request
from station.session import PastSession, Session


@dataclass(frozen=True, slots=True)
class CommandRow:
    """A command to one asset and why. ``power_kw`` and ``lease_s`` are None where nothing was written to it.

    PV is shown positive: ``power_kw`` is then the most that it may feed in.
    """

    at: datetime
    asset_id: str
    power_kw: float | None
    lease_s: float | None
    makes_room: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session that goes on, as the controller sees it at ``at``."""

    at: datetime
    session: Session


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session that is over."""

    session: PastSession


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """An alarm that stands from ``at`` on; its text is its name."""

    at: datetime
    alarm: str


@dataclass(frozen=True, slots=True)
class AlarmCleared:
    """An alarm that stands no longer."""

    at: datetime
    alarm: str


@dataclass(frozen=True, slots=True)
class RequestMade:
    """A wish from outside, as it was taken up at ``at``."""

    at: datetime
    request: Request


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A wish from outside that was not taken up, and why; it is only audited."""

    at: datetime
    request_id: str
    owner: str
    cause: str


@dataclass(frozen=True, slots=True)
class PlanMade:
    """A plan that was published."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class StateSaved:
    """What a restart needs; ``now`` is the instant that the monotonic times in ``state`` are counted from."""

    now: Instant
    state: ControlState


LedgerRow = (
    CommandRow
    | SessionSeen
    | SessionEnded
    | AlarmRaised
    | AlarmCleared
    | RequestMade
    | RequestRefused
    | PlanMade
    | StateSaved
)
