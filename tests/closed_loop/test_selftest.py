"""The guided self-test on emulated stations: each planted fault is found, and nothing is found where nothing is wrong.

``SELFTEST_SEEDS=100`` plays as many stations of each kind (about 15 minutes on two cores); a few are enough here.
"""

import json
import os

import pytest

from cli.device_selftest import record_of
from controller.selftest_words import Kind
from hil.report.selftest import selftest_report
from station.quantities import Phase
from tests.closed_loop.commissioning import (
    Fault,
    a_fault,
    a_station,
    rewired,
    session_of,
    transformers,
    verdict_of,
)

SEEDS = range(int(os.environ.get("SELFTEST_SEEDS", "4")))
FAULTS = (Kind.REVERSED, Kind.SWAPPED_PHASE, Kind.WRONG_SCALE, Kind.WORD_ORDER)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", FAULTS)
def test_the_planted_fault_is_found_and_no_other(kind: Kind, seed: int) -> None:
    fault = a_fault(kind, seed)
    verdict = verdict_of(fault, seed)
    assert [finding.kind for finding in verdict.findings] == [kind], fault.name
    assert fault.where in verdict.findings[0].suspects
    assert verdict.findings[0].evidence
    assert verdict.findings[0].advice


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_found_at_a_healthy_station(seed: int) -> None:
    verdict = verdict_of(Fault(None), seed)
    assert verdict.findings == ()


def test_two_one_phase_chargers_tell_a_wrong_site_file_from_wrong_transformers() -> None:
    chargers = ("ac1", "ac2")
    site = verdict_of(Fault(None, declared=rewired("ac1", Phase.L2)), 0, chargers, every_car=True)
    meter = verdict_of(Fault(None, wiring=transformers((1, 1, 1), (1, 0, 2))), 0, chargers, every_car=True)
    assert [(its.where, its.point) for its in site.findings] == [("ac1", "phases")]
    assert [(its.where, its.point) for its in meter.findings] == [("grid", "CT")]


def test_a_station_without_a_car_says_what_it_can_not_know() -> None:
    verdict = verdict_of(Fault(None), 0, ("ac3",))
    assert verdict.findings == ()
    assert [(its.what, its.reason) for its in verdict.unobservable] == [
        ("ac3: power, sign and scale", "no car is plugged in")
    ]


def test_the_verdict_is_told_as_a_page_and_as_data() -> None:
    fault = Fault(None, wiring=transformers((-1, -1, -1)))
    session = session_of(fault, 1)
    page = selftest_report(a_station(1), session.trials, session.verdict)
    record = record_of("bench", session.verdict)
    assert "reversed: grid.CT" in page
    assert page.count("<svg") == len(session.trials) == 2
    assert [its["kind"] for its in record["findings"]] == ["reversed"]
    assert set(record["gains"]) >= {"meter per battery", "battery per setpoint"}
    json.dumps(record, allow_nan=False)


def test_no_limit_is_ever_passed_by_the_steps() -> None:
    seen = []
    verdict_of(Fault(None), 3, watch=seen.append)
    assert max(seen) > 0.0
    assert max(abs(grid_kw) for grid_kw in seen) <= 80.0
