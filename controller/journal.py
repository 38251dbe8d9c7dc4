"""What each cycle leaves in the store: record, new commands with reasons, alarms, sessions, plans, restart state."""

from datetime import datetime
from math import nan

import structlog

from controller.lateness import Lateness
from controller.loop import Cycle
from northbound.records import alarms_between, commands_of, record_of
from northbound.rows import AlarmCleared, AlarmRaised, PlanMade, SessionEnded, SessionSeen
from northbound.sinks import SinkWatch
from northbound.store import Store
from station.decision import Decision, Setpoint
from station.measurement import NoReading
from station.plan import Plan
from station.topology import Site

log = structlog.get_logger(__name__)

SAVE_CYCLES = 5
"""The restart state is saved every so many cycles, and whenever a setpoint changes."""

SESSION_CYCLES = 60


class StoreKeeper:
    """An observer of the loop that hands everything to the store's writer; never blocks."""

    def __init__(
        self,
        site: Site,
        store: Store,
        lateness: Lateness,
        standing: frozenset[str],
        sinks: SinkWatch,
    ) -> None:
        """``standing`` are the alarms that a former process left standing; ``sinks`` adds its own to the loop's."""
        self._site = site
        self._store = store
        self._lateness = lateness
        self._before: Decision | None = None
        self._plan: Plan | None = None
        self._alarms = standing
        self._sinks = sinks
        self._disk_cause = ""

    def __call__(self, cycle: Cycle) -> None:
        """Record one cycle."""
        decision, at = cycle.decision, cycle.snapshot.taken.at
        record = record_of(self._site, cycle.snapshot, decision, cycle.plan)
        alarms = decision.state.alarms | self._sinks.alarms(cycle.snapshot.taken)
        record["alarms"] = float(len(alarms))
        record["loop.lateness_ms"] = cycle.late_ms
        record["loop.missed"] = float(self._lateness.missed)
        record["plan.solve_ms"] = nan if cycle.plan is None else cycle.plan.solve_ms
        self._store.record(at, record)
        commands = commands_of(self._site, self._before, decision, at)
        for command in commands:
            self._store.enter(command)
        self._note_alarms(alarms, at)
        for session in cycle.ended:
            self._store.enter(SessionEnded(session))
        if decision.state.cycles % SESSION_CYCLES == 1:
            for session_now in decision.state.sessions.values():
                self._store.enter(SessionSeen(at, session_now))
        if cycle.plan is not None and cycle.plan is not self._plan:
            self._plan = cycle.plan
            self._store.enter(PlanMade(cycle.plan))
        if commands or decision.state.cycles % SAVE_CYCLES == 0:
            self._store.save_state(decision.state, cycle.snapshot.taken)
        if self._is_effective(cycle):
            self._store.effective(at)
        self._before = decision
        self._watch_disk()

    def _note_alarms(self, alarms: frozenset[str], at: datetime) -> None:
        raised, cleared = alarms_between(self._alarms, alarms)
        for alarm in raised:
            log.warning("alarm", alarm=alarm)
            self._store.enter(AlarmRaised(at, alarm))
        for alarm in cleared:
            log.info("alarm cleared", alarm=alarm)
            self._store.enter(AlarmCleared(at, alarm))
        self._alarms = alarms

    def _is_effective(self, cycle: Cycle) -> bool:
        """Return whether the meter is believed and something is commanded: what ``health`` asks for."""
        meter = cycle.snapshot.readings.get(self._site.meter.asset_id)
        commanded = any(isinstance(entry, Setpoint) for entry in cycle.decision.setpoints.values())
        return (
            commanded and not isinstance(meter, NoReading) and not cycle.decision.balance.base_is_worst_case
        )

    def _watch_disk(self) -> None:
        status = self._store.status
        cause = status.last_error if status.is_failing else ""
        if cause != self._disk_cause:
            if cause:
                log.error("the store can't write; control goes on", cause=cause)
            else:
                log.info("the store writes again")
            self._disk_cause = cause
