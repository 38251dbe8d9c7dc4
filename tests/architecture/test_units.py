"""Every float says its unit (docs/adr/0002-units-in-names.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import house

UNIT = "kw|kwh|kva|kvar|w|wh|v|a|ma|hz|c|ms|s|m|h|days|kg|m2|pa|ohm|deg|percent|kw_s|a_s|kw_month|kw_year"
PER = "kwh|kw|kw_month|kw_year|a|v|c|hz|s|h|day|month|year|efc|m2"
WITH_UNIT = re.compile(rf"(.*_)?(({UNIT})(_per_({PER}))*|\w+_per_({PER}))")

# Dimensionless, or in the site's currency: the word stands first or last in the name.
WORDS = {
    "clearness",
    "confidence",
    "efficiency",
    "factor",
    "factors",
    "fraction",
    "gap",
    "priority",
    "probability",
}
WORDS |= {"quantile", "ratio", "score", "share", "sign", "soc", "soh", "speed", "weight", "weights"}
WORDS |= {"bill", "cost", "fee", "penalty", "price"}
# In the unit of what they belong to (a profile's point; a limit in kW or in A), or always in degrees.
OWN_UNIT = {
    "base_weight",
    "bias",
    "bound",
    "deadband",
    "raw",
    "scale",
    "short_time_bound",
    "tolerance",
    "valid",
    "value",
}
OWN_UNIT |= {"cases", "latitude", "longitude", "typical", "zero_as"}

CHECKED = house.sources("station") + house.pure_controller()


@pytest.mark.parametrize("path", CHECKED, ids=house.name_of)
def test_every_float_says_its_unit(path: Path) -> None:
    silent = [f"line {line}: {name}" for name, line in floats(house.tree_of(path)) if not says_its_unit(name)]
    assert not silent


@pytest.mark.parametrize(
    "name", ["power_kw", "setpoints_kw", "ramp_kw_per_s", "price_per_kwh", "soc_min", "kw_per_a"]
)
def test_a_good_name_passes(name: str) -> None:
    assert says_its_unit(name)


@pytest.mark.parametrize(
    "name", ["power", "targets", "timeout", "charge_rate", "lease", "kwargs", "limit_per_phase", "soft_limit"]
)
def test_a_silent_name_is_found(name: str) -> None:
    assert not says_its_unit(name)


def test_floats_are_found_in_fields_parameters_and_mappings() -> None:
    tree = ast.parse(
        "class A:\n  a: float\n  b: dict[str, tuple[float, ...]]\n  c: int\n"
        "def f(d: float | None, *, e: 'float' = 0.0, g: str = '') -> float: ..."
    )
    assert {name for name, _ in floats(tree)} == {"a", "b", "d", "e"}


def says_its_unit(name: str) -> bool:
    """Return whether a name ends in a unit, or is one of the few words that need none."""
    name = name.strip("_").lower()
    words = name.split("_")
    return bool(WITH_UNIT.fullmatch(name)) or name in OWN_UNIT or bool(WORDS & {words[0], words[-1]})


def floats(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Return name and line of every field and parameter that is a float or holds floats."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and is_float(node.annotation)
        ):
            yield node.target.id, node.lineno
        elif isinstance(node, ast.arg) and node.annotation is not None and is_float(node.annotation):
            yield node.arg, node.lineno


def is_float(annotation: ast.expr) -> bool:
    """Return whether an annotation is a float or a container of floats; a callable is not."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return is_float(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp):
        return is_float(annotation.left) or is_float(annotation.right)
    if isinstance(annotation, ast.Subscript):
        if ast.unparse(annotation.value).endswith(("Callable", "Literal", "type")):
            return False
        inner = annotation.slice
        values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        return any(is_float(value) for value in values)
    return isinstance(annotation, ast.Name) and annotation.id == "float"
