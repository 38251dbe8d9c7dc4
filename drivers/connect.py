"""Makes the devices of a site: one link per address, shared by the units behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import assert_never

from drivers.device import Device
from drivers.joined import JoinedWire
from drivers.modbus import ModbusLink, Pace
from drivers.modbus_points import ModbusPoints
from drivers.opcua import OpcuaPoints
from drivers.serial_transport import SerialTransport, frame_gap_s
from drivers.sunspec import SunspecPoints
from drivers.transport import SocketTransport, Transport
from drivers.watchdog import Guard
from drivers.wire import Wire
from station.links import Link, SerialLink, TcpLink
from station.profile import DeviceBinding, Profile, Protocol

TransportTo = Callable[[Link], Transport]
CONTROLLED_BACK_OFF_S = 1.0
READ_ONLY_BACK_OFF_S = 5.0
"""A silent unit is tried again at least so often; one that heliodock reads only may wait longer."""


def connect_devices(
    bindings: Iterable[DeviceBinding],
    guards: Mapping[str, Guard],
    *,
    may_write: bool = True,
    transport_to: TransportTo | None = None,
) -> tuple[Device, ...]:
    """Return a device for each binding; nothing is opened before the first request.

    ``guards`` tells for each controllable asset what its device shall do by itself. ``transport_to`` makes the
    connection of a link; OPC UA brings its own.
    """
    every = tuple(bindings)
    links: dict[Link, ModbusLink] = {}

    def link_to(binding: DeviceBinding) -> ModbusLink:
        via = binding.via
        if via not in links:
            transport = (transport_to or transport_over)(via)
            sharing = [part.profile for other in every for part in other.on_the_wire if part.via == via]
            links[via] = ModbusLink(transport, pace_of(via, sharing), is_rtu=is_rtu(via))
        return links[via]

    def wire_to(binding: DeviceBinding) -> Wire:
        if binding.parts:
            return JoinedWire([(part, wire_to(part)) for part in binding.parts])
        match binding.profile.protocol:
            case Protocol.MODBUS_TCP:
                return ModbusPoints(binding, link_to(binding))
            case Protocol.SUNSPEC:
                return SunspecPoints(binding, link_to(binding))
            case Protocol.OPCUA:
                return OpcuaPoints(binding)
            case protocol:
                assert_never(protocol)

    return tuple(Device(binding, wire_to(binding), guards, may_write=may_write) for binding in every)


def transport_over(link: Link) -> Transport:
    """Return what carries the bytes of a link; nothing is opened yet."""
    match link:
        case TcpLink():
            return SocketTransport(link.host, link.port)
        case SerialLink():
            return SerialTransport(link)
    assert_never(link)


def is_rtu(link: Link) -> bool:
    """Return whether a link carries the frames of a serial line."""
    return isinstance(link, SerialLink) or link.framing == "rtu"


def pace_of(link: Link, profiles: Sequence[Profile]) -> Pace:
    """Return how a link that devices of these profiles share is used: as the slowest of them needs it."""
    is_needed = any(profile.kind == "meter" or "setpoint_kw" in profile.points for profile in profiles)
    gap_s = max(profile.min_gap_s for profile in profiles)
    return Pace(
        gap_s=max(gap_s, frame_gap_s(link)) if isinstance(link, SerialLink) else gap_s,
        byte_s=link.byte_s if isinstance(link, SerialLink) else 0.0,
        connect_delay_s=max(profile.connect_delay_s for profile in profiles),
        back_off_s=CONTROLLED_BACK_OFF_S if is_needed else READ_ONLY_BACK_OFF_S,
    )
