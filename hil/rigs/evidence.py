"""Whether a fault really hit: counted at the controller's end, from what each cycle's snapshot shows.

A hit is one exchange that went wrong: a value that was due and did not come anew, a write that was not confirmed, a
device that says it is in local mode. A fault on something that nobody talks to hits nothing, and the run is void.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.scenario import FaultFile, FaultKind, Scenario
from station.measurement import MeterReading, NoReading, Snapshot

LATE_CYCLES = 1.75
"""A value older than so many polls did not come anew: it is polled half a cycle before the cycle looks."""


@dataclass(frozen=True, slots=True)
class FaultLog:
    """One fault of a run: how many exchanges it hit, and when it did so first and last (seconds, None: never)."""

    fault: FaultFile
    hits: int
    first_s: float | None
    last_s: float | None


class Evidence:
    """Follows one fault through a run."""

    def __init__(self, fault: FaultFile, asset_ids: Sequence[str], poll_s: float) -> None:
        self.fault = fault
        self._asset_ids = asset_ids
        self._late_s = LATE_CYCLES * poll_s
        self._was_fresh: set[str] = set()
        self._seen_writes: set[tuple[str, float]] = set()
        self._hits_s: list[float] = []

    def observe(self, snapshot: Snapshot) -> None:
        """Look at one cycle."""
        now_s = snapshot.taken.mono_s
        for asset_id in self._asset_ids:
            reading = snapshot.readings.get(asset_id)
            is_fresh = not (
                reading is None or isinstance(reading, NoReading) or now_s - reading.measured_s > self._late_s
            )
            if not self.fault.is_active(now_s):
                self._was_fresh |= {asset_id} if is_fresh else set()
                continue
            hit = False
            match self.fault.kind:
                case FaultKind.SILENT | FaultKind.FROZEN:
                    hit = not is_fresh and asset_id in self._was_fresh
                case FaultKind.REFUSE_WRITES:
                    hit = self._write_failed(asset_id, snapshot)
                case FaultKind.LOCAL:
                    hit = not isinstance(reading, NoReading | MeterReading | None) and reading.is_local
            if hit:
                self._hits_s.append(round(now_s, 6))

    def log(self) -> FaultLog:
        """Return what was seen so far."""
        hits_s = self._hits_s
        return FaultLog(
            self.fault, len(hits_s), hits_s[0] if hits_s else None, hits_s[-1] if hits_s else None
        )

    def _write_failed(self, asset_id: str, snapshot: Snapshot) -> bool:
        write = snapshot.writes.get(asset_id)
        if write is None or write.confirmed or write.sent_s < self.fault.at_s:
            return False
        is_new = (asset_id, write.sent_s) not in self._seen_writes
        self._seen_writes.add((asset_id, write.sent_s))
        return is_new


def evidences(scenario: Scenario) -> list[Evidence]:
    """Return one follower for each fault of a scenario."""
    cycle_s = scenario.loaded.site.control.cycle_s
    polls_s = {binding.device_id: max(binding.poll_s, cycle_s) for binding in scenario.loaded.devices}
    return [Evidence(f, scenario.assets_of(f.on), polls_s[f.on]) for f in scenario.model.faults]
