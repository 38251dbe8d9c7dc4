"""The import law, as import-linter and as a look at what it cannot see."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import house

IMPURE_MODULES = {"asyncio", "logging", "random", "socket", "structlog", "threading", "time"}
CLOCK_READS = {"now", "today", "utcnow"}
PURE = house.sources("station", "optimizer") + house.pure_controller() + house.plant()


def test_the_import_law_holds() -> None:
    missing = [name for name in house.PACKAGES if not (house.ROOT / name / "__init__.py").exists()]
    assert not missing
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=house.ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("path", PURE, ids=house.name_of)
def test_a_pure_file_imports_no_clock_chance_task_socket_or_log(path: Path) -> None:
    found = {module for module in imported(house.tree_of(path)) if module.split(".")[0] in IMPURE_MODULES}
    assert not found


@pytest.mark.parametrize("path", PURE, ids=house.name_of)
def test_a_pure_file_never_asks_what_time_it_is(path: Path) -> None:
    asked = [f"line {node.lineno}: {ast.unparse(node)}" for node in clock_reads(house.tree_of(path))]
    assert not asked


@pytest.mark.parametrize("path", house.pure_controller(), ids=house.name_of)
def test_a_pure_file_of_the_controller_does_not_import_the_shell(path: Path) -> None:
    shell = {f"controller.{name.removesuffix('.py')}" for name in house.shell_files()}
    assert not shell & set(imported(house.tree_of(path)))


@pytest.mark.parametrize("path", house.sources("station"), ids=house.name_of)
def test_the_words_need_only_the_standard_library(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported(house.tree_of(path))}
    assert tops <= sys.stdlib_module_names | {"station"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Return the full names of imported modules; `from a import b` counts as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def clock_reads(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Return each use of now, today or utcnow of the classes datetime and date, under whatever name."""
    classes = {"datetime", "date"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "datetime":
            classes |= {alias.asname for alias in node.names if alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCK_READS:
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in classes:
                yield node
