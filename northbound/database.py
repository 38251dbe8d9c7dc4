"""Opening the store's SQLite files: pragmas, whose store it is, and a broken file moved aside."""

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from station.errors import ConfigError

VERSION = 2
"""Of the tables; a file of another version is refused."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"


def open_for_writing(file: Path, site_id: str, schema: str, synchronous: str) -> sqlite3.Connection:
    """Return a connection to ``file``, made new where there is none; a file that is no database is moved aside.

    Raises ``ConfigError`` where it belongs to another site or version, ``sqlite3.OperationalError`` on disk trouble.
    """
    try:
        return _opened(file, site_id, schema, synchronous)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        _move_aside(file)
        return _opened(file, site_id, schema, synchronous)


def open_for_reading(file: Path) -> sqlite3.Connection:
    """Return a connection that can't write; raise ``ConfigError`` where there is no such store."""
    if not file.is_file():
        raise ConfigError(str(file), 0, "", "no such store; has the controller run here?")
    try:
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, check_same_thread=False
        )
        connection.execute("SELECT value FROM meta").fetchone()
    except sqlite3.Error as refused:
        raise ConfigError(str(file), 0, "", f"cannot be read: {refused}") from None
    return connection


def utc_text(at: datetime) -> str:
    """Return a time as the ledger keeps it: ISO 8601 in UTC, of one length, so that text sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def micros(at: datetime) -> int:
    """Return a time as the history keeps it: microseconds since 1970 UTC."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(at_us: int) -> datetime:
    """Return the time of a number of microseconds since 1970 UTC."""
    return EPOCH + timedelta(microseconds=at_us)


def _opened(file: Path, site_id: str, schema: str, synchronous: str) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.executescript(f"{_META};{schema}")
        _claim(connection, file, {"site_id": site_id, "version": str(VERSION)})
    except BaseException:
        connection.close()
        raise
    return connection


def _claim(connection: sqlite3.Connection, file: Path, meta: dict[str, str]) -> None:
    """Write whose store it is into a new one; refuse one that belongs elsewhere."""
    connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
    found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    for name, value in meta.items():
        if found[name] != value:
            raise ConfigError(str(file), 0, name, f"the store is of '{found[name]}', not of '{value}'")


def _move_aside(file: Path) -> None:
    """Rename a file that SQLite can't use, with its -wal and -shm; nothing is deleted."""
    number = next(n for n in range(1, 10_000) if not file.with_name(f"{file.name}.broken-{n}").exists())
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{file}{end}").replace(f"{file}.broken-{number}{end}")
