"""Reads one device again and again, puts what it says on the board and keeps its watchdog armed.

Each device has its own task, so that a dead one never delays another. Periods are station seconds; what paces retries
towards a dead device is wall time, whatever the clock's speed.
"""

import math

import structlog

from drivers.board import Board
from drivers.device import Device
from station.clock import Clock
from station.errors import DriverError
from station.measurement import NoReading

RETRY_S = (0.1, 0.2, 1.0)
"""Wall seconds before the first, the second and every further retry of a device that does not answer."""
ARM_RETRY_S = 10.0
FAILURES_TO_BE_LOST = 2

GROUP = 25
SPACING_S = 0.02
"""Devices are polled in groups so many wall seconds apart: a setpoint need not wait for the answers of all of them, and
the program need not wake for each."""

log = structlog.get_logger(__name__)


def phase_s(index: int, count: int, period_s: float, speed: float) -> float:
    """Return when in its period the device ``index`` of ``count`` is polled: near the middle, not too many at once."""
    groups = math.ceil(count / GROUP)
    if groups == 1 or not math.isfinite(speed):
        return period_s / 2.0
    spacing_s = min(SPACING_S * speed, 0.5 * period_s / groups)
    return period_s / 2.0 + (index // GROUP - (groups - 1) / 2.0) * spacing_s


class Poller:
    """The only reader of a device. Logs once when an asset is lost and once when it is back."""

    def __init__(self, device: Device, board: Board, clock: Clock, *, phase_s: float | None = None) -> None:
        self._device = device
        self._board = board
        self._clock = clock
        self._poll_s = device.binding.poll_s
        self._phase_s = self._poll_s / 2.0 if phase_s is None else phase_s
        self._silent_polls = 0
        self._failures: dict[str, int] = {}
        self._lost_s: dict[str, float] = {}
        self._arm_at_s: dict[str, float] = {}

    async def run(self) -> None:
        """Poll until cancelled, at the same phase of every period: half a cycle before the loop's tick."""
        try:
            while True:
                await self.poll()
                await self._clock.sleep_until(self._next_s(self._clock.now().mono_s))
        finally:
            await self._device.close()

    async def poll(self) -> bool:
        """Read the device once, and arm what is not armed; return whether it answered."""
        try:
            readings = await self._device.read(self._clock)
        except DriverError as failed:
            self._silent_polls += 1
            for asset_id in self._device.binding.asset_ids:
                self._note_failure(asset_id, failed.cause)
            return False
        self._silent_polls = 0
        for asset_id, reading in readings.items():
            if isinstance(reading, NoReading):
                self._note_failure(asset_id, reading.cause)
            else:
                self._board.put(asset_id, reading)
                self._note_success(asset_id)
        for asset_id in self._device.can_arm:
            if not self._device.armed[asset_id]:
                await self._arm(asset_id)
        return True

    def _next_s(self, now_s: float) -> float:
        if self._silent_polls:
            speed = self._clock.speed if math.isfinite(self._clock.speed) else 1.0
            return now_s + RETRY_S[min(self._silent_polls, len(RETRY_S)) - 1] * speed
        periods = math.floor((now_s - self._phase_s) / self._poll_s) + 1
        return periods * self._poll_s + self._phase_s

    def _note_failure(self, asset_id: str, cause: str) -> None:
        self._board.fail(asset_id, cause)
        self._failures[asset_id] = self._failures.get(asset_id, 0) + 1
        if self._failures[asset_id] == FAILURES_TO_BE_LOST:
            self._lost_s[asset_id] = self._clock.now().mono_s
            log.warning("asset lost", device=self._device.device_id, asset=asset_id, cause=cause)

    def _note_success(self, asset_id: str) -> None:
        self._failures[asset_id] = 0
        lost_s = self._lost_s.pop(asset_id, None)
        if lost_s is not None:
            away_s = round(self._clock.now().mono_s - lost_s, 1)
            log.info("asset back", device=self._device.device_id, asset=asset_id, away_s=away_s)

    async def _arm(self, asset_id: str) -> None:
        """Arm the asset's watchdog; where the device refuses, try again later and say so once."""
        now_s = self._clock.now().mono_s
        if now_s < self._arm_at_s.get(asset_id, -math.inf):
            return
        try:
            await self._device.arm(asset_id)
        except DriverError as failed:
            if asset_id not in self._arm_at_s:
                log.warning(
                    "watchdog not armed", device=self._device.device_id, asset=asset_id, cause=str(failed)
                )
            self._arm_at_s[asset_id] = now_s + ARM_RETRY_S
            return
        self._arm_at_s.pop(asset_id, None)
        log.info("watchdog armed", device=self._device.device_id, asset=asset_id)
