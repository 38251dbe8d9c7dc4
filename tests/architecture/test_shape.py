"""The shape of the code: small files, small functions, words for everything public."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import house

FILE_LINES = 500
FUNCTION_LINES = 60
DRAWERS = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
DOCUMENTED = ("station", "drivers", "optimizer", "controller", "northbound", "hil")

ALL = house.sources(*house.PACKAGES)


@pytest.mark.parametrize("path", ALL, ids=house.name_of)
def test_a_file_has_one_reason_and_fits_in_500_lines(path: Path) -> None:
    assert path.stem not in DRAWERS
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", ALL, ids=house.name_of)
def test_a_function_fits_in_60_lines(path: Path) -> None:
    long = [
        f"{f.name}: {lines_of(f)}"
        for f in house.functions(house.tree_of(path))
        if lines_of(f) > FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", house.sources(*DOCUMENTED), ids=house.name_of)
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = house.tree_of(path)
    silent = [name for name, node in public(tree) if ast.get_docstring(node) is None]
    assert not silent


def test_every_folder_of_a_package_is_a_package() -> None:
    folders = {path.parent for name in house.PACKAGES for path in (house.ROOT / name).rglob("*.py")}
    bare = [house.name_of(f) for f in folders if not (f / "__init__.py").exists()]
    assert set(bare) <= {"configs/data"}


def lines_of(function: house.Function) -> int:
    """Return a function's lines without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def public(tree: ast.Module) -> Iterator[tuple[str, house.Function | ast.ClassDef]]:
    """Return public classes, functions and methods.

    A method that overrides has its words in the base; one of a single line may speak for itself.
    """
    for node in tree.body:
        if not isinstance(node, house.Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{m.name}", m) for m in node.body if needs_words(m))


def needs_words(node: ast.stmt) -> bool:
    """Return whether a member of a class is a public method of more than one line."""
    if not isinstance(node, house.Function) or node.name.startswith("_"):
        return False
    return len(node.body) > 1 and not house.decorators(node) & {"override", "overload", "setter"}
