"""The registers of a SunSpec device: its chain of models, all points not implemented until they are given a value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from drivers import codec
from drivers.sunspec_chain import END, MARKER
from drivers.sunspec_models import (
    ENCODINGS,
    HEADER_WORDS,
    Group,
    Layout,
    ModelPoint,
    Placed,
    layout_of,
    model_of,
)
from hil.emulators.quantities import Quantity
from hil.emulators.raw import words_of
from station.profile import Encoding, Point

OTHER_TYPES = {"pad": (0x8000,), "eui48": (0, 0xFFFF, 0xFFFF, 0xFFFF)}
"""What the types that hold no quantity show when they are not implemented; any other is 0 then."""

Place = tuple[int, str]
"""A point by the number of its model and its path in it."""


@dataclass(frozen=True, slots=True)
class Held:
    """One model of the image: where its ID lies and what it consists of."""

    model_id: int
    address: int
    layout: Layout


class Image:
    """Words by address, and points by name. ``counts`` are the values of count points (``NPrt``), by their names."""

    def __init__(self, models: Iterable[int], counts: Mapping[str, int], base: int = 40000) -> None:
        self.words: dict[int, int] = dict(enumerate(MARKER, base))
        self._models: dict[int, Held] = {}
        self._places: dict[int, tuple[int, str]] = {}
        address = base + len(MARKER)
        for model_id in models:
            address += self._add(model_id, address, counts)
        self.words |= {address: END, address + 1: 0}

    def has(self, place: Place) -> bool:
        """Return whether the image has the point."""
        model_id, path = place
        return model_id in self._models and path in self._models[model_id].layout

    def put(self, place: Place, value: Quantity) -> None:
        """Show a value in the model's unit by its scale factor, rounded to the nearest step; None is not implemented.

        Raises ``ValueError`` where it does not fit.
        """
        held, placed = self._held(place)
        address = held.address + placed.offset
        self.words |= dict(enumerate(self._encoded(held, placed, value), address))

    def number(self, place: Place) -> float | None:
        """Return what a point shows, scaled."""
        held, placed = self._held(place)
        address = held.address + placed.offset
        words = [self.words[at] for at in range(address, address + placed.point.size)]
        value = codec.decode(self._scaled(held, placed), words)
        return value if isinstance(value, float) else None

    def symbol(self, place: Place, name: str) -> int:
        """Return the number of a symbol of a point."""
        return self._held(place)[1].point.symbols[name]

    def scaled(self, model_id: int) -> Iterator[tuple[str, ModelPoint]]:
        """Return the points of a model that have a scale factor, each after the path of that."""
        for placed in self._models[model_id].layout.values():
            if placed.scale_path is not None:
                yield placed.scale_path, placed.point

    def raise_to(self, place: Place, exponent: float) -> None:
        """Let a scale factor be at least ``exponent``."""
        held = self.number(place)
        self.put(place, exponent if held is None else max(held, exponent))

    def store(self, address: int, words: list[int]) -> list[Place]:
        """Take written words, whole points that can be written and are implemented, and return the points.

        Raises ``LookupError`` for registers that are none.
        """
        places: list[Place] = []
        at = address
        while at < address + len(words):
            place = self._places[at]
            _, placed = self._held(place)
            if (
                not placed.point.is_writable
                or self.number(place) is None
                or at + placed.point.size > address + len(words)
            ):
                raise LookupError(at)
            places.append(place)
            at += placed.point.size
        self.words |= dict(enumerate(words, address))
        return places

    def _add(self, model_id: int, address: int, counts: Mapping[str, int]) -> int:
        """Place a model and return how many registers it takes."""
        model = model_of(model_id)
        if model is None:
            raise ValueError(f"there is no SunSpec model {model_id}")
        size = _size(model.group, counts)
        layout = layout_of(model, size - HEADER_WORDS, counts)
        self._models[model_id] = Held(model_id, address, layout)
        for path, placed in layout.items():
            self._places[address + placed.offset] = model_id, path
            self.words |= dict(enumerate(_not_implemented(placed), address + placed.offset))
        self.words |= {address: model_id, address + 1: size - HEADER_WORDS}
        for name in model.count_points:
            self.put((model_id, name), float(counts.get(name, 0)))
        return size

    def _held(self, place: Place) -> tuple[Held, Placed]:
        model_id, path = place
        held = self._models[model_id]
        return held, held.layout[path]

    def _encoded(self, held: Held, placed: Placed, value: Quantity) -> tuple[int, ...]:
        return _not_implemented(placed) if value is None else words_of(self._scaled(held, placed), value)

    def _scaled(self, held: Held, placed: Placed) -> Point:
        factor = placed.point.scale_factor
        exponent = 0.0
        if placed.scale_path is not None:
            exponent = self.number((held.model_id, placed.scale_path)) or 0.0
        elif isinstance(factor, int):
            exponent = float(factor)
        return replace(_point(placed), scale=10.0**exponent)


def _size(group: Group, counts: Mapping[str, int]) -> int:
    inner = sum(_size(one, counts) * _repetitions(one, counts) for one in group.groups)
    return sum(point.size for point in group.points) + inner


def _repetitions(group: Group, counts: Mapping[str, int]) -> int:
    if group.count is None:
        return 1
    return counts.get(group.count, 0) if isinstance(group.count, str) else group.count


def _point(placed: Placed) -> Point:
    encoding, not_available = ENCODINGS[placed.point.type]
    length = placed.point.size if encoding is Encoding.STRING else 0
    return Point(placed.point.name, encoding, not_available=not_available, length=length)


def _not_implemented(placed: Placed) -> tuple[int, ...]:
    if placed.point.type in ENCODINGS:
        return words_of(_point(placed), None)
    return OTHER_TYPES.get(placed.point.type, (0,) * placed.point.size)
