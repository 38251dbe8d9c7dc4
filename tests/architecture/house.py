"""What the architecture tests look at: the packages, their files and which of them are pure."""

import ast
import configparser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "station",
    "configs",
    "drivers",
    "optimizer",
    "northbound",
    "controller",
    "hil",
    "cli",
    "benchmarks",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*packages: str) -> list[Path]:
    """Return every Python file of the packages; a script beside a data set belongs to no package."""
    return [
        path
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
        if (path.parent / "__init__.py").exists()
    ]


def law() -> configparser.ConfigParser:
    """Return the import law as import-linter reads it."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def shell_files() -> set[str]:
    """Return the file names in controller/ that may know clocks and tasks: those that the law exempts."""
    exempt = law()["importlinter:contract:pure"]["ignore_imports"].split("\n")
    importers = (line.split("->")[0].strip() for line in exempt if "->" in line)
    return {f"{importer.removeprefix('controller.')}.py" for importer in importers}


def is_shell(path: Path) -> bool:
    """Return whether a file of controller/ is one of the shell."""
    return path.relative_to(ROOT / "controller").parts[0] in shell_files()


def pure_controller() -> list[Path]:
    """Return the files of controller/ that must be pure: all but the shell."""
    return [path for path in sources("controller") if not is_shell(path)]


def plant() -> list[Path]:
    """Return the file or the files of the plant."""
    return [
        path for path in sources("hil") if path.relative_to(ROOT / "hil").parts[0] in ("plant", "plant.py")
    ]


def name_of(path: Path) -> str:
    """Return a file's path below the root, for messages."""
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Return every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def decorators(node: Function) -> set[str]:
    """Return the last words of a function's decorators."""
    targets = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return {
        t.attr if isinstance(t, ast.Attribute) else t.id
        for t in targets
        if isinstance(t, ast.Attribute | ast.Name)
    }
