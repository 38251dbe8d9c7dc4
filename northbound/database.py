"""Opening the store's SQLite files: pragmas, whose store it is, another version, and a broken file moved aside."""

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from station.errors import ConfigError

VERSION = 2
"""Of the tables."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

WAL_PAGES = 4_000
"""The log is copied into the file when it has so many pages: seldom, because that takes longer than a commit."""

_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"


@dataclass(frozen=True)
class Layout:
    """What a file holds. ``move_on`` brings a file of version 1 to this one; None: it is moved aside instead."""

    schema: str
    synchronous: str
    move_on: Callable[[sqlite3.Connection], None] | None = None


def open_for_writing(file: Path, site_id: str, layout: Layout) -> tuple[sqlite3.Connection, str]:
    """Return a connection to ``file``, made new where there is none, and one line about what was done to it, or "".

    A file that is no database is moved aside. Raises ``ConfigError`` where it belongs to another site or to a newer
    version, ``sqlite3.OperationalError`` on disk trouble.
    """
    notice = ""
    try:
        if layout.move_on is None and _version_of(file) == "1":
            kept = _move_aside(file, "version-1")
            notice = f"{file}: its format is of version 1; it was moved to {kept.name}, and a new one begins"
        return _opened(file, site_id, layout, notice)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as broken:
        kept = _move_aside(file, "broken")
        notice = f"{file}: {broken}; it was moved to {kept.name}, and a new one begins"
        return _opened(file, site_id, layout, notice)


def open_for_reading(file: Path) -> sqlite3.Connection:
    """Return a connection that can't write; raise ``ConfigError`` where there is no such store."""
    if not file.is_file():
        raise ConfigError(str(file), 0, "", "no such store; has the controller run here?")
    try:
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=5.0,
            isolation_level=None,
            check_same_thread=False,
        )
        found = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    except sqlite3.Error as refused:
        raise ConfigError(str(file), 0, "", f"cannot be read: {refused}") from None
    version = "unknown" if found is None else found[0]
    if version != str(VERSION):
        connection.close()
        raise ConfigError(
            str(file), 0, "version", f"is {version}, not {VERSION}; has this version's controller run here?"
        )
    return connection


def site_of(connection: sqlite3.Connection) -> str:
    """Return the site that a store belongs to."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'site_id'").fetchone()
    return "" if row is None else str(row[0])


def utc_text(at: datetime) -> str:
    """Return a time as the ledger keeps it: ISO 8601 in UTC, of one length, so that text sorts by time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def micros(at: datetime) -> int:
    """Return a time as the history keeps it: microseconds since 1970 UTC."""
    return (at - EPOCH) // timedelta(microseconds=1)


def from_micros(at_us: int) -> datetime:
    """Return the time of a number of microseconds since 1970 UTC."""
    return EPOCH + timedelta(microseconds=at_us)


def transaction(connection: sqlite3.Connection, action: Callable[[], int]) -> int:
    """Run ``action`` so that either all of it or nothing is on disk."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = action()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _opened(file: Path, site_id: str, layout: Layout, notice: str) -> tuple[sqlite3.Connection, str]:
    connection = sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {layout.synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        connection.execute(_META)
        version = _claimed(connection, file, site_id)
        if version == "1" and layout.move_on is not None:
            layout.move_on(connection)
            notice = f"{file}: its format was brought from version 1 to {VERSION}"
        connection.executescript(layout.schema)
    except BaseException:
        connection.close()
        raise
    return connection, notice


def _claimed(connection: sqlite3.Connection, file: Path, site_id: str) -> str:
    """Write whose store it is into a new one and return its version; refuse one that belongs elsewhere."""
    meta = {"site_id": site_id, "version": str(VERSION)}
    connection.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", meta.items())
    found = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    for name, allowed in (("site_id", (site_id,)), ("version", ("1", str(VERSION)))):
        if found[name] not in allowed:
            problem = f"the store is of '{found[name]}', not of '{meta[name]}'"
            raise ConfigError(str(file), 0, name, problem)
    return str(found["version"])


def _version_of(file: Path) -> str:
    """Return the version that a file says it has, empty where it says nothing."""
    if not file.is_file() or not file.stat().st_size:
        return ""
    connection = sqlite3.connect(file, timeout=5.0)
    try:
        row = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    except sqlite3.OperationalError:
        return ""  # no such table: nobody's yet
    finally:
        connection.close()
    return "" if row is None else str(row[0])


def _move_aside(file: Path, why: str) -> Path:
    """Rename a file that can't be used, with its -wal and -shm, and return its new name; nothing is deleted."""
    number = next(n for n in range(1, 10_000) if not file.with_name(f"{file.name}.{why}-{n}").exists())
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{file}{end}").replace(f"{file}.{why}-{number}{end}")
    return file.with_name(f"{file.name}.{why}-{number}")
