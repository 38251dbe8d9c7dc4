"""What a person is shown of a running station, as plain data: from cycles to a ``ViewState`` and to events."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from cli.events import Event, events_between, reason_of
from controller.loop import Cycle
from station.assets import Connector
from station.decision import Setpoint, Withheld
from station.limits import Direction
from station.measurement import BatteryReading, ConnectorReading, ConnectorState, NoReading
from station.plan import Plan
from station.topology import Site

KEPT_EVENTS = 60
PLANNED_HOURS = 24
DIFFERS_KW = 0.5
"""A setpoint that is further than this from the plan has its reason shown."""


@dataclass(frozen=True, slots=True)
class ConnectorView:
    """One row of the table of connectors; None where it is not known."""

    connector_id: str
    state: str
    power_kw: float | None
    offered_kw: float | None
    session_kwh: float
    asked_kwh: float | None
    until: str
    reason: str

    @property
    def is_occupied(self) -> bool:
        """Return whether a car is there, or something is wrong."""
        return self.state != ConnectorState.FREE


@dataclass(frozen=True, slots=True)
class Powers:
    """Powers as people read them: PV is positive, battery positive while it charges; None where not known."""

    grid_kw: float | None = None
    pv_kw: float = 0.0
    battery_kw: float = 0.0
    building_kw: float | None = None
    charging_kw: float = 0.0
    soc: float | None = None


@dataclass(frozen=True, slots=True)
class Scales:
    """What the bars are measured against, all positive kW."""

    import_kw: float
    export_kw: float
    pv_kw: float
    battery_kw: float
    building_kw: float
    charging_kw: float


@dataclass(frozen=True, slots=True)
class PlanView:
    """The last plan: who made it, its age, and the planned grid power of the coming hours."""

    origin: str
    age_s: float
    hourly_kw: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ViewState:
    """All that the view shows. ``at`` is local; ``pace`` is the speed that was reached, 0 where it is real time."""

    site_id: str
    at: datetime | None
    speed: float
    mode: str
    scales: Scales
    powers: Powers = Powers()
    connectors: tuple[ConnectorView, ...] = ()
    target_kw: float | None = None
    window_mean_kw: float | None = None
    window_left_s: float = 0.0
    month_peak_kw: float = 0.0
    plan: PlanView | None = None
    alarms: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    late_ms: float = 0.0
    worst_late_ms: float = 0.0
    missed: int = 0
    pace: float = 0.0
    done: float | None = None
    footer: tuple[str, ...] = ()
    result: tuple[str, ...] = field(default=())


class Watch:
    """An observer of the loop: keeps the last cycle and what happened. Never blocks; a cycle costs little."""

    def __init__(self, site: Site, speed: float = 1.0, mode: str = "controlling") -> None:
        self.site = site
        self.speed = speed
        self.mode = mode
        self.cycle: Cycle | None = None
        self.cycles = 0
        self.listeners: list[Callable[[Event], None]] = []
        self._zone = ZoneInfo(site.timezone)
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._scales = _scales(site)

    def __call__(self, cycle: Cycle) -> None:
        """Take one cycle."""
        before, self.cycle = self.cycle, cycle
        self.cycles += 1
        at = cycle.snapshot.taken.at.astimezone(self._zone)
        for event in events_between(self.site, before, cycle, at):
            self._tell(event)

    def log(self, level: str, text: str) -> None:
        """Take a line of the log."""
        if self.cycle is not None:
            at = self.cycle.snapshot.taken.at.astimezone(self._zone)
            self._tell(Event(at, "alarm" if level in {"error", "critical"} else "log", text))

    def state(self) -> ViewState:
        """Return what is to be shown now."""
        blank = ViewState(self.site.site_id, None, self.speed, "starting", self._scales)
        if self.cycle is None:
            return replace(blank, events=tuple(self._events))
        cycle, decision = self.cycle, self.cycle.decision
        now = cycle.snapshot.taken
        window = decision.state.window
        peak_kw = 0.0 if window is None else window.month_peak_kw
        elapsed_s = 0.0 if window is None else (now.at - window.starts_at).total_seconds()
        return replace(
            blank,
            at=now.at.astimezone(self._zone),
            mode=self._mode(),
            powers=_powers(self.site, cycle),
            connectors=tuple(_connector(cycle, c, self._zone) for c in self.site.connectors),
            target_kw=_target_kw(cycle.plan, peak_kw),
            window_mean_kw=window.energy_kwh * 3600.0 / elapsed_s if window and elapsed_s > 0 else None,
            window_left_s=self.site.tariff.demand.window_s - elapsed_s,
            month_peak_kw=peak_kw,
            plan=_plan(cycle.plan, now.at),
            alarms=tuple(sorted(decision.state.alarms)),
            events=tuple(self._events),
        )

    def _mode(self) -> str:
        assert self.cycle is not None
        entries = self.cycle.decision.setpoints.values()
        if self.site.fallback_problems:
            return "holding fallbacks"
        if entries and all(isinstance(entry, Withheld) for entry in entries):
            return "watching"
        return self.mode

    def _tell(self, event: Event) -> None:
        if event.kind == "plan" and self._events and self._events[-1].kind == "plan":
            self._events.pop()  # of plans in a row the last one is enough
        self._events.append(event)
        for listener in self.listeners:
            listener(event)


def _powers(site: Site, cycle: Cycle) -> Powers:
    facts = cycle.decision.balance
    readings = [cycle.snapshot.readings.get(battery.asset_id) for battery in site.batteries]
    seen = [(b, r) for b, r in zip(site.batteries, readings, strict=True) if isinstance(r, BatteryReading)]
    capacity_kwh = sum(battery.capacity_kwh for battery, _ in seen)
    return Powers(
        grid_kw=facts.grid_kw,
        pv_kw=-facts.pv_kw + 0.0,
        battery_kw=facts.battery_kw,
        building_kw=None if facts.base_is_worst_case else facts.base_kw,
        charging_kw=facts.charging_kw,
        soc=sum(r.soc * b.capacity_kwh for b, r in seen) / capacity_kwh if capacity_kwh else None,
    )


def _connector(cycle: Cycle, connector: Connector, zone: ZoneInfo) -> ConnectorView:
    connector_id = connector.asset_id
    reading = cycle.snapshot.readings.get(connector_id, NoReading("no reading yet"))
    entry = cycle.decision.setpoints[connector_id]
    offered_kw = entry.power_kw if isinstance(entry, Setpoint) else None
    if not isinstance(reading, ConnectorReading):
        cause = reading.cause if isinstance(reading, NoReading) else "no reading"
        return ConnectorView(connector_id, "lost", None, offered_kw, 0.0, None, "", cause)
    session = cycle.decision.state.sessions.get(connector_id)
    until_at = reading.estimated_unplug_at if reading.is_occupied else None
    is_full = session is not None and session.is_satisfied and reading.state is ConnectorState.PLUGGED
    return ConnectorView(
        connector_id,
        "full" if is_full else reading.state.value,
        reading.power_kw,
        offered_kw,
        reading.session_kwh if reading.is_occupied else 0.0,
        reading.requested_kwh if reading.is_occupied else None,
        "" if until_at is None else until_at.astimezone(zone).strftime("%H:%M"),
        _why(cycle, connector_id, entry) if reading.is_occupied and not is_full else "",
    )


def _why(cycle: Cycle, connector_id: str, entry: Setpoint | Withheld) -> str:
    """Return why a connector does not do what the plan says; empty where it does."""
    if isinstance(entry, Withheld):
        return entry.cause
    plan = cycle.plan
    slot = None if plan is None else plan.slot_at(cycle.snapshot.taken.at)
    targets_kw = () if plan is None else plan.targets_kw.get(connector_id, ())
    if slot is not None and slot < len(targets_kw) and abs(targets_kw[slot] - entry.power_kw) <= DIFFERS_KW:
        return ""
    return reason_of(cycle, connector_id)


def _target_kw(plan: Plan | None, month_peak_kw: float) -> float | None:
    target_kw = max(month_peak_kw, 0.0 if plan is None else plan.peak_kw)
    return target_kw if 0.0 < target_kw < float("inf") else None


def _plan(plan: Plan | None, now_at: datetime) -> PlanView | None:
    if plan is None:
        return None
    first = plan.slot_at(now_at)
    rest = plan.grid_kw[first:] if first is not None else ()
    per_hour = max(round(3600.0 / plan.slot_s), 1)
    hours = [rest[i : i + per_hour] for i in range(0, len(rest), per_hour)][:PLANNED_HOURS]
    hourly_kw = tuple(sum(hour) / len(hour) for hour in hours)
    return PlanView(plan.origin.value, (now_at - plan.made_at).total_seconds(), hourly_kw, plan.note)


def _scales(site: Site) -> Scales:
    charging_kw = sum(connector.max_kw for connector in site.connectors)
    pv_kw = sum(plant.rated_kw for plant in site.pv_plants)
    battery_kw = sum(max(b.max_charge_kw, b.max_discharge_kw) for b in site.batteries)
    all_kw = charging_kw + battery_kw + site.base_load.max_kw
    import_kw = min(site.continuous_kw(Direction.IMPORT), all_kw)
    export_kw = min(site.continuous_kw(Direction.EXPORT), pv_kw + battery_kw)
    return Scales(import_kw, export_kw, pv_kw, battery_kw, site.base_load.max_kw, charging_kw)
