"""One command makes all secrets: complete, private, never shown, and taken by the real broker."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.compose import COMPOSE, DEPLOY, ROOT, SERVICES

PUBLIC = {"ca.crt", "mosquitto.crt"}
IS_ROOT = os.geteuid() == 0


def make(directory: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [DEPLOY / "make_secrets.sh", directory], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, str]":
    """Return the directory, and all that the command said."""
    directory = tmp_path_factory.mktemp("deploy") / "secrets"
    result = make(directory)
    assert result.returncode == 0, result.stderr
    return directory, result.stdout + result.stderr


def test_every_secret_of_the_compose_file_is_made(made: "tuple[Path, str]") -> None:
    wanted = {Path(secret["file"]) for secret in COMPOSE["secrets"].values()}
    assert {file.parent for file in wanted} == {Path("secrets")}
    assert {file.name for file in wanted} <= {file.name for file in made[0].iterdir()}


def test_only_certificates_can_be_read_by_others(made: "tuple[Path, str]") -> None:
    for file in made[0].iterdir():
        assert file.stat().st_mode & 0o777 == (0o644 if file.name in PUBLIC else 0o600), file.name
    assert made[0].stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
def test_each_secret_belongs_to_the_user_of_the_container_that_reads_it(made: "tuple[Path, str]") -> None:
    for service in SERVICES.values():
        for name in set(service.get("secrets", [])) - PUBLIC:
            assert str((made[0] / name).stat().st_uid) == service["user"].split(":")[0], name


def test_it_tells_what_it_made_and_never_a_secret(made: "tuple[Path, str]") -> None:
    directory, said = made
    for file in directory.iterdir():
        assert file.name in said
        assert all(line not in said for line in file.read_text().splitlines() if len(line) > 20)


def test_no_two_secrets_are_the_same_but_those_that_two_containers_share(made: "tuple[Path, str]") -> None:
    texts = [file.read_text() for file in made[0].iterdir()]
    assert len(texts) - len(set(texts)) == 2


def test_it_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    result = make(tmp_path / "secrets")
    assert (result.returncode, result.stdout) == (2, "")
    assert "exists already" in result.stderr
    assert list((tmp_path / "secrets").iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "openssl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "openssl").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    command = [DEPLOY / "make_secrets.sh", tmp_path / "secrets"]
    failed = subprocess.run(command, env={"PATH": path}, capture_output=True, timeout=60, check=False)
    assert failed.returncode != 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["bin"]


@contextmanager
def broker(directory: Path, secrets: Path) -> Iterator[int]:
    """Run a real Mosquitto with these secrets and give its TLS port."""
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or shutil.which("mosquitto_pub") is None:
        pytest.skip("mosquitto is not installed (tests/system_packages.sh installs it as root)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = [f"listener {port} 127.0.0.1", "allow_anonymous false", "log_dest stderr", "log_type all"]
    settings += [f"password_file {secrets}/mosquitto_passwords", f"cafile {secrets}/ca.crt"]
    settings += [f"certfile {secrets}/mosquitto.crt", f"keyfile {secrets}/mosquitto.key"]
    settings += ["user root"] if IS_ROOT else []
    (directory / "mosquitto.conf").write_text("\n".join(settings) + "\n")
    command = [program, "-c", str(directory / "mosquitto.conf")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = []
            for line in process.stderr:
                said.append(line)
                if "running" in line:
                    break
            assert process.poll() is None, said
            yield port
        finally:
            process.terminate()
            process.stderr.read()


def publish(port: int, user: str, password: str, ca_file: Path) -> int:
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(port), "--cafile", str(ca_file), "-q", "1"]
    command += ["-u", user, "-P", password, "-t", "heliodock/test", "-m", "x"]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


def test_a_real_broker_takes_the_passwords_and_the_certificate(
    made: "tuple[Path, str]", tmp_path: Path
) -> None:
    secrets = made[0]
    with broker(tmp_path, secrets) as port:
        for user in ("heliodock", "operator"):
            password = (secrets / f"{user}_mqtt_password").read_text().strip()
            assert publish(port, user, password, secrets / "ca.crt") == 0
            assert publish(port, user, password[:-1], secrets / "ca.crt") != 0
        context = ssl.create_default_context(cafile=str(secrets / "ca.crt"))
        for name in ("mosquitto", "localhost", "127.0.0.1"):
            with socket.create_connection(("127.0.0.1", port), 10.0) as plain:
                context.wrap_socket(plain, server_hostname=name).close()
        with socket.create_connection(("127.0.0.1", port), 10.0) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="elsewhere")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


KEY = re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY")
HASH = re.compile(r"\$[67]\$(\d+\$)?[A-Za-z0-9+/=]{12,}\$")
WORD = re.compile(r"""(?i)(?:token|password|secret)["']?\s*[:=]\s*["']?(?=[\w+/-]*\d)[A-Za-z0-9+/_-]{24,}""")


def test_no_secret_is_under_version_control() -> None:
    found = []
    for file in tracked():
        text = file.read_text(encoding="utf-8", errors="replace")
        found += [f"{file}: {pattern.pattern}" for pattern in (KEY, HASH, WORD) if pattern.search(text)]
    assert not found


def test_the_patterns_find_what_the_command_makes(made: "tuple[Path, str]") -> None:
    assert KEY.search((made[0] / "ca.key").read_text())
    assert HASH.search((made[0] / "mosquitto_passwords").read_text())
    assert WORD.search(f"token: {(made[0] / 'influxdb_token').read_text()}")


def test_git_ignores_the_secrets() -> None:
    tracked()
    ignored = subprocess.run(["git", "check-ignore", "-q", "deploy/secrets/x"], cwd=ROOT, check=False)
    assert ignored.returncode == 0
