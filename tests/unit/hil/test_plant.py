"""The physics: what the devices do with commands, and what they say."""

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.plant import (
    Car,
    Command,
    PlantParams,
    PlantState,
    accept,
    advance,
    initial_state,
    measure,
    plug_in,
    powers_kw,
    set_fallback_kw,
    set_local,
    unplug,
)
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    Measurement,
    MeterReading,
    PvReading,
)
from station.topology import Site
from tests.unit.hil.stations import ac_connector, battery, dc_connector, pv_plant, site, whole_site

PARAMS = PlantParams()
SWIFT = PlantParams(
    pcs_dead_s=0.0, pcs_tau_s=1e-3, pv_tau_s=1e-3, ac_delay_s=0.0, dc_dead_s=0.0, ac_wake_s=0.0, dc_wake_s=0.0
)
LONG_S = 1e9


def run(
    at: Site,
    state: PlantState,
    steps: int,
    dt_s: float = 1.0,
    *,
    params: PlantParams = PARAMS,
    from_s: float = 0.0,
    load_kw: float = 0.0,
    sun_kw: float = 0.0,
    commands: Mapping[str, Command] | None = None,
) -> list[PlantState]:
    """Return the state after each step; ``commands`` arrive with the first."""
    states = []
    for index in range(steps):
        state = advance(
            at,
            params,
            state,
            (commands or {}) if index == 0 else {},
            load_kw=load_kw,
            pv_available_kw=sun_kw,
            now_s=from_s + index * dt_s,
            dt_s=dt_s,
        )
        states.append(state)
    return states


def car(connector_id: str = "ac1", energy_kwh: float = 10.0, **fields: float) -> Car:
    return Car("s1", connector_id, 0.0, fields.pop("unplugged_s", LONG_S), energy_kwh, **fields)


def reading_of(at: Site, state: PlantState, asset_id: str, now_s: float) -> Measurement:
    return measure(at, PARAMS, state, now_s)[asset_id]


# ------------------------------------------------------------------------------------------ conservation


@given(
    battery_kw=st.floats(-80, 80),
    pv_kw=st.floats(-60, 0),
    ac_kw=st.floats(0, 30),
    dc_kw=st.floats(0, 70),
    soc=st.floats(0.02, 0.98),
    dt_s=st.sampled_from([0.2, 1.0, 4.0, 60.0, 900.0]),
)
def test_power_balances_and_energy_is_conserved_in_every_step(
    *, battery_kw: float, pv_kw: float, ac_kw: float, dc_kw: float, soc: float, dt_s: float
) -> None:
    at = whole_site()
    state = plug_in(at, initial_state(at, soc), car("ac1", 3.0))
    state = plug_in(at, state, car("dc1", 20.0))
    commands = {
        "bess": Command(battery_kw, LONG_S),
        "pv": Command(pv_kw, LONG_S),
        "ac1": Command(ac_kw, LONG_S),
        "dc1": Command(dc_kw, LONG_S),
    }
    for after in run(at, state, 40, dt_s, load_kw=17.0, sun_kw=33.0, commands=commands):
        assert after.grid_kw == pytest.approx(17.0 + sum(powers_kw(at, after).values()))
        assert all(asset.nameplate.holds(powers_kw(at, after)[asset.asset_id]) for asset in at.controllables)
        hours = dt_s / 3600.0
        bess_kw = after.batteries[0].power_kw
        gained_kwh = bess_kw * 0.95 * hours if bess_kw > 0 else bess_kw / 0.9 * hours
        assert after.batteries[0].energy_kwh == pytest.approx(state.batteries[0].energy_kwh + gained_kwh)
        assert 2.0 - 1e-9 <= after.batteries[0].energy_kwh <= 98.0 + 1e-9
        for before, its, connector in zip(state.connectors, after.connectors, at.connectors, strict=True):
            taken_kwh = its.power_kw * connector.efficiency * hours
            assert its.session_kwh == pytest.approx(before.session_kwh + taken_kwh)
            assert its.session_kwh + its.remaining_kwh == pytest.approx(
                its.car.energy_kwh if its.car else 0.0, abs=1e-8
            )
        state = after


# ------------------------------------------------------------------------------------------ battery


