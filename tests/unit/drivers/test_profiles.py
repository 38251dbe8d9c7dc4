"""Profiles are read strictly: what they ship with is sound, and every mistake names its file, line and key."""

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from configs import editor_schema
from configs.profiles import DEVICES, load_profile, profile_ids
from station.errors import ConfigError
from station.profile import Protocol

METER = """\
profile_id: my-meter
protocol: modbus-tcp
kind: meter
source: the maker's manual
verified: "false"
points:
  power_kw: {function: 3, address: 10, encoding: int32, unit: W}
"""
CHARGER = """\
profile_id: my-meter
protocol: modbus-tcp
kind: connector
source: the maker's manual
verified: "false"
points:
  power_kw: {address: 10, encoding: int32, unit: W}
  state: {address: 12, encoding: uint16, symbols: {0: free, 1: plugged, 2: charging}}
  setpoint_kw: {address: 20, encoding: uint16, unit: A, scale: 0.1, write: {function: 6}}
"""


def test_all_shipped_profiles_are_sound_and_emulated() -> None:
    assert set(profile_ids()) >= {"demo-meter", "demo-pv", "demo-battery", "demo-ac-charger", "demo-dc-pair"}
    for profile_id in profile_ids():
        profile = load_profile(profile_id)
        assert profile.profile_id == profile_id
        assert profile.source
        assert profile.verified
    assert load_profile("demo-dc-pair").protocol is Protocol.OPCUA
    assert load_profile("demo-pv").points["setpoint_kw"].sign == -1


def refused(folder: Path, text: str) -> ConfigError:
    file = folder / "my-meter.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profile(file)
    assert caught.value.file == str(file)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("unit: W", "unit: MW", (7, "points.power_kw.unit"), "known here: W, kW, A"),
        ("unit: W", "unit: Wh", (7, "points.power_kw.unit"), "does not fit"),
        ("power_kw", "powr_kw", (6, "points"), "a meter needs the point power_kw"),
        ("address: 10, ", "", (7, "points.power_kw"), "needs a key address"),
        ("address: 10", "address: 70000", (7, "points.power_kw.address"), "at most 65535"),
        ("address: 10", "adress: 10", (7, "points.power_kw.adress"), "unknown key"),
        ("int32", "int33", (7, "points.power_kw.encoding"), "must be one of"),
        ("unit: W", "unit: W, scale: 0", (7, "points.power_kw.scale"), "more than 0"),
        ("unit: W", "unit: W, sign: 2", (7, "points.power_kw.sign"), "must be one of"),
        ("unit: W", "unit: W, valid: [5, 1]", (7, "points.power_kw.valid"), "below the second"),
        ("unit: W", "unit: W, node: A.B", (7, "points.power_kw.node"), "belongs to OPC UA"),
        ("my-meter", "your-meter", (1, "profile_id"), "name of the file"),
        ("kind: meter", "kind: meter\nkind: pv", (4, "kind"), "given twice"),
        ("points:", "alive: [uptime_s]\npoints:", (6, "alive[0]"), "not there"),
        ("modbus-tcp", "opcua", (1, "namespace"), "needs the namespace URI"),
    ],
)
def test_a_mistake_in_a_meter_names_line_and_key(
    tmp_path: Path, old: str, new: str, place: tuple[int, str], problem: str
) -> None:
    error = refused(tmp_path, METER.replace(old, new, 1))
    assert problem in error.problem
    assert (error.line, error.key) == place


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (", write: {function: 6}", "", "needs a key write"),
        ("encoding: uint16, unit: A", "encoding: uint32, unit: A", "function 6 writes one register"),
        ("write: {function: 6}", "write: {function: 0}", "must be 6 or 16"),
        ("address: 20,", "address: 20, function: 4,", "read with function 3"),
        ("2: charging", "2: loading", "must be one of free, plugged, charging, faulted"),
        (", symbols: {0: free, 1: plugged, 2: charging}", "", "needs a key symbols"),
        (
            "points:",
            "watchdog: {timeout_point: lease_s, fallback_point: setpoint_kw}\npoints:",
            "lease_s must be a point",
        ),
    ],
)
def test_a_mistake_in_a_charger_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert problem in refused(tmp_path, CHARGER.replace(old, new, 1)).problem


