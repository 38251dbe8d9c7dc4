"""What the live table of ``device watch`` says of a point."""

import pytest

from cli.watching import BARS, Course, Watched
from station.errors import Unreachable


def a_course(*values: float) -> Course:
    course = Course()
    for second, value in enumerate(values):
        course.add(float(second), value)
    return course


def test_a_rate_is_the_change_per_second() -> None:
    assert a_course(1.0, 3.0, 5.0).rate_per_s() == pytest.approx(2.0)
    assert a_course(1.0).rate_per_s() is None


def test_a_curve_goes_from_the_lowest_bar_to_the_highest() -> None:
    assert a_course(0.0, 1.0, 2.0).curve() == f"{BARS[0]}{BARS[4]}{BARS[-1]}"
    assert a_course(7.0, 7.0).curve() == BARS[0] * 2


def test_an_age_is_that_of_the_last_value_and_not_of_the_last_answer() -> None:
    course = a_course(1.0)
    course.add(5.0, Unreachable("meter", "no answer"))
    assert course.age_s(6.0) == pytest.approx(6.0)
    assert Course().age_s(6.0) is None


def test_only_what_changed_is_told() -> None:
    watched = Watched()
    assert watched.add(0.0, {"battery": {"soc": 0.5, "power_kw": 1.0}}) == [
        ("battery", "soc"),
        ("battery", "power_kw"),
    ]
    assert watched.add(1.0, {"battery": {"soc": 0.5, "power_kw": 2.0}}) == [("battery", "power_kw")]
