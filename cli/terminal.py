"""Words, tables and progress on a terminal; plain lines in a pipe. Results go to standard output, the rest to error."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

GAP = "  "
RULE = 3
"""Spaces that a column takes on a terminal beside its text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Where the terminal is narrow those of the highest ``rank`` go first; 0 stays."""

    name: str
    is_number: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; ``marked`` is the row that stands out."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    title: str = ""
    marked: int | None = None


def fail(text: str) -> None:
    """Print one line of error."""
    _tell("error", text, "bold red")


def note(text: str) -> None:
    """Print one line that is no result."""
    _tell("note", text, "yellow")


def say(text: str, style: str | None = None) -> None:
    """Print one line of result, never wrapped."""
    console = _console()
    console.print(
        text, style=style if console.is_terminal else None, markup=False, highlight=False, soft_wrap=True
    )


def show(table: Table) -> None:
    """Print a table: with rules and colour on a terminal, as aligned plain lines elsewhere."""
    console = _console()
    if console.is_terminal:
        _show_rich(console, table)
        return
    if table.title:
        print(table.title)
    widths = _widths(table, range(len(table.columns)))
    for row in ([column.name for column in table.columns], *table.rows):
        cells = (
            text.rjust(width) if column.is_number else text.ljust(width)
            for column, text, width in zip(table.columns, row, widths, strict=True)
        )
        print(GAP.join(cells).rstrip())


@contextmanager
def progress(names: Sequence[str]) -> Iterator[Callable[[str, float], None]]:
    """Give a function that is told the share (0..1) done of each name; shown on standard error of a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _name, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {name: bars.add_task(name, total=1.0) for name in names}
        yield lambda name, share: bars.update(tasks[name], completed=share)


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show on standard error of a terminal that something is being done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _tell(word: str, text: str, style: str) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text(f"{word}: ", style=style).append(" ".join(text.split()), style="default not bold")
    Console(stderr=True).print(line, highlight=False, soft_wrap=True)


def _show_rich(console: "Console", table: Table) -> None:
    from rich import box
    from rich import table as rich_table
    from rich.text import Text

    kept = _fitting(table, console.width)
    drawn = rich_table.Table(
        box=box.SIMPLE_HEAD,
        title=table.title or None,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for index in kept:
        column = table.columns[index]
        drawn.add_column(
            column.name, justify="right" if column.is_number else "left", no_wrap=column.is_number
        )
    for number, row in enumerate(table.rows):
        style = "bold green" if number == table.marked else None
        drawn.add_row(*(Text(row[index]) for index in kept), style=style)
    console.print(drawn)


def _fitting(table: Table, width: int) -> list[int]:
    """Return the columns that a terminal has room for."""
    kept = list(range(len(table.columns)))
    while sum(_widths(table, kept)) + RULE * len(kept) + 1 > width:
        last = max(kept, key=lambda index: table.columns[index].rank)
        if not table.columns[last].rank:
            break
        kept.remove(last)
    return kept


def _widths(table: Table, kept: Sequence[int]) -> list[int]:
    return [
        max(len(table.columns[index].name), *(len(row[index]) for row in table.rows), 0)
        if table.rows
        else len(table.columns[index].name)
        for index in kept
    ]
