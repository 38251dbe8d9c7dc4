"""Device profiles as data: how registers or nodes become quantities. Read by ``configs``, used by ``drivers``.

The sign flips here and nowhere else: ``sign`` turns the device's convention into load convention.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from station.links import Link, SerialLink, TcpLink
from station.opcua import OpcuaAccess


class Protocol(StrEnum):
    """The wire that a profile speaks. ``modbus`` is another name of ``modbus-tcp``: the site says over which link."""

    MODBUS_TCP = "modbus-tcp"
    OPCUA = "opcua"
    SUNSPEC = "sunspec"

    @classmethod
    def _missing_(cls, value: object) -> "Protocol | None":
        return cls.MODBUS_TCP if value == "modbus" else None


class Encoding(StrEnum):
    """How raw words (Modbus) or variants (OPC UA) hold a number."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"
    UINT64 = "uint64"
    INT64 = "int64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BOOL = "bool"
    STRING = "string"


CANONICAL_FACTORS = {
    "": 1.0,
    "1": 1.0,
    "%": 0.01,
    "W": 0.001,
    "kW": 1.0,
    "Wh": 0.001,
    "kWh": 1.0,
    "A": 1.0,
    "V": 1.0,
    "Hz": 1.0,
    "s": 1.0,
    "min": 60.0,
    "epoch_s": 1.0,
    "degC": 1.0,
}
"""Every unit that a point may have, and what turns it into the unit used inside (kW, kWh, fractions, seconds).

A current that stands for power (``setpoint_kw`` in A) is converted by the asset's ``kw_per_a`` instead. ``epoch_s`` are
seconds since 1970 UTC.
"""


@dataclass(frozen=True, slots=True)
class WriteRule:
    """How a point is written. ``function`` is the Modbus function code (6 or 16); 0 for OPC UA.

    ``readback`` says that the point can be read to verify the write, within ``tolerance`` in the point's own unit.
    ``min_interval_s`` is the least time between writes of an unchanged value; a setpoint that asks for less than
    ``deadband`` more (in the point's own unit) waits until it must be repeated anyway. A device that ends a session at
    0 is told ``zero_as`` instead (below its least power). ``storage`` is ``volatile``, ``nvram`` (each write wears) or
    ``unknown`` (counts as nvram); of what wears ``writes_per_day`` are made at most, those that lower power excepted.
    """

    function: int = 16
    readback: bool = True
    tolerance: float = 0.0
    min_interval_s: float = 0.0
    deadband: float = 0.0
    zero_as: float | None = None
    storage: str = "volatile"
    writes_per_day: int = 50

    @property
    def wears(self) -> bool:
        """Return whether the device's memory may suffer from each write."""
        return self.storage != "volatile"


@dataclass(frozen=True, slots=True)
class Step:
    """One write of a command: ``value`` in the point's own unit or, where that is None, a part of the setpoint.

    ``carries`` names the part: ``setpoint`` itself (load convention), its ``magnitude``, ``charge`` (0 while it
    discharges) or ``discharge``. ``is_kept``: not written where the device holds the value already.
    """

    point: str
    value: float | None = None
    carries: str = ""
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a point's scale is multiplied with, told by another point of the same device.

    ``how`` is ``factor`` (that point's value: a transformer's ratio), ``exponent`` (10 to its value), ``cases`` (the
    scale of the last case whose first number is not above its value: a firmware's version) or ``bit`` (``scale`` where
    one of the bits of ``mask`` is set in its value, else 1: a sign told by a status).
    """

    point: str
    how: str = "factor"
    cases: tuple[tuple[float, float], ...] = ()
    mask: int = 0
    scale: float = -1.0


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of a device. ``value = sign * (raw * scale + bias)`` in ``unit``.

    ``function`` is the Modbus read function (3 or 4) and ``address`` the 0-based PDU address; ``node`` is the OPC UA
    string identifier. ``word_order`` is ``big`` or ``little``. ``not_available`` raw values mean that there is none.
    ``valid`` bounds the value in ``unit``; outside it the answer is nonsense. ``symbols`` names the values of a state.
    ``group`` is ``fast`` (read at every poll), ``slow`` (kept for a while) or ``once`` (kept until the link is new).
    """

    name: str
    encoding: Encoding
    unit: str = ""
    function: int = 3
    address: int = 0
    node: str = ""
    word_order: str = "big"
    scale: float = 1.0
    bias: float = 0.0
    sign: int = 1
    not_available: tuple[int, ...] = ()
    valid: tuple[float, float] | None = None
    symbols: Mapping[int, str] = field(default_factory=dict)
    group: str = "fast"
    write: WriteRule | None = None
    length: int = 0
    """Registers of a string."""
    words: tuple[int, ...] = ()
    """Modbus: the address of each register, high word first, where they do not lie side by side."""
    bits: tuple[int, int] | None = None
    """The lowest bit of the raw number that belongs to the point, and how many."""
    scaled_by: tuple[Scaling, ...] = ()
    sum_of: tuple[str, ...] = ()
    """Points of the same unit whose sum it is; it then has no place of its own."""
    readable: bool = True
    """False: the register can only be written."""
    is_monotonic: bool = False
    """A counter: it never runs back."""
    source: str = ""
    """Which of the profile's sources tells of it."""
    typical: float | None = None
    """What an emulated device says where the plant has no such quantity (a ratio, a firmware)."""
    sunspec: tuple[str, ...] = ()
    """Where SunSpec keeps it, such as ``103.W``; the first model that the device has gives the value."""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """How the device guards itself: what it does by itself when it has heard nothing for its timeout.

    ``kind`` says what it must hear: ``timer`` and ``rewrite`` a write of the setpoint, ``countdown`` a new length
    written to ``timeout_point``, ``heartbeat`` another number at ``heartbeat_point``, ``poll`` any request. The timeout
    is at ``timeout_point`` (s) or fixed by the maker (``timeout_s``); so is the fallback, at ``fallback_point`` or at
    ``fallback_kw``. What can be written is armed and verified at start; what is fixed must fit the site.
    """

    timeout_point: str = ""
    fallback_point: str = ""
    kind: str = "timer"
    timeout_s: float | None = None
    fallback_kw: float | None = None
    heartbeat_point: str = ""

    @property
    def points(self) -> tuple[str, ...]:
        """Return the points that it is told and verified by."""
        return tuple(name for name in (self.timeout_point, self.fallback_point) if name)


