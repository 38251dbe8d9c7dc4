"""Reading YAML so that every problem names its file, line and key.

``read_yaml`` gives plain data with the line of each key; ``read_model`` also checks it against a pydantic model. Both
raise ``ConfigError`` and nothing else, for one problem at a time: the first in the file.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from configs.problems import describe
from station.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the root to a value."""

MAX_VALUES = 200_000
"""More values than this in one file, aliases expanded, is a mistake or an attack."""

_TAG = "tag:yaml.org,2002:"


class Checked(BaseModel):
    """Root of the models that files are checked against: unknown keys and loose types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlFile:
    """Plain data (dict, list, text, number, bool, None; keys are text, dates stay text) and where each key stands."""

    file: Path
    data: dict[str, object]
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int:
        """Return the 1-based line of the key at ``path``, or of the nearest parent that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def error(self, path: KeyPath, problem: str) -> ConfigError:
        """Return (do not raise) the error that says ``problem`` about the key at ``path``."""
        return ConfigError(str(self.file), self.line_of(path), dotted(path), problem)


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it: ``assets.connectors[2].max_kw``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(file: Path) -> YamlFile:
    """Return the mapping that a YAML file holds."""
    root = _compose(file, text_of(file))
    walk = _Walk(file)
    try:
        data = walk.value(root, ())
    except RecursionError:
        raise ConfigError(str(file), 0, "", "is nested too deeply") from None
    if not isinstance(data, dict):
        raise ConfigError(str(file), root.start_mark.line + 1, "", "must hold keys and values (key: value)")
    return YamlFile(file, data, walk.lines)


def read_model(file: Path, model: type[M]) -> tuple[M, YamlFile]:
    """Return a YAML file checked against ``model``, and its lines for checks that come later."""
    source = read_yaml(file)
    return check_model(source, model), source


def check_model(source: YamlFile, model: type[M]) -> M:
    """Return ``source`` as a ``model``; the checks are those for JSON, where a list may fill a tuple."""
    try:
        return model.model_validate_json(json.dumps(source.data), strict=True)
    except ValidationError as refused:
        raise _first_error(source, model, refused) from None


def _first_error(source: YamlFile, model: type[BaseModel], refused: ValidationError) -> ConfigError:
    """Return the first problem in the file; a missing key comes last, because a misspelt one explains it."""

    def rank(problem: ErrorDetails) -> tuple[bool, int]:
        path, _ = describe(model, source.data, problem)
        return problem["type"] == "missing", source.line_of(path)

    first = min(refused.errors(include_url=False), key=rank)
    return source.error(*describe(model, source.data, first))


def text_of(file: Path) -> str:
    """Return a UTF-8 file's text; raise ``ConfigError`` where it cannot be read."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(str(file), 0, "", "no such file") from None
    except (OSError, ValueError) as refused:
        if isinstance(refused, UnicodeDecodeError):
            line = refused.object.count(b"\n", 0, refused.start) + 1
            raise ConfigError(str(file), line, "", "is not UTF-8 text") from None
        cause = getattr(refused, "strerror", None) or str(refused)
        raise ConfigError(str(file), 0, "", f"cannot be read: {cause.lower()}") from None


def _compose(file: Path, text: str) -> Node:
    """Return the node graph of the only document in ``text``."""
    try:
        root: Node | None = YAML(typ="safe", pure=True).compose(StringIO(text))
    except MarkedYAMLError as refused:
        mark = refused.problem_mark or refused.context_mark
        problem = (refused.problem or refused.context or "unreadable").strip().splitlines()[0]
        raise ConfigError(
            str(file), mark.line + 1 if mark else 0, "", f"is not valid YAML: {problem}"
        ) from None
    except ReaderError as refused:
        line = text.count("\n", 0, max(refused.position, 0)) + 1
        raise ConfigError(
            str(file), line, "", "is not valid YAML: it holds a character that is not text"
        ) from None
    except RecursionError:
        raise ConfigError(str(file), 0, "", "is nested too deeply") from None
    except (YAMLError, ValueError) as refused:
        problem = str(refused).strip().splitlines()[0] if str(refused).strip() else "unreadable"
        raise ConfigError(str(file), 0, "", f"is not valid YAML: {problem}") from None
    if root is None or (isinstance(root, ScalarNode) and root.tag == f"{_TAG}null"):
        raise ConfigError(str(file), 0, "", "is empty")
    return root


class _Walk:
    """Turns nodes into plain data and notes the line of each key."""

    def __init__(self, file: Path) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._file = file
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: KeyPath) -> object:
        """Return the plain value of ``node``, which stands at ``path``."""
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._error(node, path, f"the file holds more than {MAX_VALUES} values")
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise self._error(node, path, "an alias refers to a group that holds it")
        self._open.add(id(node))
        try:
            return self._collection(node, path)
        finally:
            self._open.discard(id(node))

    def _collection(self, node: Node, path: KeyPath) -> object:
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return dict(self._items(node, path))
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._element(child, (*path, index)) for index, child in enumerate(node.value)]
        raise self._error(node, path, f"the YAML tag {node.tag} has no meaning here")

    def _element(self, node: Node, path: KeyPath) -> object:
        self.lines[path] = node.start_mark.line + 1
        return self.value(node, path)

    def _items(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, object]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            line = key_node.start_mark.line + 1
            if key in seen:
                raise ConfigError(
                    str(self._file), line, dotted((*path, key)), f"is given twice; first on line {seen[key]}"
                )
            seen[key] = line
            self.lines[(*path, key)] = line
            yield key, self.value(value_node, (*path, key))

    def _key(self, node: Node, path: KeyPath) -> str:
        if not isinstance(node, ScalarNode):
            raise self._error(node, path, "a key must be a single word")
        if node.tag == f"{_TAG}merge":
            raise self._error(node, path, "merging with << is not supported; write the keys out")
        value = self._scalar(node, path)
        return value if isinstance(value, str) else json.dumps(value)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> str | int | float | bool | None:
        """Return a scalar under the rules of YAML 1.2; a date stays text."""
        text: str = node.value
        match str(node.tag).removeprefix(_TAG):
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float" as kind:
                return self._number(node, path, kind)
        raise self._error(node, path, f"the YAML tag {node.tag} has no meaning here")

    def _number(self, node: ScalarNode, path: KeyPath, kind: str) -> int | float:
        text = node.value.replace("_", "").lower()
        try:
            if kind == "int":
                return int(text, 0) if text.lstrip("+-").startswith(("0x", "0o", "0b")) else int(text)
            number = float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            raise self._error(node, path, f"'{node.value[:40]}' is not a number that can be used") from None
        if not math.isfinite(number):
            raise self._error(node, path, f"a finite number is expected, not {node.value}")
        return number

    def _error(self, node: Node, path: KeyPath, problem: str) -> ConfigError:
        return ConfigError(str(self._file), node.start_mark.line + 1, dotted(path), problem)
