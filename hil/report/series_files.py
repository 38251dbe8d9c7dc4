"""A run as CSV, so that anyone can recompute the bill."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from hil.account import Account

MEANS_HEADER = ("time", "grid_kw", "load_kw", "pv_kw", "battery_kw", "soc", "charging_kw")


def write_means(file: Path, account: Account) -> None:
    """Write the means per billed slot, load convention: import, consumption and charging are positive."""
    means = account.world.means
    columns = (means.grid_kw, means.load_kw, means.pv_kw, means.battery_kw, means.soc, means.charging_kw)
    rows = (
        (start_at.isoformat(), *(f"{value + 0.0:.6f}" for value in values))
        for start_at, *values in zip(means.starts, *columns, strict=True)
    )
    _write(file, MEANS_HEADER, rows)


def write_sessions(file: Path, account: Account) -> None:
    """Write what each session got, on the car's side."""
    rows = ((outcome.session_id, f"{outcome.delivered_kwh:.6f}") for outcome in account.world.outcomes)
    _write(file, ("session_id", "delivered_kwh"), rows)


def _write(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
