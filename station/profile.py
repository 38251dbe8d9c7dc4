"""Device profiles as data: how registers or nodes become quantities. Read by ``configs``, used by ``drivers``.

The sign flips here and nowhere else: ``sign`` turns the device's convention into load convention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
    ``min_interval_s`` is the least time between writes of an unchanged value.
    """

    function: int = 16
    readback: bool = True
    tolerance: float = 0.0
    min_interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of a device. ``value = sign * (raw * scale + bias)`` in ``unit``.

    ``function`` is the Modbus read function (3 or 4) and ``address`` the 0-based PDU address; ``node`` is the OPC UA
    string identifier. ``word_order`` is ``big`` or ``little``. ``not_available`` raw values mean that there is none.
    ``valid`` bounds the value in ``unit``; outside it the answer is nonsense. ``symbols`` names the values of a state.
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
    sunspec: tuple[str, ...] = ()
    """Where SunSpec keeps it, such as ``103.W``; the first model that the device has gives the value."""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """How the device guards itself: ``timeout_point`` (s) and ``fallback_point`` are armed and verified at start.

    The lease runs from each write of the setpoint; reads must not renew it.
    """

    timeout_point: str
    fallback_point: str


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
