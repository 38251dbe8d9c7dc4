"""Scenario files: what is wrong with one is said with file, line and key."""

from pathlib import Path

import pytest

from hil.scenario import FaultKind, Scenario, load_scenario
from station.errors import ConfigError

SCENARIOS = Path(__file__).parents[3] / "hil" / "scenarios"

SMALL = """\
id: small
title: A small one
covers: [I1]
site: stations/demo.yaml
start: 2019-09-09T19:00:00-07:00
duration_s: 40
base_load_kw: 20
sun_kw: 0
plan: none
cars:
  - {at_s: 5, connector: dc1a, energy_kwh: 60, stay_s: 7200}
faults:
  - {at_s: 20, for_s: 10, on: dc1, kind: silent}
criteria:
  - never_longer: {what: grid, s: 5}
  - within: {after: fault 1 start, event: {alarm: dc1a}, s: 5}
"""


def scenario_of(text: str, folder: Path) -> Scenario:
    file = folder / "small.yaml"
    file.write_text(text, encoding="utf-8")
    return load_scenario(file)


@pytest.mark.parametrize("file", sorted(SCENARIOS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_scenario_of_ours_is_named_after_its_file_and_runs_on_both_rigs(file: Path) -> None:
    scenario = load_scenario(file)
    assert scenario.model.id == file.stem
    assert {rig.value for rig in scenario.model.rigs} == {"sim", "emu"}


def test_a_small_scenario_is_read(tmp_path: Path) -> None:
    scenario = scenario_of(SMALL, tmp_path)
    assert scenario.model.faults[0].kind is FaultKind.SILENT
    assert scenario.assets_of("dc1") == ("dc1a", "dc1b")
    assert scenario.with_seed(9).model.seed == 9


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("on: dc1,", "on: dc9,", 13, "faults[0].on: the site has no device 'dc9'; did you mean 'dc1'?"),
        ("kind: silent", "kind: loud", 13, "faults[0].kind: must be one of silent, frozen"),
        ("connector: dc1a", "connector: dc7", 11, "cars[0].connector: the site has no connector 'dc7'"),
        (
            "what: grid",
            "what: grit",
            15,
            "criteria[0].never_longer.what: no node with limits is called 'grit'",
        ),
        ("fault 1 start", "fault 2 start", 16, "criteria[1].within.after: there is no fault 2"),
        ("fault 1 start", "noon", 16, "criteria[1].within.after: 'start', 'fault N start' or 'fault N end'"),
        ("event: {alarm: dc1a}", "event: {}", 16, "criteria[1].within.event: one event is expected"),
        ("never_longer: {what: grid, s: 5}", "never: {s: 5}", 15, "criteria[0].never: unknown key"),
        ("s: 5}\n  - w", "s: 5, o: 1}\n  - w", 15, "criteria[0].never_longer.o: unknown key"),
        (
            "base_load_kw: 20",
            "base_load_kw: 70",
            7,
            "base_load_kw: the site declares 8 to 60 kW; 70 is beyond",
        ),
        ("sun_kw: 0", "sun_kw: [{at_s: 3, kw: 1}]", 8, "sun_kw: the first step must be at_s: 0"),
        ("-07:00", "", 5, "start: "),
        ("at_s: 20", "at_s: 50", 13, "faults[0].at_s: lies after the end of the run"),
        ("fault 1 start", "fault 1 end", 16, ""),
        ("sun_kw: 0\n", "", 5, ""),
        ("id: small", "id: small\nname: x", 2, "name: unknown key"),
    ],
)
def test_an_unusable_scenario_says_where(old: str, new: str, line: int, words: str, tmp_path: Path) -> None:
    text = SMALL.replace(old, new, 1)
    if new == "fault 1 end":
        text = text.replace("for_s: 10", "for_s: 20")
        words = "criteria[1].within.after: fault 1 does not end within the run"
    if not new and old.startswith("sun"):
        text = text.replace("2019-", "2031-")
        words = "start: lies outside the site's series"
    with pytest.raises(ConfigError) as refused:
        scenario_of(text, tmp_path)
    assert f"small.yaml:{line}: {words}" in str(refused.value)