def test_a_battery_loses_energy_both_ways() -> None:
    at = site(battery())
    charged = run(at, initial_state(at), 1, 900.0, commands={"bess": Command(40.0, LONG_S)})[-1]
    assert charged.batteries[0].energy_kwh == pytest.approx(50.0 + 10.0 * 0.95)
    emptied = run(at, initial_state(at), 1, 900.0, commands={"bess": Command(-36.0, LONG_S)})[-1]
    assert emptied.batteries[0].energy_kwh == pytest.approx(50.0 - 9.0 / 0.9)


def test_a_battery_waits_its_dead_time_then_ramps_and_settles() -> None:
    at = site(battery(ramp_kw_per_s=20.0))
    params = PlantParams(pcs_dead_s=1.0, pcs_tau_s=0.3)
    commands = {"bess": Command(40.0, LONG_S)}
    powers = [
        s.batteries[0].power_kw for s in run(at, initial_state(at), 60, 0.1, params=params, commands=commands)
    ]
    assert powers[:10] == [0.0] * 10
    assert max(b - a for a, b in pairwise(powers)) == pytest.approx(2.0)
    assert powers[-1] == pytest.approx(40.0, rel=1e-3)


def test_commands_that_keep_coming_within_the_dead_time_still_arrive() -> None:
    at = site(battery())
    params = PlantParams(pcs_dead_s=3.0)
    state = initial_state(at)
    for second in range(10):
        state = accept(at, params, state, {"bess": Command(float(second), 10.0)}, second)
        state = run(at, state, 1, params=params, from_s=second)[-1]
    assert state.batteries[0].held.acting_kw == 6.0


def test_a_battery_goes_to_its_fallback_when_the_lease_expires() -> None:
    at = site(battery(fallback_kw=-5.0))
    states = run(at, initial_state(at), 16, commands={"bess": Command(30.0, 10.0)})
    assert states[9].batteries[0].power_kw == pytest.approx(30.0, rel=0.05)
    assert states[15].batteries[0].power_kw == pytest.approx(-5.0, rel=0.05)
    reading = reading_of(at, states[15], "bess", 16.0)
    assert isinstance(reading, BatteryReading)
    assert reading.setpoint_kw == -5.0


def test_a_second_write_of_the_same_value_renews_the_lease() -> None:
    at = site(battery())
    state = run(at, initial_state(at), 8, commands={"bess": Command(30.0, 10.0)})[-1]
    state = run(at, state, 8, from_s=8.0, commands={"bess": Command(30.0, 10.0)})[-1]
    assert state.batteries[0].power_kw == pytest.approx(30.0, rel=1e-3)


@pytest.mark.parametrize(("command_kw", "edge_soc"), [(50.0, 0.98), (-50.0, 0.02)])
@pytest.mark.parametrize("dt_s", [1.0, 60.0])
def test_a_battery_tapers_at_its_hard_edge_and_then_idles(
    command_kw: float, edge_soc: float, dt_s: float
) -> None:
    at = site(battery())
    steps = int(8 * 3600 / dt_s)
    states = run(at, initial_state(at), steps, dt_s, commands={"bess": Command(command_kw, LONG_S)})
    assert states[-1].batteries[0].energy_kwh == pytest.approx(100.0 * edge_soc, abs=0.01)
    assert states[-1].batteries[0].power_kw == pytest.approx(0.0, abs=0.05)
    reading = reading_of(at, states[-1], "bess", 0.0)
    assert isinstance(reading, BatteryReading)
    limits = (reading.max_charge_kw, reading.max_discharge_kw)
    assert min(limits) < 0.1
    assert max(limits) == 50.0


def test_the_bms_permits_everything_inside_the_planning_window() -> None:
    at = site(battery(soc_min=0.0, soc_max=1.0))
    for soc in (0.001, 0.5, 0.999):
        reading = reading_of(at, initial_state(at, soc), "bess", 0.0)
        assert isinstance(reading, BatteryReading)
        assert (reading.max_charge_kw, reading.max_discharge_kw) == (50.0, 50.0)


# ------------------------------------------------------------------------------------------ PV


