"""What pydantic refuses, in the words of somebody who edits the file."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]

UNITS = {
    "_price_per_kwh": "currency per kWh",
    "_per_kwh": "currency per kWh",
    "_price_per_kw": "currency per kW",
    "price_per_kwh": "currency per kWh",
    "price_per_kw": "currency per kW",
    "price_per_kw_year": "currency per kW and year",
    "price_per_kva_month": "currency per kVA and month",
    "_per_month": "currency per month",
    "_kva": "kVA",
    "_kw_per_s": "kW per second",
    "_kw": "kW",
    "_kwh": "kWh",
    "_a": "A",
    "_v": "V",
    "_s": "seconds",
    "_c": "°C",
    "latitude": "degrees north",
    "longitude": "degrees east",
}
"""Ends of keys and the unit that they stand for, the longer ends first."""

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}

_KINDS = {
    "bool": "true or false is expected",
    "string": "text is expected",
    "int": "a whole number is expected",
    "list": "a list is expected",
    "tuple": "a list is expected",
    "set": "a list is expected",
    "frozen_set": "a list is expected",
    "dict": "a group of keys is expected",
    "model": "a group of keys is expected",
    "mapping": "a group of keys is expected",
    "date": "a date is expected (YYYY-MM-DD)",
    "datetime": "a time is expected (ISO 8601 with zone)",
    "time": "a time of day is expected (HH:MM)",
}


def describe(model: type[BaseModel], data: object, problem: ErrorDetails) -> tuple[KeyPath, str]:
    """Return the path of the offending key in ``data`` and a plain-English problem."""
    path = _path_in(data, problem)
    kind = problem["type"]
    if kind == "extra_forbidden":
        return path, _unknown_key(str(path[-1]), sorted(set(known_keys(model, path[:-1]))))
    if kind == "missing":
        return path, "is missing"
    if kind in ("value_error", "assertion_error"):
        return path, problem["msg"].partition(", ")[2] or problem["msg"]
    if kind in ("too_short", "string_too_short"):
        return path, "must not be empty"
    if kind in ("enum", "literal_error"):
        return path, _not_one_of(problem)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return path, f"must be {words} {problem['ctx'][name]:g}{_unit(path)}, not {_said(problem['input'])}"
    return path, _wrong_type(path, kind, problem)


def known_keys(annotation: Any, path: KeyPath) -> Iterator[str]:
    """Yield the keys that a model knows at ``path``; through lists, mappings and unions alike."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
        if not path:
            yield from fields
        elif path[0] in fields:
            yield from known_keys(fields[str(path[0])], path[1:])
        return
    origin, inner = get_origin(annotation), get_args(annotation)
    steps = isinstance(origin, type) and issubclass(origin, list | tuple | set | frozenset | Mapping)
    for candidate in inner:
        if steps and path:
            yield from known_keys(candidate, path[1:])
        elif not steps:
            yield from known_keys(candidate, path)


SECRETS = ("password", "token")
"""Keys whose value no message may repeat."""


def nearest(word: str, known: list[str]) -> str:
    """Return a hint for a word that isn't known: one that begins with it, the nearest one, or all of them."""
    longer = [name for name in known if len(word) > 2 and name.startswith(word)]
    close = longer[:1] or get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}" if known else "nothing is known here"


def _path_in(data: Any, problem: ErrorDetails) -> KeyPath:
    """Return the error's path without the parts that pydantic adds for unions and keys."""
    path: list[str | int] = []
    for part in problem["loc"]:
        if _holds(data, part):
            data = data[part]
        elif not (problem["type"] == "missing" and part == problem["loc"][-1]):
            continue
        path.append(part)
    return tuple(path)


def _holds(data: object, part: str | int) -> bool:
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _unknown_key(key: str, known: list[str]) -> str:
    return f"unknown key; {nearest(key, known)}"


def _not_one_of(problem: ErrorDetails) -> str:
    expected = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "")
    return f"must be one of {expected}; not {_said(problem['input'])}"


def _wrong_type(path: KeyPath, kind: str, problem: ErrorDetails) -> str:
    stem = (
        kind.removesuffix("_type")
        .removesuffix("_parsing")
        .removesuffix("_from_date")
        .removesuffix("_attributes")
    )
    if stem in ("float", "decimal", "finite_number"):
        return f"a number{_in_unit(path)} is expected, not {_said(problem['input'])}{_unquoted(problem['input'])}"
    words = _KINDS.get(stem)
    if words and path and path[-1] in SECRETS:
        return "say where the secret is, {file: …} or {env: …}; it never stands in a site file itself"
    if words:
        return f"{words}, not {_said(problem['input'])}"
    return problem["msg"][:1].lower() + problem["msg"][1:]


def _in_unit(path: KeyPath) -> str:
    return f" in{unit}" if (unit := _unit(path)) else ""


def _unit(path: KeyPath) -> str:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    return next((f" {unit}" for end, unit in UNITS.items() if key.endswith(end)), "")


def _unquoted(value: object) -> str:
    """Return a hint where text holds a number after all."""
    if not isinstance(value, str) or not value[:1].isdigit():
        return ""
    try:
        float(value)
    except ValueError:
        return " (the unit is in the key)"
    return " (take the quotes away)"


def _said(value: object) -> str:
    """Return what the file holds, in a few words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text '{value[:40]}'"
        case list():
            return "a list"
        case dict():
            return "a group of keys"
    return f"{value}"[:40]
