"""Whether a profile's SunSpec addresses name something that the published models have, in the unit that they have.

The models are the JSON files that pysunspec2 ships; ``drivers.sunspec_address`` gives the addresses their meaning.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

ADDRESS = re.compile(r"(?P<model>\d+)(#[1-9]\d*)?\.(?P<path>.+)")
INDEX = re.compile(r"\[(\d+|(?P<key>\w+)=(?P<symbol>\w+))\]")
CONTROLS = {"limit": (123, 704), "set": (124, 704)}
CONTROL_UNITS = {"": "W", "timer": "s", "reversion": "W"}
UNITS = {"W": "W", "WH": "Wh", "A": "A", "V": "V", "HZ": "Hz", "C": "degC", "SECS": "s", "PCT": "%"}
"""The profile's name of a model's unit; one that begins with % is a percentage, any other has no name."""


def problem_of(text: str, unit: str, *, is_written: bool) -> str | None:
    """Return what is wrong with an address for a point of this unit, or None."""
    found = ADDRESS.fullmatch(text)
    if found is None:
        return f"{text} is no SunSpec address such as 103.W"
    model_id, path = int(found["model"]), found["path"]
    control, _, part = path.partition(".")
    if control in CONTROLS:
        return _problem_of_control(text, unit, model_id in CONTROLS[control] and part in CONTROL_UNITS, part)
    point = _points(model_id).get(INDEX.sub("", path))
    if point is None or not _has_symbols(model_id, path):
        return f"{text} is in none of the published models"
    if is_written and point.get("access") != "RW":
        return f"{text} cannot be written"
    known = point.get("units", "").strip().upper()
    own = "%" if known.startswith("%") else UNITS.get(known, "")
    return (
        None
        if unit in (own, "") or (own, unit) == ("", "s")
        else f"{text} is in {own or 'no unit'}, not in {unit}"
    )


def _problem_of_control(text: str, unit: str, is_known: bool, part: str) -> str | None:
    if not is_known:
        return f"{text} is no control; known: 123.limit, 704.limit, 124.set, 704.set, each with .timer and .reversion"
    if unit != CONTROL_UNITS[part]:
        return f"{text} is in {CONTROL_UNITS[part]}, not in {unit or 'no unit'}"
    return None


def _has_symbols(model_id: int, path: str) -> bool:
    """Return whether every ``[key=symbol]`` names a symbol of its point."""
    for index in INDEX.finditer(path):
        if index["key"] is None:
            continue
        key = INDEX.sub("", path[: index.start()]) + "." + index["key"]
        symbols = _points(model_id).get(key, {}).get("symbols", ())
        if index["symbol"] not in {symbol["name"] for symbol in symbols}:
            return False
    return True


@cache
def _points(model_id: int) -> Mapping[str, Mapping[str, Any]]:
    """Return the points of a model by their paths without indexes; none where there is no such model."""
    file = files("sunspec2").joinpath("models", "json", f"model_{model_id}.json")
    return dict(_walk(json.loads(file.read_text("utf-8"))["group"], "")) if file.is_file() else {}


def _walk(group: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for point in group.get("points", ()):
        yield prefix + point["name"], point
    for inner in group.get("groups", ()):
        yield from _walk(inner, f"{prefix}{inner['name']}.")