def test_pv_follows_the_sun_until_it_is_limited() -> None:
    at = site(pv_plant())
    free = run(at, initial_state(at), 20, sun_kw=40.0)[-1]
    assert free.grid_kw == pytest.approx(-40.0, rel=1e-3)
    limited = run(at, free, 20, from_s=20.0, sun_kw=40.0, commands={"pv": Command(-10.0, 60.0)})[-1]
    assert limited.grid_kw == pytest.approx(-10.0, rel=1e-3)
    assert isinstance(reading := reading_of(at, limited, "pv", 40.0), PvReading)
    assert reading.setpoint_kw == -10.0
    cloudy = run(at, limited, 1, from_s=40.0, sun_kw=3.0)[-1]
    assert cloudy.grid_kw == pytest.approx(-3.0)


def test_pv_is_free_again_when_its_lease_expires() -> None:
    at = site(pv_plant())
    states = run(at, initial_state(at), 60, sun_kw=40.0, commands={"pv": Command(0.0, 30.0)})
    assert states[25].grid_kw == pytest.approx(0.0, abs=1e-3)
    assert states[-1].grid_kw == pytest.approx(-40.0, rel=1e-3)


def test_the_sun_is_shared_by_rating_and_clipped_by_the_inverter() -> None:
    at = site(pv_plant("a", 30.0, -30.0), pv_plant("b", 60.0, -60.0))
    state = run(at, initial_state(at), 1, 60.0, sun_kw=120.0)[-1]
    assert powers_kw(at, state) == {"a": -30.0, "b": -60.0}


# ------------------------------------------------------------------------------------------ connectors


@pytest.mark.parametrize("dt_s", [1.0, 300.0])
def test_a_car_stops_exactly_at_its_energy(dt_s: float) -> None:
    at = site(dc_connector())
    state = plug_in(at, initial_state(at), car("dc1", 7.3))
    states = run(at, state, int(1800 / dt_s), dt_s, commands={"dc1": Command(40.0, LONG_S)})
    assert states[-1].connectors[0].session_kwh == pytest.approx(7.3, abs=1e-9)
    assert states[-1].connectors[0].remaining_kwh == 0.0
    reading = reading_of(at, states[-1], "dc1", 1800.0)
    assert isinstance(reading, ConnectorReading)
    assert reading.state is ConnectorState.PLUGGED
    metered_kwh = sum(s.grid_kw for s in states) * dt_s / 3600.0
    assert metered_kwh * 0.95 == pytest.approx(7.3)


def test_an_ac_car_takes_a_new_current_after_a_few_seconds() -> None:
    at = site(ac_connector())
    state = plug_in(at, initial_state(at), car())
    state = run(at, state, 30, commands={"ac1": Command(11.0, LONG_S)})[-1]
    powers = [s.grid_kw for s in run(at, state, 8, from_s=30.0, commands={"ac1": Command(5.0, LONG_S)})]
    assert powers[:5] == [pytest.approx(11.0)] * 5
    assert powers[-1] == pytest.approx(5.0)


def test_below_six_amperes_an_ac_car_does_not_charge_and_it_needs_time_to_wake() -> None:
    at = site(ac_connector())
    state = plug_in(at, initial_state(at), car())
    paused = run(at, state, 30, commands={"ac1": Command(4.0, LONG_S)})[-1]
    assert paused.grid_kw == 0.0
    powers = [s.grid_kw for s in run(at, paused, 15, from_s=30.0, commands={"ac1": Command(8.0, LONG_S)})]
    assert powers[:10] == [0.0] * 10
    assert powers[10] == pytest.approx(8.0)


def test_a_connector_falls_back_by_itself() -> None:
    at = site(ac_connector())
    state = plug_in(at, initial_state(at), car(energy_kwh=100.0))
    states = run(at, state, 30, commands={"ac1": Command(20.0, 12.0)})
    assert states[11].grid_kw == pytest.approx(20.0)
    assert states[-1].grid_kw == pytest.approx(4.14)


def test_a_car_draws_no_more_than_it_can() -> None:
    at = site(dc_connector())
    state = plug_in(at, initial_state(at), car("dc1", 50.0, max_power_kw=19.0))
    after = run(at, state, 1, 60.0, commands={"dc1": Command(60.0, LONG_S)})[-1]
    assert after.grid_kw == pytest.approx(20.0)


