"""Processor time of one request: heliodock's link, bare pymodbus and libmodbus, one after another in several rounds."""

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import process_time

from pymodbus.client import AsyncModbusTcpClient

from benchmarks._modbus_peers import compiled, servers
from drivers.modbus import ModbusLink
from drivers.modbus_frame import Ask
from drivers.transport import SocketTransport
from drivers.turns import Priority

SERVERS = 10
REGISTERS = 60
REPETITIONS = 5


@dataclass
class Costs:
    """Microseconds of processor time per request, one for each repetition."""

    ours_us: list[float] = field(default_factory=list)
    pymodbus_us: list[float] = field(default_factory=list)
    libmodbus_us: list[float] = field(default_factory=list)

    @property
    def of_libmodbus(self) -> float:
        """Return how many times the time of libmodbus ours is."""
        return median(self.ours_us) / median(self.libmodbus_us)

    @property
    def of_pymodbus(self) -> float:
        """Return how many times the time of pymodbus ours is."""
        return median(self.ours_us) / median(self.pymodbus_us)


def measure(rounds: int) -> Costs:
    """Return the costs of ``rounds`` requests to each of the servers."""
    costs = Costs()
    with compiled("modbus_server", "modbus_client") as (server, client), servers(server, SERVERS) as ports:
        for _ in range(REPETITIONS):
            costs.libmodbus_us.append(_libmodbus_us(client, ports, rounds))
            costs.pymodbus_us.append(asyncio.run(_pymodbus_us(ports, rounds)))
            costs.ours_us.append(asyncio.run(_ours_us(ports, rounds)))
    return costs


def _libmodbus_us(client: Path, ports: Sequence[int], rounds: int) -> float:
    command = [str(client), str(rounds), str(REGISTERS), *map(str, ports)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


async def _pymodbus_us(ports: Sequence[int], rounds: int) -> float:
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1.0, retries=0) for port in ports]
    await asyncio.gather(*(client.connect() for client in clients))

    async def poll(client: AsyncModbusTcpClient) -> None:
        for number in range(rounds):
            answer = await client.read_holding_registers(number % 1000, count=REGISTERS, device_id=1)
            if answer.isError() or answer.registers[0] != number % 1000 * 40503 & 0xFFFF:
                raise SystemExit("pymodbus read something else")

    began_s = process_time()
    await asyncio.gather(*(poll(client) for client in clients))
    used_s = process_time() - began_s
    for client in clients:
        client.close()
    return 1e6 * used_s / (rounds * len(ports))


async def _ours_us(ports: Sequence[int], rounds: int) -> float:
    links = [ModbusLink(SocketTransport("127.0.0.1", port)) for port in ports]

    async def poll(link: ModbusLink) -> None:
        for number in range(rounds):
            ask = Ask(1, 3, number % 1000, REGISTERS)
            words = await link.ask(ask, "device", timeout_s=1.0, priority=Priority.FAST)
            if words[0] != number % 1000 * 40503 & 0xFFFF:
                raise SystemExit("heliodock read something else")

    began_s = process_time()
    await asyncio.gather(*(poll(link) for link in links))
    used_s = process_time() - began_s
    for link in links:
        link.close()
    return 1e6 * used_s / (rounds * len(ports))
