"""Our scenarios pass, in virtual time and over sockets, and they fail for a controller that does not see the fault."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import structlog

from hil.rigs import emu, sim
from hil.rigs.trace import Trace
from hil.scenario import FaultKind, RigKind, Scenario, load_scenario
from hil.verdict import Result, Status, Verdict, judge
from hil.verdict_files import write_folder

SCENARIOS = Path(__file__).parents[2] / "hil" / "scenarios"
NAMES = ("charger-silent", "meter-frozen")

SHORT = """\
id: meter-frozen-short
title: The meter freezes, in short
covers: [I13]
site: stations/demo.yaml
start: 2019-09-09T19:00:00-07:00
duration_s: 36
seed: 3
soc: 0.1
sun_kw: 0
noise_kw: 0.2
base_load_kw: [{at_s: 0, kw: 20}, {at_s: 14, kw: 23}, {at_s: 20, kw: 50}, {at_s: 28, kw: 20}]
plan: garbage
cars:
  - {at_s: 1, connector: dc1a, energy_kwh: 60, stay_s: 7200, requested_kwh: 60}
faults:
  - {at_s: 12, for_s: 18, on: meter, kind: frozen}
  - {at_s: 12, for_s: 18, on: charger1, kind: refuse_writes}
  - {at_s: 16, for_s: 8, on: dc1, kind: silent}
  - {at_s: 14, for_s: 8, on: storage, kind: local}
criteria:
  - never_longer: {what: grid, s: 5}
  - within: {after: fault 1 start, event: {alarm: "grid: no new value"}, s: 5}
  - within: {after: fault 1 start, event: {worst_case: true}, s: 5}
  - within: {after: fault 3 start, event: {alarm: "dc1a: no new value"}, s: 5}
  - within: {after: fault 4 start, event: {alarm: "battery: local mode"}, s: 3}
  - within: {after: fault 1 end, event: {worst_case: false}, s: 3}
  - at_end: {what: alarms, at_most: 0}
"""


@cache
def ours(name: str) -> Scenario:
    return load_scenario(SCENARIOS / f"{name}.yaml")


@cache
def played(name: str) -> Trace:
    return sim.play(ours(name))


def verdict_on(scenario: Scenario, trace: Trace | None = None) -> Verdict:
    return judge(scenario, RigKind.SIM, trace or sim.play(scenario))


def blind(scenario: Scenario) -> Scenario:
    """Return the scenario for a controller that believes every reading, however old."""
    site = scenario.loaded.site
    site = replace(site, control=replace(site.control, stale_s=1e6))
    return replace(scenario, loaded=replace(scenario.loaded, site=site))


def with_plan(scenario: Scenario, *, plan: str) -> Scenario:
    """Return the scenario with another planner."""
    model = type(scenario.model).model_validate_json(
        json.dumps({**scenario.model.model_dump(mode="json", exclude_none=True), "plan": plan})
    )
    return replace(scenario, model=model)


def failed(verdict: Verdict) -> set[str]:
    return {result.text for result in verdict.results if not result.has_passed}


def result_of(verdict: Verdict, start: str) -> Result:
    return next(result for result in verdict.results if result.text.startswith(start))


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the application's log lines out of the test's output."""
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def _drop(*_: object) -> str:
    raise structlog.DropEvent


@pytest.mark.parametrize("name", NAMES)
def test_our_scenarios_pass_in_virtual_time(name: str) -> None:
    verdict = verdict_on(ours(name), played(name))
    assert verdict.void_causes == ()
    assert failed(verdict) == set()


def test_a_charger_that_is_back_serves_its_cars_again() -> None:
    verdict = verdict_on(ours("charger-silent"), played("charger-silent"))
    assert verdict.status is Status.PASSED


@pytest.mark.parametrize("name", NAMES)
def test_a_controller_that_believes_the_last_value_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "controller.obedience.strays", lambda *_: False
    )  # else that second look would save it
    verdict = verdict_on(blind(ours(name)))
    assert verdict.status is Status.FAILED
    assert not result_of(verdict, "within 5 s after fault 1 start: alarm").has_passed
    assert not result_of(verdict, "always: booked worst case").has_passed


