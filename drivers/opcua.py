"""The points of one OPC UA device: nodes found by namespace URI, read in one batch, written with their own type.

Without an ``opcua:`` entry in the site file neither side proves who it is and nothing is encrypted; such a server
belongs on a network of its own.
"""

import math
from collections.abc import Mapping, Sequence

from asyncua import ua

from drivers import codec
from drivers.opcua_feed import Feed
from drivers.opcua_session import OpcuaSession
from drivers.opcua_words import NODE, in_brackets
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import Nonsense, Rejected
from station.profile import DeviceBinding, Encoding, Point

VARIANTS = {
    Encoding.BOOL: ua.VariantType.Boolean,
    Encoding.UINT16: ua.VariantType.UInt16,
    Encoding.INT16: ua.VariantType.Int16,
    Encoding.UINT32: ua.VariantType.UInt32,
    Encoding.INT32: ua.VariantType.Int32,
    Encoding.UINT64: ua.VariantType.UInt64,
    Encoding.INT64: ua.VariantType.Int64,
    Encoding.FLOAT32: ua.VariantType.Float,
    Encoding.FLOAT64: ua.VariantType.Double,
    Encoding.STRING: ua.VariantType.String,
}


class OpcuaPoints:
    """A ``Wire`` to one OPC UA server. ``read`` and ``write`` may run at the same time."""

    def __init__(self, binding: DeviceBinding) -> None:
        self._device_id = binding.device_id
        self._profile = binding.profile
        self._session = OpcuaSession(binding)
        self._oldest_s = self._session.access.oldest_s
        self._feed = Feed(self._session, binding.poll_s) if self._session.access.subscribe else None
        self.age_s = 0.0

    async def read(self, refs: Sequence[PointRef], priority: Priority) -> Mapping[PointRef, Outcome]:
        """Read all points in one request; a missing or bad node fails alone and says its name.

        Polling takes what the server sent by itself, where the site file says so; ``age_s`` is then how long ago the
        server last confirmed it. What reads back a write is always asked for.
        """
        client = await self._session.client()
        nodes = [self._node_id(ref) for ref in refs]
        if self._feed is not None and priority is Priority.FAST:
            values = await self._feed.read(client, nodes)
            self.age_s = self._feed.age_s
        else:
            values = await self._session.read(client, nodes)
        return {ref: self._outcome(ref, value) for ref, value in zip(refs, values, strict=True)}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:  # noqa: ARG002
        """Write one point with the variant type of its encoding."""
        point = self._profile.points[ref.name]
        if point.write is None:
            raise Rejected(self._device_id, "cannot be written", ref.name)
        try:
            variant = ua.Variant(codec.encode_raw(point, value), VARIANTS[point.encoding])
        except ValueError as misfit:
            raise Rejected(self._device_id, str(misfit), ref.name) from None
        client = await self._session.client()
        node = client.get_node(self._node_id(ref))
        codes = await self._session.call(client, client.write_values([node], [ua.DataValue(variant)], False))
        if len(codes) != 1 or not codes[0].is_good():
            said = in_brackets(NODE, codes[0].name) if codes else "nothing"
            cause = f"node {self._node_text(ref)}: the server refuses the write: {said}"
            raise Rejected(self._device_id, cause, ref.name)

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        """Return the value after it was encoded; raise ``ValueError`` where it does not fit."""
        point = self._profile.points[ref.name]
        return codec.decode_raw(point, codec.encode_raw(point, value))

    async def close(self) -> None:
        """Take leave of the server; within one deadline, whether it answers or not."""
        await self._session.close()

    def _node_id(self, ref: PointRef) -> ua.NodeId:
        return ua.NodeId(ua.String(self._node_text(ref)), ua.Int16(self._session.namespace))

    def _node_text(self, ref: PointRef) -> str:
        return self._profile.points[ref.name].node.replace("{connector}", str(ref.connector + 1))

    def _outcome(self, ref: PointRef, value: ua.DataValue) -> Outcome:
        point = self._profile.points[ref.name]
        node = self._node_text(ref)
        status = value.StatusCode
        if status is not None and not status.is_good():
            return Rejected(self._device_id, f"node {node}: {in_brackets(NODE, status.name)}", ref.name)
        try:
            check_age(value, self._oldest_s)
            return _decoded(point, value.Value)
        except ValueError as nonsense:
            return Nonsense(self._device_id, f"node {node}: {nonsense}", ref.name)


def check_age(value: ua.DataValue, oldest_s: float) -> None:
    """Raise ``ValueError`` for a value that was too old when the server gave it away, by the server's own clock.

    Many servers stamp a value when it changes and not when it was measured, so an old one need not be stale.
    """
    if oldest_s == math.inf:
        return
    if value.SourceTimestamp is None or value.ServerTimestamp is None:
        raise ValueError("the server does not say how old the value is")
    age_s = (value.ServerTimestamp - value.SourceTimestamp).total_seconds()
    if age_s > oldest_s:
        raise ValueError(f"the value is {age_s:.0f} s old in the server")


def _decoded(point: Point, variant: ua.Variant | None) -> codec.Value | None:
    expected = VARIANTS[point.encoding]
    if variant is None or variant.VariantType is not expected or variant.is_array:
        held = "nothing" if variant is None else variant.VariantType.name
        raise ValueError(f"holds {held} instead of {expected.name}")
    if variant.Value is None and point.encoding is Encoding.STRING:
        return None
    return codec.decode_raw(point, variant.Value)
