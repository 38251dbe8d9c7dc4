"""Makes the devices of a site: one link per address, shared by the units behind it."""

from collections.abc import Iterable, Mapping
from typing import assert_never

from drivers.device import Device, Guard
from drivers.modbus import ModbusLink
from drivers.modbus_points import ModbusPoints
from drivers.opcua import OpcuaPoints
from drivers.transport import SocketTransport
from drivers.wire import Wire
from station.profile import DeviceBinding, Protocol


def connect_devices(
    bindings: Iterable[DeviceBinding], guards: Mapping[str, Guard], *, may_write: bool = True
) -> tuple[Device, ...]:
    """Return a device for each binding; nothing is opened before the first request.

    ``guards`` tells for each controllable asset what its device shall do by itself.
    """
    links: dict[tuple[str, int], ModbusLink] = {}
    return tuple(Device(binding, _wire(binding, links), guards, may_write=may_write) for binding in bindings)


def _wire(binding: DeviceBinding, links: dict[tuple[str, int], ModbusLink]) -> Wire:
    match binding.profile.protocol:
        case Protocol.MODBUS_TCP:
            address = binding.host, binding.port
            if address not in links:
                transport = SocketTransport(binding.host, binding.port)
                links[address] = ModbusLink(transport, min_gap_s=binding.profile.min_gap_s)
            return ModbusPoints(binding, links[address])
        case Protocol.OPCUA:
            return OpcuaPoints(binding)
        case protocol:
            assert_never(protocol)
