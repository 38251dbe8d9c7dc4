"""An OPC UA server for one demo-dc-pair: in the test's own loop, or as a program of its own that can be frozen."""

import asyncio
import logging
import sys
from typing import Any

from asyncua import Server, ua

from configs.profiles import load_profile
from drivers import codec
from drivers.opcua import VARIANTS

PROFILE = load_profile("demo-dc-pair")
VALUES: dict[str, codec.Value] = {
    "uptime_s": 1.0,
    "state": "charging",
    "is_local": 0.0,
    "power_kw": 48_000.0,
    "max_kw": 60_000.0,
    "session_id": "S-7",
    "session_kwh": 12_500.0,
    "requested_kwh": 30_000.0,
    "estimated_unplug_at": 1_780_000_000.0,
    "known_kwh": float(0xFFFFFFFF),
    "soc": 42.0,
    "capacity_kwh": 77.0,
    "setpoint_kw": 50_000.0,
    "lease_s": 0.0,
    "fallback_kw": 0.0,
}


class PairServer:
    """The server and its nodes by their text."""

    def __init__(self) -> None:
        self.server = Server()
        self.nodes: dict[str, Any] = {}
        self.port = 0

    async def start(self, port: int = 0, *, leave_out: tuple[str, ...] = ()) -> None:
        """Make the nodes of the profile and listen on loopback."""
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        await self.server.init()
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self.server.register_namespace("urn:somebody:else")
        namespace = await self.server.register_namespace(PROFILE.namespace)
        for connector in (1, 2):
            for name, value in VALUES.items():
                text = PROFILE.points[name].node.replace("{connector}", str(connector))
                if text not in self.nodes and text not in leave_out:
                    self.nodes[text] = await self._node(namespace, text, name, value)
        await self.server.start()
        self.port = self.server.bserver.port

    async def _node(self, namespace: int, text: str, name: str, value: codec.Value) -> Any:
        point = PROFILE.points[name]
        variant = ua.Variant(codec.encode_raw(point, value), VARIANTS[point.encoding])
        node_id = ua.NodeId(text, namespace)
        node = await self.server.nodes.objects.add_variable(node_id, text, variant)
        if point.write:
            await node.set_writable()
        return node

    async def put(self, text: str, raw: object, kind: ua.VariantType) -> None:
        """Let a node hold a variant."""
        await self.server.write_attribute_value(self.nodes[text].nodeid, ua.DataValue(ua.Variant(raw, kind)))

    async def stop(self) -> None:
        """Stop listening."""
        await self.server.stop()


async def main() -> None:
    """Serve until killed; the port is printed first."""
    pair = PairServer()
    await pair.start(int(sys.argv[1]))
    print(pair.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
