"""Devices that answer wrongly in every known way, in virtual time: what is accepted is true, and the link goes on."""

import asyncio
import random

import pytest

from drivers.modbus import ModbusLink, Pace
from drivers.modbus_frame import Ask
from drivers.turns import Priority
from hil.emulators.misbehaving import (
    RTU_MISDEEDS,
    TCP_MISDEEDS,
    Event,
    MisbehavingDevice,
    MisbehavingTransport,
    Turn,
    truth,
)
from hil.virtual_time import run_virtual
from station.errors import DriverError, Unreachable

TIMEOUT_S = 0.3
HARMLESS = {"single bytes", "duplicate", "older answer glued behind", "glued behind an older answer"}
"""What a link may see through, and still take the true answer."""


def device_with(misdeeds: dict[str, float] | float, *, is_rtu: bool, seed: int = 1) -> MisbehavingDevice:
    badness = misdeeds if isinstance(misdeeds, float) else 1.0
    device = MisbehavingDevice(random.Random(seed), is_rtu, TIMEOUT_S, badness)
    if not isinstance(misdeeds, float):
        device._names = tuple(misdeeds)
    return device


def link_to(device: MisbehavingDevice) -> ModbusLink:
    return ModbusLink(MisbehavingTransport(device), is_rtu=device.is_rtu)


async def read(link: ModbusLink, ask: Ask) -> tuple[int, ...]:
    return await link.ask(ask, "meter", timeout_s=TIMEOUT_S, priority=Priority.FAST)


async def lied_to(name: str, *, is_rtu: bool) -> None:
    """One misdeed again and again, reads and writes; then the device mends its ways."""
    device = device_with({name: 1.0}, is_rtu=is_rtu)
    link = link_to(device)
    for count in range(2, 14):
        for ask in (Ask(1, 3, 10 * count, count), Ask(1, 16, count, words=(count,) * count)):
            try:
                assert device.holds(ask, await read(link, ask))
            except DriverError:
                await asyncio.sleep(1.5)
    assert device.done[name] >= 12
    device.badness = 0.0
    healed_s = asyncio.get_running_loop().time()
    while True:
        ask = Ask(1, 3, 7, 3)
        try:
            assert device.holds(ask, await read(link, ask))
            break
        except DriverError:
            await asyncio.sleep(0.2)
    assert asyncio.get_running_loop().time() - healed_s <= 3.0
    link.close()


def test_registers_tell_unit_function_address_and_moment() -> None:
    values = {
        truth(unit, function, address, generation)
        for unit in (1, 2)
        for function in (3, 4)
        for address in range(20)
        for generation in range(20)
    }
    assert len(values) > 1550


@pytest.mark.parametrize("name", sorted(TCP_MISDEEDS))
def test_over_tcp_no_wrong_value_is_believed(name: str) -> None:
    run_virtual(lied_to(name, is_rtu=False))


@pytest.mark.parametrize("name", sorted(RTU_MISDEEDS))
def test_on_a_line_no_wrong_value_is_believed(name: str) -> None:
    run_virtual(lied_to(name, is_rtu=True))


def test_there_are_at_least_22_kinds_of_lies_for_each_framing() -> None:
    assert len(TCP_MISDEEDS) >= 22
    assert len(RTU_MISDEEDS) >= 22


@pytest.mark.parametrize("is_rtu", [False, True])
def test_thousands_of_mixed_lies_pass_none(is_rtu: bool) -> None:
    async def mixed() -> None:
        device = device_with(0.5, is_rtu=is_rtu)
        link = link_to(device)
        chance = random.Random(3)
        right = failed = 0
        for number in range(6000):
            ask = Ask(chance.choice((1, 2)), 3, chance.randrange(900), 1 + (number * 7) % 60)
            try:
                assert device.holds(ask, await read(link, ask))
                right += 1
            except DriverError:
                failed += 1
                await asyncio.sleep(0.1)
        assert right > 2000
        assert failed > 1500
        assert len(device.done) == len(RTU_MISDEEDS if is_rtu else TCP_MISDEEDS)

    run_virtual(mixed())


@pytest.mark.parametrize("lateness", [1.2, 1.9, 2.5, 3.9])
def test_a_late_answer_on_a_line_is_never_given_to_the_next_request_of_the_same_shape(
    lateness: float,
) -> None:
    def late(turn: Turn) -> list[Event]:
        return [(lateness * TIMEOUT_S, turn.frame())]

    async def asked_alike() -> None:
        device = device_with(0.3, is_rtu=True)
        device._misdeeds, device._names = {"late": late}, ("late",)
        link = link_to(device)
        right = 0
        for number in range(1500):
            ask = Ask(1, 3, number % 900, 4)
            try:
                assert device.holds(ask, await read(link, ask))
                right += 1
            except DriverError:
                await asyncio.sleep(0.1)
        assert right > 200
        assert link.counters.fences > 50
        assert device.done["late"] > 100

    run_virtual(asked_alike())