def test_a_car_that_leaves_within_a_step_draws_only_until_then() -> None:
    at = site(ac_connector())
    state = plug_in(at, initial_state(at), car(unplugged_s=300.0))
    after = run(at, state, 1, 900.0, commands={"ac1": Command(12.0, LONG_S)})[-1]
    assert after.connectors[0].session_kwh == pytest.approx(1.0)


def test_a_free_connector_says_so_and_a_taken_one_refuses_a_second_car() -> None:
    at = site(ac_connector())
    state = plug_in(at, initial_state(at), car())
    with pytest.raises(ValueError, match="taken by s1"):
        plug_in(at, state, car())
    freed = unplug(at, state, "ac1")
    assert isinstance(reading := reading_of(at, freed, "ac1", 0.0), ConnectorReading)
    assert reading.state is ConnectorState.FREE
    with pytest.raises(ValueError, match="no connector"):
        unplug(at, state, "nowhere")


def test_only_a_dc_car_tells_its_soc_and_only_a_study_its_need() -> None:
    at = site(ac_connector(), dc_connector())
    state = initial_state(at, 0.5)
    for connector in at.connectors:
        visit = Car("s", connector.asset_id, 0.0, LONG_S, 20.0, 35.0, arrival_soc=0.2, capacity_kwh=50.0)
        state = plug_in(at, state, visit)
    state = run(at, state, 60, 60.0, commands={"dc1": Command(60.0, LONG_S)})[-1]
    ac, dc = (reading_of(at, state, connector.asset_id, 0.0) for connector in at.connectors)
    assert isinstance(ac, ConnectorReading)
    assert isinstance(dc, ConnectorReading)
    assert (ac.soc, ac.known_kwh, ac.requested_kwh) == (None, None, 35.0)
    assert dc.soc == pytest.approx(0.2 + 20.0 / 50.0)


# ------------------------------------------------------------------------------------------ meter, writes


@pytest.mark.parametrize("lag_s", [0.0, 1.0, 2.6])
def test_the_meter_shows_the_past_under_the_instant_of_now(lag_s: float) -> None:
    at = site(battery())
    params = PlantParams(meter_lag_s=lag_s)
    state, truth = initial_state(at), []
    for step in range(40):
        truth.append(float(step))
        state = run(at, state, 1, 0.2, params=params, from_s=step * 0.2, load_kw=float(step))[-1]
    reading = measure(at, params, state, 8.0)["meter"]
    assert reading == MeterReading(8.0, truth[39 - round(lag_s / 0.2)])
    assert len(state.grid_history) <= lag_s / 0.2 + 2


def test_a_device_in_local_mode_takes_no_command_and_says_so() -> None:
    at = site(battery())
    state = set_local(initial_state(at), "bess", True)
    state = run(at, state, 20, commands={"bess": Command(30.0, LONG_S)})[-1]
    assert state.grid_kw == 0.0
    assert isinstance(reading := reading_of(at, state, "bess", 20.0), BatteryReading)
    assert reading.is_local
    assert set_local(state, "bess", False).local == frozenset()


def test_a_device_cuts_a_command_to_its_nameplate_and_ignores_what_is_no_number() -> None:
    at = site(battery())
    state = accept(at, PARAMS, initial_state(at), {"bess": Command(500.0, LONG_S)}, 0.0)
    assert state.batteries[0].held.setpoint_kw == 50.0
    assert accept(at, PARAMS, state, {"bess": Command(float("nan"), 1.0)}, 0.0) == state


def test_a_new_fallback_counts_at_once_for_a_resting_device_and_later_for_a_commanded_one() -> None:
    at = site(battery(), ac_connector())
    state = set_fallback_kw(at, initial_state(at), "bess", -3.0)
    assert state.batteries[0].held.setpoint_kw == -3.0
    state = accept(at, PARAMS, state, {"bess": Command(20.0, 10.0)}, 0.0)
    state = set_fallback_kw(at, state, "bess", 1.0)
    assert state.batteries[0].held.setpoint_kw == 20.0
    assert run(at, state, 15)[-1].batteries[0].power_kw == pytest.approx(1.0, rel=0.05)


def test_a_step_takes_time() -> None:
    at = site(battery())
    with pytest.raises(ValueError, match="step"):
        run(at, initial_state(at), 1, 0.0, params=SWIFT)
