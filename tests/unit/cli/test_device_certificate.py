"""``device certificate | pin`` and what ``check`` says of certificates."""

from pathlib import Path

from drivers.opcua_security import application_uris, certificate_in
from tests.unit.cli.station import heliodock, on_free_ports, refusal, served
from tests.wire.foreign_opcua import Papers

PAIR = "assets: [dc1a, dc1b], poll_s: 1}"
ENTRY = (
    "assets: [dc1a, dc1b], poll_s: 1, opcua: {policy: Basic256Sha256, certificate: own.der, key: own.pem, "
    "server_certificate: dc1.der, user: ems, password: {file: dc1.secret}}}"
)


def secured(folder: Path) -> Path:
    """Write the demonstration with a secured pair of connectors; return the site file."""
    file = on_free_ports(folder)
    text = file.read_text()
    assert PAIR in text
    file.write_text(text.replace(PAIR, ENTRY))
    return file


def test_a_certificate_is_made_once_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    words = (
        "device",
        "certificate",
        "--out",
        tmp_path / "new",
        "--uri",
        "urn:depot:heliodock",
        "--days",
        "30",
    )
    made = heliodock(*words)
    assert made.exit_code == 0, made.output
    assert application_uris(certificate_in(tmp_path / "new" / "own.der")) == ["urn:depot:heliodock"]
    assert (tmp_path / "new" / "own.pem").stat().st_mode & 0o077 == 0
    assert "is there already" in refusal(heliodock(*words))


def test_a_name_that_is_no_uri_is_refused(tmp_path: Path) -> None:
    result = heliodock("device", "certificate", "--out", tmp_path, "--uri", "depot")
    assert "a URI such as urn:" in refusal(result)


def test_a_secured_device_is_pinned_read_and_its_ending_certificate_told(tmp_path: Path) -> None:
    papers = Papers.made(tmp_path, server_days=20)
    file = secured(tmp_path)
    port = next(line for line in file.read_text().splitlines() if "id: dc1," in line)
    port = port.partition("port: ")[2].partition(",")[0]
    with served(file):
        pinned = heliodock("device", "pin", "127.0.0.1", "--port", port, "--out", tmp_path / "seen.der")
        assert pinned.exit_code == 0, pinned.output
        assert (tmp_path / "seen.der").read_bytes() == (papers.home / "dc1.der").read_bytes()
        read = heliodock("device", "read", file, "dc1", "uptime_s")
        assert read.exit_code == 0, read.output
    checked = heliodock("check", file)
    assert checked.exit_code == 0
    assert "dc1: certificate dc1.der ends on " in checked.stderr


def test_a_site_whose_certificate_has_ended_does_not_pass_the_check(tmp_path: Path) -> None:
    Papers.made(tmp_path, own_days=-10)
    checked = heliodock("check", secured(tmp_path))
    assert checked.exit_code == 1
    assert "dc1: certificate own.der ended on " in checked.stderr


def test_a_server_that_is_not_there_can_not_be_pinned(tmp_path: Path) -> None:
    result = heliodock("device", "pin", "127.0.0.1", "--port", "1", "--out", tmp_path / "seen.der")
    assert result.exit_code == 1
    assert "connection refused" in result.stderr
