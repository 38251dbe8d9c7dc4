"""Looking into a store from anywhere: another process, a report, a restart. Only requests are written here."""

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from northbound import journal, ledger, series
from northbound.chunk import Floats, Minutes, Whole
from northbound.database import from_micros, micros, open_for_reading, utc_text
from northbound.durable import restored
from northbound.rows import CommandRow
from northbound.series import SLOT_S
from station.clock import Instant, slot_start
from station.decision import ControlState
from station.errors import ConfigError
from station.forecast import History
from station.limits import Interval
from station.request import Request, RequestKind
from station.session import PastSession

LEAST_COVER = 0.5
"""A slot of which less was measured counts as not measured."""


@dataclass(frozen=True, slots=True)
class AlarmSeen:
    """An alarm of the past or the present; ``cleared_at`` is None while it stands."""

    alarm: str
    raised_at: datetime
    cleared_at: datetime | None


class StoreReader:
    """A store that is open for reading; raises ``ConfigError`` where there is none."""

    def __init__(self, directory: Path) -> None:
        """Open both files of ``directory``."""
        self._ledger = open_for_reading(directory / ledger.FILE)
        try:
            self._history = open_for_reading(directory / journal.FILE)
        except ConfigError:
            self._ledger.close()
            raise

    def __enter__(self) -> "StoreReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both files."""
        self._ledger.close()
        self._history.close()

    def signals(self) -> tuple[str, ...]:
        """Return the names of all signals that the history holds."""
        names = (name for names in series.signal_sets(self._history).values() for name in names)
        return tuple(dict.fromkeys(names))

    def column(self, signal: str, from_at: datetime, until_at: datetime) -> tuple[Whole, Floats]:
        """Return one signal from ``from_at`` up to ``until_at`` as arrays: microseconds since 1970 UTC, values."""
        with series.reading(self._history):
            return series.read_signal(self._history, signal, micros(from_at), micros(until_at))

    def values(self, signal: str, from_at: datetime, until_at: datetime) -> list[tuple[datetime, float]]:
        """Return one signal from ``from_at`` up to ``until_at``; NaN where it was not measured."""
        times_us, values = self.column(signal, from_at, until_at)
        return [(from_micros(at_us), v) for at_us, v in zip(times_us.tolist(), values.tolist(), strict=True)]

    def minutes(self, signal: str, from_at: datetime, until_at: datetime) -> Minutes:
        """Return one signal by minutes: counts, least, most, mean and last; the latest may not be over."""
        with series.reading(self._history):
            return series.read_minutes(self._history, signal, micros(from_at), micros(until_at))

    def means(self, signal: str, from_at: datetime, until_at: datetime) -> list[tuple[datetime, float, int]]:
        """Return (start, mean, cycles measured) of one signal by 15-minute slots; the latest may not be over."""
        with series.reading(self._history):
            return series.read_means(self._history, signal, micros(from_at), micros(until_at))

    def span(self) -> tuple[datetime, datetime] | None:
        """Return the times of the earliest and the latest cycle in the history."""
        with series.reading(self._history):
            found = series.span_us(self._history)
        return None if found is None else (from_micros(found[0]), from_micros(found[1]))

    def reach(self) -> tuple[datetime, datetime] | None:
        """Return from when to when there are cycles or minutes: minutes are kept for longer."""
        spans = [self.span()]
        with series.reading(self._history):
            hours_us = series.rollup_span_us(self._history)
        if hours_us is not None:
            spans.append((from_micros(hours_us[0]), from_micros(hours_us[0])))
        found = [at for span in spans if span is not None for at in span]
        return (min(found), max(found)) if found else None

    def last_cycle_at(self) -> datetime | None:
        """Return the time of the latest cycle in the history."""
        span = self.span()
        return None if span is None else span[1]

    def effective_at(self) -> datetime | None:
        """Return when control was last known to be effective."""
        row = self._history.execute("SELECT at_us FROM heartbeat WHERE name = 'effective'").fetchone()
        return None if row is None else from_micros(row[0])

    def commands(self, from_at: datetime, until_at: datetime) -> list[CommandRow]:
        """Return the commands of a span of time in the order in which they were given."""
        rows = self._ledger.execute(
            "SELECT at, asset_id, power_kw, lease_s, makes_room, reasons FROM command"
            " WHERE at >= ? AND at < ? ORDER BY id",
            (utc_text(from_at), utc_text(until_at)),
        )
        return [
            CommandRow(
                datetime.fromisoformat(at), asset_id, power_kw, lease_s, bool(room), tuple(json.loads(why))
            )
            for at, asset_id, power_kw, lease_s, room, why in rows
        ]

    def past_sessions(self, from_at: datetime, until_at: datetime) -> tuple[PastSession, ...]:
        """Return the sessions that ended in a span of time, the earliest end first."""
        rows = self._ledger.execute(
            "SELECT session_id, connector_id, plugged_in_at, unplugged_at, energy_kwh, requested_kwh,"
            " estimated_unplug_at FROM session WHERE unplugged_at >= ? AND unplugged_at < ?"
            " ORDER BY unplugged_at, session_id",
            (utc_text(from_at), utc_text(until_at)),
        )
        return tuple(_past_session(row) for row in rows)

    def alarms(self, *, standing_only: bool = False) -> list[AlarmSeen]:
        """Return the alarms, the earliest first."""
        where = "WHERE cleared_at IS NULL" if standing_only else ""
        rows = self._ledger.execute(f"SELECT alarm, raised_at, cleared_at FROM alarm {where} ORDER BY id")
        return [
            AlarmSeen(alarm, datetime.fromisoformat(raised), _time(cleared))
            for alarm, raised, cleared in rows
        ]

    def requests(self, now_at: datetime) -> tuple[Request, ...]:
        """Return the wishes that hold at ``now_at``."""
        return live_requests(self._ledger, now_at)

    def requests_in_force(self, at: datetime) -> tuple[Request, ...]:
        """Return the wishes that were made by ``at``, and then neither over nor withdrawn."""
        return _requests(
            self._ledger,
            "made_at <= ? AND expires_at > ? AND (withdrawn_at IS NULL OR withdrawn_at > ?)",
            (utc_text(at),) * 3,
        )

    def last_plan(self) -> dict[str, Any] | None:
        """Return the last plan as plain data (``station.plan.Plan`` field by field), or None."""
        row = self._ledger.execute("SELECT body FROM plan ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else json.loads(zlib.decompress(row[0]))

    def month_peaks(self) -> dict[tuple[int, int], float]:
        """Return the highest billed mean import in kW by (year, month)."""
        rows = self._ledger.execute("SELECT year, month, peak_kw FROM month_peak ORDER BY year, month")
        return {(year, month): peak_kw for year, month, peak_kw in rows}

    def state(self, now: Instant) -> ControlState | None:
        """Return what the last process remembered, for one that starts at ``now``; None where nothing is usable."""
        row = self._ledger.execute("SELECT body FROM state WHERE name = 'control'").fetchone()
        if row is None:
            return None
        try:
            return restored(json.loads(row[0]), now)
        except (ValueError, LookupError, TypeError):
            return None

    def counts(self) -> dict[str, int]:
        """Return how many rows each table of the ledger holds, and how many cycles the history."""
        tables = ("command", "session", "alarm", "request", "plan", "audit")
        counted = {n: int(self._ledger.execute(f"SELECT COUNT(*) FROM {n}").fetchone()[0]) for n in tables}
        with series.reading(self._history):
            return counted | {"cycle": series.cycle_count(self._history)}


def history_of(store: StoreReader, now_at: datetime, *, cycle_s: float, days: float = 60.0) -> History:
    """Return what the station has learnt, for a restart: 15-minute means and past sessions of the last ``days``.

    Slots run without a gap up to the one of ``now_at``, which is not over and left out.
    """
    first_at = slot_start(now_at - timedelta(days=days), SLOT_S)
    end_at = slot_start(now_at, SLOT_S)
    load_kw = dict(_covered(store, "base_load_kw", first_at, end_at, cycle_s))
    pv_kw = dict(_covered(store, "pv_kw", first_at, end_at, cycle_s))
    starts_at = min((*load_kw, *pv_kw), default=end_at)
    slots = int((end_at - starts_at).total_seconds() // SLOT_S)
    grid = [starts_at + timedelta(seconds=SLOT_S * index) for index in range(slots)]
    return History(
        starts_at=starts_at,
        slot_s=SLOT_S,
        load_kw=tuple(load_kw.get(at, float("nan")) for at in grid),
        pv_kw=tuple(0.0 - pv_kw.get(at, float("nan")) for at in grid),
        sessions=store.past_sessions(first_at, now_at),
    )


def live_requests(connection: sqlite3.Connection, now_at: datetime | None) -> tuple[Request, ...]:
    """Return the wishes in a ledger that nobody withdrew and that hold beyond ``now_at``."""
    until = "" if now_at is None else utc_text(now_at)
    return _requests(connection, "withdrawn_at IS NULL AND expires_at > ?", (until,))


def _requests(connection: sqlite3.Connection, condition: str, values: tuple[str, ...]) -> tuple[Request, ...]:
    rows = connection.execute(
        "SELECT request_id, kind, owner, expires_at, min_kw, max_kw, asset_id FROM request"
        f" WHERE {condition} ORDER BY made_at, request_id",
        values,
    )
    return tuple(
        Request(
            request_id, RequestKind(kind), owner, datetime.fromisoformat(until), Interval(low, high), asset_id
        )
        for request_id, kind, owner, until, low, high, asset_id in rows
    )


def leave_request(directory: Path, request: Request, at: datetime) -> bool:
    """Leave a wish in the store of a running controller, which takes it up within about a second.

    It is on disk on return. False: its id was used before, and nothing is entered.
    """
    return _change(directory, *ledger.request_statement(at, request)) > 0


def withdraw_request(directory: Path, request_id: str, at: datetime) -> None:
    """Take a wish back."""
    _change(
        directory,
        "UPDATE request SET withdrawn_at = ? WHERE request_id = ? AND withdrawn_at IS NULL",
        (utc_text(at), request_id),
    )


def _change(directory: Path, text: str, values: tuple[object, ...]) -> int:
    """Run one statement and return how many rows it changed; they are on disk then."""
    file = directory / ledger.FILE
    open_for_reading(file).close()
    connection = sqlite3.connect(file, timeout=5.0, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        return connection.execute(text, values).rowcount
    finally:
        connection.close()


def _covered(
    store: StoreReader, signal: str, from_at: datetime, until_at: datetime, cycle_s: float
) -> Iterator[tuple[datetime, float]]:
    """Yield the means of slots of which enough was measured."""
    least = LEAST_COVER * SLOT_S / cycle_s
    for at, mean, count in store.means(signal, from_at, until_at):
        if count > 0 and count >= least:
            yield at, mean


def _past_session(row: tuple[Any, ...]) -> PastSession:
    session_id, connector_id, plugged_in, unplugged, energy_kwh, requested_kwh, estimate = row
    return PastSession(
        session_id=session_id,
        connector_id=connector_id,
        plugged_in_at=datetime.fromisoformat(plugged_in),
        unplugged_at=datetime.fromisoformat(unplugged),
        energy_kwh=energy_kwh,
        requested_kwh=requested_kwh,
        estimated_unplug_at=_time(estimate),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
