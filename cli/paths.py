"""Where files are, and whether they can be written before a long run begins."""

import json
from pathlib import Path
from typing import Any

from cli.arguments import STDOUT
from station.errors import ConfigError


def default_store(site_file: Path) -> Path:
    """Return the directory of a site's store where nobody names one: beside the site file."""
    return site_file.parent / f"{site_file.stem}.store"


def check_targets(*targets: str | None) -> None:
    """Raise ``ConfigError`` where a file can't be written: now, and not after minutes of work."""
    for target in targets:
        if target is None or target == STDOUT:
            continue
        file = Path(target)
        if file.is_dir():
            raise ConfigError(target, 0, "", "cannot be written: is a directory")
        if not file.absolute().parent.is_dir():
            raise ConfigError(target, 0, "", f"cannot be written: no such directory {file.parent}")


def make_directory(name: str) -> Path:
    """Return a directory, made where it is not there; raise ``ConfigError``."""
    directory = Path(name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise _unwritable(name, refused) from None
    return directory


def write_text(target: str, text: str) -> None:
    """Write a file; raise ``ConfigError`` where that fails."""
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as refused:
        raise _unwritable(target, refused) from None


def write_json(target: str, data: Any) -> None:
    """Write data as JSON to a file, or to standard output."""
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    if target == STDOUT:
        print(text)
    else:
        write_text(target, f"{text}\n")


def _unwritable(target: str, refused: OSError) -> ConfigError:
    return ConfigError(target, 0, "", f"cannot be written: {(refused.strerror or str(refused)).lower()}")
