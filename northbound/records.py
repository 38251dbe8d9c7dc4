"""One cycle as flat numbers and ledger rows. Pure.

Here, and nowhere further inside, PV is shown positive: its power, its plan, and its setpoint (the most it may feed in).
Everything else keeps load convention. NaN means that nobody measured, planned or commanded it.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import isfinite, nan

from northbound.rows import CommandRow
from station.assets import Battery, Connector, ConnectorKind, Controllable, PvPlant
from station.clock import Instant
from station.decision import Decision, DemandWindow, Grant, Setpoint, Withheld
from station.limits import Direction
from station.measurement import BatteryReading, ConnectorReading, Measurement, NoReading, PvReading, Snapshot
from station.plan import Plan
from station.request import RequestKind
from station.topology import Site

COMMAND_TOLERANCE_KW = 0.1
"""A setpoint that moves less than this is the same command."""


def record_of(
    site: Site, snapshot: Snapshot, decision: Decision, plan: Plan | None = None
) -> dict[str, float]:
    """Return measured, planned and commanded values of one cycle; the names are the same in each cycle."""
    now = snapshot.taken
    slot = None if plan is None else plan.slot_at(now.at)
    record = _balance(site, snapshot, decision)
    record["limit_kw"] = _limit_kw(site, snapshot)
    record["planned_grid_kw"] = nan if plan is None or slot is None else plan.grid_kw[slot]
    record |= _worth(site, now.at, record)
    record["alarms"] = float(len(decision.state.alarms))
    record["cars"] = float(len(decision.state.sessions))
    for asset in site.controllables:
        asset_id, sign = asset.asset_id, _sign(asset)
        record |= _measured(asset, _fresh(site, snapshot, asset_id))
        record[f"{asset_id}.planned_kw"] = _shown(sign, _planned_kw(plan, slot, asset_id))
        record[f"{asset_id}.setpoint_kw"] = _shown(sign, _commanded_kw(decision.setpoints.get(asset_id)))
        record[f"{asset_id}.lease_left_s"] = _lease_left_s(decision.state.grants.get(asset_id, ()), now)
    for asset_id in (site.meter.asset_id, *site.by_id):
        record |= _heard(site, snapshot, asset_id)
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
    sees_pv = _sees_all(site, snapshot, site.pv_plants)
    sees_batteries = _sees_all(site, snapshot, site.batteries)
    return {
        "grid_kw": nan if balance.grid_kw is None else balance.grid_kw,
        "base_load_kw": nan if balance.base_is_worst_case else balance.base_kw,
        "pv_kw": _shown(-1, balance.pv_kw) if sees_pv else nan,
        "battery_kw": balance.battery_kw if sees_batteries else nan,
        "charging_kw": balance.charging_kw,
        "allowed_kw": balance.allowed_kw,
        "support_kw": decision.state.support_kw,
        "lag_s": balance.lag_s,
        "window_mean_kw": _window_mean_kw(window),
        "month_peak_kw": nan if window is None else window.month_peak_kw,
    }


def _limit_kw(site: Site, snapshot: Snapshot) -> float:
    """Return the continuous import limit in force at the PCC: the site's own, or an operator's that is lower."""
    asked_kw = [
        max(request.interval.max_kw, 0.0)
        for request in snapshot.requests
        if request.kind is RequestKind.OPERATOR_IMPORT_LIMIT and request.expires_at > snapshot.taken.at
    ]
    limit_kw = min([site.continuous_kw(Direction.IMPORT), *asked_kw])
    return limit_kw if isfinite(limit_kw) else nan


def _worth(site: Site, at: datetime, record: Mapping[str, float]) -> dict[str, float]:
    """Return prices and what flows cost or are worth per hour, in the tariff's currency; money earned is negative cost.

    Carbon counts what is imported; it is there only where the site declares an intensity.
    """
    grid_kw = record["grid_kw"]
    price, export_price = _known(site.tariff.price_per_kwh, at), _known(site.tariff.export_price_at, at)
    worth = {
        "price_per_kwh": price,
        "export_price_per_kwh": export_price,
        "cost_per_h": grid_kw * (price if grid_kw > 0.0 else export_price) + 0.0,
        "pv_value_per_h": record["pv_kw"] * price,
        "battery_value_per_h": -record["battery_kw"] * price + 0.0,
    }
    if site.grid_kg_co2_per_kwh is not None:
        worth["kg_co2_per_h"] = 0.0 if grid_kw <= 0.0 else grid_kw * site.grid_kg_co2_per_kwh
    return worth


def _known(price_at: Callable[[datetime], float], at: datetime) -> float:
    """Return a price, NaN where the tariff has none: a price that is missing is not zero."""
    try:
        return price_at(at)
    except LookupError:
        return nan


def _window_mean_kw(window: DemandWindow | None) -> float:
    """Return the mean import so far of the demand window that is being formed."""
    if window is None or window.covered_s <= 0.0:
        return nan
    return window.energy_kwh * 3600.0 / window.covered_s


def _told(limit_kw: float) -> float:
    """Return a limit; NaN where the device tells none."""
    return limit_kw if isfinite(limit_kw) else nan


def _measured(asset: Controllable, reading: Measurement) -> dict[str, float]:
    asset_id = asset.asset_id
    match asset:
        case Battery():
            battery = reading if isinstance(reading, BatteryReading) else None
            return {
                f"{asset_id}.power_kw": nan if battery is None else battery.power_kw,
                f"{asset_id}.soc": nan if battery is None else battery.soc,
                f"{asset_id}.max_charge_kw": nan if battery is None else _told(battery.max_charge_kw),
                f"{asset_id}.max_discharge_kw": nan if battery is None else _told(battery.max_discharge_kw),
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
                **_car(asset, connector),
            }


def _car(asset: Connector, reading: ConnectorReading | None) -> dict[str, float]:
    """Return the state of charge that a DC car reports; AC cars never do."""
    if asset.kind is not ConnectorKind.DC:
        return {}
    soc = None if reading is None else reading.soc
    return {f"{asset.asset_id}.soc": nan if soc is None else soc}


def _heard(site: Site, snapshot: Snapshot, asset_id: str) -> dict[str, float]:
    """Return how old an asset's reading is, whether it is believed (1 or 0), and its failed reads so far."""
    reading = snapshot.readings.get(asset_id, NoReading("never read"))
    measured_s = nan if isinstance(reading, NoReading) else reading.measured_s
    return {
        f"{asset_id}.age_s": snapshot.taken.mono_s - measured_s,
        f"{asset_id}.quality": float(not isinstance(_fresh(site, snapshot, asset_id), NoReading)),
        f"{asset_id}.errors": float(snapshot.errors.get(asset_id, nan)),
    }


def _lease_left_s(grants: Iterable[Grant], now: Instant) -> float:
    """Return for how long the newest setpoint still counts as held by the device, NaN where there is none."""
    newest = max(grants, key=lambda grant: grant.sent_s, default=None)
    return nan if newest is None else max(newest.expires_s - now.mono_s, 0.0)


def _sees_all(site: Site, snapshot: Snapshot, assets: Iterable[Controllable]) -> bool:
    return not any(isinstance(_fresh(site, snapshot, asset.asset_id), NoReading) for asset in assets)


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
