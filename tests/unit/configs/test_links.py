"""How a site file says where a device is, and every way to say it wrong."""

from pathlib import Path

import pytest

from configs.load import CONFIGS, load_site
from configs.profiles import load_profile
from drivers.connect import pace_of
from station.errors import ConfigError
from station.links import SerialLink, TcpLink
from station.profile import Protocol

DEMO = CONFIGS / "stations" / "demo.yaml"
METER = (
    "  - {id: meter, profile: demo-meter, host: 127.0.0.1, port: 15020, unit: 1, assets: [grid], poll_s: 1}\n"
)
INVERTER = (
    "  - {id: inverter, profile: demo-pv, host: 127.0.0.1, port: 15021, unit: 1, assets: [pv], poll_s: 1}\n"
)


def site(folder: Path, meter: str, inverter: str = "host: 127.0.0.1, port: 15021") -> Path:
    text = DEMO.read_text()
    for line, where in ((METER, meter), (INVERTER, inverter)):
        assert line in text
        before, _, after = line.partition("host: ")
        text = text.replace(line, before + where + ", " + after[after.index("unit:") :])
    file = folder / "site.yaml"
    file.write_text(text)
    return file


def test_a_serial_port_has_settings_of_its_own(tmp_path: Path) -> None:
    file = site(tmp_path, "link: {serial: /dev/ttyUSB0, baud: 19200, parity: even, stop_bits: 2}")
    meter = load_site(file).devices[0]
    assert meter.via == SerialLink("/dev/ttyUSB0", 19200, "even", 2)
    assert str(meter.via) == "/dev/ttyUSB0"


def test_without_settings_a_serial_port_has_9600_baud_and_no_parity(tmp_path: Path) -> None:
    assert load_site(site(tmp_path, "link: {serial: /dev/ttyS1}")).devices[0].via == SerialLink("/dev/ttyS1")


def test_rtu_over_tcp_is_a_framing_of_a_host(tmp_path: Path) -> None:
    meter = load_site(site(tmp_path, "link: {host: 10.0.0.9, port: 4001, framing: rtu}")).devices[0]
    assert meter.via == TcpLink("10.0.0.9", 4001, "rtu")
    assert (meter.host, meter.port) == ("10.0.0.9", 4001)


def test_host_and_port_alone_are_modbus_tcp() -> None:
    assert load_site(DEMO).devices[0].via == TcpLink("127.0.0.1", 15020, "tcp")


@pytest.mark.parametrize(
    ("meter", "key", "problem"),
    [
        ("port: 5", "host", "is missing (or link, for a serial port)"),
        ("host: a", "port", "is missing (or link, for a serial port)"),
        ("host: a, port: 5, link: {serial: /dev/ttyS1}", "host", "stands beside link"),
        ("link: {baud: 9600}", "link", "needs serial"),
        ("link: {host: a}", "link.port", "is missing"),
        ("link: {serial: /dev/ttyS1, framing: rtu}", "link.framing", "does not belong to a serial port"),
        ("link: {host: a, port: 5, parity: even}", "link.parity", "does not belong to a host"),
        ("link: {serial: /dev/ttyS1, parity: mark}", "link.parity", "must be one of none, even, odd"),
        ("link: {serial: /dev/ttyS1, stop_bits: 3}", "link.stop_bits", "must be one of 1, 2"),
        ("link: {serial: /dev/ttyS1, baud: 3}", "link.baud", "must be at least 300"),
        ("link: {serial: /dev/ttyS1, speed: 3}", "link.speed", "unknown key"),
        ("link: {host: a, port: 70000}", "link.port", "must be at most 65535"),
    ],
)
def test_a_wrong_link_names_file_line_and_key(tmp_path: Path, meter: str, key: str, problem: str) -> None:
    file = site(tmp_path, meter)
    with pytest.raises(ConfigError) as refused:
        load_site(file)
    lines = file.read_text().splitlines()
    assert "id: meter" in lines[refused.value.line - 1]
    assert refused.value.key == f"devices[0].{key}"
    assert problem in refused.value.problem


@pytest.mark.parametrize(
    ("meter", "inverter", "key", "problem"),
    [
        (
            "link: {serial: /dev/ttyS1}",
            "link: {serial: /dev/ttyS1, baud: 19200}",
            "link.baud",
            "baud 19200 differs from 9600 of devices[0] on /dev/ttyS1",
        ),
        (
            "link: {serial: /dev/ttyS1, parity: even}",
            "link: {serial: /dev/ttyS1}",
            "link",
            "parity none differs from even of devices[0] on /dev/ttyS1",
        ),
        (
            "host: gate, port: 502",
            "link: {host: gate, port: 502, framing: rtu}",
            "link.framing",
            "framing rtu differs from tcp of devices[0] on gate:502",
        ),
    ],
)
def test_two_devices_on_one_wire_must_agree(
    tmp_path: Path, meter: str, inverter: str, key: str, problem: str
) -> None:
    file = site(tmp_path, meter, inverter)
    with pytest.raises(ConfigError) as refused:
        load_site(file)
    assert "id: inverter" in file.read_text().splitlines()[refused.value.line - 1]
    assert (refused.value.key, refused.value.problem) == (f"devices[1].{key}", problem)


def test_unit_0_of_a_serial_line_is_refused(tmp_path: Path) -> None:
    file = site(tmp_path, "link: {serial: /dev/ttyS1}")
    file.write_text(
        file.read_text().replace("{serial: /dev/ttyS1}, unit: 1", "{serial: /dev/ttyS1}, unit: 0")
    )
    with pytest.raises(ConfigError, match="speaks to all devices"):
        load_site(file)


def test_opcua_needs_a_host(tmp_path: Path) -> None:
    file = site(tmp_path, "host: 127.0.0.1, port: 15020")
    text = file.read_text()
    where = text.index("profile: demo-dc-pair")
    begin = text.index("host:", where)
    end = text.index("assets:", begin)
    file.write_text(text[:begin] + "link: {serial: /dev/ttyS1}, " + text[end:])
    with pytest.raises(ConfigError, match="speaks OPC UA: give host and port"):
        load_site(file)


def test_modbus_is_another_name_of_modbus_tcp(tmp_path: Path) -> None:
    text = (CONFIGS / "devices" / "demo-meter.yaml").read_text()
    file = tmp_path / "demo-meter.yaml"
    file.write_text(text.replace("protocol: modbus-tcp", "protocol: modbus"))
    assert load_profile(file).protocol is Protocol.MODBUS_TCP


def test_a_line_paces_its_frames_by_its_speed() -> None:
    profile = load_profile("demo-meter")
    assert pace_of(SerialLink("/dev/ttyS1", 9600), [profile]).gap_s == pytest.approx(3.5 * 10 / 9600)
    assert pace_of(SerialLink("/dev/ttyS1", 19200, "even"), [profile]).gap_s == pytest.approx(
        3.5 * 11 / 19200
    )
    assert pace_of(SerialLink("/dev/ttyS1", 115200), [profile]).gap_s == 0.00175
    assert pace_of(TcpLink("a", 502), [profile]).byte_s == 0.0
