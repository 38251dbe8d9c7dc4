"""Device profiles as data: how registers or nodes become quantities. Read by ``configs``, used by ``drivers``.

The sign flips here and nowhere else: ``sign`` turns the device's convention into load convention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from station.opcua import OpcuaAccess


class Protocol(StrEnum):
    """The wire that a profile speaks."""

    MODBUS_TCP = "modbus-tcp"
    OPCUA = "opcua"
    SUNSPEC = "sunspec"


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
    ``min_interval_s`` is the least time between writes of an unchanged value. A device that ends a session at 0 is
    told ``zero_as`` instead (below its least power). ``storage`` is ``volatile``, ``nvram`` (each write wears) or
    ``unknown``.
    """

    function: int = 16
    readback: bool = True
    tolerance: float = 0.0
    min_interval_s: float = 0.0
    zero_as: float | None = None
    storage: str = "volatile"


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
    written to ``timeout_point``, ``poll`` any request. The timeout is at ``timeout_point`` (s) or fixed by the maker
    (``timeout_s``); so is the fallback, at ``fallback_point`` or fixed at ``fallback_kw``. What can be written is armed
    and verified at start; what is fixed must fit the site.
    """

    timeout_point: str = ""
    fallback_point: str = ""
    kind: str = "timer"
    timeout_s: float | None = None
    fallback_kw: float | None = None

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
    max_registers: int = 100
    max_gap: int = 10
    unit_stride: int = 0
    namespace: str = ""
    title: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where quantities are told of: what ``Point.source`` names, and the text."""
    auxiliary: frozenset[str] = frozenset()
    """Names of points that only this device type has: ratios, modes, versions."""


@dataclass(frozen=True, slots=True)
class DeviceBinding:
    """One device of a site: where it is and which assets it serves, in the order of its connectors.

    ``kw_per_a`` converts a point in A into kW for each asset (its phases times its voltage).
    """

    device_id: str
    profile: Profile
    host: str
    port: int
    unit: int
    asset_ids: tuple[str, ...]
    poll_s: float
    kw_per_a: Mapping[str, float] = field(default_factory=dict)
    opcua: OpcuaAccess | None = None
