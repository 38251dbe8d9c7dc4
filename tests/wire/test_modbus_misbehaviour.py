"""Devices that answer wrongly: no wrong value ever passes for a right one, and the link always recovers."""

import asyncio
import random

import pytest

from drivers.modbus import ModbusLink, Pace
from drivers.modbus_frame import Ask
from drivers.transport import SocketTransport
from drivers.turns import Priority
from station.errors import DriverError, Nonsense, Rejected, Unreachable
from tests.wire.slave import MISDEEDS, Server, Slave, serving

TIMEOUT_S = 0.04
REGISTERS = 400


def content(address: int, function: int) -> int:
    return (address * 40503 + function * 977) & 0xFFFF


def full_slave() -> Slave:
    slave = Slave()
    for function in (3, 4):
        slave.set(function, 0, tuple(content(address, function) for address in range(REGISTERS)))
    return slave


def link_to(server: Server) -> ModbusLink:
    return ModbusLink(SocketTransport("127.0.0.1", server.port), Pace(back_off_s=0.0))


async def read(link: ModbusLink, address: int, count: int, *, function: int = 3) -> tuple[int, ...]:
    ask = Ask(1, function, address, count)
    return await link.ask(ask, "meter", timeout_s=TIMEOUT_S, priority=Priority.FAST)


async def write(
    link: ModbusLink, address: int, words: tuple[int, ...], *, function: int = 16
) -> tuple[int, ...]:
    ask = Ask(1, function, address, words=words)
    return await link.ask(ask, "meter", timeout_s=TIMEOUT_S, priority=Priority.SETPOINT)


async def recovers(link: ModbusLink, server: Server, *, within_s: float = 3.0) -> None:
    """An honest answer comes through again."""
    server.misdeed = lambda: None
    async with asyncio.timeout(within_s):
        while True:
            try:
                assert await read(link, 7, 3) == tuple(content(address, 3) for address in range(7, 10))
            except DriverError:
                await asyncio.sleep(0.01)
            else:
                return


@pytest.mark.parametrize("name", sorted(set(MISDEEDS) - {"duplicate", "wrong echo"}))
async def test_a_read_answered_wrongly_is_an_error_and_the_link_recovers(name: str) -> None:
    async with serving(Server(full_slave())) as server:
        link = link_to(server)
        assert await read(link, 0, 2) == (content(0, 3), content(1, 3))
        server.misdeed = lambda: name
        for count in range(2, 8):
            with pytest.raises((Nonsense, Unreachable, Rejected)):
                await read(link, 10 * count, count)
        await recovers(link, server)
        assert server.done[name] >= 2
        link.close()


@pytest.mark.parametrize("function", [6, 16])
@pytest.mark.parametrize("name", ["wrong echo", "short", "long", "wrong function", "wrong unit", "exception"])
async def test_a_write_confirmed_wrongly_is_an_error(name: str, function: int) -> None:
    async with serving(Server(full_slave())) as server:
        link = link_to(server)
        server.misdeed = lambda: name
        with pytest.raises(DriverError):
            await write(link, 5, (1234,), function=function)
        await recovers(link, server)
        link.close()


async def test_repeated_answers_are_skipped() -> None:
    async with serving(Server(full_slave(), misdeed=lambda: "duplicate")) as server:
        link = link_to(server)
        for address in range(60):
            assert await read(link, address, 2) == (content(address, 3), content(address + 1, 3))
        assert link.counters.skipped > 100
        assert link.counters.opened == 1
        link.close()


async def test_three_wrong_answers_in_a_row_reopen_the_connection() -> None:
    async with serving(Server(full_slave(), misdeed=lambda: "short")) as server:
        link = link_to(server)
        for _ in range(3):
            with pytest.raises(Nonsense, match="instead of 4"):
                await read(link, 0, 4)
        assert link.counters.nonsense == 3
        await recovers(link, server)
        assert server.connections == 2
        link.close()


