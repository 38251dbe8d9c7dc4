"""What a cycle decided, why, and all that the next cycle must remember."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from station.limits import Interval
from station.session import Session


@dataclass(frozen=True, slots=True)
class Setpoint:
    """A command for one asset: a power for a battery, the highest for a connector, the lowest for PV.

    It holds for ``lease_s`` at the device and then the device goes to its fallback. ``makes_room`` says that it lowers
    a worst case, so it is written before those that use the room. Without ``is_due`` the device holds it already and
    its lease is still long: nothing needs to be written.
    """

    power_kw: float
    lease_s: float
    makes_room: bool
    is_due: bool = True


@dataclass(frozen=True, slots=True)
class Withheld:
    """Nothing is to be written to this asset, for this cause (local mode, shadow cycles)."""

    cause: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an asset does not do what the plan says, or what a rule saw. Goes to the ledger."""

    rule: str
    asset_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A power range that a device may be using: from a setpoint that was sent at ``sent_s``.

    It counts until ``expires_s``, unless a later setpoint is confirmed. Monotonic seconds. One that the device never
    confirmed may still lie in its socket and be executed when it wakes up, long after that.
    """

    sent_s: float
    expires_s: float
    interval: Interval
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class DemandWindow:
    """The billed mean that is being formed: energy imported since ``starts_at``, and the month's highest so far.

    ``covered_s`` is how much of the window is counted. ``assumed_kwh`` is the part of the energy that was not measured
    but assumed at the worst case; it makes no peak.
    """

    starts_at: datetime
    energy_kwh: float
    covered_s: float
    month: tuple[int, int]
    month_peak_kw: float
    assumed_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class ConnectorMemory:
    """Timers of one connector, monotonic seconds; ``-inf`` where it never happened.

    ``starts_s`` are the instants of the last contactor closings (pilot from 0 to on).
    """

    changed_s: float = float("-inf")
    switched_s: float = float("-inf")
    starts_s: tuple[float, ...] = ()
    idle_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class PowerSample:
    """What the meter and the assets showed at one cycle, for aligning them in time. kW, load convention.

    ``mono_s`` is the cycle, ``meter_s`` and ``assets_s`` are when the values were measured (the assets': the mean).
    """

    mono_s: float
    meter_s: float
    assets_s: float
    grid_kw: float | None
    assets_kw: float


@dataclass(frozen=True, slots=True)
class Balance:
    """The site as this cycle saw it: kW, load convention; ``None`` where nothing could be believed.

    ``base_kw`` is the base load used for booking, ``support_kw`` what the battery is asked to add against a limit.
    """

    grid_kw: float | None
    base_kw: float
    base_is_worst_case: bool
    pv_kw: float
    battery_kw: float
    charging_kw: float
    lag_s: float
    allowed_kw: float


@dataclass(frozen=True)
class ControlState:
    """Everything that ``step`` remembers. Immutable; a new one is made each cycle."""

    started_s: float
    cycles: int = 0
    setpoints_kw: Mapping[str, float] = field(default_factory=dict)
    grants: Mapping[str, tuple[Grant, ...]] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    connectors: Mapping[str, ConnectorMemory] = field(default_factory=dict)
    last_good_s: Mapping[str, float] = field(default_factory=dict)
    last_limits: Mapping[str, Interval] = field(default_factory=dict)
    believed_kw: Mapping[str, float] = field(default_factory=dict)
    samples: tuple[PowerSample, ...] = ()
    lag_s: float | None = None
    support_kw: float = 0.0
    support_rose_s: float = float("-inf")
    smooth_net_kw: float | None = None
    smooth_excess_kw: float = 0.0
    window: DemandWindow | None = None
    astray_s: Mapping[str, float] = field(default_factory=dict)
    planned_s: float = float("-inf")
    alarms: frozenset[str] = frozenset()
    last: Balance | None = None


@dataclass(frozen=True)
class Decision:
    """One cycle's result: exactly one entry in ``setpoints`` per controllable asset, always.

    ``replan`` says why a new plan is due, or is None. ``alarms`` are those that stand now.
    """

    setpoints: Mapping[str, Setpoint | Withheld]
    state: ControlState
    balance: Balance
    reasons: tuple[Reason, ...]
    replan: str | None
