"""The things of a site, as their nameplates and the site engineer declare them. All immutable.

Nameplate powers are positive numbers; a sign appears only in powers that flow.
"""

from dataclasses import dataclass
from enum import StrEnum

from station.limits import Interval
from station.quantities import Phase


@dataclass(frozen=True, slots=True)
class GridMeter:
    """The meter at the point of common coupling. Its power is positive while the site imports.

    ``lag_s`` is how old a value already is when the device hands it out; err towards too long.
    """

    asset_id: str
    lag_s: float


@dataclass(frozen=True, slots=True)
class BaseLoad:
    """What nobody meters or controls: the building. Its power is what the meter sees beyond the metered assets.

    ``max_kw`` and ``min_kw`` are the declared worst cases in either direction, ``growth_kw`` is how much it may change
    until shedding takes effect.
    """

    asset_id: str
    max_kw: float
    min_kw: float
    growth_kw: float


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery with its power conversion system, seen from the AC side.

    ``wear_price_per_kwh`` is the declared cost of one kWh discharged, in the tariff's currency.
    ``fallback_kw`` is what the device does by itself once its lease has expired.
    """

    asset_id: str
    capacity_kwh: float
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    soc_min: float
    soc_max: float
    wear_price_per_kwh: float
    ramp_kw_per_s: float
    fallback_kw: float
    lease_s: float

    @property
    def nameplate(self) -> Interval:
        """Return every power that the device can reach."""
        return Interval(-self.max_discharge_kw, self.max_charge_kw)

    @property
    def fallback(self) -> Interval:
        """Return where the power may lie once the lease has expired."""
        return Interval(min(self.fallback_kw, 0.0), max(self.fallback_kw, 0.0))


@dataclass(frozen=True, slots=True)
class PvPlant:
    """A photovoltaic plant behind one inverter. Its power is negative while it generates.

    A setpoint for it is the lowest power permitted: ``-rated_kw`` leaves it free, 0 curtails it wholly.
    ``fallback_kw`` is that bound once the lease has expired.
    """

    asset_id: str
    rated_kw: float
    fallback_kw: float
    lease_s: float

    @property
    def nameplate(self) -> Interval:
        """Return every power that the device can reach."""
        return Interval(-self.rated_kw, 0.0)

    @property
    def fallback(self) -> Interval:
        """Return where the power may lie once the lease has expired."""
        return Interval(self.fallback_kw, 0.0)


class ConnectorKind(StrEnum):
    """How a connector feeds the car: alternating current under IEC 61851, or direct current."""

    AC = "ac"
    DC = "dc"


@dataclass(frozen=True, slots=True)
class Connector:
    """One charging connector; powers are on the AC side, converter losses included.

    A setpoint for it is the highest power permitted: 0, or at least ``min_kw`` (6 A under IEC 61851, or the DC
    charger's minimum). ``phases`` are the conductors that it loads, ``voltage_v`` is phase to neutral.
    ``efficiency`` is what reaches the car. ``fallback_kw`` is permitted by the device once its lease has expired.
    """

    asset_id: str
    kind: ConnectorKind
    phases: tuple[Phase, ...]
    voltage_v: float
    max_kw: float
    min_kw: float
    efficiency: float
    ramp_kw_per_s: float
    fallback_kw: float
    lease_s: float

    @property
    def nameplate(self) -> Interval:
        """Return every power that the device can reach."""
        return Interval(0.0, self.max_kw)

    @property
    def fallback(self) -> Interval:
        """Return where the power may lie once the lease has expired."""
        return Interval(0.0, self.fallback_kw)


Controllable = Battery | PvPlant | Connector
Asset = GridMeter | BaseLoad | Battery | PvPlant | Connector
