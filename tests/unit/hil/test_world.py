"""The account of a run: means, visits and violations."""

from datetime import timedelta

import pytest

from hil.plant import PlantParams
from hil.world import LoadNoise, Surroundings, World
from station.decision import Setpoint, Withheld
from station.inputs import SessionRow
from station.limits import CurrentLimit, Direction
from station.measurement import ConnectorReading
from station.quantities import Phase
from station.topology import LimitNode, Site
from tests.unit.hil.stations import (
    START_AT,
    ac_connector,
    battery,
    dc_connector,
    power_limit,
    pv_plant,
    site,
    whole_site,
)

SWIFT = PlantParams(
    pcs_dead_s=0.0,
    pcs_tau_s=1e-3,
    pv_tau_s=1e-3,
    ac_delay_s=0.0,
    dc_dead_s=0.0,
    ac_wake_s=0.0,
    dc_wake_s=0.0,
)


def row(
    session_id: str,
    connector_id: str,
    from_s: float,
    to_s: float,
    *,
    energy_kwh: float = 10.0,
    requested_kwh: float | None = None,
) -> SessionRow:
    """Return a car; times in seconds after the start."""
    comes_at, leaves_at = (START_AT + timedelta(seconds=seconds) for seconds in (from_s, to_s))
    return SessionRow(session_id, connector_id, comes_at, leaves_at, energy_kwh, requested_kwh)


