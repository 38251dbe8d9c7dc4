"""The register map of one emulated Modbus device."""

from dataclasses import dataclass
from enum import IntEnum

from drivers import codec
from hil.emulators.device import EmulatedDevice, Refused
from hil.emulators.quantities import Quantity
from hil.emulators.raw import words_of
from station.profile import Point

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16


class Code(IntEnum):
    """Modbus exception codes."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    NO_SUCH_UNIT = 11


class Declined(Exception):
    """The request is answered with an exception code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point of one connector lies, or the word ``first`` of one whose words lie apart."""

    address: int
    count: int
    connector: int
    point: Point
    first: int = 0


class Registers:
    """Reads and writes whole requests.

    Between points that the profile lets a driver read together (``max_gap``) lie reserved registers that read 0, as
    in most devices; everything else does not exist.
    """

    def __init__(self, device: EmulatedDevice) -> None:
        self._device = device
        self._max_gap = device.binding.profile.max_gap
        self._tables: dict[int, list[Place]] = {READ_HOLDING: [], READ_INPUT: []}
        for connector in range(len(device.binding.asset_ids)):
            shift = connector * device.binding.profile.unit_stride
            for point in device.scaled_points.values():
                for place in _places(point, shift, connector):
                    if place not in self._tables[point.function]:
                        self._tables[point.function].append(place)
        self._known = {
            function: self._addresses([place for place in table if place.point.readable])
            for function, table in self._tables.items()
        }

    def read(self, function: int, address: int, count: int) -> list[int]:
        """Return ``count`` registers; raise ``Declined``."""
        if function not in self._tables:
            raise Declined(Code.ILLEGAL_FUNCTION)
        if not 1 <= count <= 125:
            raise Declined(Code.ILLEGAL_VALUE)
        if not self._known[function].issuperset(range(address, address + count)):
            raise Declined(Code.ILLEGAL_ADDRESS)
        words = [0] * count
        values: dict[int, dict[str, Quantity]] = {}
        for place in self._tables[function]:
            if place.address < address + count and address < place.address + place.count:
                if place.connector not in values:
                    values[place.connector] = self._device.values(place.connector)
                self._fill(words, address, place, values[place.connector][place.point.name])
        return words

    def write(self, function: int, address: int, words: list[int]) -> None:
        """Write whole points, each with the function that the profile names; raise ``Declined``."""
        if function not in (WRITE_ONE, WRITE_MANY):
            raise Declined(Code.ILLEGAL_FUNCTION)
        places = self._written(function, address, len(words))
        try:
            for connector in sorted({place.connector for place in places}):
                self._device.write(
                    connector,
                    {
                        place.point.name: codec.decode(place.point, _part(words, address, place))
                        for place in places
                        if place.connector == connector
                    },
                )
        except ValueError:
            raise Declined(Code.ILLEGAL_VALUE) from None
        except Refused:
            raise Declined(Code.DEVICE_FAILURE) from None

    def _written(self, function: int, address: int, count: int) -> list[Place]:
        """Return the points that fill ``count`` registers from ``address`` without a gap."""
        table = {place.address: place for place in self._tables[READ_HOLDING]}
        places: list[Place] = []
        at = address
        while at < address + count:
            place = table.get(at)
            if place is None or place.point.write is None or at + place.count > address + count:
                raise Declined(Code.ILLEGAL_ADDRESS)
            if place.point.write.function != function:
                raise Declined(Code.ILLEGAL_FUNCTION)
            places.append(place)
            at += place.count
        return places

    def _addresses(self, table: list[Place]) -> frozenset[int]:
        """Return all addresses that answer: those of points, and the small gaps between them."""
        known: set[int] = set()
        end: int | None = None
        for place in sorted(table, key=lambda place: place.address):
            is_near = end is not None and place.address - end <= self._max_gap
            start = end if is_near and end is not None else place.address
            known.update(range(start, place.address + place.count))
            end = max(end or 0, place.address + place.count)
        return frozenset(known)

    def _fill(self, words: list[int], address: int, place: Place, value: Quantity) -> None:
        try:
            encoded = words_of(place.point, value)
        except ValueError:
            raise Declined(Code.DEVICE_FAILURE) from None
        for offset, word in enumerate(encoded[place.first : place.first + place.count]):
            index = place.address + offset - address
            if 0 <= index < len(words):
                words[index] = words[index] | word if place.point.bits else word


def _places(point: Point, shift: int, connector: int) -> list[Place]:
    """Return where a point lies; nowhere where it is a sum."""
    if point.sum_of:
        return []
    if point.words:
        return [Place(at + shift, 1, connector, point, first) for first, at in enumerate(point.words)]
    return [Place(point.address + shift, codec.register_count(point), connector, point)]


def _part(words: list[int], address: int, place: Place) -> list[int]:
    return words[place.address - address : place.address - address + place.count]
