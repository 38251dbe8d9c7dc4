"""Makes the devices of a site: one link per address, shared by the units behind it."""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from drivers.device import Device
from drivers.modbus import ModbusLink, Pace
from drivers.modbus_points import ModbusPoints
from drivers.opcua import OpcuaPoints
from drivers.sunspec import SunspecPoints
from drivers.transport import SocketTransport, Transport
from drivers.watchdog import Guard
from drivers.wire import Wire
from station.profile import DeviceBinding, Protocol

TransportTo = Callable[[str, int], Transport]


def connect_devices(
    bindings: Iterable[DeviceBinding],
    guards: Mapping[str, Guard],
    *,
    may_write: bool = True,
    transport_to: TransportTo = SocketTransport,
) -> tuple[Device, ...]:
    """Return a device for each binding; nothing is opened before the first request.

    ``guards`` tells for each controllable asset what its device shall do by itself. ``transport_to`` makes the
    connection to a host and port; OPC UA brings its own.
    """
    links: dict[tuple[str, int], ModbusLink] = {}

    def link_to(binding: DeviceBinding) -> ModbusLink:
        address = binding.host, binding.port
        if address not in links:
            links[address] = ModbusLink(transport_to(*address), Pace(gap_s=binding.profile.min_gap_s))
        return links[address]

    def wire_to(binding: DeviceBinding) -> Wire:
        match binding.profile.protocol:
            case Protocol.MODBUS_TCP:
                return ModbusPoints(binding, link_to(binding))
            case Protocol.SUNSPEC:
                return SunspecPoints(binding, link_to(binding))
            case Protocol.OPCUA:
                return OpcuaPoints(binding)
            case protocol:
                assert_never(protocol)

    return tuple(Device(binding, wire_to(binding), guards, may_write=may_write) for binding in bindings)
