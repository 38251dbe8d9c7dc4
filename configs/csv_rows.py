"""Reading CSV so that every problem names its file, line and column."""

import csv
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from configs.problems import nearest
from configs.yaml_lines import text_of
from station.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file: its columns as text, stripped of spaces."""

    file: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, problem: str) -> ConfigError:
        """Return (do not raise) the error that says ``problem`` about a column of this line."""
        return ConfigError(str(self.file), self.line, column, problem)

    def text(self, column: str) -> str:
        """Return a column that must not be empty."""
        text = self.cells[column]
        if not text:
            raise self.error(column, "is empty")
        return text

    def number(self, column: str, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number from ``least`` to ``most``."""
        text = self.text(column)
        try:
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(column, f"a number is expected, not '{text[:40]}'")
        if value < least:
            raise self.error(column, f"must be at least {least:g}, not {text}")
        if value > most:
            raise self.error(column, f"must be at most {most:g}, not {text}")
        return value

    def number_or_none(self, column: str, least: float = 0.0, most: float = math.inf) -> float | None:
        """Return a number, or None where the column is empty or not in the file."""
        return self.number(column, least, most) if self.cells.get(column) else None

    def moment(self, column: str) -> datetime:
        """Return a time in UTC; it must name its zone."""
        text = self.text(column)
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.error(
                column, f"a time is expected (2019-09-02T08:00:00-07:00), not '{text[:40]}'"
            ) from None
        raise self.error(column, f"'{text}' names no time zone; end it in Z or in an offset such as -07:00")

    def moment_or_none(self, column: str) -> datetime | None:
        """Return a time, or None where the column is empty or not in the file."""
        return self.moment(column) if self.cells.get(column) else None

    def flag(self, column: str) -> bool:
        """Return true or false; false where the column is empty or not in the file."""
        text = self.cells.get(column, "").lower()
        if text not in ("", "true", "false", "1", "0"):
            raise self.error(column, f"true or false is expected, not '{text[:40]}'")
        return text in ("true", "1")


def read_rows(file: Path, required: Collection[str], optional: Collection[str]) -> Iterator[Row]:
    """Yield the lines of a CSV file with a header; blank lines are skipped."""
    reader = csv.reader(text_of(file).splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(file, header, required, optional)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problem = f"{len(header)} columns are expected, {len(cells)} found"
                raise ConfigError(str(file), reader.line_num, "", problem)
            values = (cell.strip() for cell in cells)
            yield Row(file, reader.line_num, dict(zip(header, values, strict=True)))
    except csv.Error as refused:
        raise ConfigError(str(file), reader.line_num, "", f"is not valid CSV: {refused}") from None


def _check_header(
    file: Path, header: list[str], required: Collection[str], optional: Collection[str]
) -> None:
    if not any(header):
        raise ConfigError(str(file), 1, "", "is empty; a line of column names is expected")
    known = [*required, *optional]
    for place, name in enumerate(header):
        if name not in known:
            raise ConfigError(
                str(file), 1, name or f"column {place + 1}", f"unknown column; {nearest(name, known)}"
            )
        if name in header[:place]:
            raise ConfigError(str(file), 1, name, "is given twice")
    for name in required:
        if name not in header:
            raise ConfigError(str(file), 1, name, "column is missing")
