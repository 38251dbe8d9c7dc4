"""``check`` and ``device`` against devices that answer, refuse, or say nothing."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.station import DEMO, demo_with, free_ports, heliodock, on_free_ports, refusal, served


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = on_free_ports(tmp_path_factory.mktemp("station"))
    with served(file):
        yield file


def test_check_shows_assets_limits_and_devices_as_plain_lines() -> None:
    result = heliodock("check", DEMO)
    assert result.exit_code == 0
    assert result.stderr == ""
    for text in ("200 kWh, +100 / −100 kW", "hard import", "100 A per phase", "modbus-tcp", "fit to run"):
        assert text in result.stdout
    assert "\x1b" not in result.stdout


def test_check_refuses_fallbacks_that_break_a_limit(tmp_path: Path) -> None:
    file = demo_with(tmp_path, ("max_kw: 60, min_kw: 8", "max_kw: 110, min_kw: 8"))
    result = heliodock("check", file)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(
        f"error: {file}: limits: fallbacks and base load reach 136.6 at pcc import kW"
    )


def test_check_tells_of_a_battery_that_is_always_booked_at_its_rating_and_of_limits_that_this_fills(
    tmp_path: Path,
) -> None:
    device = ("profile: demo-battery", "profile: huawei-luna-battery")
    result = heliodock("check", demo_with(tmp_path, device))
    assert result.exit_code == 1
    note, *faults = result.stderr.splitlines()
    assert note == (
        "note: battery: huawei-luna-battery tells of no watchdog, so it is booked at its rating, -100 to 100 kW, "
        "at all times"
    )
    assert len(faults) == 2
    assert all("limits: nothing could be granted: fallbacks and base load reach" in fault for fault in faults)
    small = (("max_charge_kw: 100", "max_charge_kw: 20"), ("max_discharge_kw: 100", "max_discharge_kw: 20"))
    roomy = heliodock("check", demo_with(tmp_path, device, *small))
    assert (roomy.exit_code, roomy.stderr.count("\n")) == (0, 1)
    assert "-20 to 20 kW" in roomy.stderr


def test_check_refuses_days_that_the_series_does_not_have(tmp_path: Path) -> None:
    old = next(line for line in DEMO.read_text(encoding="utf-8").splitlines() if line.startswith("  from:"))
    said = refusal(heliodock("check", demo_with(tmp_path, (old, "  from: 2031-01-01"))))
    assert "has no rows for 2031-01-01" in said


def test_check_reads_every_point_of_every_device_once(station: Path) -> None:
    result = heliodock("check", station, "--connect")
    assert result.exit_code == 0, result.output
    assert "all 12 devices answered" in result.stdout
    assert any(line.split()[:3] == ["storage", "battery", "soc"] for line in result.stdout.splitlines())
    assert any(line.split()[:3] == ["dc1", "dc1b", "power_kw"] for line in result.stdout.splitlines())


def test_check_says_which_devices_fail(tmp_path: Path) -> None:
    result = heliodock("check", on_free_ports(tmp_path), "--connect")
    assert result.exit_code == 1
    assert result.stdout.count("connection refused") == 12
    assert "12 of 12 devices failed: meter, inverter" in result.stderr
    assert "Traceback" not in result.output


def test_device_read_gives_value_unit_quality_and_age(station: Path) -> None:
    result = heliodock("device", "read", station, "storage", "soc", "power_kw")
    assert result.exit_code == 0
    head, soc, power = (line.split() for line in result.stdout.splitlines())
    assert head == ["point", "value", "unit", "quality", "age", "s"]
    assert (soc[:4], power[0]) == (["soc", "50", "%", "good"], "power_kw")


def test_device_read_as_json_is_all_there_is_on_standard_output(station: Path) -> None:
    result = heliodock("device", "read", station, "dc1", "power_kw", "--json", "-")
    data = json.loads(result.stdout)
    assert set(data["assets"]) == {"dc1a", "dc1b"}
    assert data["assets"]["dc1a"]["power_kw"].keys() == {"value", "unit", "quality", "age_s"}


def test_a_silent_device_is_given_up_and_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = demo_with(tmp_path, ("port: 15022", f"port: {silent.getsockname()[1]}"))
        result = heliodock("device", "read", file, "storage")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: storage: no answer within")


def test_a_device_that_is_off_fails_with_its_cause(tmp_path: Path) -> None:
    file = demo_with(tmp_path, ("port: 15040", f"port: {free_ports(1)[0]}"))
    result = heliodock("device", "read", file, "dc1", "--json", "-")
    assert result.exit_code == 1
    assert "connection refused" in json.loads(result.stdout)["cause"]


@pytest.mark.parametrize(
    ("words", "hint"), [(("storag",), "did you mean 'storage'?"), (("storage", "sok"), "did you mean 'soc'?")]
)
def test_an_unknown_device_or_point_gets_a_hint(words: tuple[str, ...], hint: str) -> None:
    assert hint in refusal(heliodock("device", "read", DEMO, *words))


def test_devices_and_profiles_are_listed() -> None:
    assert "demo-dc-pair" in heliodock("device", "list", DEMO).stdout
    assert "demo-meter" in heliodock("device", "list", "--profiles").stdout
    assert "--profiles" in refusal(heliodock("device", "list"))
