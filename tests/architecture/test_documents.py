"""Documents name things that exist."""

import re
from pathlib import Path

import pytest

from tests.architecture import house

INVARIANTS = (house.ROOT / "docs" / "invariants.md").read_text(encoding="utf-8")
FAILSAFE = (house.ROOT / "docs" / "failsafe.md").read_text(encoding="utf-8")
CITED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", INVARIANTS + FAILSAFE)))


@pytest.mark.parametrize(("path", "test"), CITED)
def test_a_test_that_a_document_cites_exists(path: str, test: str) -> None:
    text = (house.ROOT / path).read_text(encoding="utf-8")
    assert not test or re.search(rf"\bdef {test}\(", text)


def test_all_21_invariants_are_there_in_order() -> None:
    assert [int(n) for n in re.findall(r"^\| I(\d+) \|", INVARIANTS, re.MULTILINE)] == list(range(1, 22))


def test_a_test_with_an_invariant_in_its_name_is_cited() -> None:
    named = set()
    for path in sorted((house.ROOT / "tests").rglob("test_*.py")):
        for test, number in re.findall(r"\bdef (test_i(\d+)_\w+)\(", path.read_text(encoding="utf-8")):
            named.add((int(number), test, house.name_of(path)))
    lines = {int(n): line for n, line in re.findall(r"^\| I(\d+) \|(.*)$", INVARIANTS, re.MULTILINE)}
    uncited = [f"I{n}: {path}::{test}" for n, test, path in sorted(named) if path not in lines.get(n, "")]
    assert not uncited


@pytest.mark.parametrize("path", sorted((house.ROOT / "docs" / "adr").glob("*.md")), ids=house.name_of)
def test_a_decision_has_context_decision_and_consequences(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert len(text.splitlines()) <= 80