def test_a_controller_that_believes_a_frozen_meter_passes_the_limit() -> None:
    verdict = verdict_on(blind(ours("meter-frozen")))
    over = result_of(verdict, "never longer than 5 s: grid")
    assert not over.has_passed
    assert over.value is not None
    assert over.value > 20.0
    assert over.breach_s is not None
    assert over.breach_s > ours("meter-frozen").model.faults[0].at_s
    assert not result_of(verdict, "at the end: violations").has_passed


@pytest.mark.parametrize("name", NAMES)
def test_without_its_fault_a_scenario_does_not_pass(name: str) -> None:
    scenario = ours(name)
    fault = scenario.model.faults[0].model_copy(update={"kind": FaultKind.REFUSE_WRITES, "on": "meter"})
    harmless = replace(scenario, model=scenario.model.model_copy(update={"faults": (fault,)}))
    verdict = verdict_on(harmless)
    assert verdict.status is Status.VOID
    assert verdict.void_causes == ("fault 1 (refuse_writes meter) never hit an exchange",)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_run(name: str) -> None:
    assert sim.play(ours(name)) == played(name)


def test_another_seed_gives_another_run() -> None:
    assert sim.play(ours("meter-frozen").with_seed(12)).samples != played("meter-frozen").samples


def test_a_plan_of_nonsense_breaks_no_limit() -> None:
    scenario = with_plan(ours("charger-silent"), plan="garbage")
    trace = sim.play(scenario)
    verdict = judge(scenario, RigKind.SIM, trace)
    for start in (
        "never longer than 5 s: grid",
        "never longer than 12 s",
        "always: booked",
        "at the end: viol",
    ):
        assert result_of(verdict, start).has_passed


def test_a_scenario_with_the_optimizer_is_repeatable() -> None:
    scenario = with_plan(ours("meter-frozen"), plan="optimizer")
    first = sim.play(scenario)
    assert first == sim.play(scenario)
    assert result_of(judge(scenario, RigKind.SIM, first), "never longer than 5 s: grid").has_passed


def test_a_run_leaves_a_folder_that_can_be_read_and_run_again(tmp_path: Path) -> None:
    scenario = ours("meter-frozen")
    verdict = verdict_on(scenario, played("meter-frozen"))
    write_folder(verdict, tmp_path)
    again = load_scenario(tmp_path / "scenario.lock.yaml")
    assert again.model.model_copy(update={"lock": None}) == scenario.model
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    properties = [(p.get("name"), p.get("value")) for p in suite.iter("property")]
    assert {("requirement", "I13"), ("seed", "11"), ("rig", "sim")} <= set(properties)
    assert len(suite.findall("testcase")) == len(verdict.results)
    rows = (tmp_path / "trace.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(verdict.trace.samples) + 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "src=" not in page
    data = json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))
    assert data["status"] == verdict.status.value
    assert data["faults"][0]["hits"] > 80


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.xdist_group("real time")
def test_four_faults_over_real_sockets(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(SHORT, encoding="utf-8")
    scenario = load_scenario(file)
    trace = emu.play(scenario)
    verdict = judge(scenario, RigKind.EMU, trace)
    assert all(log.hits > 0 for log in trace.faults)
    assert failed(verdict) == set()


def run_command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("heliodock")), "hil", "run", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100.0, check=False)


@pytest.mark.slow
def test_the_command_says_passed_failed_or_unusable_by_its_status(tmp_path: Path) -> None:
    good = str(SCENARIOS / "meter-frozen.yaml")
    done = run_command(good, "--json", "verdict.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "passed: runs/hil/meter-frozen-sim/report.html" in done.stdout
    assert (
        json.loads((tmp_path / "verdict.json").read_text(encoding="utf-8"))["runs"][0]["status"] == "passed"
    )
    text = Path(good).read_text(encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text(text.replace("at_least_kw: 60", "at_least_kw: 600"), encoding="utf-8")
    done = run_command("bad.yaml", "--seed", "5", "--out", "kept", folder=tmp_path)
    assert done.returncode == 1
    assert "seed 5; repeat with: heliodock hil run bad.yaml --rig sim --seed 5" in done.stderr
    assert (tmp_path / "kept" / "junit.xml").is_file()
    bad.write_text(text.replace("kind: frozen", "kind: tired"), encoding="utf-8")
    done = run_command("bad.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "bad.yaml:" in done.stderr
    assert "faults[0].kind" in done.stderr
