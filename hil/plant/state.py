"""The state of the plant: immutable, in the order of the site's assets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from hil.plant.device import Held, resting
from station.assets import Controllable
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Car:
    """The truth about one visit. Energies and ``max_power_kw`` are on the car's side of the charger.

    ``energy_kwh`` is what it will take and ``unplugged_s`` (monotonic station time) when it really leaves; the
    controller hears only ``requested_kwh`` and ``estimated_unplug_at``, and ``energy_kwh`` where ``is_energy_known``.
    """

    session_id: str
    connector_id: str
    plugged_in_s: float
    unplugged_s: float
    energy_kwh: float
    requested_kwh: float | None = None
    estimated_unplug_at: datetime | None = None
    max_power_kw: float | None = None
    arrival_soc: float | None = None
    capacity_kwh: float | None = None
    is_energy_known: bool = False


@dataclass(frozen=True, slots=True)
class BatteryState:
    """A battery; ``power_kw`` is its AC power during the last step, ``energy_kwh`` what its cells hold."""

    held: Held
    energy_kwh: float
    power_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class PvState:
    """A PV plant; ``power_kw`` <= 0. What it holds is the lowest power that it permits itself."""

    held: Held
    power_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class ConnectorStatus:
    """A connector and its car. ``power_kw`` is AC; ``remaining_kwh`` and ``session_kwh`` are on the car's side.

    ``awake_s`` is when the car draws, once it is offered power; infinite while it is paused.
    """

    held: Held
    car: Car | None = None
    remaining_kwh: float = 0.0
    session_kwh: float = 0.0
    power_kw: float = 0.0
    awake_s: float = float("inf")


@dataclass(frozen=True, slots=True)
class PlantState:
    """Everything that the physics remembers.

    ``grid_kw`` and ``load_kw`` are the powers of the last step; ``grid_history`` holds (start of step, grid power) as
    far back as the meter lags. In ``local`` are assets at which a person has taken control: they take no commands.
    """

    batteries: tuple[BatteryState, ...]
    pv_plants: tuple[PvState, ...]
    connectors: tuple[ConnectorStatus, ...]
    load_kw: float = 0.0
    grid_kw: float = 0.0
    grid_history: tuple[tuple[float, float], ...] = ()
    local: frozenset[str] = frozenset()


def initial_state(site: Site, soc: float = 0.5) -> PlantState:
    """Return the station before anything happened: no car, no command, every battery at ``soc``."""
    return PlantState(
        tuple(BatteryState(resting(b.fallback_kw), b.capacity_kwh * soc) for b in site.batteries),
        tuple(PvState(resting(pv.fallback_kw)) for pv in site.pv_plants),
        tuple(ConnectorStatus(resting(c.fallback_kw)) for c in site.connectors),
    )


def powers_kw(site: Site, state: PlantState) -> dict[str, float]:
    """Return the true power of every controllable asset during the last step."""
    states: tuple[BatteryState | PvState | ConnectorStatus, ...]
    states = (*state.batteries, *state.pv_plants, *state.connectors)
    return {asset.asset_id: its.power_kw for asset, its in zip(site.controllables, states, strict=True)}


def plug_in(site: Site, state: PlantState, car: Car) -> PlantState:
    """Return the state with ``car`` at its connector, which must be free. The charger keeps its command."""
    index = _index(site, car.connector_id)
    status = state.connectors[index]
    if status.car is not None:
        raise ValueError(f"{car.connector_id} is taken by {status.car.session_id}")
    return _with_connector(state, index, ConnectorStatus(status.held, car, max(car.energy_kwh, 0.0)))


def unplug(site: Site, state: PlantState, connector_id: str) -> PlantState:
    """Return the state with the connector free; its power stops at once."""
    index = _index(site, connector_id)
    return _with_connector(state, index, ConnectorStatus(state.connectors[index].held))


def set_fallback_kw(site: Site, state: PlantState, asset_id: str, fallback_kw: float) -> PlantState:
    """Return the state after the device was told another fallback; a device that rests at its fallback follows."""

    def told(asset: Controllable, held: Held) -> Held:
        if asset.asset_id != asset_id:
            return held
        is_resting = held == resting(held.fallback_kw)
        return resting(fallback_kw) if is_resting else replace(held, fallback_kw=fallback_kw)

    return change_held(site, state, told)


def change_held(site: Site, state: PlantState, change: Callable[[Controllable, Held], Held]) -> PlantState:
    """Return the state with what each device holds replaced by ``change(asset, held)``."""
    return replace(
        state,
        batteries=tuple(
            BatteryState(change(asset, s.held), s.energy_kwh, s.power_kw)
            for asset, s in zip(site.batteries, state.batteries, strict=True)
        ),
        pv_plants=tuple(
            PvState(change(asset, s.held), s.power_kw)
            for asset, s in zip(site.pv_plants, state.pv_plants, strict=True)
        ),
        connectors=tuple(
            ConnectorStatus(
                change(asset, s.held), s.car, s.remaining_kwh, s.session_kwh, s.power_kw, s.awake_s
            )
            for asset, s in zip(site.connectors, state.connectors, strict=True)
        ),
    )


def set_local(state: PlantState, asset_id: str, is_local: bool) -> PlantState:
    """Return the state after a person at the device took control or gave it back."""
    local = state.local | {asset_id} if is_local else state.local - {asset_id}
    return replace(state, local=local)


def _index(site: Site, connector_id: str) -> int:
    for index, connector in enumerate(site.connectors):
        if connector.asset_id == connector_id:
            return index
    raise ValueError(f"the site has no connector {connector_id!r}")


def _with_connector(state: PlantState, index: int, status: ConnectorStatus) -> PlantState:
    connectors = (*state.connectors[:index], status, *state.connectors[index + 1 :])
    return replace(state, connectors=connectors)
