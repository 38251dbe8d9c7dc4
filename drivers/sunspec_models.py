"""The SunSpec information models: which points a model has, where they lie and what their words mean. Pure.

The definitions are the JSON files that pysunspec2 ships (SunSpec Alliance, Apache-2.0). They are read as data; the
client of that package blocks and is not used.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from station.profile import Encoding

HEADER_WORDS = 2
"""Every model begins with its number (ID) and its length (L), which does not count these two."""

ENCODINGS: Mapping[str, tuple[Encoding, tuple[int, ...]]] = {
    "int16": (Encoding.INT16, (0x8000,)),
    "uint16": (Encoding.UINT16, (0xFFFF,)),
    "count": (Encoding.UINT16, (0xFFFF,)),
    "acc16": (Encoding.UINT16, (0,)),
    "enum16": (Encoding.UINT16, (0xFFFF,)),
    "bitfield16": (Encoding.UINT16, (0xFFFF,)),
    "sunssf": (Encoding.INT16, (0x8000,)),
    "int32": (Encoding.INT32, (0x80000000,)),
    "uint32": (Encoding.UINT32, (0xFFFFFFFF,)),
    "acc32": (Encoding.UINT32, (0,)),
    "enum32": (Encoding.UINT32, (0xFFFFFFFF,)),
    "bitfield32": (Encoding.UINT32, (0xFFFFFFFF,)),
    "ipaddr": (Encoding.UINT32, (0,)),
    "int64": (Encoding.INT64, (0x8000000000000000,)),
    "uint64": (Encoding.UINT64, (0xFFFFFFFFFFFFFFFF,)),
    "acc64": (Encoding.UINT64, (0,)),
    "float32": (Encoding.FLOAT32, ()),
    "float64": (Encoding.FLOAT64, ()),
    "string": (Encoding.STRING, ()),
}
"""How a SunSpec type is encoded, and the patterns that mean "not implemented" (a float's is NaN, a text's is empty).

Types that no quantity has (pad, eui48, ipv6addr) are missing.
"""


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One point of a model. ``scale_factor`` names the point that holds the power of ten, or is that power itself."""

    name: str
    type: str
    size: int
    scale_factor: str | int | None
    units: str
    is_writable: bool
    is_mandatory: bool
    symbols: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Group:
    """Points that lie one after another, then groups. ``count`` says how often the group is there.

    None: once. A name: as often as that point of the model says. 0: as often as the model's length leaves room for.
    """

    name: str
    points: tuple[ModelPoint, ...]
    groups: tuple["Group", ...]
    count: str | int | None


@dataclass(frozen=True, slots=True)
class Model:
    """One model by its number."""

    model_id: int
    group: Group

    @property
    def count_points(self) -> frozenset[str]:
        """Return the points that say how often a group is there."""
        return frozenset(count for count in _counts(self.group) if isinstance(count, str))


@dataclass(frozen=True, slots=True)
class Placed:
    """A point of a model that some device has, ``offset`` registers after the model's ID.

    ``scale_path`` is the place of its scale factor, where that is a point.
    """

    offset: int
    point: ModelPoint
    scale_path: str | None


Layout = Mapping[str, Placed]
"""The points of a model by path: ``W``, or ``Prt[2].DCW`` where groups repeat; repetitions count from 1."""


@cache
def model_of(model_id: int) -> Model | None:
    """Return a model, or None where SunSpec has not published one of that number."""
    file = files("sunspec2").joinpath("models", "json", f"model_{model_id}.json")
    if not file.is_file():
        return None
    data = json.loads(file.read_text("utf-8"))
    return Model(data["id"], _group(data["group"]))


def layout_of(model: Model, length: int, counts: Mapping[str, int]) -> Layout:
    """Return the points that a device has of a model that it says is ``length`` registers long.

    ``counts`` are the values of its count points. A point that reaches beyond the length is not there.
    """
    layout: dict[str, Placed] = {}
    end = length + HEADER_WORDS
    _place(layout, model.group, "", 0, _Room(end, counts))
    return {
        path: placed for path, placed in layout.items() if placed.offset + placed.point.size <= length + 2
    }


@dataclass(frozen=True, slots=True)
class _Room:
    end: int
    counts: Mapping[str, int]


def _place(layout: dict[str, Placed], group: Group, prefix: str, offset: int, room: _Room) -> int:
    """Place a group's points from ``offset`` on and return where it ends."""
    own = {point.name for point in group.points}
    for point in group.points:
        factor = point.scale_factor
        scale_path = (prefix + factor if factor in own else factor) if isinstance(factor, str) else None
        layout[prefix + point.name] = Placed(offset, point, scale_path)
        offset += point.size
    for inner in group.groups:
        repetitions = _repetitions(inner, offset, room)
        for number in range(1, repetitions + 1):
            index = "" if inner.count is None else f"[{number}]"
            offset = _place(layout, inner, f"{prefix}{inner.name}{index}.", offset, room)
    return offset


def _repetitions(group: Group, offset: int, room: _Room) -> int:
    """Return how often a group is there, never more often than the model has room for."""
    if group.count is None:
        return 1
    size = sum(point.size for point in group.points)
    fits = max(0, room.end - offset) // size if size else 0
    wanted = room.counts.get(group.count, 0) if isinstance(group.count, str) else group.count or fits
    return min(wanted, fits)


def _counts(group: Group) -> Iterator[str | int | None]:
    yield group.count
    for inner in group.groups:
        yield from _counts(inner)


def _group(data: Mapping[str, Any]) -> Group:
    points = tuple(_point(point) for point in data.get("points", ()))
    return Group(data["name"], points, _groups(data.get("groups", ())), data.get("count"))


def _groups(data: Sequence[Mapping[str, Any]]) -> tuple[Group, ...]:
    return tuple(_group(group) for group in data)


def _point(data: Mapping[str, Any]) -> ModelPoint:
    return ModelPoint(
        name=data["name"],
        type=data["type"],
        size=int(data["size"]),
        scale_factor=data.get("sf"),
        units=data.get("units", "").strip(),
        is_writable=data.get("access") == "RW",
        is_mandatory=data.get("mandatory") == "M",
        symbols={symbol["name"]: int(symbol["value"]) for symbol in data.get("symbols", ())},
    )
