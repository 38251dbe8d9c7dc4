"""The base load behind the meter, aligned in time."""

import pytest

from controller.balance import MEMORY_S, assets_at, estimate_base, estimate_lag, sample
from controller.judge import judge
from station.decision import ControlState, PowerSample
from station.measurement import BatteryReading, MeterReading, NoReading, Snapshot
from station.topology import Control
from tests.factories import a_site, an_instant

SITE = a_site(ac=0, dc=0, base_max_kw=30.0, lag_s=1.0)


def samples_of(*entries: tuple[float, float | None, float]) -> tuple[PowerSample, ...]:
    """Return samples of (second, grid, assets)."""
    return tuple(PowerSample(s, s, s, grid_kw, assets_kw) for s, grid_kw, assets_kw in entries)


def test_the_assets_are_looked_up_between_samples_and_held_beyond_them() -> None:
    known = samples_of((10.0, 0.0, 0.0), (12.0, 0.0, 20.0), (13.0, 0.0, 50.0))
    for at_s, expected_kw in (
        (9.0, 0.0),
        (10.0, 0.0),
        (11.0, 10.0),
        (12.5, 35.0),
        (13.0, 50.0),
        (99.0, 50.0),
    ):
        assert assets_at(known, at_s) == expected_kw


def test_the_base_load_is_taken_where_the_meters_value_was_true() -> None:
    step = samples_of((10.0, 20.0, 0.0), (11.0, 20.0, 40.0))
    assert estimate_base(SITE, step, 1.0).base_kw == 20.0
    assert estimate_base(SITE, step, 0.0).base_kw == 0.0, "never below the declared least"


def test_without_a_meter_the_base_load_is_the_declared_worst_case() -> None:
    estimate = estimate_base(SITE, samples_of((10.0, None, 0.0)), 1.0)
    assert (estimate.base_kw, estimate.is_worst_case) == (30.0, True)


def test_a_sample_holds_what_was_seen_and_what_is_hidden() -> None:
    now = an_instant(100.0)
    shown = {
        "grid": MeterReading(99.0, 12.0),
        "battery": BatteryReading(98.0, -8.0, 0.5, 100.0, 100.0),
        "pv": NoReading("silent"),
    }
    seen = judge(SITE, Snapshot(now, shown), now)
    taken = sample(SITE, ControlState(0.0), seen, {"pv": -20.0}, now)
    assert taken == (PowerSample(100.0, 99.0, 98.0, 12.0, -28.0),)


def test_old_samples_are_dropped_and_time_never_runs_back() -> None:
    now = an_instant(200.0)
    kept = samples_of((200.0 - MEMORY_S - 1.0, 0.0, 0.0), (199.0, 0.0, 0.0))
    seen = judge(SITE, Snapshot(now, {"grid": NoReading("silent")}), now)
    after = sample(SITE, ControlState(0.0, samples=kept), seen, {}, now)
    assert [entry.mono_s for entry in after] == [199.0, 200.0]
    assert after[-1].grid_kw is None


def moving(lag_s: float, count: int = 60) -> tuple[PowerSample, ...]:
    """Return a battery that moves every few seconds and a meter that shows it late, over a constant base load."""

    def battery_kw(at_s: float) -> float:
        return 30.0 if int(at_s // 7) % 2 else 0.0

    return samples_of(*((float(s), 20.0 + battery_kw(s - lag_s), battery_kw(s)) for s in range(count)))


def lag_after(entries: tuple[PowerSample, ...], lag_s: float | None, **control: float) -> float:
    site = a_site(ac=0, dc=0, lag_s=1.0, control=Control(**control) if control else None)
    return estimate_lag(site, ControlState(0.0, cycles=10, lag_s=lag_s), entries)


def test_a_lag_that_is_believed_too_short_is_found_and_errs_long() -> None:
    assert 3.0 <= lag_after(moving(3.0), 1.0) <= 4.5


def test_a_lag_that_fits_stays() -> None:
    assert lag_after(moving(3.0), 4.0) == 4.0
    assert lag_after(moving(3.0), 3.0) == 3.0


@pytest.mark.parametrize("count", [1, 19])
def test_few_samples_say_nothing(count: int) -> None:
    assert lag_after(moving(3.0, count), None) == 1.0


def test_assets_that_rest_and_coarse_cycles_say_nothing() -> None:
    resting = samples_of(*((float(s), 20.0 + s % 3, 0.0) for s in range(60)))
    assert lag_after(resting, None) == 1.0
    assert lag_after(moving(3.0), None, cycle_s=60.0) == 1.0
