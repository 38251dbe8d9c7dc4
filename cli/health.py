"""``heliodock health``: is control effective? For container health checks and scripts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.paths import default_store
from cli.terminal import fail, say
from station.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

LEAST_S = 15.0
CYCLES = 10


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock health SITE.yaml || echo 'not controlled'")(health)


def health(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The store; else SITE.store beside the site file.")
    ] = None,
) -> None:
    """Tell whether control was effective in the last 15 s (or ten cycles): 0 if so, else 1; and what alarms stand."""
    from datetime import UTC, datetime

    from configs.load import load_site

    loaded = load_site(site)
    try:
        effective_at, alarms = _seen(store or default_store(site))
    except ConfigError as missing:
        fail(str(missing))
        raise typer.Exit(1) from None
    for alarm in alarms:
        say(f"alarm: {alarm}", "red")
    cause = _cause(effective_at, datetime.now(UTC), max(LEAST_S, CYCLES * loaded.site.control.cycle_s))
    if cause:
        fail(cause)
        raise typer.Exit(1)
    say("control is effective", "green")


def _seen(directory: Path) -> "tuple[datetime | None, list[str]]":
    """Return when control was last effective, and the alarms that stand; raise ``ConfigError`` without a store."""
    import sqlite3

    from northbound.reader import StoreReader

    try:
        with StoreReader(directory) as reader:
            alarms = reader.alarms(standing_only=True)
            lines = [f"{seen.alarm}, since {seen.raised_at.isoformat(timespec='seconds')}" for seen in alarms]
            return reader.effective_at(), lines
    except sqlite3.Error as broken:
        raise ConfigError(str(directory), 0, "", f"cannot be read: {broken}") from None


def _cause(effective_at: "datetime | None", now_at: "datetime", limit_s: float) -> str:
    if effective_at is None:
        return "control has never been effective"
    age_s = (now_at - effective_at).total_seconds()
    if age_s > limit_s:
        at = effective_at.isoformat(timespec="seconds")
        return f"control was last effective {age_s:.0f} s ago, at {at}; more than {limit_s:g} s"
    if age_s < -limit_s:
        return f"control was last effective {-age_s:.0f} s in the future; has the clock been set back?"
    return ""