def world(
    at: Site,
    *rows: SessionRow,
    load_kw: tuple[float, ...] = (20.0,),
    pv_kw: tuple[float, ...] = (0.0,),
    params: PlantParams = SWIFT,
    noise: LoadNoise | None = None,
    is_energy_known: bool = False,
) -> World:
    """Return a world whose rows of 15 minutes start with it."""
    size = max(len(load_kw), len(pv_kw))
    surroundings = Surroundings(
        START_AT, 900.0, load_kw * (size // len(load_kw)), pv_kw * (size // len(pv_kw))
    )
    return World(
        at,
        surroundings,
        rows,
        start_at=START_AT,
        params=params,
        noise=noise,
        is_energy_known=is_energy_known,
    )


def jump(at: World, seconds: int, dt_s: float = 1.0) -> None:
    """Let time pass in equal steps."""
    for _ in range(round(seconds / dt_s)):
        at.advance(dt_s)


def command(at: World, **setpoints_kw: float) -> None:
    """Write setpoints that hold for a day."""
    at.apply({asset_id: Setpoint(power_kw, 86_400.0, False) for asset_id, power_kw in setpoints_kw.items()})


# ------------------------------------------------------------------------------------------ means


def test_the_means_of_a_slot_add_up_and_start_where_the_clock_does() -> None:
    here = world(whole_site(), load_kw=(20.0, 40.0), pv_kw=(10.0, 30.0))
    command(here, bess=15.0, pv=-60.0)
    jump(here, 1800, 60.0)
    means = here.result().means
    assert means.starts == (START_AT, START_AT + timedelta(seconds=900))
    assert means.load_kw == pytest.approx((20.0, 40.0))
    assert means.pv_kw == pytest.approx((-10.0, -30.0))
    assert means.battery_kw == pytest.approx((15.0, 15.0))
    assert means.grid_kw == pytest.approx((25.0, 25.0))
    assert means.soc == pytest.approx((0.5 + 3.75 * 0.95 / 100, 0.5 + 7.5 * 0.95 / 100))


def test_a_step_across_rows_and_slots_is_shared_by_time() -> None:
    here = world(site(battery()), load_kw=(10.0, 20.0, 40.0))
    for dt_s in (600.0, 600.0, 600.0, 900.0):
        here.advance(dt_s)
    means = here.result().means
    assert sum(means.load_kw) * 900.0 == pytest.approx((10.0 + 20.0 + 40.0) * 900.0)
    assert here.now.mono_s == 2700.0
    assert here.now.at == START_AT + timedelta(seconds=2700)


def test_a_slot_that_is_covered_in_part_has_the_mean_of_that_part() -> None:
    here = world(site(battery()))
    jump(here, 300, 60.0)
    assert here.result().means.load_kw == pytest.approx((20.0,))


def test_throughput_and_what_the_battery_holds_agree_with_its_efficiency() -> None:
    here = world(site(battery()))
    command(here, bess=40.0)
    jump(here, 900, 60.0)
    command(here, bess=-20.0)
    jump(here, 900, 60.0)
    result = here.result()
    assert (result.charged_kwh, result.discharged_kwh) == pytest.approx((10.0, 5.0))
    assert result.end_energy_kwh - result.start_energy_kwh == pytest.approx(9.5 - 5.0 / 0.9)
    assert result.end_soc == pytest.approx(result.end_energy_kwh / 100.0)


def test_curtailed_sun_is_still_counted_as_available() -> None:
    here = world(site(pv_plant()), pv_kw=(40.0,))
    command(here, pv=-10.0)
    jump(here, 900, 60.0)
    assert here.result().pv_available_kwh == pytest.approx(10.0)
    assert here.result().means.pv_kw == pytest.approx((-10.0,))


def test_noise_is_repeatable_and_stays_within_what_is_declared() -> None:
    def loads(seed: int) -> list[float]:
        here = world(site(battery()), noise=LoadNoise(30.0, 5.0, seed))
        values = []
        for _ in range(300):
            here.advance(1.0)
            values.append(here.state.load_kw)
        return values

    assert loads(1) == loads(1) != loads(2)
    assert min(loads(1)) == 0.0
    assert max(loads(1)) == 60.0


# ------------------------------------------------------------------------------------------ visits


def test_cars_come_and_go_and_get_what_they_were_given() -> None:
    here = world(site(ac_connector("ac1")), row("a", "ac1", 60.0, 3660.0), row("b", "ac1", 4000.0, 5000.0))
    command(here, ac1=6.0)
    jump(here, 7200, 60.0)
    first, second = here.result().outcomes
    assert first.delivered_kwh == pytest.approx(6.0)
    assert first.deliverable_kwh == pytest.approx(10.0)
    assert second.delivered_kwh == pytest.approx(6.0 * (5000.0 - 4020.0) / 3600.0)
    assert second.deliverable_kwh == pytest.approx(22.08 * 1000.0 / 3600.0)
    assert second.waited_s == 20.0
    assert here.result().delivered_kwh == {"a": first.delivered_kwh, "b": second.delivered_kwh}


def test_a_car_without_a_place_takes_a_free_one_or_waits_or_leaves_unserved() -> None:
    here = world(
        site(ac_connector("ac1"), ac_connector("ac2")),
        row("a", "ac1", 0.0, 600.0),
        row("b", "", 0.0, 1200.0),
        row("c", "", 60.0, 5000.0),
        row("d", "ac2", 120.0, 900.0),
    )
    command(here, ac1=11.0, ac2=11.0)
    jump(here, 5400, 60.0)
    outcomes = {outcome.session_id: outcome for outcome in here.result().outcomes}
    assert {s: o.connector_id for s, o in outcomes.items()} == {"a": "ac1", "b": "ac2", "c": "ac1", "d": ""}
    assert outcomes["c"].waited_s == 540.0
    assert (outcomes["d"].delivered_kwh, outcomes["d"].waited_s) == (0.0, 780.0)


def test_a_visit_before_the_start_is_history_and_one_that_has_begun_is_counted() -> None:
    here = world(site(ac_connector()), row("old", "ac1", -10.0, 500.0), row("new", "ac1", 600.0, 9000.0))
    jump(here, 900, 60.0)
    assert [outcome.session_id for outcome in here.result().outcomes] == ["new"]
    assert here.result().outcomes[0].deliverable_kwh == pytest.approx(300.0 / 3600.0 * 22.08)


def test_a_visit_to_a_connector_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no connector 'ac9'"):
        world(site(ac_connector()), row("a", "ac9", 0.0, 10.0))


@pytest.mark.parametrize("is_known", [True, False])
def test_the_need_of_a_car_is_told_only_in_studies(is_known: bool) -> None:
    here = world(
        site(ac_connector()),
        row("a", "ac1", 0.0, 900.0, energy_kwh=7.0, requested_kwh=20.0),
        is_energy_known=is_known,
    )
    reading = here.readings()["ac1"]
    assert isinstance(reading, ConnectorReading)
    assert (reading.known_kwh, reading.requested_kwh) == (7.0 if is_known else None, 20.0)


def test_a_write_is_read_back_at_once_and_what_is_withheld_is_not_written() -> None:
    here = world(site(ac_connector("ac1"), ac_connector("ac2")))
    here.apply({"ac1": Setpoint(9.0, 10.0, True), "ac2": Withheld("local")})
    setpoints = [r.setpoint_kw for r in here.readings().values() if isinstance(r, ConnectorReading)]
    assert setpoints == [9.0, pytest.approx(4.14)]


def test_a_world_advances_to_an_instant_in_small_steps_and_never_back() -> None:
    here = world(site(battery()))
    here.advance_to(1.05, 0.2)
    assert here.now.mono_s == pytest.approx(1.05)
    here.advance_to(0.5, 0.2)
    assert here.now.mono_s == pytest.approx(1.05)


def test_fallback_and_local_mode_reach_the_device() -> None:
    here = world(site(battery()))
    here.set_fallback_kw("bess", -2.0)
    here.set_local("bess", True)
    here.command("bess", 30.0, 60.0)
    here.advance(1.0)
    assert here.state.batteries[0].power_kw == pytest.approx(-2.0)


# ------------------------------------------------------------------------------------------ violations


def limited(import_kw: float = 100.0) -> Site:
    """Return a site with a limit at the PCC, and a battery that may break it."""
    return site(battery(), limits=(power_limit(import_kw), power_limit(30.0, Direction.EXPORT)))


@pytest.mark.parametrize(
    ("load_kw", "seconds", "count"),
    [(101.0, 60, 0), (101.1, 5, 0), (101.1, 6, 1), (101.1, 600, 1)],
)
def test_a_violation_is_more_than_one_percent_for_longer_than_five_seconds(
    load_kw: float, seconds: int, count: int
) -> None:
    here = world(limited(), load_kw=(load_kw,))
    jump(here, seconds)
    result = here.result()
    assert result.violation_count == count
    assert result.violation_kw_s == pytest.approx(count * (load_kw - 100.0) * seconds)


def test_a_coarse_step_over_a_limit_is_a_violation_by_itself() -> None:
    here = world(limited(), load_kw=(110.0, 90.0))
    jump(here, 900, 5.0)
    here.advance(900.0)
    (violation,) = here.result().violations
    assert (violation.constraint, violation.unit, violation.duration_s) == ("pcc import kW", "kW", 900.0)
    assert (violation.worst, violation.excess_s) == pytest.approx((10.0, 9000.0))


def test_two_times_are_two_violations_and_export_counts_as_import_does() -> None:
    here = world(limited(), load_kw=(0.0,))
    for power_kw in (-40.0, 0.0, -35.0):
        command(here, bess=power_kw)
        jump(here, 10)
    violations = here.result().violations
    assert [v.constraint for v in violations] == ["pcc export kW", "pcc export kW"]
    assert [v.worst for v in violations] == pytest.approx([10.0, 5.0])


@pytest.mark.parametrize(("seconds", "count"), [(12, 0), (13, 1)])
def test_a_feeder_of_ac_cars_may_take_twelve_seconds_and_is_judged_per_phase(
    seconds: int, count: int
) -> None:
    phases = ((Phase.L1,), (Phase.L1,), (Phase.L2,))
    chargers = [ac_connector(f"ac{i}", phase) for i, phase in enumerate(phases)]
    feeder = LimitNode("feeder", "pcc", tuple(c.asset_id for c in chargers), (CurrentLimit(50.0, "fuse"),))
    rows = [row(c.asset_id, c.asset_id, 0.0, 9000.0) for c in chargers]
    here = world(site(*chargers, nodes=(feeder,)), *rows)
    command(here, ac0=7.0, ac1=7.0, ac2=7.0)
    jump(here, seconds)
    result = here.result()
    assert result.violation_count == count
    assert result.violation_a_s == pytest.approx(count * seconds * (14.0 / 0.23 - 50.0))
    assert all(v.constraint == "feeder import L1 A" for v in result.violations)


def test_a_feeder_with_a_dc_connector_may_take_five_seconds_only() -> None:
    feeder = LimitNode("feeder", "pcc", ("ac1", "dc1"), (power_limit(10.0),))
    here = world(
        site(ac_connector(), dc_connector(), nodes=(feeder,)),
        row("a", "dc1", 0.0, 9000.0),
    )
    command(here, dc1=20.0)
    jump(here, 6)
    assert here.result().violation_count == 1
