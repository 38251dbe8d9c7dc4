"""One step of the whole station."""

from collections.abc import Mapping

from hil.plant.battery import advance_battery
from hil.plant.connector import advance_connector, command_delay_s
from hil.plant.device import Command, Held, take
from hil.plant.params import PlantParams
from hil.plant.pv import advance_pv
from hil.plant.state import PlantState, change_held
from station.assets import Battery, Connector, Controllable
from station.topology import Site


def accept(
    site: Site, params: PlantParams, state: PlantState, commands: Mapping[str, Command], now_s: float
) -> PlantState:
    """Return the state after the devices have taken ``commands``; each restarts its device's timer.

    A device cuts a command to its nameplate, and takes none that is not a number or while a person has control.
    """
    if not commands:
        return state

    def taken(asset: Controllable, held: Held) -> Held:
        command = commands.get(asset.asset_id)
        if command is None or command.power_kw != command.power_kw or asset.asset_id in state.local:
            return held
        cut = Command(asset.nameplate.clamp(command.power_kw), command.lease_s)
        return take(held, cut, now_s, _delay_s(asset, params))

    return change_held(site, state, taken)


def advance(
    site: Site,
    params: PlantParams,
    state: PlantState,
    commands: Mapping[str, Command],
    *,
    load_kw: float,
    pv_available_kw: float,
    now_s: float,
    dt_s: float,
) -> PlantState:
    """Return the station at ``now_s + dt_s``, where ``commands`` arrive at ``now_s``.

    ``load_kw`` is the base load (consumption positive) and ``pv_available_kw`` what the sun would give all PV plants
    together (positive; shared by rating), both constant within the step. A lease that ends within the step ends with
    it. Power balance is exact: ``grid_kw = load_kw + sum of assets``.
    """
    if dt_s <= 0.0:
        raise ValueError(f"a step of {dt_s} s")
    state = accept(site, params, state, commands, now_s)
    batteries = tuple(
        advance_battery(asset, params, its, now_s, dt_s)
        for asset, its in zip(site.batteries, state.batteries, strict=True)
    )
    rated_kw = sum(asset.rated_kw for asset in site.pv_plants) or 1.0
    pv_plants = tuple(
        advance_pv(asset, params, its, pv_available_kw * asset.rated_kw / rated_kw, now_s=now_s, dt_s=dt_s)
        for asset, its in zip(site.pv_plants, state.pv_plants, strict=True)
    )
    connectors = tuple(
        advance_connector(asset, params, its, now_s, dt_s)
        for asset, its in zip(site.connectors, state.connectors, strict=True)
    )
    grid_kw = load_kw + sum(its.power_kw for group in (batteries, pv_plants, connectors) for its in group)
    history = _trimmed((*state.grid_history, (now_s, grid_kw)), now_s + dt_s - params.meter_lag_s)
    return PlantState(batteries, pv_plants, connectors, load_kw, grid_kw, history, state.local)


def _trimmed(history: tuple[tuple[float, float], ...], needed_s: float) -> tuple[tuple[float, float], ...]:
    """Return the history without the steps that ended before ``needed_s``."""
    first = 0
    while first + 1 < len(history) and history[first + 1][0] < needed_s:
        first += 1
    return history[first:]


def _delay_s(asset: Controllable, params: PlantParams) -> float:
    if isinstance(asset, Connector):
        return command_delay_s(asset, params)
    return params.pcs_dead_s if isinstance(asset, Battery) else 0.0
