"""What every verb keeps: a status, one line for what a user can mend, a quick start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from cli.arguments import spread
from cli.main import make_app
from cli.paths import default_store
from tests.unit.cli.station import DEMO, heliodock, refusal

HEAVY = ("pandas", "pvlib", "matplotlib", "pulp", "numpy", "scipy", "asyncua", "pymodbus")
ENTER = "from cli.main import main; print(1, flush=True); main()"


def verbs(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from verbs(child, (*path, name))


ALL = dict(verbs(get_command(make_app())))


def test_the_version_is_one_line() -> None:
    result = heliodock("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "heliodock")


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_the_help_of_every_verb_ends_with_an_example(path: tuple[str, ...]) -> None:
    result = heliodock(*path, "--help")
    assert result.exit_code == 0
    assert f"Example: heliodock {' '.join(path)}" in " ".join(result.stdout.split())


def test_the_verbs_of_the_contract_are_there() -> None:
    assert {("check",), ("plan",), ("twin",), ("health",), ("device", "list"), ("device", "read")} <= set(ALL)


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys; from cli.main import make_app; make_app(); print(set({HEAVY}) & set(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root()
    )
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "args",
    [
        ("check",),
        ("check", "--nonsense"),
        ("check", "no-such-file.yaml"),
        ("twin", DEMO, "--days", "many"),
        ("plan", DEMO, "--html", "/nowhere/plan.html"),
        ("nonsense",),
    ],
    ids=str,
)
def test_what_a_user_can_mend_is_one_line(args: tuple[object, ...]) -> None:
    assert "Traceback" not in refusal(heliodock(*args))


def test_a_fault_in_a_site_names_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    text = DEMO.read_text(encoding="utf-8").replace("capacity_kwh: 200", "capacity_kwh: lots")
    file.write_text(text, encoding="utf-8")
    line = text[: text.index("capacity_kwh: lots")].count("\n") + 1
    said = refusal(heliodock("check", file))
    assert said.startswith(f"error: {file}:{line}: assets.batteries[0].capacity_kwh: ")


@pytest.mark.parametrize("strategies", [("mpc",), ("mpc", "rules")], ids=len)
def test_ctrl_c_ends_a_long_run_at_once(strategies: tuple[str, ...]) -> None:
    words = ("heliodock", "twin", str(DEMO), "--days", "9", "--strategy", *strategies)
    code = f"import sys; sys.argv = {list(words)!r}; {ENTER}"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=root(),
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        time.sleep(2.0)
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate(timeout=60.0)
    # A worker that is caught while it starts may still complain; the command itself says nothing.
    assert (running.returncode, said[0]) == (130, b"")
    assert b"error:" not in said[1]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("twin S.yaml --strategy a b --days 1", "twin S.yaml --strategy a --strategy b --days 1"),
        ("twin --strategy a b S.yaml", "twin --strategy a --strategy b S.yaml"),
        ("twin --strategy a --strategy b", "twin --strategy a --strategy b"),
        ("twin S.yaml --days 1", "twin S.yaml --days 1"),
        ("twin --strategy a b --json - S.yaml", "twin --strategy a --strategy b --json - S.yaml"),
    ],
)
def test_an_option_may_take_several_words(given: str, meant: str) -> None:
    assert spread(given.split(), "--strategy") == meant.split()


def test_a_store_lies_beside_the_site_file() -> None:
    assert default_store(Path("sites/north.yaml")) == Path("sites/north.store")


def root() -> Path:
    return DEMO.parents[2]
