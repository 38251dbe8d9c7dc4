"""The process image: the latest that is known of each asset. Pollers write it, the loop takes snapshots."""

from collections.abc import Iterable, Mapping

from station.clock import Instant
from station.measurement import AssetReading, Measurement, NoReading, Snapshot, WriteResult
from station.request import Request


class Board:
    """Latest reading and latest write of each asset.

    A failure does not wipe a reading out: it stays with its old ``measured_s`` and so grows old, and whoever judges it
    decides when that is too old. Frozen devices are seen the same way, because ``Device`` keeps ``measured_s`` where
    it is while a device shows no sign of life.
    """

    def __init__(self, asset_ids: Iterable[str]) -> None:
        self._readings: dict[str, Measurement] = {
            asset_id: NoReading("not read yet") for asset_id in asset_ids
        }
        self._writes: dict[str, WriteResult] = {}
        self._causes: dict[str, str] = {}
        self._errors = dict.fromkeys(self._readings, 0)

    @property
    def causes(self) -> Mapping[str, str]:
        """Return why the last read of an asset failed; assets whose last read went well are not there."""
        return dict(self._causes)

    def put(self, asset_id: str, reading: AssetReading) -> None:
        """Keep a reading."""
        self._readings[asset_id] = reading
        self._causes.pop(asset_id, None)

    def fail(self, asset_id: str, cause: str) -> None:
        """Note and count that a read failed; the last good reading stays."""
        self._causes[asset_id] = cause
        self._errors[asset_id] = self._errors.get(asset_id, 0) + 1
        if isinstance(self._readings.get(asset_id, NoReading("")), NoReading):
            self._readings[asset_id] = NoReading(cause)

    def put_write(self, asset_id: str, result: WriteResult) -> None:
        """Keep what became of a setpoint, unless a later one is already known."""
        known = self._writes.get(asset_id)
        if known is None or known.sent_s <= result.sent_s:
            self._writes[asset_id] = result

    def alive_s(self, asset_id: str) -> float | None:
        """Return the monotonic instant of the last sign of life, or None where there was none."""
        reading = self._readings.get(asset_id)
        return None if reading is None or isinstance(reading, NoReading) else reading.measured_s

    def snapshot(self, now: Instant, requests: Iterable[Request] = ()) -> Snapshot:
        """Return all that is known now; later writes to the board don't change it."""
        return Snapshot(
            now, dict(self._readings), dict(self._writes), tuple(requests), errors=dict(self._errors)
        )
