"""An OPC UA server for one emulated device (asyncua), entered as the site file says."""

import asyncio
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from asyncua import ua
from asyncua.crypto.permission_rules import User
from asyncua.server.address_space import AddressSpace, AttributeService
from asyncua.server.binary_server_asyncio import OPCUAProtocol
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from drivers import codec
from drivers.opcua import VARIANTS
from hil.emulators.device import EmulatedDevice, Refused
from hil.emulators.opcua_door import Users, hang_door
from hil.emulators.quantities import Quantity
from hil.emulators.raw import raw_of
from station.opcua import OpcuaAccess
from station.profile import Point

Place = tuple[int, Point]
"""A connector's number and one of its points."""


class OpcuaServer:
    """Serves one device. Values are computed when they are read; ``publish`` feeds those who subscribed."""

    def __init__(self, host: str, port: int, device: EmulatedDevice) -> None:
        self._access = device.binding.opcua or OpcuaAccess()
        self._url = f"opc.tcp://{host}:{port}{self._access.path}"
        self._host = host
        self._port = port
        self._device = device
        self._server: Server | None = None
        self._attributes: _DeviceAttributes | None = None
        self._doors = _Doors(device)

    @property
    def port(self) -> int:
        """Return the port; where 0 was asked for, the one that the system chose."""
        if self._server is None or self._server.bserver is None:
            return self._port
        return self._server.bserver.port

    async def start(self) -> None:
        """Build the address space and listen.

        Raises OSError where the port is taken, ConfigError where a certificate can't be used.
        """
        server = Server(user_manager=Users(self._access))
        await server.init()
        server.set_endpoint(self._url)
        server.set_server_name(f"heliodock {self._device.binding.device_id}")
        await hang_door(server, self._access)
        places = await self._build(server)
        self._attributes = _DeviceAttributes(server.iserver.aspace, self._device, places)
        server.iserver.attribute_service = self._attributes
        await server.start()
        assert server.bserver is not None
        server.bserver.clients = self._doors
        self._server = server

    async def publish(self) -> None:
        """Tell subscribers the present values."""
        server, attributes = self._server, self._attributes
        if server is None or attributes is None or not server.iserver.subscription_service.subscriptions:
            return
        for node_id, value in attributes.present().items():
            await server.iserver.aspace.write_attribute_value(node_id, AttributeIds.Value, value)

    async def close(self) -> None:
        """Drop all connections and stop listening."""
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def _build(self, server: Server) -> dict[ua.NodeId, Place]:
        binding = self._device.binding
        index = await server.register_namespace(binding.profile.namespace)
        folders: dict[str, Any] = {}
        places: dict[ua.NodeId, Place] = {}
        for connector in range(len(binding.asset_ids)):
            for point in binding.profile.points.values():
                text = point.node.replace("{connector}", str(connector + 1))
                node_id = ua.NodeId(ua.String(text), ua.Int16(index))
                if node_id in places:
                    continue
                folder, _, name = text.rpartition(".")
                if folder not in folders:
                    parent = server.get_objects_node()
                    folders[folder] = await parent.add_object(
                        ua.NodeId(ua.String(folder), ua.Int16(index)), folder
                    )
                empty = ua.Variant(raw_of(point, None), VARIANTS[point.encoding])
                node = await folders[folder].add_variable(node_id, name, empty)
                if point.write is not None:
                    await node.set_writable()
                places[node_id] = (connector, point)
        return places


class _DeviceAttributes(AttributeService):
    """Answers reads and writes of the device's nodes from the device, everything else as usual."""

    def __init__(
        self, address_space: AddressSpace, device: EmulatedDevice, places: Mapping[ua.NodeId, Place]
    ) -> None:
        super().__init__(address_space)
        self._device = device
        self._places = places
        for node_id in places:  # a new subscription's first value comes from here
            address_space.set_attribute_value_callback(node_id, AttributeIds.Value, self._shown)
            address_space.set_attribute_value_setter(node_id, AttributeIds.Value, _keep_nothing)  # type: ignore[arg-type]

    def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        asked = {r.NodeId for r in params.NodesToRead if r.AttributeId == AttributeIds.Value}
        present = self._values(asked & self._places.keys())
        return [
            present[r.NodeId]
            if r.AttributeId == AttributeIds.Value and r.NodeId in present
            else self._aspace.read_attribute_value(r.NodeId, r.AttributeId)
            for r in params.NodesToRead
        ]

    async def write(self, params: ua.WriteParameters, user: User) -> list[ua.StatusCode]:  # type: ignore[override]
        codes = []
        for wanted in params.NodesToWrite:
            place = self._places.get(wanted.NodeId)
            if wanted.NodeId not in self._aspace:
                code = ua.StatusCode(ua.UInt32(StatusCodes.BadNodeIdUnknown))
            elif place is None or wanted.AttributeId != AttributeIds.Value:
                (code,) = await super().write(ua.WriteParameters([wanted]), user)
            else:
                code = ua.StatusCode(ua.UInt32(self._written(place, wanted.Value.Value)))
            codes.append(code)
        return codes

    def present(self) -> dict[ua.NodeId, ua.DataValue]:
        """Return the present value of every node of the device."""
        return self._values(set(self._places))

    def _shown(self, node_id: ua.NodeId, attribute: AttributeIds) -> ua.DataValue:  # noqa: ARG002
        return self._values({node_id})[node_id]

    def _values(self, node_ids: set[ua.NodeId]) -> dict[ua.NodeId, ua.DataValue]:
        values: dict[int, dict[str, Quantity]] = {}
        shown: dict[ua.NodeId, ua.DataValue] = {}
        for node_id in node_ids:
            connector, point = self._places[node_id]
            if connector not in values:
                values[connector] = self._device.values(connector)
            shown[node_id] = _data_value(point, values[connector][point.name])
        return shown

    def _written(self, place: Place, variant: ua.Variant | None) -> int:
        connector, point = place
        if point.write is None:
            return StatusCodes.BadNotWritable
        if variant is None or variant.is_array or variant.VariantType is not VARIANTS[point.encoding]:
            return StatusCodes.BadTypeMismatch
        try:
            self._device.write(connector, {point.name: codec.decode_raw(point, variant.Value)})
        except ValueError:
            return StatusCodes.BadOutOfRange
        except Refused:
            return StatusCodes.BadUserAccessDenied
        return StatusCodes.Good


def _keep_nothing(node: object, attribute: object, value: ua.DataValue) -> ua.DataValue:  # noqa: ARG001
    """Store no value in the address space: it is computed whenever somebody asks."""
    return value


def _data_value(point: Point, value: Quantity) -> ua.DataValue:
    try:
        variant = ua.Variant(raw_of(point, value), VARIANTS[point.encoding])
    except ValueError:
        return ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadDeviceFailure)))
    return ua.DataValue(variant, ServerTimestamp=ua.DateTime.now(UTC))


class _Doors(list[OPCUAProtocol]):
    """asyncua's list of connections. While the device is silent none of them is read, so none is answered."""

    def __init__(self, device: EmulatedDevice) -> None:
        super().__init__()
        self._device = device
        device.on_silence(self.guard)

    def append(self, item: OPCUAProtocol) -> None:
        super().append(item)
        if self._device.silent:
            asyncio.get_running_loop().call_soon(self.guard)

    def guard(self) -> None:
        """Stop or resume reading, as the device is silent or not."""
        for connection in self:
            transport = connection.transport
            if transport is None or transport.is_closing():
                continue
            if self._device.silent and transport.is_reading():
                transport.pause_reading()
            elif not self._device.silent and not transport.is_reading():
                transport.resume_reading()
