"""What the field layer lets pass, costs and bears, beside bare pymodbus and libmodbus.

``python -m benchmarks.wire [--json FILE] [--transactions N] [--seconds S]`` prints one object:

* ``transactions``: requests to a device of which half the answers are spoilt in one of some 30 ways, half of them over
  Modbus TCP and half in RTU frames, in virtual time. ``silent_wrong``: how many wrong values or writes were taken for
  right ones. ``pymodbus_silent_wrong``: the same for pymodbus's asyncio client before the same device, of a 50th of the
  transactions (at least 2000).
* ``cpu_ratio_libmodbus``, ``cpu_ratio_pymodbus``: processor time of one request (10 servers, 60 registers, real
  sockets), as a multiple of theirs; median of interleaved repetitions.
* ``core_fraction``: the processor time of 200 devices polled once a second and 50 polled ten times a second, as a
  fraction of one core; ``fast_age_p99_periods``: the age of their fast points in periods; ``setpoint_latency_ms_p99``:
  from the decision until the device holds the setpoint, read back.
* ``detection_s_p99``, ``recovery_s_p99``: over 1000 resets, ends of stream, half-open connections, freezes, reboots and
  restarts, 50 of them at real sockets: until it is noticed, and from the healing until the device is read again.

The peers are compiled from C by the benchmark. What depends on the machine's speed should be run on an idle one.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import _wire_cost, _wire_faults, _wire_field, _wire_lies

TRANSACTIONS = 1_000_000
PYMODBUS_SHARE = 50
LEAST_OF_PYMODBUS = 2_000
ROUNDS = 1_000
SECONDS = 20.0
EVENTS, AT_SOCKETS = 950, 50
SEED = 20261122

Lie = Callable[..., _wire_lies.Tally]


def measure(transactions: int, seconds: float) -> dict[str, float]:
    """Return all figures."""
    _say("lies")
    ours = _both(_wire_lies.ours, transactions)
    of_pymodbus = _both(_wire_lies.pymodbus, max(transactions // PYMODBUS_SHARE, LEAST_OF_PYMODBUS))
    _say("processor time")
    costs = _wire_cost.measure(ROUNDS)
    _say("load")
    load = _wire_field.measure(seconds)
    _say("faults")
    in_memory, at_sockets = (
        _wire_faults.in_memory(EVENTS, SEED),
        _wire_faults.at_sockets(AT_SOCKETS, SEED),
    )
    return {
        "transactions": sum(tally.transactions for tally in ours),
        "silent_wrong": sum(tally.silent_wrong for tally in ours),
        "pymodbus_silent_wrong": sum(tally.silent_wrong for tally in of_pymodbus),
        "cpu_ratio_libmodbus": round(costs.of_libmodbus, 2),
        "cpu_ratio_pymodbus": round(costs.of_pymodbus, 2),
        "core_fraction": round(load.core_fraction, 3),
        "fast_age_p99_periods": _p99(load.ages),
        "setpoint_latency_ms_p99": _p99(load.writes_ms),
        "recovery_s_p99": _p99([*in_memory.recovery_s, *at_sockets.recovery_s]),
        "detection_s_p99": _p99([*in_memory.detection_s, *at_sockets.detection_s]),
    }


def _both(lied_to: Lie, transactions: int) -> tuple[_wire_lies.Tally, _wire_lies.Tally]:
    """Return the tallies of Modbus TCP and of RTU, each of half the transactions."""
    half = transactions // 2
    tcp = lied_to(transactions - half, is_rtu=False, seed=SEED)
    rtu = lied_to(half, is_rtu=True, seed=SEED + 1)
    for name, tally in (("TCP", tcp), ("RTU", rtu)):
        _say(f"  {lied_to.__name__}, {name}: {tally}")
    return tcp, rtu


def _p99(values: list[float]) -> float:
    return round(float(np.percentile(values, 99)), 3)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is standard output")
    parser.add_argument(
        "--transactions", type=int, default=TRANSACTIONS, help="requests to the device that lies"
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the load is measured")
    said = parser.parse_args()
    figures = json.dumps(measure(said.transactions, said.seconds))
    if said.json is None or said.json == "-":
        sys.stdout.write(figures + "\n")
    else:
        Path(said.json).write_text(figures + "\n")


if __name__ == "__main__":
    main()
