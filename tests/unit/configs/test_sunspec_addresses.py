"""SunSpec addresses of a profile, checked against the published models."""

import pytest

from configs.sunspec_addresses import CONTROLS, problem_of
from drivers.sunspec_address import address_of
from drivers.sunspec_controls import CONTROLS as DRIVEN


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("103.W", "W"),
        ("203#2.W", "W"),
        ("713.SoC", "%"),
        ("802.SoC", "%"),
        ("701.TmpCab", "degC"),
        ("715.DERHb", ""),
        ("714.Prt[PrtTyp=PV].DCW", "W"),
        ("160.module[3].DCW", "W"),
        ("704.limit", "W"),
        ("124.set.timer", "s"),
    ],
)
def test_a_published_point_in_its_own_unit_is_fine(text: str, unit: str) -> None:
    assert problem_of(text, unit, is_written=False) is None
    address_of(text)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("W", "W", "no SunSpec address"),
        ("103#0.W", "W", "no SunSpec address"),
        ("103.Watts", "W", "none of the published models"),
        ("64999.W", "W", "none of the published models"),
        ("714.Prt[PrtTyp=SUN].DCW", "W", "none of the published models"),
        ("103.W", "kW", "is in W, not in kW"),
        ("713.SoC", "1", "is in %, not in 1"),
        ("103.limit", "W", "is no control"),
        ("704.limit.enable", "W", "is no control"),
        ("704.limit", "%", "is in W, not in %"),
        ("704.limit.timer", "min", "is in s, not in min"),
    ],
)
def test_anything_else_is_told(text: str, unit: str, said: str) -> None:
    problem = problem_of(text, unit, is_written=False)
    assert problem is not None
    assert said in problem


def test_a_measurement_cannot_be_written() -> None:
    assert problem_of("103.W", "W", is_written=True) == "103.W cannot be written"
    assert problem_of("715.ControllerHb", "", is_written=True) is None


def test_the_controls_of_a_profile_are_those_of_the_driver() -> None:
    assert {(model, name) for name, models in CONTROLS.items() for model in models} == set(DRIVEN)
