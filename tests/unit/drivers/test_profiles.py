"""Profiles are read strictly: what they ship with is sound, and every mistake names its file, line and key."""

from pathlib import Path

import pytest

from configs.profiles import load_profile, profile_ids
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
        load_profile("sinexcel-pws2")