def test_behind_a_gateway_no_late_answer_is_given_to_another_request_under_its_number() -> None:
    """The gateway gives up, says so, and gives what the device answers later to whoever asks next."""

    async def asked_alike() -> None:
        device = device_with(0.0, is_rtu=False)
        perform, late = device._perform, [b""]
        chance = random.Random(5)

        def gateway(unit: int, request: bytes) -> bytes:
            answer, instead = perform(unit, request), late[0]
            late[0] = b""
            if not instead and chance.random() < 0.1:
                late[0] = answer
                return bytes((request[0] | 0x80, 11))
            return instead or answer

        device._perform = gateway  # type: ignore[method-assign]
        link = link_to(device)
        right = 0
        for number in range(1000):
            ask = Ask(1, 3, number % 900, 12)
            try:
                assert device.holds(ask, await read(link, ask))
                right += 1
            except DriverError:
                await asyncio.sleep(0.2)
        assert right > 200
        assert link.counters.fences > 50

    run_virtual(asked_alike())


def asked_beside_a_dead_unit(*, is_rtu: bool) -> tuple[float, int, int]:
    """Return how long the slowest of 120 rounds of a living unit took, and how often both units were asked."""

    async def rounds() -> tuple[float, int, int]:
        device = device_with(0.0, is_rtu=is_rtu)
        answer, asked = device.answer, [0, 0]

        def answer_but_unit_9(data: bytes) -> list[Event]:
            unit = data[0] if is_rtu else data[6]
            asked[unit == 9] += 1
            return [] if unit == 9 else answer(data)

        device.answer = answer_but_unit_9  # type: ignore[method-assign]
        link, loop = link_to(device), asyncio.get_running_loop()
        longest_s = [0.0]

        async def poll(unit: int) -> None:
            for number in range(120):
                began_s = loop.time()
                try:
                    await read(link, Ask(unit, 3, number, 2))
                except Unreachable:
                    assert unit == 9
                if unit == 1 and number > 3:
                    longest_s[0] = max(longest_s[0], loop.time() - began_s)
                await asyncio.sleep(max(0.0, began_s + 1.0 - loop.time()))

        await asyncio.gather(poll(9), poll(1))
        return longest_s[0], asked[0], asked[1]

    return run_virtual(rounds())


@pytest.mark.parametrize("is_rtu", [False, True])
def test_a_dead_unit_does_not_cost_the_others_its_time_out_in_each_cycle(is_rtu: bool) -> None:
    longest_s, of_living, of_dead = asked_beside_a_dead_unit(is_rtu=is_rtu)
    assert longest_s <= TIMEOUT_S + 0.01
    assert of_living == 120
    assert of_dead <= 70


@pytest.mark.parametrize("is_rtu", [False, True])
def test_a_unit_that_comes_back_is_heard_within_three_seconds(is_rtu: bool) -> None:
    async def silent_then_back() -> None:
        device = device_with({"silence": 1.0}, is_rtu=is_rtu)
        link, loop = link_to(device), asyncio.get_running_loop()
        for _ in range(60):
            with pytest.raises(Unreachable):
                await read(link, Ask(1, 3, 0, 3))
            await asyncio.sleep(1.0)
        device.badness = 0.0
        healed_s = loop.time()
        while loop.time() < healed_s + 10.0:
            try:
                await read(link, Ask(1, 3, 0, 3))
                break
            except Unreachable:
                await asyncio.sleep(0.2)
        assert loop.time() - healed_s <= 3.0

    run_virtual(silent_then_back())


def test_a_cancelled_request_leaves_no_answer_for_the_next_one() -> None:
    async def cancelled() -> None:
        device = device_with({"late": 1.0}, is_rtu=True)
        link = link_to(device)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read(link, Ask(1, 3, 5, 4))
        device.badness = 0.0
        ask = Ask(1, 3, 50, 4)
        for _ in range(20):
            try:
                assert device.holds(ask, await read(link, ask))
                return
            except DriverError:
                await asyncio.sleep(0.2)
        pytest.fail("it never answered again")

    run_virtual(cancelled())


def test_after_connecting_the_first_request_waits_as_long_as_the_device_wants() -> None:
    async def delayed() -> None:
        device = device_with(0.0, is_rtu=False)
        link = ModbusLink(MisbehavingTransport(device), Pace(connect_delay_s=1.0))
        await read(link, Ask(1, 3, 0, 1))
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        await read(link, Ask(1, 3, 0, 1))
        assert asyncio.get_running_loop().time() == pytest.approx(1.0)
        link.rest()
        await read(link, Ask(1, 3, 0, 1))
        assert asyncio.get_running_loop().time() == pytest.approx(2.0)
        assert (link.counters.opened, link.renewed) == (2, 1)

    run_virtual(delayed())
