"""What a single plan is made from: the twin's data up to a moment, or a store."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from cli.arguments import moment_of
from cli.twin_input import TwinWords, series_of, sessions_of, start_of
from station.clock import Instant, slot_start
from station.errors import ConfigError
from station.forecast import History
from station.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from configs.load import LoadedSite
    from northbound.reader import StoreReader
    from optimizer.problem import PlanningInput
    from station.inputs import SessionRow
    from station.topology import Site

SOC = 0.5
"""Of each battery, where nobody measured it."""
SOC_AGE_S = 900.0


def from_twin(loaded: "LoadedSite", at_text: str | None) -> "PlanningInput":
    """Return what a plan would be asked at a moment of the twin's data, with the cars that are there then.

    They count as not charged yet, and each battery as half full: what came before was not played.
    """
    from hil.run import TwinRun
    from optimizer.problem import PlanningInput

    site, words = loaded.site, TwinWords(at_text)
    if loaded.twin.series is None:
        at = moment_of("--at", at_text, site.timezone) if at_text else start_of(loaded, words)
        slot_s = site.planning.slot_s
        return PlanningInput(site, at, History(slot_start(at, slot_s), slot_s, (), ()), soc=_half_full(site))
    at = start_of(loaded, words) if at_text is None else moment_of("--at", at_text, site.timezone)
    _, series = series_of(loaded, words)
    rows = sessions_of(loaded, words)
    history = TwinRun(site, rows, series, slot_start(at, site.planning.slot_s), 1.0).past()
    return PlanningInput(site, at, history, tuple(_present(site, rows, at)), _half_full(site))


def from_store(loaded: "LoadedSite", directory: Path, at_text: str | None) -> "PlanningInput":
    """Return what the controller that left this store would ask, at its last cycle or at ``at_text``."""
    from northbound.reader import StoreReader, history_of
    from optimizer.problem import PlanningInput

    site = loaded.site
    with StoreReader(directory) as reader:
        at = moment_of("--at", at_text, site.timezone) if at_text else reader.last_cycle_at()
        if at is None:
            raise ConfigError(str(directory), 0, "", "holds no cycle yet; name a time with --at")
        state = reader.state(Instant(at, 0.0))
        history = history_of(reader, at, cycle_s=site.control.cycle_s)
        peak_kw = reader.month_peaks().get(site.tariff.billing_month(at), 0.0)
        soc = {battery.asset_id: _soc(reader, battery.asset_id, at) for battery in site.batteries}
    request = PlanningInput(
        site,
        at,
        history,
        () if state is None else tuple(state.sessions.values()),
        {battery_id: share for battery_id, share in soc.items() if share is not None},
        month_peak_kw=peak_kw,
    )
    if state is None or state.window is None:
        return request
    return replace(
        request, window_energy_kwh=state.window.energy_kwh, window_starts_at=state.window.starts_at
    )


def _half_full(site: "Site") -> dict[str, float]:
    return {battery.asset_id: SOC for battery in site.batteries}


def _present(site: "Site", rows: "tuple[SessionRow, ...]", at: datetime) -> "Iterator[Session]":
    """Yield the cars that are there; one that takes any connector takes the first free one."""
    here = [row for row in rows if row.plugged_in_at <= at < row.unplugged_at]
    taken = {row.connector_id for row in here}
    free = [connector.asset_id for connector in site.connectors if connector.asset_id not in taken]
    for row in here:
        connector_id = row.connector_id or (free.pop(0) if free else "")
        if connector_id:
            yield Session(
                row.session_id,
                connector_id,
                row.plugged_in_at,
                0.0,
                row.requested_kwh,
                row.estimated_unplug_at,
                None,
                row.arrival_soc,
                row.capacity_kwh,
            )


def _soc(reader: "StoreReader", battery_id: str, at: datetime) -> float | None:
    """Return the last charge that was measured not long before ``at``."""
    seen = reader.values(f"{battery_id}.soc", at - timedelta(seconds=SOC_AGE_S), at + timedelta(seconds=1.0))
    return next((value for _, value in reversed(seen) if isfinite(value)), None)
