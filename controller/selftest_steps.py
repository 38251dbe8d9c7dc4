"""How an asset is moved in the self-test: which levels, for how long, and when to stop. Pure.

No level needs the meter to be right: room is what is left under every limit when the base load and all other assets are
at the worst that is declared or seen of them, as in the books of leases (docs/adr/0005-leases.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.selftest_order import rating_kw
from controller.selftest_words import Blind
from station.assets import Battery, Connector, ConnectorKind, Controllable, PvPlant
from station.limits import Direction, Interval
from station.measurement import BatteryReading, ConnectorReading, Measurement, NoReading, PvReading
from station.topology import Constraint, Site

LEAST_SHARE = 0.05
"""A step is at least this share of the rating: less would drown in the base load."""

STEP_SHARE = 0.2
"""The steps that are measured, as a share of the rating, where the limits leave room."""

ROOM_SHARE = 0.9
HOLDS_S = {"battery": 12.0, "pv": 12.0, "dc": 16.0, "ac": 18.0}
"""How long a level lasts: the device's delay (5 s for a car on AC), the meter's lag of up to 3 s, and 6 s to look."""

FIRST_HOLD_S = {"battery": 12.0, "pv": 12.0, "dc": 40.0, "ac": 30.0}
"""The first level lasts longer where a car may have to wake."""

CYCLES = 3
MOST_CYCLES = 9


@dataclass(frozen=True, slots=True)
class Programme:
    """The levels of one trial, kW, each held for ``hold_s``; ``rest_kw`` is where it begins and ends."""

    asset: Controllable
    levels_kw: tuple[float, ...]
    hold_s: float
    first_hold_s: float
    ramp_kw_per_s: float
    rest_kw: float

    @property
    def duration_s(self) -> float:
        """Return how long the trial lasts without the way back."""
        return self.first_hold_s + self.hold_s * (len(self.levels_kw) - 1)

    def at(self, elapsed_s: float) -> tuple[int, float]:
        """Return the number of the level and the power that is asked at a moment, ramped from the level before."""
        step = 0
        since_s = elapsed_s
        if elapsed_s >= self.first_hold_s:
            step = min(1 + int((elapsed_s - self.first_hold_s) / self.hold_s), len(self.levels_kw) - 1)
            since_s = elapsed_s - self.first_hold_s - (step - 1) * self.hold_s
        before_kw = self.levels_kw[step - 1] if step else self.rest_kw
        return step, ramped(before_kw, self.levels_kw[step], self.ramp_kw_per_s * (since_s + 1.0))

    def longer(self) -> "Programme | None":
        """Return the programme with one more cycle before its end, or None where it is long enough."""
        cycle = self.levels_kw[-3:-1]
        if len(self.levels_kw) + 2 > 5 + 2 * MOST_CYCLES:
            return None
        levels_kw = (*self.levels_kw[:-1], *cycle, self.levels_kw[-1])
        return Programme(
            self.asset, levels_kw, self.hold_s, self.first_hold_s, self.ramp_kw_per_s, self.rest_kw
        )


def ramped(from_kw: float, to_kw: float, most_kw: float) -> float:
    """Return the power on the way between two, at most ``most_kw`` from the first."""
    return from_kw + min(max(to_kw - from_kw, -most_kw), most_kw)


def way_back(programme: Programme, from_kw: float) -> tuple[float, ...]:
    """Return the setpoints of each second from a power back to rest, ramped."""
    powers_kw = []
    while abs(from_kw - programme.rest_kw) > 1e-9:
        from_kw = ramped(from_kw, programme.rest_kw, programme.ramp_kw_per_s)
        powers_kw.append(from_kw)
    return tuple(powers_kw) or (programme.rest_kw,)


def programme_of(
    site: Site, asset: Controllable, readings: Mapping[str, Measurement], grid_kw: float | None
) -> Programme | Blind:
    """Return how an asset is to be moved, or why it can't be.

    ``readings`` are what all assets say at rest; ``grid_kw`` what the meter says, which only decides which way the
    first small step goes.
    """
    what = f"{asset.asset_id}: power, sign and scale"
    reading = readings.get(asset.asset_id, NoReading("not read"))
    if isinstance(reading, NoReading):
        return Blind(what, f"it can't be read: {reading.cause}")
    if site.fallback_problems:
        return Blind(what, f"the site is not fit to run: {site.fallback_problems[0]}")
    room = room_of(site, asset, readings)
    match asset, reading:
        case Battery(), BatteryReading(is_local=False):
            return _of_battery(asset, reading, room, grid_kw) or Blind(
                what, _too_little(asset, room, readings)
            )
        case PvPlant(), PvReading(is_local=False):
            return _of_pv(asset, reading)
        case Connector(), ConnectorReading(is_local=False):
            if not reading.is_occupied:
                return Blind(what, "no car is plugged in")
            return _of_connector(asset, room) or Blind(what, _too_little(asset, room, readings))
        case _:
            return Blind(what, "it is in local mode")


def room_of(site: Site, asset: Controllable, readings: Mapping[str, Measurement]) -> Interval:
    """Return the powers that an asset may take whatever the base load and the others do."""
    low_kw, high_kw = asset.nameplate.min_kw, asset.nameplate.max_kw
    for constraint in site.constraints:
        weight = constraint.weights.get(asset.asset_id, 0.0)
        if weight <= 0.0:
            continue
        left_kw = (constraint.bound - _worst(site, asset, readings, constraint)) / weight
        if constraint.direction is Direction.IMPORT:
            high_kw = min(high_kw, max(ROOM_SHARE * left_kw, 0.0))
        else:
            low_kw = max(low_kw, min(-ROOM_SHARE * left_kw, 0.0))
    return Interval(low_kw, high_kw)


def _worst(
    site: Site, moved: Controllable, readings: Mapping[str, Measurement], constraint: Constraint
) -> float:
    """Return what all but one asset can add up to at a constraint, in its own direction and unit."""
    is_import = constraint.direction is Direction.IMPORT
    base_kw = site.base_load.max_kw if is_import else -site.base_load.min_kw
    total = constraint.base_weight * base_kw
    for asset_id, weight in constraint.weights.items():
        if asset_id == moved.asset_id:
            continue
        may = _may_do(site.by_id[asset_id], readings.get(asset_id))
        total += weight * max(may.max_kw if is_import else -may.min_kw, 0.0)
    return total


def _may_do(asset: Controllable, reading: Measurement | None) -> Interval:
    """Return the powers that an asset may take while nobody controls it: its fallback, what it holds, what it does."""
    match reading:
        case BatteryReading() | PvReading() | ConnectorReading():
            does_kw = asset.nameplate.clamp(reading.power_kw)
            may = asset.fallback.hull(Interval(does_kw, does_kw))
            if reading.setpoint_kw is None:
                return may
            held_kw = asset.nameplate.clamp(reading.setpoint_kw)
            return may.hull(Interval(min(held_kw, 0.0), max(held_kw, 0.0)))
        case _:
            return asset.nameplate


def _too_little(asset: Controllable, room: Interval, readings: Mapping[str, Measurement]) -> str:
    least_kw = LEAST_SHARE * rating_kw(asset)
    unread = [asset_id for asset_id, its in readings.items() if isinstance(its, NoReading)]
    rated = f"; {', '.join(unread)} can't be read and counts with its rating" if unread else ""
    return (
        f"the limits (or the BMS) leave it {room.min_kw:.1f} to {room.max_kw:.1f} kW beside all that the others "
        f"may do; a step needs {least_kw:.1f} kW{rated}"
    )


def _of_battery(
    asset: Battery, reading: BatteryReading, room: Interval, grid_kw: float | None
) -> Programme | None:
    rated_kw = rating_kw(asset)
    up_kw = 0.0 if reading.soc >= asset.soc_max else min(room.max_kw, max(reading.max_charge_kw, 0.0))
    down_kw = 0.0 if reading.soc <= asset.soc_min else min(-room.min_kw, max(reading.max_discharge_kw, 0.0))
    least_kw = LEAST_SHARE * rated_kw
    high_kw, low_kw = min(up_kw, STEP_SHARE * rated_kw), -min(down_kw, STEP_SHARE * rated_kw)
    if high_kw < least_kw and -low_kw < least_kw:
        return None
    high_kw, low_kw = (0.0 if high_kw < least_kw else high_kw), (0.0 if -low_kw < least_kw else low_kw)
    probes_kw = [least_kw] if high_kw else []
    probes_kw += [-least_kw] if low_kw else []
    if (grid_kw or 0.0) > 0.0:
        probes_kw.reverse()  # the first small step goes against what the meter shows
    levels_kw = (*(level for probe_kw in probes_kw for level in (0.0, probe_kw)), 0.0)
    levels_kw = (*levels_kw, *((low_kw, high_kw) * CYCLES), 0.0)
    ramp_kw_per_s = min(asset.ramp_kw_per_s, STEP_SHARE * rated_kw)
    hold_s = HOLDS_S["battery"]
    return Programme(asset, levels_kw, hold_s, FIRST_HOLD_S["battery"], ramp_kw_per_s, asset.fallback_kw)


def _of_pv(asset: PvPlant, reading: PvReading) -> Programme | Blind:
    given_kw = min(abs(reading.power_kw), asset.rated_kw)
    least_kw = LEAST_SHARE * asset.rated_kw
    if given_kw < 2.0 * least_kw:
        reason = f"the sun gives {given_kw:.1f} kW; a step of {least_kw:.1f} kW needs twice that"
        return Blind(f"{asset.asset_id}: power, sign and scale", reason)
    is_plausible = abs(reading.power_kw) <= 1.1 * asset.rated_kw
    curtailed_kw = -0.5 * given_kw if is_plausible else -least_kw
    levels_kw = (*((-asset.rated_kw, curtailed_kw) * (CYCLES + 1)), -asset.rated_kw)
    ramp_kw_per_s = asset.rated_kw
    return Programme(
        asset, levels_kw, HOLDS_S["pv"], FIRST_HOLD_S["pv"], ramp_kw_per_s, min(asset.fallback_kw, 0.0)
    )


def _of_connector(asset: Connector, room: Interval) -> Programme | None:
    low_kw = asset.min_kw
    high_kw = min(asset.max_kw, room.max_kw)
    if high_kw - low_kw < LEAST_SHARE * asset.max_kw:
        return None
    kind = "ac" if asset.kind is ConnectorKind.AC else "dc"
    levels_kw = (*((low_kw, high_kw) * (CYCLES + 1)), low_kw)
    return Programme(
        asset, levels_kw, HOLDS_S[kind], FIRST_HOLD_S[kind], asset.ramp_kw_per_s, asset.fallback_kw
    )
