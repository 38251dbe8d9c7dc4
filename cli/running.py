"""Keeps a verb that writes to devices away from a site that a controller runs on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.paths import default_store
from station.errors import ConfigError


@contextmanager
def controller_kept_out(site_file: Path, store: Path | None) -> Iterator[None]:
    """Hold the site's store for the block; raise ``ConfigError`` where a controller holds it already.

    Two writers would fight over every setpoint. The lock is that of ``heliodock run``, so none starts meanwhile either.
    """
    from northbound.store import keeping_out

    directory = store or default_store(site_file)
    try:
        with keeping_out(directory):
            yield
    except ConfigError as held:
        if held.file != str(directory):
            raise
        problem = f"a controller runs on this site ({held.problem}); stop it first, nothing was written"
        raise ConfigError(str(directory), 0, "", problem) from None


def ask(question: str, *, is_agreed: bool) -> None:
    """Ask before something is written; raise ``ConfigError`` where nobody is there, leave where the answer is no."""
    import sys

    import typer

    if is_agreed:
        return
    if not sys.stdin.isatty():
        raise ConfigError("--yes", 0, "", "is needed where nobody can be asked; nothing was written")
    typer.confirm(question, abort=True)
