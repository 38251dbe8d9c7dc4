"""Frames of a serial line: the same bytes as pymodbus makes, and nothing but the wanted answer is taken for it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.modbus_frame import Ask, GarbageError, TcpFraming, words_of_answer
from drivers.owed import Owed
from drivers.rtu_frame import RtuFraming, crc, framed
from station.errors import Nonsense

REQUESTS: dict[int, type[ModbusPDU]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
    6: WriteSingleRegisterRequest,
    16: WriteMultipleRegistersRequest,
}
WORD = st.integers(0, 0xFFFF)


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    unit, function, address = draw(st.integers(1, 247)), draw(st.sampled_from(sorted(REQUESTS))), draw(WORD)
    if function in (3, 4):
        return Ask(unit, function, address, draw(st.integers(1, 125)))
    most = 1 if function == 6 else 123
    return Ask(unit, function, address, words=tuple(draw(st.lists(WORD, min_size=1, max_size=most))))


def answered(ask: Ask, words: tuple[int, ...]) -> bytes:
    if ask.words:
        return ask.answer_head()
    return ask.answer_head() + struct.pack(f">{len(words)}H", *words)


def framing_for(ask: Ask, owed: Owed | None = None) -> RtuFraming:
    framing = RtuFraming(owed or Owed())
    framing.request(ask)
    return framing


@given(asks())
def test_requests_are_the_bytes_that_pymodbus_sends(ask: Ask) -> None:
    pdu = REQUESTS[ask.function](
        dev_id=ask.unit,
        transaction_id=1,
        address=ask.address,
        count=ask.count or len(ask.words),
        registers=list(ask.words),
    )
    assert RtuFraming(Owed()).request(ask) == FramerRTU(DecodePDU(False)).buildFrame(pdu)
    assert TcpFraming().request(ask) == FramerSocket(DecodePDU(False)).buildFrame(pdu)


def test_the_checksum_is_that_of_the_specification() -> None:
    assert crc(bytes.fromhex("0207")) == 0x1241
    assert framed(1, bytes.fromhex("03000a0001")).hex() == "0103000a0001a408"


@given(asks(), st.data())
def test_an_answer_that_comes_in_pieces_is_taken_when_it_is_whole(ask: Ask, data: st.DataObject) -> None:
    words = tuple(data.draw(st.lists(WORD, min_size=ask.count, max_size=ask.count)))
    frame = framed(ask.unit, answered(ask, words))
    cut = data.draw(st.integers(0, len(frame) - 1))
    framing = framing_for(ask)
    framing.feed(frame[:cut])
    assert framing.take() is None
    framing.feed(frame[cut:])
    taken = framing.take()
    assert taken is not None
    assert words_of_answer(ask, taken, "meter") == (ask.words or words)


@given(asks(), st.data())
def test_no_answer_with_a_flipped_bit_is_believed(ask: Ask, data: st.DataObject) -> None:
    frame = bytearray(framed(ask.unit, answered(ask, (7,) * ask.count)))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    framing = framing_for(ask)
    framing.feed(bytes(frame))
    try:
        taken = framing.take()
    except GarbageError:
        return
    assert taken is None


@pytest.mark.parametrize(
    ("sent_back", "cause"),
    [
        (framed(2, bytes.fromhex("0304000100020000")), "unit 2 speaks instead of unit 1"),
        (framed(1, bytes.fromhex("040400010002")), "for function 4, not for function 3"),
        (framed(1, bytes.fromhex("03020001")), "2 bytes of registers are announced instead of 4"),
        (framed(1, bytes.fromhex("030400010002")) + b"\x00", "1 bytes after the answer"),
        (framed(1, bytes.fromhex("0300640002")), "switch the echo of the adapter off"),
        (bytes(9), "unit 0 speaks"),
    ],
)
def test_what_is_wrong_is_said(sent_back: bytes, cause: str) -> None:
    framing = framing_for(Ask(1, 3, 100, 2))
    framing.feed(sent_back)
    with pytest.raises(GarbageError, match=cause):
        framing.take()


def test_a_late_answer_of_another_shape_is_skipped() -> None:
    owed = Owed()
    owed.add(Ask(1, 3, 0, 5))
    framing = framing_for(Ask(1, 3, 100, 2), owed)
    framing.feed(framed(1, bytes((3, 10)) + bytes(10))[:8])
    assert framing.take() is None
    framing.feed(framed(1, bytes((3, 10)) + bytes(10))[8:] + framed(1, bytes.fromhex("030400010002")))
    taken = framing.take()
    assert taken is not None
    assert taken.pdu == bytes.fromhex("030400010002")
    assert framing.skipped == 1


def test_a_fence_asks_for_another_number_of_registers_at_the_same_place() -> None:
    owed = Owed()
    ask = Ask(1, 3, 100, 2)
    assert not owed.hides(ask)
    owed.add(ask)
    assert owed.hides(ask)
    assert owed.hides(Ask(1, 3, 7, 2))
    assert not owed.hides(Ask(2, 3, 100, 2))
    assert owed.fence(ask) == Ask(1, 3, 100, 1)
    owed.add(Ask(1, 3, 100, 1))
    assert owed.fence(ask) == Ask(1, 3, 100, 3)
    owed.add(Ask(1, 3, 100, 3))
    assert owed.fence(ask) is None
    owed.settle(1)
    assert not owed.hides(ask)


def test_a_confirmation_of_another_write_is_nonsense() -> None:
    ask = Ask(1, 6, 10, words=(5,))
    framing = framing_for(ask)
    framing.feed(framed(1, struct.pack(">BHH", 6, 10, 6)))
    taken = framing.take()
    assert taken is not None
    with pytest.raises(Nonsense, match="another write"):
        words_of_answer(ask, taken, "pcs")
