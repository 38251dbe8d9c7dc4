"""``device scan | write | watch | capture | replay | selftest`` against emulated devices on real sockets."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from configs.load import load_site
from tests.unit.cli.station import DEMO, free_ports, heliodock, on_free_ports, refusal, served


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = on_free_ports(tmp_path_factory.mktemp("station"))
    with served(file):
        yield file


def port_of(station: Path, device_id: str) -> int:
    return next(its.port for its in load_site(station).devices if its.device_id == device_id)


def test_a_scan_finds_units_and_the_profile_that_fits_them(station: Path) -> None:
    port = port_of(station, "storage")
    result = heliodock("device", "scan", "127.0.0.1", "--port", port, "--units", "1-3", "--timeout", "0.3")
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if line.strip().startswith("1 ")]
    assert "demo-battery" in row


def test_a_scan_finds_the_endpoints_and_namespaces_of_an_opcua_server(station: Path) -> None:
    result = heliodock(
        "device", "scan", "127.0.0.1", "--port", port_of(station, "dc1"), "--units", "1", "--json", "-"
    )
    (place,) = json.loads(result.stdout)
    assert place["opcua"]["endpoints"][0] == {
        "policy": "None",
        "mode": "None",
        "users": ["Anonymous", "UserName"],
    }
    assert "urn:heliodock:demo-dc-pair" in place["opcua"]["namespaces"]


def test_a_scan_of_a_host_where_nothing_answers_ends_with_1() -> None:
    result = heliodock("device", "scan", "127.0.0.1", "--port", free_ports(1)[0])
    assert result.exit_code == 1
    assert "connection refused" in result.stderr


@pytest.mark.parametrize("units", ["", "a-b", "300", "5-", "3-1"])
def test_a_scan_refuses_a_range_that_is_none(units: str) -> None:
    assert "unit ids" in refusal(heliodock("device", "scan", "127.0.0.1", "--units", units))


def test_a_write_shows_the_old_value_and_reads_the_new_one_back(station: Path) -> None:
    result = heliodock("device", "write", station, "storage", "setpoint_kw", "--yes", "--", "-5")
    assert result.exit_code == 0, result.output
    before, after = result.stdout.splitlines()
    assert before.startswith("battery.setpoint_kw holds ")
    assert after == "battery.setpoint_kw holds -5000 W (-5 kW) now"


def test_a_write_in_the_devices_own_unit_of_one_of_several_connectors(station: Path) -> None:
    words = ("dc1", "setpoint_kw", "7000", "--unit-as-device", "--yes", "--asset", "dc1b")
    assert "dc1b.setpoint_kw holds 7000 W (7 kW) now" in heliodock("device", "write", station, *words).stdout
    assert "dc1a, dc1b" in refusal(heliodock("device", "write", station, *words[:-2]))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("storage", "setpoint_kw", "500"), "beyond the nameplate of battery, -100 to 100 kW"),
        (("storage", "soc", "50"), "is not writable"),
        (("storage", "setpoint_kw", "nan"), "nan is not a number"),
        (("storage", "sok", "50"), "did you mean 'soc'?"),
        (("storage", "setpoint_kw", "5"), "is needed where nobody can be asked"),
    ],
)
def test_a_write_that_must_not_be_is_refused_in_one_line(
    station: Path, words: tuple[str, ...], why: str
) -> None:
    result = heliodock("device", "write", station, *words)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert why in result.stderr


@pytest.mark.parametrize("verb", [("write",), ("selftest",)])
def test_nothing_is_written_while_a_controller_holds_the_store(
    station: Path, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    store = tmp_path / "store"
    hold = f"""
import sys
from pathlib import Path
from northbound.store import Store
Store(Path({str(store)!r}), "demo")
print("held", flush=True)
sys.stdin.read()
"""
    words = ("storage", "setpoint_kw", "5") if verb == ("write",) else ("--asset", "battery")
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = heliodock("device", *verb, station, *words, "--yes", "--store", store)
        holder.kill()
    assert "a controller runs on this site" in refusal(result)


def test_a_self_test_shows_its_programme_and_asks(station: Path) -> None:
    result = heliodock("device", "selftest", station, "--asset", "battery", "--asset", "ac1")
    assert result.exit_code == 2
    assert "Programme, about" in result.stdout
    assert "not moved: no car is plugged in" in result.stdout
    assert "--yes: is needed where nobody can be asked" in result.stderr


def test_a_self_test_refuses_an_asset_that_is_not_there() -> None:
    assert "did you mean 'battery'?" in refusal(heliodock("device", "selftest", DEMO, "--asset", "batery"))


def test_watching_in_a_pipe_gives_a_line_for_each_change(station: Path) -> None:
    result = heliodock(
        "device", "watch", station, "storage", "soc", "uptime_s", "--seconds", "1.5", "--every", "0.3"
    )
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert sum("battery.soc" in line for line in lines) == 1
    assert sum("battery.uptime_s" in line for line in lines) >= 3


def test_watching_as_json_and_into_a_file(station: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    result = heliodock("device", "watch", station, "--seconds", "1.5", "--json", "--csv", file)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert {record["device"] for record in records} >= {"meter", "storage", "charger1"}
    with file.open(encoding="utf-8", newline="") as rows:
        table = list(csv.DictReader(rows))
    assert len(table) >= len(records)
    assert set(table[0]) == {"time", "device", "asset", "point", "value", "unit", "quality"}


def test_watching_a_device_that_is_off_shows_why(tmp_path: Path) -> None:
    result = heliodock("device", "watch", on_free_ports(tmp_path), "storage", "soc", "--seconds", "0.5")
    assert "connection refused" in result.stdout


def test_a_capture_is_replayed_without_the_device(station: Path, tmp_path: Path) -> None:
    file = tmp_path / "storage.capture"
    made = heliodock("device", "capture", station, "storage", "--out", file, "--seconds", "0")
    assert made.exit_code == 0, made.output
    assert "127.0.0.1" not in file.read_text(encoding="utf-8")
    shown = heliodock("device", "replay", file)
    assert shown.exit_code == 0, shown.output
    assert any(line.split()[:3] == ["battery", "soc", "50"] for line in shown.stdout.splitlines())
    other = heliodock("device", "replay", file, "--profile", "demo-pv", "--json", "-")
    assert other.exit_code == 0
    points = json.loads(other.stdout)["rounds"][0]["points"]["battery"]
    assert points["power_kw"]["quality"] == "this register is not in the capture"


def test_opcua_is_not_captured_and_says_so(station: Path, tmp_path: Path) -> None:
    said = refusal(heliodock("device", "capture", station, "dc1", "--out", tmp_path / "x"))
    assert "opcua can't be captured; Modbus can" in said


def test_a_replay_of_something_else_is_refused(tmp_path: Path) -> None:
    assert "is no capture" in refusal(heliodock("device", "replay", DEMO))
    assert "cannot be read" in refusal(heliodock("device", "replay", tmp_path / "none"))


@pytest.mark.parametrize("verb", ["list", "read", "scan", "write", "watch", "selftest", "capture", "replay"])
def test_every_verb_has_an_example(verb: str) -> None:
    assert f"Example: heliodock device {verb}" in heliodock("device", verb, "--help").stdout
