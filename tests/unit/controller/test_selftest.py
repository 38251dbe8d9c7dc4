"""The self-test's reasoning by itself: steps within limits, gains under noise, explanations, counters, alarms."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from math import sqrt
from random import Random

import pytest

from controller.selftest_causes import Cause, Observed, name_of_factor
from controller.selftest_fit import gain_of, ratio_of
from controller.selftest_judge import explain, judge
from controller.selftest_order import swapped_at_rest
from controller.selftest_steps import Programme, programme_of, room_of, way_back
from controller.selftest_watch import alarm
from controller.selftest_words import Blind, Gain, Kind, Sample, Trial, Values, asked, of_meter
from station.assets import Controllable
from station.measurement import NoReading
from station.quantities import Phase
from tests.factories import a_battery, a_connector, a_site, an_instant, readings

SITE = a_site(ac=3, dc=0, limit_kw=80.0)
NOW = an_instant()


def a_programme(asset_id: str = "battery", **changes: object) -> Programme:
    made = programme_of(SITE, SITE.by_id[asset_id], readings(SITE, NOW, cars_kw={"ac1": 1.38}), 10.0)
    assert isinstance(made, Programme)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_trial(
    programme: Programme, *, base_kw: float = 10.0, meter_factor: float = 1.0, noise_kw: float = 0.0
) -> Trial:
    """Return a trial at a device that follows at once and a meter that shows ``meter_factor`` times the truth."""
    chance = Random(1)
    samples = []
    for second in range(int(programme.duration_s)):
        step, asked_kw = programme.at(float(second))
        grid_kw = base_kw + asked_kw + chance.gauss(0.0, noise_kw)
        meter = {"power_kw": meter_factor * grid_kw}
        samples.append(Sample(float(second), step, asked_kw, meter, {"power_kw": asked_kw}))
    return Trial(programme.asset, tuple(samples))


# ------------------------------------------------------------------------------------------ steps


def test_every_level_lies_in_the_room_that_the_limits_leave_at_the_worst() -> None:
    battery = SITE.by_id["battery"]
    room = room_of(SITE, battery, readings(SITE, NOW))
    # 80 kW less the declared 30 kW of base load and three chargers at their fallback, and a tenth to spare
    assert room.max_kw == pytest.approx(0.9 * (80.0 - 30.0 - 3 * 1.38))
    assert room.min_kw == pytest.approx(-0.9 * (80.0 - 50.0))
    assert all(room.holds(level_kw) for level_kw in a_programme().levels_kw)


def test_steps_go_both_ways_and_are_at_least_a_twentieth_of_the_rating() -> None:
    levels_kw = a_programme().levels_kw
    assert min(abs(level_kw) for level_kw in levels_kw if level_kw) == pytest.approx(5.0)
    assert (min(levels_kw), max(levels_kw)) == (-20.0, 20.0)


def test_the_first_small_step_goes_against_what_the_meter_shows() -> None:
    def first_kw(grid_kw: float) -> float:
        made = programme_of(SITE, SITE.by_id["battery"], readings(SITE, NOW), grid_kw)
        assert isinstance(made, Programme)
        return next(level_kw for level_kw in made.levels_kw if level_kw)

    assert first_kw(30.0) < 0.0 < first_kw(-30.0)


def test_an_asset_that_can_not_be_read_counts_with_its_rating() -> None:
    seen = {**readings(SITE, NOW), "ac1": NoReading("silent")}
    lost, whole = (room_of(SITE, SITE.by_id["battery"], its).max_kw for its in (seen, readings(SITE, NOW)))
    assert whole - lost == pytest.approx(0.9 * (7.36 - 1.38))


@pytest.mark.parametrize(
    ("asset_id", "change", "reason"),
    [
        ("battery", {"is_local": True}, "it is in local mode"),
        ("battery", {"max_charge_kw": 1.0, "max_discharge_kw": 1.0}, "a step needs 5.0 kW"),
        ("pv", {}, "the sun gives 0.0 kW"),
        ("ac1", {}, "no car is plugged in"),
    ],
)
def test_what_can_not_be_moved_says_why(asset_id: str, change: dict[str, float], reason: str) -> None:
    seen = readings(SITE, NOW)
    seen[asset_id] = replace(seen[asset_id], **change)  # type: ignore[arg-type]
    blind = programme_of(SITE, SITE.by_id[asset_id], seen, 0.0)
    assert isinstance(blind, Blind)
    assert reason in blind.reason


def test_a_site_that_is_not_fit_to_run_is_not_moved() -> None:
    site = a_site(limit_kw=20.0, base_max_kw=30.0)
    blind = programme_of(site, site.by_id["battery"], readings(site, NOW), 0.0)
    assert isinstance(blind, Blind)
    assert "not fit to run" in blind.reason


def test_a_full_battery_is_only_discharged() -> None:
    seen = readings(SITE, NOW, soc=0.95)
    made = programme_of(SITE, SITE.by_id["battery"], seen, 10.0)
    assert isinstance(made, Programme)
    assert max(made.levels_kw) == 0.0


def test_power_goes_from_level_to_level_and_back_by_its_ramp() -> None:
    programme = a_programme(ramp_kw_per_s=4.0)
    asked_kw = [programme.at(float(second))[1] for second in range(int(programme.duration_s))]
    assert max(abs(b - a) for a, b in pairwise(asked_kw)) <= 4.0 + 1e-9
    assert way_back(programme, 10.0) == (6.0, 2.0, 0.0)
    assert way_back(programme, 0.0) == (0.0,)


def test_a_programme_grows_by_a_cycle_and_not_for_ever() -> None:
    programme: Programme | None = a_programme()
    lengths = []
    while programme is not None:
        lengths.append(len(programme.levels_kw))
        assert programme.levels_kw[-1] == 0.0
        programme = programme.longer()
    assert lengths[1] - lengths[0] == 2
    assert lengths[-1] < 30


@pytest.mark.parametrize(
    ("said_kw", "point"),
    [
        ({"setpoint_kw": -327e3, "swapped_setpoint_kw": -5.0}, "setpoint_kw"),
        (
            {"setpoint_kw": 0.0, "swapped_setpoint_kw": 0.0, "power_kw": 9e5, "swapped_power_kw": 3.0},
            "power_kw",
        ),
        ({"setpoint_kw": -5.0, "swapped_setpoint_kw": -327e3}, None),
        ({"setpoint_kw": -5.0, "power_kw": 9e5, "swapped_power_kw": 3.0}, None),
    ],
)
def test_a_setpoint_whose_words_may_be_swapped_is_known_before_it_is_written(
    said_kw: Values, point: str | None
) -> None:
    finding = swapped_at_rest(SITE.by_id["battery"], said_kw)
    assert (finding.point if finding else None) == point


# ------------------------------------------------------------------------------------------ gains


def test_a_gain_is_found_under_noise_with_an_honest_error() -> None:
    for factor in (-1.0, 1.0, 10.0, 1.0 / sqrt(3.0)):
        gain = gain_of(
            a_trial(a_programme(), meter_factor=factor, noise_kw=1.0).samples, asked, of_meter("power_kw")
        )
        assert gain is not None
        assert gain.is_clear
        assert abs(gain.factor - factor) <= max(4.0 * gain.factor_error, 0.02 * abs(factor))


def test_a_jump_of_the_base_load_does_not_bend_a_gain() -> None:
    trial = a_trial(a_programme())
    jumped = [
        replace(s, meter={"power_kw": s.meter["power_kw"] + (15.0 if s.mono_s > 90.0 else 0.0)})
        for s in trial.samples
    ]
    gain = gain_of(jumped, asked, of_meter("power_kw"))
    assert gain is not None
    assert gain.factor == pytest.approx(1.0, abs=0.1)


def test_what_never_moved_and_what_never_answered_has_no_gain() -> None:
    trial = a_trial(a_programme(levels_kw=(0.0,) * 6))
    assert gain_of(trial.samples, asked, of_meter("power_kw")) is None
    assert gain_of(a_trial(a_programme()).samples, asked, of_meter("frequency_hz")) is None
    assert ratio_of([]) is None


# ------------------------------------------------------------------------------------------ explanations


def seen_at(
    asset: Controllable, device: float, meter: float, phases: Sequence[float] | None = None
) -> Observed:
    told = None if phases is None else tuple(Gain(its, 0.01, 6) for its in phases)
    return Observed(asset, Gain(device, 0.01, 6), Gain(meter, 0.01, 6), told, is_bound=False)  # type: ignore[arg-type]


BATTERY = a_battery()
CAR = a_connector(phases=(Phase.L1,))


def said(causes: Sequence[Cause]) -> list[tuple[Kind, str, str]]:
    return [(its.kind, its.where, its.point) for its in causes]


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([seen_at(BATTERY, 1.0, 1.05)], []),
        ([seen_at(BATTERY, 1.0, -1.0), seen_at(CAR, 1.0, -1.0)], [(Kind.REVERSED, "grid", "CT")]),
        ([seen_at(BATTERY, -1.0, -1.0)], [(Kind.REVERSED, "battery", "power_kw")]),
        ([seen_at(BATTERY, -1.0, 1.0)], [(Kind.REVERSED, "battery", "setpoint_kw")]),
        (
            [seen_at(BATTERY, 1.0, -1.0), seen_at(CAR, 1.0, 1.0)],
            [(Kind.REVERSED, "battery", "power_kw and setpoint_kw")],
        ),
        ([seen_at(BATTERY, 1.0, 1 / 3, (1 / 3, -1 / 3, 1 / 3))], [(Kind.REVERSED, "grid", "CT of L2")]),
        ([seen_at(BATTERY, 1.0, 10.0, (1 / 3,) * 3)], [(Kind.WRONG_SCALE, "grid", "power_kw")]),
        ([seen_at(BATTERY, 1.0, 1.0, (10 / 3,) * 3)], [(Kind.WRONG_SCALE, "grid", "current")]),
        ([seen_at(BATTERY, 1.0, 7.0, (7 / 3,) * 3)], [(Kind.WRONG_SCALE, "grid", "CT")]),
        ([seen_at(BATTERY, 10.0, 0.1)], [(Kind.WRONG_SCALE, "battery", "power_kw")]),
        ([seen_at(BATTERY, 0.1, 1.0)], [(Kind.WRONG_SCALE, "battery", "setpoint_kw")]),
        (
            [seen_at(BATTERY, 1.0, 1.0, (1 / 3,) * 3), seen_at(CAR, 1.0, 0.0, (0.0, 0.0, 0.0))],
            [(Kind.NO_RESPONSE, "ac1", "power_kw")],
        ),
        (
            [seen_at(BATTERY, 10.0, -0.1), seen_at(CAR, 1.0, -1.0)],
            [(Kind.REVERSED, "grid", "CT"), (Kind.WRONG_SCALE, "battery", "power_kw")],
        ),
    ],
)
def test_the_cheapest_fault_that_fits_is_told(
    seen: list[Observed], told: list[tuple[Kind, str, str]]
) -> None:
    causes, _ = explain("grid", seen)
    assert said(causes) == told


def test_one_charger_alone_can_not_tell_the_meter_from_the_site_file() -> None:
    causes, ties = explain("grid", [seen_at(CAR, 1.0, 1.0, (0.0, 1.0, 0.0))])
    assert {its.where for its in (*causes, *ties)} == {"grid", "ac1"}


@pytest.mark.parametrize(
    ("factor", "name"),
    [(10.0, "×10"), (0.1, "÷10"), (sqrt(3.0), "×√3"), (-1.0, "×−1"), (1 / 3, "÷3"), (7.0, "×7")],
)
def test_a_factor_is_named_as_a_person_writes_it(factor: float, name: str) -> None:
    assert name_of_factor(factor) == name


# ------------------------------------------------------------------------------------------ counters


def counting(step_kwh: float, factor: float = 1.0, exchange: bool = False) -> Trial:
    """Return a trial beside a steady import whose meter counts it in steps."""

    def counted() -> Iterator[Sample]:
        energy_kwh = 100.0
        for sample in a_trial(a_programme(), base_kw=40.0).samples:
            energy_kwh += factor * sample.meter["power_kw"] / 3600.0
            shown = round(energy_kwh / step_kwh) * step_kwh
            own: Values = {"export_kwh" if exchange else "import_kwh": shown}
            yield replace(sample, meter={**sample.meter, **own})

    return Trial(SITE.by_id["battery"], tuple(counted()))


def test_a_counter_that_counts_what_flows_is_no_fault() -> None:
    assert judge(SITE, [counting(0.01)]).findings == ()


@pytest.mark.parametrize(
    ("trial", "kind"),
    [(counting(0.01, 10.0), Kind.WRONG_SCALE), (counting(0.01, exchange=True), Kind.REVERSED)],
)
def test_a_counter_that_counts_something_else_is_told(trial: Trial, kind: Kind) -> None:
    (finding,) = judge(SITE, [trial]).findings
    assert (finding.kind, finding.where) == (kind, "grid")


def test_a_counter_that_is_too_coarse_is_not_judged() -> None:
    verdict = judge(SITE, [counting(1.0)])
    assert verdict.findings == ()
    assert any("import_kwh" in blind.what for blind in verdict.unobservable)


# ------------------------------------------------------------------------------------------ alarms


def resting(meter_kw: float, **moved: float) -> list[Sample]:
    return [
        Sample(float(second), 0, 0.0, {"power_kw": meter_kw}, moved or {"power_kw": 0.0})
        for second in range(8)
    ]


def later(samples: list[Sample], meter_kw: float, count: int = 2) -> list[Sample]:
    last_s = samples[-1].mono_s
    return samples + [
        Sample(last_s + 1.0 + number, 1, 5.0, {"power_kw": meter_kw}, {"power_kw": 5.0})
        for number in range(count)
    ]


def test_a_meter_over_its_limit_ends_the_trial_after_two_looks() -> None:
    assert alarm(SITE, later(resting(60.0), 90.0, 1)) == ""
    assert "90.0 kW import, the limit is 80 kW" in alarm(SITE, later(resting(60.0), 90.0))
    assert "90.0 kW export" in alarm(SITE, later(resting(60.0), -90.0))


def test_a_meter_that_shows_too_much_at_rest_is_on_trial_itself() -> None:
    assert alarm(SITE, later(resting(200.0), 250.0)) == ""
    assert alarm(SITE, later(resting(60.0), 90.0), meter_factor=10.0) == ""


def test_trouble_and_silence_end_the_trial() -> None:
    samples = resting(10.0)
    assert alarm(SITE, [*samples[:-1], replace(samples[-1], trouble="ac1 is lost")]) == "ac1 is lost"
    assert "gave no power for 5 s" in alarm(SITE, [replace(sample, moved={}) for sample in samples])
    assert "grid gave no power" in alarm(SITE, [replace(sample, meter={}) for sample in samples])


def test_a_device_that_does_not_follow_is_unobservable_and_no_fault() -> None:
    trial = a_trial(a_programme(), noise_kw=0.1)
    stuck = tuple(replace(s, moved={"power_kw": 0.0}, meter={"power_kw": 10.0}) for s in trial.samples)
    verdict = judge(SITE, [Trial(trial.asset, stuck)])
    assert verdict.findings == ()
    assert "did not follow" in verdict.unobservable[0].reason
