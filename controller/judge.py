"""Which readings may be believed in this cycle. Keeps I13: a stale or impossible value decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from station.assets import Controllable
from station.clock import Instant
from station.measurement import (
    AssetReading,
    BatteryReading,
    ConnectorReading,
    Measurement,
    MeterReading,
    NoReading,
    PvReading,
    Snapshot,
)
from station.topology import Site

PLAUSIBLE_FACTOR = 1.2
"""A power beyond this multiple of the nameplate is a fault of the reading and not a fact."""

METER_FACTOR = 2.0
"""The same for the meter, of all ratings and the declared base load together; the base load may be declared too low."""

MAY_BE_UNKNOWN = ("setpoint_kw", "requested_kwh", "known_kwh", "soc", "capacity_kwh", "max_kw")
"""Values of a reading that are numbers or None."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The snapshot after judging: one believed reading or one ``NoReading`` for each asset."""

    meter: MeterReading | NoReading
    batteries: Mapping[str, BatteryReading]
    pv_plants: Mapping[str, PvReading]
    connectors: Mapping[str, ConnectorReading]
    lost: Mapping[str, NoReading]

    def power_kw(self, asset_id: str) -> float | None:
        """Return the believed power of a controllable asset, or None."""
        reading = self.reading(asset_id)
        return None if reading is None else reading.power_kw

    def reading(self, asset_id: str) -> BatteryReading | PvReading | ConnectorReading | None:
        """Return the believed reading of a controllable asset, or None."""
        return self.batteries.get(asset_id) or self.pv_plants.get(asset_id) or self.connectors.get(asset_id)


def judge(site: Site, snapshot: Snapshot, now: Instant) -> Seen:
    """Return what may be believed: fresh, finite, of the right kind and within what the nameplate makes plausible."""
    batteries: dict[str, BatteryReading] = {}
    pv_plants: dict[str, PvReading] = {}
    connectors: dict[str, ConnectorReading] = {}
    lost: dict[str, NoReading] = {}
    stale_s = stale_bound_s(site)
    meter = _plausible_meter(site, _believe(snapshot.readings.get(site.meter.asset_id), stale_s, now))
    if isinstance(meter, NoReading):
        lost[site.meter.asset_id] = meter
    for asset in site.controllables:
        reading = _plausible(asset, _believe(snapshot.readings.get(asset.asset_id), stale_s, now))
        match reading:
            case BatteryReading():
                batteries[asset.asset_id] = reading
            case PvReading():
                pv_plants[asset.asset_id] = reading
            case ConnectorReading():
                connectors[asset.asset_id] = reading
            case MeterReading():
                lost[asset.asset_id] = NoReading("answers as a meter")
            case NoReading():
                lost[asset.asset_id] = reading
    return Seen(meter, batteries, pv_plants, connectors, lost)


def stale_bound_s(site: Site) -> float:
    """Return the age at which a reading is no longer believed: the site's bound, at least three cycles."""
    return max(site.control.stale_s, 3.0 * site.control.cycle_s)


def _believe(reading: Measurement | None, stale_s: float, now: Instant) -> Measurement:
    if reading is None:
        return NoReading("never read")
    if isinstance(reading, NoReading):
        return reading
    age_s = now.mono_s - reading.measured_s
    if not age_s <= stale_s:
        return NoReading(f"no new value for more than {stale_s:.0f} s")
    return reading if isfinite(reading.power_kw) else NoReading("power is not a number")


def _plausible_meter(site: Site, reading: Measurement) -> MeterReading | NoReading:
    """Return the meter's reading; what all assets and the base load together can't do is a fault of the meter."""
    if isinstance(reading, NoReading):
        return reading
    if not isinstance(reading, MeterReading):
        return NoReading("not a meter")
    most_kw = site.base_load.max_kw + sum(_rating_kw(asset) for asset in site.controllables)
    if abs(reading.power_kw) > METER_FACTOR * most_kw:
        return NoReading(f"reads {reading.power_kw:.1f} kW, beyond all that the site can draw or give")
    return reading


def _rating_kw(asset: Controllable) -> float:
    return max(-asset.nameplate.min_kw, asset.nameplate.max_kw)


def _plausible(asset: Controllable, reading: Measurement) -> Measurement:
    if isinstance(reading, NoReading):
        return reading
    rating_kw = _rating_kw(asset)
    if abs(reading.power_kw) > PLAUSIBLE_FACTOR * rating_kw + 1.0:
        return NoReading(f"reads {reading.power_kw:.1f} kW, beyond its rating of {rating_kw:.1f} kW")
    if isinstance(reading, BatteryReading) and not _battery_is_sane(reading):
        return NoReading("state of charge or limits are impossible")
    return _without_nonsense(reading)


def _without_nonsense(reading: AssetReading) -> AssetReading:
    """Return the reading with what may be unknown, and is not a number, as unknown."""
    nonsense: dict[str, Any] = {
        name: None
        for name in MAY_BE_UNKNOWN
        if (value := getattr(reading, name, None)) is not None and not isfinite(value)
    }
    return replace(reading, **nonsense) if nonsense else reading


def _battery_is_sane(reading: BatteryReading) -> bool:
    return 0.0 <= reading.soc <= 1.0 and reading.max_charge_kw >= 0.0 and reading.max_discharge_kw >= 0.0


def age_of(reading: AssetReading, now: Instant) -> float:
    """Return the age of a reading in seconds."""
    return now.mono_s - reading.measured_s
