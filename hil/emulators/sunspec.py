"""An emulated SunSpec device: the plant behind a chain of models."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil, log10

from drivers import codec
from drivers.sunspec_address import OF_TYPE, Address, address_of
from drivers.sunspec_models import model_of
from hil.emulators.device import EmulatedDevice, Refused
from hil.emulators.quantities import Quantity
from hil.emulators.registers import READ_HOLDING, WRITE_MANY, WRITE_ONE, Code, Declined
from hil.emulators.sunspec_controls import EmulatedControl, Order
from hil.emulators.sunspec_image import Image, Place
from station.profile import Encoding, Point

Source = tuple[int, Point, Place]
"""A connector, one of its points, and where the image shows it."""

RATINGS = ((120, "WRtg"), (121, "WMax"), (702, "WMaxRtg"), (702, "WMax"), (124, "WChaMax"))
HEARTBEATS = ((715, "DERHb"), (802, "Hb"))
ZEROS = ((715, "ControllerHb"), (802, "CtrlHb"), (715, "LocRemCtl"), (802, "LocRemCtl"))
IDENTITY = {"Mn": "heliodock", "Md": "emulated device", "Vr": "1"}

LARGEST = {"A": 3000.0, "V": 1000.0, "Hz": 100.0, "C": 200.0, "WH": 1e8}
"""The largest value of a unit that a scale factor leaves room for; of a power the site tells it, else 100 (percent)."""
FINEST = {"W": 0, "WH": 0, "HZ": -2}
"""The smallest exponents; -1 for other units."""
ROOM = {"int16": 32_000.0, "uint16": 65_000.0}


class SunspecRegisters:
    """Reads and writes whole requests, as ``registers.Registers`` does for a plain register map.

    ``models`` are those that the device has, in their order; by default those that the profile names first.
    """

    def __init__(self, device: EmulatedDevice, *, models: tuple[int, ...] = (), base: int = 40000) -> None:
        self._device = device
        named = list(_named(device, models))
        chain = models or tuple(_models(address for _, _, address in named))
        ports = _ports(address for _, _, address in named)
        self._image = Image(chain, {"NPrt": len(ports)}, base)
        self._most_w = _most_w(device)
        self._scale(chain)
        self._show_what_stands(ports)
        self._sources = [
            (connector, point, (address.model_id, _path(address, ports)))
            for connector, point, address in named
            if address.control is None
        ]
        self._controls = [
            self._control(connector, address)
            for connector, point, address in named
            if point.name == "setpoint_kw" and address.control is not None
        ]

    def read(self, function: int, address: int, count: int) -> list[int]:
        """Return ``count`` registers; raise ``Declined``."""
        if function != READ_HOLDING:
            raise Declined(Code.ILLEGAL_FUNCTION)
        if not 1 <= count <= 125:
            raise Declined(Code.ILLEGAL_VALUE)
        try:
            self._refresh()
            return [self._image.words[at] for at in range(address, address + count)]
        except KeyError:
            raise Declined(Code.ILLEGAL_ADDRESS) from None
        except ValueError:
            raise Declined(Code.DEVICE_FAILURE) from None

    def write(self, function: int, address: int, words: list[int]) -> None:
        """Write whole points, with either function; raise ``Declined``. What is refused changes nothing."""
        if function not in (WRITE_ONE, WRITE_MANY):
            raise Declined(Code.ILLEGAL_FUNCTION)
        if self._device.refuses_writes:
            raise Declined(Code.DEVICE_FAILURE)
        if self._device.frozen:
            return
        held = dict(self._image.words)
        try:
            self._act(self._image.store(address, words))
        except (LookupError, ValueError, Refused) as failed:
            self._image.words = held
            raise Declined(
                Code.ILLEGAL_ADDRESS if isinstance(failed, LookupError) else Code.ILLEGAL_VALUE
            ) from None

    def _act(self, places: list[Place]) -> None:
        for control in self._controls:
            order = control.written(places, self._device.uptime_s)
            if order is not None:
                self._command(control.connector, order)

    def _command(self, connector: int, order: Order) -> None:
        points = self._device.binding.profile.points
        told = {"lease_s": order.lease_s, "fallback_kw": order.fallback_w, "setpoint_kw": order.power_w}
        self._device.write(
            connector,
            {
                name: codec.decode_raw(_exact(points[name]), raw)
                for name, raw in told.items()
                if name in points
            },
        )

    def _refresh(self) -> None:
        """Show what the plant measures now, and let the timers run."""
        if self._device.frozen:
            return
        for control in self._controls:
            control.tick(self._device.uptime_s)
        beat = float(int(self._device.uptime_s) % 0x8000)
        for place in HEARTBEATS:
            if self._image.has(place):
                self._image.put(place, beat)
        values = [self._device.values(c) for c, _ in enumerate(self._device.binding.asset_ids)]
        for connector, point, place in self._sources:
            self._show(point, place, values[connector].get(point.name))

    def _show(self, point: Point, place: Place, value: Quantity) -> None:
        """Show a value; what the plant knows nothing of stays as it is."""
        if value is not None:
            raw = codec.encode_raw(_exact(point), value)
            self._image.put(place, raw if isinstance(raw, str) else float(raw))

    def _show_what_stands(self, ports: list[str]) -> None:
        """Show the identity, the ratings and the types of the DC ports."""
        for name, text in (IDENTITY | {"SN": self._device.binding.device_id}).items():
            self._image.put((1, name), text)
        for place in RATINGS:
            if self._image.has(place):
                self._image.put(place, self._most_w)
        for place in ZEROS:
            if self._image.has(place):
                self._image.put(place, 0.0)
        for number, symbol in enumerate(ports, 1):
            path = f"Prt[{number}].PrtTyp"
            self._image.put((714, path), float(self._image.symbol((714, path), symbol)))

    def _scale(self, chain: Iterable[int]) -> None:
        """Set every scale factor so that the largest value fits."""
        for model_id in chain:
            for factor, placed in self._image.scaled(model_id):
                self._image.raise_to((model_id, factor), self._exponent(placed.type, placed.units))

    def _exponent(self, kind: str, units: str) -> float:
        unit = units.upper()
        largest = self._most_w * 1.3 if unit in ("W", "VA", "VAR") else LARGEST.get(unit, 100.0)
        room = ROOM.get(kind, 2e9)
        return float(max(FINEST.get(unit, -1), ceil(log10(largest / room))))

    def _control(self, connector: int, address: Address) -> EmulatedControl:
        is_limit = address.path == "limit"
        key = address.model_id, address.path
        return EmulatedControl(self._image, key, connector, self._most_w, self._most_w if is_limit else 0.0)


def _named(device: EmulatedDevice, models: tuple[int, ...]) -> Iterator[tuple[int, Point, Address]]:
    """Return each point of each connector with the address that the device shows it at."""
    for connector, _ in enumerate(device.binding.asset_ids):
        for point in device.binding.profile.points.values():
            addresses = [address_of(text) for text in point.sunspec]
            shown = [a for a in addresses if not models or a.model_id in models]
            if shown:
                yield connector, point, shown[0]


def _models(addresses: Iterable[Address]) -> Iterator[int]:
    """Return the models that the addresses need, the common one first: of each control also one that tells a rating."""
    found = [1]
    for address in addresses:
        found += address.models[:2]
    yield from dict.fromkeys(model_id for model_id in found if model_of(model_id) is not None)


def _ports(addresses: Iterable[Address]) -> list[str]:
    """Return the types of the DC ports that the addresses ask for."""
    found = (OF_TYPE.fullmatch(address.path) for address in addresses)
    return list(dict.fromkeys(chosen["symbol"] for chosen in found if chosen))


def _path(address: Address, ports: list[str]) -> str:
    chosen = OF_TYPE.fullmatch(address.path)
    if chosen is None:
        return address.path
    return f"{chosen['group']}[{ports.index(chosen['symbol']) + 1}].{chosen['name']}"


def _most_w(device: EmulatedDevice) -> float:
    """Return the most power of the device: the largest of its assets, or all that the site can draw for a meter."""
    site = device.site
    own = [site.by_id[asset_id] for asset_id in device.binding.asset_ids if asset_id in site.by_id]
    each_kw = [max(-one.nameplate.min_kw, one.nameplate.max_kw) for one in own or site.controllables]
    return 1000.0 * (max(each_kw) if own else site.base_load.max_kw + sum(each_kw))


def _exact(point: Point) -> Point:
    return replace(point, encoding=Encoding.FLOAT64)
