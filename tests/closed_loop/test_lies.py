"""A hundred thousand requests to a Modbus device that spoils half its answers: no wrong value is taken for a right one.

``python -m benchmarks.wire`` makes a million, and lets pymodbus speak to the same device.
"""

import pytest

from benchmarks import _wire_lies


@pytest.mark.parametrize("is_rtu", [False, True], ids=["tcp", "rtu"])
def test_no_lie_is_believed(is_rtu: bool) -> None:
    tally = _wire_lies.ours(50_000, is_rtu=is_rtu, seed=2026)
    assert tally.transactions == 50_000
    assert tally.misdeeds > 20_000
    assert tally.right > 20_000
    assert tally.silent_wrong == 0
