"""What else the demonstration's day could have cost: played in a second process at low priority."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress

from cli.terminal import Column, Table
from hil.account import Account, captured
from hil.bound import run_oracle
from hil.run import TwinRun
from hil.twin import run_strategy

NICE = 15
OTHERS = ("uncontrolled", "rules", "oracle")
OURS = "mpc"
ROWS = {"uncontrolled": "uncontrolled", "rules": "rules", OURS: "ours", "oracle": "bound"}
"""Strategies in the order of the table, and what people call them."""


class Comparison:
    """Plays the other strategies as soon as it is made. Close it."""

    def __init__(self, run: TwinRun) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _modestly)
        self.futures: dict[str, Future[Account]] = {
            name: self._pool.submit(play_other, run, name) for name in OTHERS
        }

    @property
    def text(self) -> str:
        """Return how far it is, in words; empty when all is done."""
        waiting = [ROWS[name] for name, future in self.futures.items() if not future.done()]
        return f"for comparison: playing {', '.join(waiting)}" if waiting else ""

    def close(self) -> None:
        """End it, finished or not."""
        for worker in (getattr(self._pool, "_processes", None) or {}).values():
            with suppress(OSError):
                worker.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)


def play_other(run: TwinRun, name: str) -> Account:
    """Return the account of another strategy over the same day; runs in the worker."""
    return run_oracle(run) if name == "oracle" else run_strategy(run, name)


def outcome(accounts: Mapping[str, Account], currency: str) -> Table:
    """Return the result of the demonstration as a table; ours stands out."""
    columns = (
        Column(""),
        Column(f"cost {currency}", True),
        Column("peak kW", True),
        Column("kWh", True),
        Column("of need", True),
        Column("cycles", True, 1),
        Column("violations", True),
        Column("captured", True),
    )
    names = [name for name in ROWS if name in accounts]
    return Table(columns, [_row(accounts, name) for name in names], marked=names.index(OURS))


def saving(accounts: Mapping[str, Account], currency: str) -> str:
    """Return in one line what control has saved, and what could have been."""
    ours, others, bound = (accounts[name].cost.total_cost for name in (OURS, "uncontrolled", "oracle"))
    saved = others - ours
    word = "saved" if saved >= 0 else "lost"
    share = f" ({abs(saved) / others:.0%})" if others > 0 else ""
    possible = f"perfect foresight: {max(others - bound, 0.0):.2f}"
    return f"{word} {abs(saved):.2f} {currency}{share} against no control; {possible}"


def plain(table: Table) -> list[str]:
    """Return a table as aligned lines."""
    rows = [[column.name for column in table.columns], *table.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    cells = (
        [
            text.rjust(width) if column.is_number else text.ljust(width)
            for column, text, width in zip(table.columns, row, widths, strict=True)
        ]
        for row in rows
    )
    return ["  ".join(row).rstrip() for row in cells]


def _row(accounts: Mapping[str, Account], name: str) -> tuple[str, ...]:
    account = accounts[name]
    ours, others, bound = (accounts[key].cost.total_cost for key in (name, "uncontrolled", "oracle"))
    share = captured(ours, others, bound)
    return (
        ROWS[name],
        f"{account.cost.total_cost:.2f}",
        f"{account.peak_kw:.1f}",
        f"{account.delivered_kwh:.1f}",
        f"{account.delivered_fraction:.1%}",
        f"{account.battery_efc:.2f}",
        str(account.violation_count),
        "–" if share is None else f"{share:.0%}",
    )


def _modestly() -> None:
    """Leave the processor to the demonstration, and Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
