"""A copy of a store while the controller writes it, and the way back."""

import sqlite3
from contextlib import closing
from pathlib import Path

from northbound import journal, ledger
from northbound.database import open_for_reading
from northbound.verify import Verdict, verify
from station.errors import ConfigError

FILES = (journal.FILE, ledger.FILE)
"""The history first: what sinks were given of the audit is then in the ledger that follows, and never beyond it."""


def backup(directory: Path, target: Path) -> None:
    """Copy the store in ``directory`` to ``target``, each file as it stands at one moment.

    Raises ``ConfigError`` where there is no store, or something in the way.
    """
    for name in FILES:
        open_for_reading(directory / name).close()
    _make_empty(target, "a store or a backup")
    for name in FILES:
        _copy(directory / name, target / name)


def restore(source: Path, directory: Path) -> Verdict:
    """Bring a backup to ``directory``, where no store may be; return what looking at the backup gave.

    Nothing is brought where that found a fault. Raises ``ConfigError`` where there is none, or something in the way.
    """
    verdict = verify(source)
    if not verdict.fault:
        _make_empty(directory, "a store")
        for name in FILES:
            _copy(source / name, directory / name)
    return verdict


def _copy(source: Path, target: Path) -> None:
    """Copy in one step, so that a writer beside it does not make it begin again; whole or not at all."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with closing(open_for_reading(source)) as taken, closing(sqlite3.connect(partial)) as copy:
            taken.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        partial.replace(target)
    except (sqlite3.Error, OSError) as refused:
        partial.unlink(missing_ok=True)
        raise ConfigError(str(target), 0, "", f"cannot be written: {refused}") from None


def _make_empty(directory: Path, what: str) -> None:
    """Make a directory; raise ``ConfigError`` where it holds a store's file already."""
    for name in FILES:
        if (directory / name).exists():
            problem = f"{what} is there already; it is not overwritten"
            raise ConfigError(str(directory / name), 0, "", problem)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise ConfigError(str(directory), 0, "", f"cannot be made: {refused.strerror}") from None
