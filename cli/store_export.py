"""``heliodock store export``: signals of a store as CSV or Parquet."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets
from cli.terminal import note, progress
from station.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from northbound.export import Piece
    from northbound.reader import StoreReader

Write = Callable[["Piece"], None]


class Step(StrEnum):
    """How fine the table is."""

    CYCLE = "1s"
    MINUTE = "1min"


def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="FILE", show_default=False)],
    *,
    signal: Annotated[
        list[str] | None,
        typer.Option("--signal", metavar="NAME", help="A signal; may be repeated. Else all."),
    ] = None,
    from_text: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="A date or a time with its zone. Else the first."),
    ] = None,
    until_text: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="The end, itself left out. Else the last.")
    ] = None,
    step: Annotated[
        Step, typer.Option(help="Every cycle as it was recorded, or the mean, min and max of each minute.")
    ] = Step.CYCLE,
) -> None:
    """Write signals to FILE.csv or FILE.parquet (- is CSV on standard output): a column of UTC times, one per signal.

    What was not measured is empty. A date is midnight at the site where a site file is named, else midnight UTC.
    """
    import sqlite3

    from cli.store import bound_of, directory_of, zone_of
    from northbound import export as tables
    from northbound.reader import StoreReader

    check_targets(target)
    writer = _writer_of(target)
    zone = zone_of(store)
    bounds = bound_of("--from", from_text, zone), bound_of("--until", until_text, zone)
    pieces = tables.cycles if step is Step.CYCLE else tables.minutes
    try:
        with StoreReader(directory_of(store)) as reader, progress(["export"]) as tell:
            signals = _known(reader, signal, str(store))
            held = reader.span() if step is Step.CYCLE else reader.reach()
            from_at, until_at = _span(held, bounds, str(store))
            with writer(target) as write:
                for piece in pieces(reader, signals, from_at, until_at):
                    write(piece)
                    last_us = int(piece.times_us[-1])
                    tell("export", _share(last_us, from_at, until_at))
    except sqlite3.Error as broken:
        raise ConfigError(str(store), 0, "", f"cannot be read: {broken}") from None


def _writer_of(target: str) -> Any:
    if target == STDOUT or target.endswith(".csv"):
        return _csv
    if not target.endswith(".parquet"):
        raise ConfigError(target, 0, "", "what format? the name must end in .csv or .parquet")
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        problem = "Parquet needs pyarrow: pip install 'heliodock[parquet]'"
        raise ConfigError(target, 0, "", problem) from None
    return _parquet


def _known(reader: "StoreReader", wanted: Sequence[str] | None, store: str) -> list[str]:
    from configs.problems import nearest

    known = list(reader.signals())
    for name in wanted or ():
        if name not in known:
            raise ConfigError(store, 0, "--signal", f"no signal '{name}'; {nearest(name, known)}")
    return list(dict.fromkeys(wanted or known))


def _span(
    held: "tuple[datetime, datetime] | None", bounds: "tuple[datetime | None, datetime | None]", store: str
) -> "tuple[datetime, datetime]":
    """Return the span to export: what is not named is as far as the store reaches now."""
    if held is None:
        raise ConfigError(store, 0, "", "holds no cycle yet")
    from_at, until_at = bounds[0] or held[0], bounds[1] or held[1] + timedelta(microseconds=1)
    if from_at >= until_at:
        raise ConfigError(store, 0, "--from", f"{from_at.isoformat()} is not before {until_at.isoformat()}")
    if until_at <= held[0] or from_at > held[1]:
        note(f"the store holds {held[0].isoformat()} to {held[1].isoformat()}")
    return max(from_at, held[0]), min(until_at, held[1] + timedelta(microseconds=1))


def _share(at_us: int, from_at: "datetime", until_at: "datetime") -> float:
    whole_us = (until_at - from_at) / timedelta(microseconds=1)
    return min(1.0, (at_us - from_at.timestamp() * 1e6) / whole_us)


@contextmanager
def _csv(target: str) -> Iterator[Write]:
    """Write comma-separated values, times as ISO 8601 in UTC."""
    if target == STDOUT:
        yield _csv_lines(sys.stdout)
        return
    with _refused(target), Path(target).open("w", encoding="utf-8", newline="") as file:
        yield _csv_lines(file)


def _csv_lines(file: TextIO) -> Write:
    import numpy as np

    head: list[str] = []

    def write(piece: "Piece") -> None:
        if not head:
            head.append(",".join(["time", *piece.columns]))
            file.write(head[0] + "\n")
        times = np.datetime_as_string(piece.times_us.astype("datetime64[us]"), timezone="UTC").tolist()
        columns = [
            ["" if text == "nan" else text for text in values.astype(str).tolist()]
            for values in piece.columns.values()
        ]
        file.writelines(",".join(row) + "\n" for row in zip(times, *columns, strict=True))

    return write


@contextmanager
def _parquet(target: str) -> Iterator[Write]:
    """Write Parquet, a row group per piece; what was not measured is null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    open_files: list[Any] = []

    def write(piece: "Piece") -> None:
        columns = {"time": pa.array(piece.times_us, pa.timestamp("us", tz="UTC"))}
        for name, values in piece.columns.items():
            columns[name] = pa.array(values, pa.float32(), mask=np.isnan(values))
        table = pa.table(columns)
        if not open_files:
            open_files.append(pq.ParquetWriter(target, table.schema))
        open_files[0].write_table(table)

    with _refused(target):
        try:
            yield write
        finally:
            for file in open_files:
                file.close()


@contextmanager
def _refused(target: str) -> Iterator[None]:
    try:
        yield
    except OSError as refused:
        problem = f"cannot be written: {(refused.strerror or str(refused)).lower()}"
        raise ConfigError(target, 0, "", problem) from None