async def test_garbage_reopens_the_connection_at_once() -> None:
    async with serving(Server(full_slave(), misdeed=lambda: "wrong protocol")) as server:
        link = link_to(server)
        with pytest.raises(Nonsense, match="garbage"):
            await read(link, 0, 4)
        server.misdeed = lambda: None
        assert await read(link, 0, 1) == (content(0, 3),)
        assert server.connections == 2
        link.close()


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (1, Rejected, "does not know this function"),
        (2, Rejected, "no such register"),
        (3, Rejected, "refuses"),
        (4, Unreachable, "failure of its own"),
        (6, Unreachable, "busy"),
        (10, Unreachable, "gateway has no path"),
        (11, Unreachable, "gateway gets no answer"),
        (77, Nonsense, "unknown refusal"),
    ],
)
async def test_refusals_are_told_in_words(code: int, kind: type[DriverError], words: str) -> None:
    slave = full_slave()
    slave.refuse = lambda function, address: code
    async with serving(Server(slave)) as server:
        link = link_to(server)
        with pytest.raises(kind, match=words):
            await read(link, 0, 4)
        link.close()


async def test_thousands_of_transactions_with_a_device_that_lies_give_no_wrong_value() -> None:
    chance = random.Random(20261122)
    names = sorted(MISDEEDS)
    slow = {"silence", "late answer", "slow loris", "half a frame", "short"}
    weights = [0.15 if name in slow else 1.0 for name in names]
    slave = full_slave()
    server = Server(slave, chance=random.Random(7))
    server.misdeed = lambda: chance.choices(names, weights)[0] if chance.random() < 0.5 else None
    good = failed = 0
    async with serving(server):
        link = link_to(server)
        for _ in range(4000):
            address, count, function = chance.randrange(300), chance.randint(1, 40), chance.choice([3, 4])
            try:
                if chance.random() < 0.2:
                    words = tuple(content(register, 3) for register in range(address, address + count))
                    assert await write(link, address, words) == words
                    assert slave.requests[-1] == (16, address, count)
                else:
                    values = await read(link, address, count, function=function)
                    wanted = range(address, address + count)
                    assert values == tuple(content(register, function) for register in wanted)
                good += 1
            except DriverError:
                failed += 1
        await recovers(link, server)
        link.close()
    assert good > 1500
    assert failed > 800
    assert set(server.done) == set(names)


async def test_a_port_where_nobody_listens_is_refused_quickly_and_not_hammered() -> None:
    async with serving(Server(full_slave())) as server:
        pass
    link = link_to(server)
    for _ in range(50):
        with pytest.raises(Unreachable, match="no connection: connection refused"):
            await read(link, 0, 1)
    assert link.counters.refused <= 2


async def test_a_device_that_comes_up_later_is_found() -> None:
    async with serving(Server(full_slave())) as server:
        pass
    link = link_to(server)
    with pytest.raises(Unreachable):
        await read(link, 0, 1)
    async with serving(Server(full_slave(), port=server.port)) as again:
        await recovers(link, again)
        link.close()


async def test_a_silent_device_costs_its_deadline_and_no_more() -> None:
    async with serving(Server(full_slave(), misdeed=lambda: "silence")) as server:
        link = link_to(server)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with pytest.raises(Unreachable, match=r"no answer within 0\.04 s"):
            await read(link, 0, 1)
        assert loop.time() - started_s < 0.5
        link.close()


async def test_the_newest_of_several_waiting_setpoints_is_sent_and_goes_before_reads() -> None:
    slave = full_slave()
    async with serving(Server(slave)) as server:
        link = link_to(server)
        await read(link, 0, 1)
        slave.requests.clear()

        async def setpoint(value: int) -> tuple[int, ...]:
            ask = Ask(1, 6, 50, words=(value,))
            return await link.ask(ask, "pcs", timeout_s=1.0, priority=Priority.SETPOINT, key="pcs.setpoint")

        reads = [read(link, address, 1) for address in range(10)]
        results = await asyncio.gather(*reads, *(setpoint(v) for v in (1, 2, 3)), return_exceptions=True)
        assert [type(result) for result in results[-3:]] == [Rejected, Rejected, tuple]
        assert slave.requests[1] == (6, 50, 3)
        assert sum(request[0] == 6 for request in slave.requests) == 1
        link.close()
