"""One emulated device: values by point, writes, its own watchdog registers, and faults to switch on."""

from collections.abc import Callable, Mapping
from zlib import crc32

from drivers import codec, derived
from drivers.commands import held_kw
from hil.emulators.live import LivePlant
from hil.emulators.quantities import Quantity, quantities
from station.profile import DeviceBinding, Point, Profile
from station.topology import Site


class Refused(Exception):
    """The device takes no write now."""


class EmulatedDevice:
    """A device of the site, whatever its protocol. Connectors count from 0; a device without any has number 0.

    Faults: ``silent`` takes connections and requests and answers nothing; ``frozen`` answers with the values of the
    moment at which it froze, counters of life included, and lets no write through to the plant although it
    acknowledges it; ``refuses_writes`` answers every write with an error.
    """

    def __init__(self, binding: DeviceBinding, live: LivePlant, seed: int = 0) -> None:
        self.binding = binding
        self.refuses_writes = False
        self._silent = False
        self._listeners: list[Callable[[], None]] = []
        self._live = live
        self._seed = seed
        self._frozen: dict[int, dict[str, Quantity]] | None = None
        assets = live.world.site.by_id
        known = [assets[asset_id] for asset_id in binding.asset_ids if asset_id in assets]
        self._lease_s = {asset.asset_id: _first_lease_s(binding.profile, asset.lease_s) for asset in known}
        self._fallback_kw = {asset.asset_id: asset.fallback_kw for asset in known}
        points = binding.profile.points
        self._held = {asset_id: _own_held(binding.profile) for asset_id in binding.asset_ids}
        constant = {name: point.typical for name, point in points.items()}
        self.scaled_points = {name: derived.scaled(point, constant) for name, point in points.items()}
        """The points with the scales that this device tells."""

    @property
    def silent(self) -> bool:
        """Return whether the device answers nothing."""
        return self._silent

    @silent.setter
    def silent(self, is_silent: bool) -> None:
        self._silent = is_silent
        for told in self._listeners:
            told()

    def on_silence(self, told: Callable[[], None]) -> None:
        """Call ``told`` whenever the device falls silent or speaks again."""
        self._listeners.append(told)

    @property
    def frozen(self) -> bool:
        """Return whether the device stands still."""
        return self._frozen is not None

    @frozen.setter
    def frozen(self, is_frozen: bool) -> None:
        self._frozen = None
        if is_frozen:
            self._frozen = {index: self.values(index) for index in range(len(self.binding.asset_ids))}

    @property
    def uptime_s(self) -> float:
        """Return how long the device has run."""
        return self._live.uptime_s

    @property
    def site(self) -> Site:
        """Return the site that the device belongs to."""
        return self._live.world.site

    def values(self, connector: int) -> dict[str, Quantity]:
        """Return the values of one connector's points, in the points' own units; None where there is none."""
        if self._frozen is not None:
            return self._frozen[connector]
        asset_id = self.binding.asset_ids[connector]
        points = self.binding.profile.points
        canonical = quantities(self._live, asset_id, points)
        canonical["lease_s"] = self._lease_s.get(asset_id)
        canonical["fallback_kw"] = self._fallback_kw.get(asset_id)
        values = {name: self._in_unit(point, canonical.get(name), asset_id) for name, point in points.items()}
        values |= self._held[asset_id]
        for point in points.values():
            values |= _shared(point, values[point.name], points)
        return values

    def write(self, connector: int, values: Mapping[str, codec.Value | None]) -> None:
        """Take values in their points' units: the fallback and the timer's length first, then the setpoint.

        Raises ValueError for a value that the device can't take, and ``Refused``. Every write of the setpoint starts
        the timer anew; nothing else does. A timer of 0 s is switched off.
        """
        if self.refuses_writes:
            raise Refused
        asset_id = self.binding.asset_ids[connector]
        taken = {name: self._checked(name, value, asset_id) for name, value in values.items()}
        if self.frozen:
            return
        if "lease_s" in taken:
            self._lease_s[asset_id] = taken["lease_s"]
        if "fallback_kw" in taken:
            self._fallback_kw[asset_id] = taken["fallback_kw"]
            self._live.set_fallback_kw(asset_id, taken["fallback_kw"])
        own = self._held[asset_id].keys() & values.keys()
        self._held[asset_id] |= {name: float(values[name] or 0.0) for name in own}
        if own & set(self.binding.profile.commanded):
            self._obey(asset_id)
        if "setpoint_kw" in taken:
            self._live.command(asset_id, taken["setpoint_kw"], self._lease_s[asset_id] or float("inf"))

    def _obey(self, asset_id: str) -> None:
        """Do what the registers of the commands say together; without a command go to the fallback."""

        def canonical(name: str) -> float | None:
            held = self._held[asset_id].get(name)
            point = self.binding.profile.points[name]
            return None if held is None else codec.to_canonical(point, held, self._kw_per_a(asset_id))

        commanded_kw = held_kw(self.binding.profile, canonical)
        rests_kw = self._fallback_kw.get(asset_id, 0.0)
        nameplate = self._live.world.site.by_id[asset_id].nameplate
        kw = nameplate.clamp(rests_kw if commanded_kw is None else commanded_kw)
        self._live.command(asset_id, kw, self._lease_s[asset_id] or float("inf"))

    def _checked(self, name: str, value: codec.Value | None, asset_id: str) -> float:
        """Return a written value in heliodock's units; raise ValueError where it is none or beyond the nameplate."""
        if value is None or isinstance(value, str):
            raise ValueError(f"{name}: {value!r} is not a number")
        point = self.binding.profile.points[name]
        canonical = codec.to_canonical(point, value, self._kw_per_a(asset_id))
        if name in self._held[asset_id] or name == "lease_s":
            return canonical
        slack_kw = abs(codec.to_canonical(point, point.scale, self._kw_per_a(asset_id)))
        if not self._live.world.site.by_id[asset_id].nameplate.holds(canonical, slack_kw):
            raise ValueError(f"{name}: {canonical:g} kW is beyond the nameplate")
        return canonical

    def _in_unit(self, point: Point, quantity: Quantity, asset_id: str) -> Quantity:
        if point.name == "is_local" and point.symbols and quantity is not None:
            return "local" if quantity else "remote"
        if quantity is None:
            return point.typical
        if point.name == "state" and quantity == "charging" and quantity not in point.symbols.values():
            return "plugged"  # a device that does not tell the two apart
        if isinstance(quantity, str):
            return quantity
        value = codec.from_canonical(point, quantity, self._kw_per_a(asset_id))
        if self.binding.profile.kind == "meter" and point.name == "power_kw":
            value += self._last_digit() * point.scale
        return value

    def _last_digit(self) -> int:
        """Return -1, 0 or 1: the unsteady last digit of a meter, the same for the same seed and tenth of a second."""
        tick = round(self._live.uptime_s * 10.0)
        return crc32(f"{self._seed} {tick}".encode()) % 3 - 1

    def _kw_per_a(self, asset_id: str) -> float:
        return self.binding.kw_per_a.get(asset_id, 0.0)


def _first_lease_s(profile: Profile, site_s: float) -> float:
    """Return how long a setpoint lasts; 0 where it lasts for ever, as in a device without a watchdog."""
    watchdog = profile.watchdog
    if watchdog is None:
        return 0.0
    return site_s if watchdog.timeout_s is None else watchdog.timeout_s


def _own_held(profile: Profile) -> dict[str, float]:
    """Return what the points of the device's own that can be written hold at first."""
    own = (profile.points[name] for name in profile.auxiliary)
    return {point.name: point.typical or 0.0 for point in own if point.write is not None}


def _shared(point: Point, value: Quantity, points: Mapping[str, Point]) -> dict[str, Quantity]:
    """Return the parts of a sum: the first that can take the whole has it, the others are 0."""
    parts: dict[str, Quantity] = dict.fromkeys(point.sum_of, None if value is None else 0.0)
    if not isinstance(value, float | int):
        return parts
    for name in point.sum_of:
        try:
            codec.encode_raw(points[name], value)
        except ValueError:
            continue
        return {**parts, name: value}
    return parts
