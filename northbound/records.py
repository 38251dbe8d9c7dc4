"""One cycle as flat numbers and ledger rows. Pure.

Here, and nowhere further inside, PV is shown positive: its power, its plan, and its setpoint (the most it may feed in).
Everything else keeps load convention. NaN means that nobody measured, planned or commanded it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import nan

from northbound.rows import CommandRow
from station.assets import Battery, Connector, Controllable, PvPlant
from station.decision import Decision, DemandWindow, Setpoint, Withheld
from station.measurement import BatteryReading, ConnectorReading, Measurement, NoReading, PvReading, Snapshot
from station.plan import Plan
from station.topology import Site

COMMAND_TOLERANCE_KW = 0.1
"""A setpoint that moves less than this is the same command."""


def record_of(
    site: Site, snapshot: Snapshot, decision: Decision, plan: Plan | None = None
) -> dict[str, float]:
    """Return measured, planned and commanded values of one cycle; the names are the same in each cycle."""
    record = _balance(site, snapshot, decision)
    slot = None if plan is None else plan.slot_at(snapshot.taken.at)
    for asset in site.controllables:
        asset_id, sign = asset.asset_id, _sign(asset)
        record |= _measured(asset, _fresh(site, snapshot, asset_id))
        record[f"{asset_id}.planned_kw"] = _shown(sign, _planned_kw(plan, slot, asset_id))
        record[f"{asset_id}.setpoint_kw"] = _shown(sign, _commanded_kw(decision.setpoints.get(asset_id)))
    return record


def commands_of(
    site: Site, before: Decision | None, decision: Decision, at: datetime
) -> tuple[CommandRow, ...]:
    """Return the commands that are new since ``before``, each with its reasons; ``at`` is UTC."""
    return tuple(
        _command(site.by_id[asset_id], entry, decision, at)
        for asset_id, entry in decision.setpoints.items()
        if _is_new(None if before is None else before.setpoints.get(asset_id), entry)
    )


def alarms_between(before: Iterable[str], after: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the alarms that were raised and those that were cleared."""
    old, new = set(before), set(after)
    return tuple(sorted(new - old)), tuple(sorted(old - new))


def _balance(site: Site, snapshot: Snapshot, decision: Decision) -> dict[str, float]:
    balance, window = decision.balance, decision.state.window
    pv = [_fresh(site, snapshot, plant.asset_id) for plant in site.pv_plants]
    pv_kw = nan if any(isinstance(reading, NoReading) for reading in pv) else _shown(-1, balance.pv_kw)
    return {
        "grid_kw": nan if balance.grid_kw is None else balance.grid_kw,
        "base_load_kw": nan if balance.base_is_worst_case else balance.base_kw,
        "pv_kw": pv_kw,
        "battery_kw": balance.battery_kw,
        "charging_kw": balance.charging_kw,
        "allowed_kw": balance.allowed_kw,
        "support_kw": decision.state.support_kw,
        "lag_s": balance.lag_s,
        "window_mean_kw": _window_mean_kw(window),
        "month_peak_kw": nan if window is None else window.month_peak_kw,
    }


def _window_mean_kw(window: DemandWindow | None) -> float:
    """Return the mean import so far of the demand window that is being formed."""
    if window is None or window.covered_s <= 0.0:
        return nan
    return window.energy_kwh * 3600.0 / window.covered_s


def _measured(asset: Controllable, reading: Measurement) -> dict[str, float]:
    asset_id = asset.asset_id
    match asset:
        case Battery():
            battery = reading if isinstance(reading, BatteryReading) else None
            return {
                f"{asset_id}.power_kw": nan if battery is None else battery.power_kw,
                f"{asset_id}.soc": nan if battery is None else battery.soc,
                f"{asset_id}.max_charge_kw": nan if battery is None else battery.max_charge_kw,
                f"{asset_id}.max_discharge_kw": nan if battery is None else battery.max_discharge_kw,
            }
        case PvPlant():
            power_kw = reading.power_kw if isinstance(reading, PvReading) else nan
            return {f"{asset_id}.power_kw": _shown(-1, power_kw)}
        case Connector():
            connector = reading if isinstance(reading, ConnectorReading) else None
            return {
                f"{asset_id}.power_kw": nan if connector is None else connector.power_kw,
                f"{asset_id}.session_kwh": nan if connector is None else connector.session_kwh,
                f"{asset_id}.occupied": nan if connector is None else float(connector.is_occupied),
            }


def _fresh(site: Site, snapshot: Snapshot, asset_id: str) -> Measurement:
    """Return a reading that is young enough to be called measured."""
    reading = snapshot.readings.get(asset_id, NoReading("never read"))
    if isinstance(reading, NoReading):
        return reading
    oldest_s = max(site.control.stale_s, 2.0 * site.control.cycle_s)
    return reading if snapshot.taken.mono_s - reading.measured_s <= oldest_s else NoReading("stale")


def _planned_kw(plan: Plan | None, slot: int | None, asset_id: str) -> float:
    targets: Mapping[str, tuple[float, ...]] = {} if plan is None else plan.targets_kw
    values = targets.get(asset_id, ())
    return values[slot] if slot is not None and slot < len(values) else nan


def _commanded_kw(entry: Setpoint | Withheld | None) -> float:
    return entry.power_kw if isinstance(entry, Setpoint) else nan


def _sign(asset: Controllable) -> int:
    return -1 if isinstance(asset, PvPlant) else 1


def _shown(sign: int, power_kw: float) -> float:
    """Return a power with its northbound sign; never a negative zero."""
    return sign * power_kw + 0.0


def _is_new(old: Setpoint | Withheld | None, new: Setpoint | Withheld) -> bool:
    if isinstance(old, Setpoint) and isinstance(new, Setpoint):
        return abs(old.power_kw - new.power_kw) >= COMMAND_TOLERANCE_KW
    return old != new


def _command(asset: Controllable, entry: Setpoint | Withheld, decision: Decision, at: datetime) -> CommandRow:
    reasons = tuple(
        f"{reason.rule}: {reason.detail}"
        for reason in decision.reasons
        if reason.asset_id in ("", asset.asset_id)
    )
    if isinstance(entry, Withheld):
        return CommandRow(at, asset.asset_id, None, None, False, (f"withheld: {entry.cause}", *reasons))
    power_kw = _shown(_sign(asset), entry.power_kw)
    return CommandRow(at, asset.asset_id, power_kw, entry.lease_s, entry.makes_room, reasons)
