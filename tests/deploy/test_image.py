"""What the Dockerfile promises. `make image-test` builds and runs it; this is quick and needs nothing."""

import json
import re
import tomllib

import pytest

from cli.main import make_app
from tests.deploy.compose import DEPLOY, ROOT, SERVICES

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LINES = re.sub(r"\\\n(\s*#.*\n)*", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
STAGES = [line for line in LINES if line.startswith("FROM ")]


def last(word: str) -> str:
    """Return the rest of the last instruction of this kind."""
    return [line for line in LINES if line.startswith(f"{word} ")][-1].removeprefix(f"{word} ").strip()


def test_every_stage_begins_with_the_same_pinned_base() -> None:
    assert len(STAGES) == 2
    assert {line.split()[1] for line in STAGES} == {"python:3.11-slim-bookworm"}


def test_it_runs_as_the_user_of_the_compose_file_and_not_as_root() -> None:
    assert last("USER") == SERVICES["heliodock"]["user"] == SERVICES["emulator"]["user"]
    uid = last("USER").split(":")[0]
    assert int(uid) > 0
    assert f"HELIODOCK={uid} " in (DEPLOY / "make_secrets.sh").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", ["ENTRYPOINT", "CMD"])
def test_what_it_starts_gets_the_signals_because_no_shell_is_between(word: str) -> None:
    assert isinstance(json.loads(last(word)), list)
    assert last("STOPSIGNAL") == "SIGTERM"


def test_its_health_is_that_of_control() -> None:
    check = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    assert check[:2] == ["heliodock", "health"]
    assert check[-1] == json.loads(last("CMD"))[json.loads(last("CMD")).index("--store") + 1]


@pytest.mark.parametrize(
    "words", [json.loads(last("CMD")), *(SERVICES[n]["command"] for n in ("emulator", "heliodock"))]
)
def test_what_it_starts_is_a_verb_with_options_that_exist(words: list[str]) -> None:
    from typer.main import get_command

    verb = get_command(make_app()).commands[words[0]]  # type: ignore[attr-defined]
    known = {name for parameter in verb.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_packages_are_installed_by_hash_and_nothing_is_built_from_source_but_heliodock() -> None:
    installs = [part for line in LINES for part in line.split("&&") if "pip" in part and " install " in part]
    assert len(installs) == 3
    for part in installs:
        assert "--no-deps" in part
        assert "--require-hashes" in part or "/tmp/wheel/" in part


def test_the_builder_is_given_the_packages_and_nothing_else() -> None:
    rules = [r for r in (ROOT / ".dockerignore").read_text().splitlines() if r and not r.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in let_in)
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.removesuffix("*") for name in setup["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages - {"benchmarks"} <= let_in
    assert not let_in & {"deploy", "tests", "docs", ".git"}
