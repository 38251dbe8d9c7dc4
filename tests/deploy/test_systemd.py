"""The systemd unit: accepted by systemd itself, confined, and fitting what the command does."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.main import make_app
from tests.deploy.compose import DEPLOY

UNIT = DEPLOY / "systemd" / "heliodock@.service"
MOST_EXPOSED = 2.0
"""systemd counts to 10; below 2 it calls a service "OK"."""


class Unit(configparser.RawConfigParser):
    """A unit file, in which the case of keys counts; of a repeated key the last one is seen."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = Unit(strict=False, interpolation=None)
    unit.read(UNIT)
    return unit["Service"]


def analyze(directory: Path, *words: str) -> str:
    """Return what systemd-analyze says of the unit, with a program in it that exists here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    copy = directory / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/heliodock/bin/heliodock", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", *words, copy], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    assert analyze(tmp_path, "verify") == ""


def test_systemd_calls_it_well_confined(tmp_path: Path) -> None:
    said = analyze(tmp_path, "security", "--offline=true", "--no-pager")
    level = re.search(r"exposure level.*: ([\d.]+)", said)
    assert level is not None
    assert float(level[1]) <= MOST_EXPOSED


def test_it_starts_a_verb_with_options_that_exist(service: configparser.SectionProxy) -> None:
    from typer.main import get_command

    words = service["ExecStart"].split()
    verb = get_command(make_app()).commands[words[1]]  # type: ignore[attr-defined]
    known = {name for parameter in verb.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_ready_and_watchdog_are_what_systemd_waits_for(service: configparser.SectionProxy) -> None:
    assert (service["Type"], service["NotifyAccess"], service["Restart"]) == ("notify", "main", "always")
    assert float(service["WatchdogSec"]) == 5.0


def test_the_store_is_in_a_directory_that_systemd_makes(service: configparser.SectionProxy) -> None:
    words = service["ExecStart"].split()
    directory = words[words.index("--store") + 1]
    assert directory in [f"/var/lib/{name}" for name in service["StateDirectory"].split()]
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