def test_the_untouched_examples_pass(tmp_path: Path) -> None:
    for text in (METER, CHARGER):
        (tmp_path / "my-meter.yaml").write_text(text)
        assert load_profile(tmp_path / "my-meter.yaml").watchdog is None


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="demo-ac-charger"):
        load_profile("sinexcel-pws3")


def test_the_schema_for_editors_is_what_the_models_say_and_takes_every_shipped_profile() -> None:
    assert editor_schema.FILE.read_text(encoding="utf-8") == editor_schema.text()
    validator = jsonschema.Draft202012Validator(json.loads(editor_schema.text()))
    for profile_id in profile_ids():
        file = DEVICES / f"{profile_id}.yaml"
        text = file.read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=profile.schema.json\n")
        data = json.loads(json.dumps(YAML(typ="safe").load(text)))
        assert list(validator.iter_errors(data)) == []
    wrong = json.loads(json.dumps(YAML(typ="safe").load(METER))) | {"colour": "red"}
    assert [error.validator for error in validator.iter_errors(wrong)] == ["additionalProperties"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("address: 10", "address: 10, words: [1, 2]", "needs a key address (0-based), or words"),
        ("address: 10", "words: [1, 2, 3]", "int32 has 2 of them"),
        ("address: 10", "address: 10, scaled_by: [{point: nobody}]", "names the point nobody"),
        ("address: 10", "address: 10, scaled_by: [{point: ct, how: cases}]", "belong to how: cases"),
        ("address: 10", "address: 10, scaled_by: [{point: ct, how: bit}]", "belongs to how: bit"),
        ("address: 10", "address: 10, bits: [0, 4], write: {function: 16}", "belong to whole numbers"),
        ("address: 10", "address: 10, readable: false", "must have a write without readback"),
        ("address: 10", "address: 10, source: book", "'book' is none of the sources"),
        (
            "function: 3, address: 10, encoding: int32, unit: W",
            "unit: W, sum_of: [ct]",
            "ct must be a point in W",
        ),
        ("address: 10", "address: 10, sum_of: [ct]", "a sum has no place of its own"),
        ("ct:", "export_kwh:", "is a name of heliodock's own"),
        ("ct:", "Ct:", "a name of small letters"),
        ("source: the maker's manual\n", "", "is missing: where the map was found"),
    ],
)
def test_a_mistake_in_what_points_share_is_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = METER + "auxiliary:\n  ct: {address: 20, encoding: uint16}\n"
    assert old in text
    assert problem in str(refused(tmp_path, text.replace(old, new)))


@pytest.mark.parametrize(
    ("watchdog", "problem"),
    [
        ("{timeout_s: 30, fallback_kw: 0}", ""),
        ("{kind: poll, timeout_s: 30, fallback_kw: 0}", ""),
        ("{timeout_s: 30}", "needs one of fallback_point and fallback_kw"),
        ("{timeout_s: 30, timeout_point: lease_s, fallback_kw: 0}", "needs one of timeout_point"),
        ("{kind: countdown, timeout_s: 30, fallback_kw: 0}", "a countdown needs a timeout_point"),
        ("{timeout_point: lease_s, fallback_kw: 0}", "lease_s must be a point that can be written"),
    ],
)
def test_a_watchdog_is_whole(tmp_path: Path, watchdog: str, problem: str) -> None:
    text = f"{CHARGER}watchdog: {watchdog}\n"
    if problem:
        assert problem in str(refused(tmp_path, text))
    else:
        (tmp_path / "my-meter.yaml").write_text(text)
        assert load_profile(tmp_path / "my-meter.yaml").watchdog is not None