@dataclass(frozen=True, slots=True)
class Profile:
    """One device type. ``kind`` is the asset that it serves: meter, battery, pv or connector.

    Point names are the fields of the reading that they fill (``power_kw``, ``soc``, …) plus ``setpoint_kw``,
    ``lease_s`` and ``fallback_kw``. A device with several connectors repeats its points per connector: on Modbus
    ``unit_stride`` registers further on, on OPC UA ``{connector}`` in the node text is replaced by its number from 1.
    ``commands`` tell how a setpoint is carried out where one register is not enough: ``set``, or ``charge``,
    ``discharge`` and ``rest`` by its direction; ``release`` gives control back. Their steps are done in order. It
    ``is_partial`` where another device that is joined to it must tell the rest (a converter without its battery).
    ``alive`` names points of which at least one changes from read to read while the device lives; where it is given,
    an unchanged set is no evidence of life. ``namespace`` is the OPC UA namespace URI.
    """

    profile_id: str
    protocol: Protocol
    kind: str
    points: Mapping[str, Point]
    watchdog: Watchdog | None
    alive: tuple[str, ...]
    source: str
    verified: str
    timeout_s: float = 0.8
    min_gap_s: float = 0.0
    connect_delay_s: float = 0.0
    """Between connecting and the first request."""
    keep_open: bool = True
    """False: the device serves one client; the connection is closed after each round of requests."""
    max_registers: int = 100
    max_gap: int = 10
    unit_stride: int = 0
    namespace: str = ""
    title: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where quantities are told of: what ``Point.source`` names, and the text."""
    auxiliary: frozenset[str] = frozenset()
    """Names of points that only this device type has: ratios, modes, versions."""
    commands: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    is_partial: bool = False

    @property
    def carriers(self) -> tuple[str, ...]:
        """Return the points that a setpoint is written to; none where the device takes no setpoint."""
        if not self.commands:
            return ("setpoint_kw",) if "setpoint_kw" in self.points else ()
        steps = (step for steps in self.commands.values() for step in steps)
        return tuple(dict.fromkeys(step.point for step in steps if step.carries))

    @property
    def commanded(self) -> tuple[str, ...]:
        """Return the points that tell which command the device is under."""
        steps = (step for name, steps in self.commands.items() if name != "release" for step in steps)
        return tuple(dict.fromkeys(step.point for step in steps if self.points[step.point].readable))


@dataclass(frozen=True, slots=True)
class DeviceBinding:
    """One device of a site: where it is and which assets it serves, in the order of its connectors.

    ``kw_per_a`` converts a point in A into kW for each asset (its phases times its voltage). Without a serial ``link``
    it is at ``host`` and ``port`` (a ``TcpLink`` adds its framing); with one ``host`` names the port and ``port``
    is 0. Where several devices together are one asset (a converter and its battery), ``parts`` are they and
    ``profile`` has the points of all; the first of them is the one at this link and unit.
    """

    device_id: str
    profile: Profile
    host: str
    port: int
    unit: int
    asset_ids: tuple[str, ...]
    poll_s: float
    kw_per_a: Mapping[str, float] = field(default_factory=dict)
    parts: tuple["DeviceBinding", ...] = ()
    link: Link | None = None
    opcua: OpcuaAccess | None = None

    @property
    def on_the_wire(self) -> tuple["DeviceBinding", ...]:
        """Return the devices that answer for themselves: the parts, or this one."""
        return self.parts or (self,)

    def moved(self, place: Callable[["DeviceBinding"], tuple[str, int]]) -> "DeviceBinding":
        """Return the same device, its parts included, at the host and port that ``place`` names for each."""
        host, port = place(self)
        link = self.link if isinstance(self.link, TcpLink) else None
        parts = tuple(part.moved(place) for part in self.parts)
        return replace(self, host=host, port=port, link=link, parts=parts)

    @property
    def via(self) -> Link:
        """Return how it is reached."""
        match self.link:
            case SerialLink():
                return self.link
            case TcpLink(framing=framing):
                return TcpLink(self.host, self.port, framing)
        return TcpLink(self.host, self.port)
