"""The ``opcua:`` entry of a device: what it means, and every way to get it wrong."""

import math
from pathlib import Path

import pytest

from configs.load import load_site
from station.errors import ConfigError
from station.opcua import OpcuaAccess
from station.sinks import Secret
from tests.unit.configs.test_load import changed

PAIR = "  - {id: dc1, profile: demo-dc-pair, host: 127.0.0.1, port: 15040, assets: [dc1a, dc1b], poll_s: 1}\n"
INVERTER = (
    "  - {id: inverter, profile: demo-pv, host: 127.0.0.1, port: 15021, unit: 1, assets: [pv], poll_s: 1}\n"
)
WHOLE = (
    "{policy: Basic256Sha256, mode: SignAndEncrypt, certificate: own.der, key: own.pem, "
    "server_certificate: dc1.der, user: ems, password: {file: dc1.secret}}"
)


def site(folder: Path, entry: str, device: str = PAIR) -> Path:
    """Write the demonstration with an ``opcua:`` entry at a device, and the files that it may name."""
    for name in ("own.der", "own.pem", "dc1.der", "dc1.secret"):
        (folder / name).touch()
    return changed(folder, (device, device.replace("poll_s: 1}", f"poll_s: 1, opcua: {entry}}}")))


def access(folder: Path, entry: str) -> OpcuaAccess | None:
    loaded = load_site(site(folder, entry))
    return next(its.opcua for its in loaded.devices if its.device_id == "dc1")


def test_a_secured_entry_names_files_beside_the_site_file(tmp_path: Path) -> None:
    assert access(tmp_path, WHOLE) == OpcuaAccess(
        policy="Basic256Sha256",
        mode="SignAndEncrypt",
        certificate=tmp_path / "own.der",
        key=tmp_path / "own.pem",
        server_certificate=tmp_path / "dc1.der",
        user="ems",
        password=Secret(tmp_path / "dc1.secret"),
    )


def test_messages_are_encrypted_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    entry = access(tmp_path, WHOLE.replace("mode: SignAndEncrypt, ", ""))
    assert entry is not None
    assert entry.mode == "SignAndEncrypt"


def test_an_entry_without_policy_is_unsecured(tmp_path: Path) -> None:
    entry = access(tmp_path, "{path: /UA/Server, subscribe: true}")
    assert entry == OpcuaAccess(path="/UA/Server", subscribe=True, oldest_s=math.inf)
    assert not entry.is_secured


def test_a_password_without_security_must_be_meant(tmp_path: Path) -> None:
    entry = access(tmp_path, "{policy: None, user: ems, password: {env: DC1}}")
    assert entry == OpcuaAccess(user="ems", password=Secret(env="DC1"))


@pytest.mark.parametrize(
    ("entry", "key", "problem"),
    [
        ("{polcy: None}", "opcua.polcy", "unknown key"),
        ("{policy: Basic256}", "opcua.policy", "Basic256Sha256"),
        ("{policy: Basic256Sha256}", "opcua", "policy Basic256Sha256 needs 'certificate'"),
        (WHOLE.replace("key: own.pem, ", ""), "opcua", "policy Basic256Sha256 needs 'key'"),
        (
            WHOLE.replace("server_certificate: dc1.der, ", ""),
            "opcua",
            "policy Basic256Sha256 needs 'server_certificate'",
        ),
        ("{mode: Sign}", "opcua.mode", "has no meaning without a policy"),
        ("{certificate: own.der}", "opcua.certificate", "has no meaning without a policy"),
        (WHOLE.replace("own.der", "nowhere.der"), "opcua.certificate", "no such file: "),
        (WHOLE.replace("dc1.secret", "nowhere"), "opcua.password.file", "no such file: "),
        (WHOLE.replace("{file: dc1.secret}", "secret"), "opcua.password", "say where the secret is"),
        (WHOLE.replace("user: ems, ", ""), "opcua.password", "a password without 'user'"),
        (
            "{user: ems, password: {file: dc1.secret}}",
            "opcua.password",
            "nothing proves that the server is the one that may have it",
        ),
        ("{path: UA}", "opcua.path", ""),
        ("{subscribe: true, oldest_s: 3}", "opcua.oldest_s", "leave out 'subscribe'"),
        ("{oldest_s: 0}", "opcua.oldest_s", ""),
    ],
)
def test_a_wrong_entry_is_one_line_with_its_key(tmp_path: Path, entry: str, key: str, problem: str) -> None:
    file = site(tmp_path, entry)
    with pytest.raises(ConfigError) as refused:
        load_site(file)
    assert refused.value.line == 1 + file.read_text()[: file.read_text().index(entry)].count("\n")
    assert refused.value.key.endswith(key)
    assert problem in refused.value.problem


def test_a_modbus_device_has_no_opcua_entry(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="profile demo-pv speaks modbus-tcp, not OPC UA"):
        load_site(site(tmp_path, "{subscribe: true}", INVERTER))


def test_a_password_that_stands_in_the_file_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        access(tmp_path, WHOLE.replace("{file: dc1.secret}", "hunter2"))
    assert "hunter2" not in str(refused.value)
    assert "never stands in a site file" in str(refused.value)
