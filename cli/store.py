"""``heliodock store``: what a store holds, why a device did what it did, its signals as a table, copies of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.arguments import STDOUT, moment_of
from cli.paths import check_targets, default_store, write_json
from cli.terminal import Column, Table, busy, fail, say, show
from station.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from northbound.survey import Span, Survey

Where = Annotated[Path, typer.Argument(metavar="STORE", show_default=False)]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="The same as JSON; - is standard output.")
]

GROUP_HELP = (
    "The store of a station: look into it, verify it, export signals, copy it. STORE is the store's directory, or the"
    " site file that it stands beside. The controller may be running."
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    from cli.store_export import export
    from cli.store_why import why

    group = typer.Typer(help=GROUP_HELP, no_args_is_help=True)
    group.command("info", epilog="Example: heliodock store info my.yaml")(info)
    example = (
        "Example: heliodock store export my.yaml day.csv --signal grid_kw --signal pv_kw --from 2026-03-01"
    )
    group.command("export", epilog=example)(export)
    why_example = "Example: heliodock store why my.yaml ac3 2026-03-01T14:03"
    group.command("why", epilog=why_example)(why)
    group.command("verify", epilog="Example: heliodock store verify my.yaml")(verify)
    group.command("backup", epilog="Example: heliodock store backup my.yaml /media/usb/my-2026-03-01")(backup)
    restore_example = "Example: heliodock store restore /media/usb/my-2026-03-01 my.store"
    group.command("restore", epilog=restore_example)(restore)
    app.add_typer(group, name="store")


def info(store: Where, *, json: Json = None) -> None:
    """Show what the files hold, their sizes and spans, what waits for each sink, and dead letters."""
    from northbound.survey import survey

    check_targets(json)
    found = _read(store, survey)
    if json:
        write_json(json, _record(found))
    if json != STDOUT:
        _show(found)


def verify(store: Where, *, json: Json = None) -> None:
    """Check both files, the audit's chain of hashes, and every row that the audit tells of; 1 at the first fault."""
    from northbound.verify import verify as look

    check_targets(json)
    with busy("verifying"):
        verdict = look(directory_of(store))
    if json:
        data = {"entries": verdict.entries, "head": verdict.head or None, "fault": verdict.fault or None}
        write_json(json, data)
    if verdict.fault:
        fail(verdict.fault)
        raise typer.Exit(1)
    if json != STDOUT:
        say(f"whole: audit entries {verdict.entries}, hash of the last {verdict.head}", "green")


def backup(store: Where, target: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]) -> None:
    """Copy the store to a directory, also while the controller runs; what is there already is not overwritten."""
    from northbound.backup import backup as copy

    with busy("copying"):
        copy(directory_of(store), target)
    say(f"{target}: {_size(sum(file.stat().st_size for file in target.iterdir()))}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", show_default=False)],
    store: Where,
) -> None:
    """Verify a backup and bring it back, where no store is yet; 1 and nothing is done where it has a fault."""
    from northbound.backup import restore as bring

    target = directory_of(store)
    with busy("verifying and copying"):
        verdict = bring(source, target)
    if verdict.fault:
        fail(verdict.fault)
        raise typer.Exit(1)
    say(f"{target}: whole, audit entries {verdict.entries}")


def directory_of(store: Path) -> Path:
    """Return the directory of a store that is named by itself or by the site file beside it."""
    return default_store(store) if store.suffix in (".yaml", ".yml") else store


def zone_of(store: Path) -> str:
    """Return the time zone in which dates are meant: the site's where a site file is named, else UTC."""
    if store.suffix not in (".yaml", ".yml"):
        return "UTC"
    from configs.load import load_site

    return load_site(store).site.timezone


def bound_of(option: str, text: str | None, zone: str) -> "datetime | None":
    """Return an end of a span; None where it is not named."""
    return None if text is None else moment_of(option, text, zone)


def _read(store: Path, look: Any) -> "Survey":
    import sqlite3

    directory = directory_of(store)
    try:
        found: Survey = look(directory)
    except sqlite3.Error as broken:
        raise ConfigError(str(directory), 0, "", f"cannot be read: {broken}") from None
    return found


def _show(found: "Survey") -> None:
    columns = (Column("what"), Column("number", True), Column("size", True), Column("from"), Column("to"))
    rows = [
        ("history.db", "", _size(found.history_bytes), "", ""),
        ("  cycles", str(found.cycles), "", *_ends(found.cycle_span)),
        ("  minutes", "", "", *_ends(found.rollup_span)),
        ("  signals", str(found.signals), "", "", ""),
        ("ledger.db", "", _size(found.ledger_bytes), "", ""),
        *((f"  {name}", str(count), "", *_ends(span)) for name, (count, span) in found.rows.items()),
    ]
    show(Table(columns, rows, title=f"store of {found.site_id}"))
    if found.backlogs:
        show(_sink_table(found))


def _sink_table(found: "Survey") -> Table:
    names = ("sink", "waiting", "size", "oldest", "dropped", "dead letters", "last cause")
    columns = tuple(Column(name, name in ("waiting", "size", "dropped", "dead letters")) for name in names)
    rows = []
    for sink, backlog in found.backlogs.items():
        dead, cause = found.dead_letters.get(sink, (0, ""))
        oldest = "" if backlog.oldest_at is None else _time(backlog.oldest_at)
        waiting = (str(backlog.count), _size(backlog.size_bytes), oldest, str(backlog.dropped))
        rows.append((sink, *waiting, str(dead), cause))
    return Table(columns, rows)


def _record(found: "Survey") -> dict[str, Any]:
    return {
        "site": found.site_id,
        "history": {
            "bytes": found.history_bytes,
            "signals": found.signals,
            "cycles": found.cycles,
            "cycle_span": _texts(found.cycle_span),
            "rollup_span": _texts(found.rollup_span),
        },
        "ledger": {
            "bytes": found.ledger_bytes,
            "audit_head": found.audit_head,
            "rows": {
                name: {"count": count, "span": _texts(span)} for name, (count, span) in found.rows.items()
            },
        },
        "sinks": {
            sink: {
                "waiting": backlog.count,
                "bytes": backlog.size_bytes,
                "oldest_at": None if backlog.oldest_at is None else backlog.oldest_at.isoformat(),
                "dropped": backlog.dropped,
                "dead_letters": found.dead_letters.get(sink, (0, ""))[0],
                "last_cause": found.dead_letters.get(sink, (0, ""))[1] or None,
            }
            for sink, backlog in found.backlogs.items()
        },
    }


def _texts(span: "Span | None") -> list[str] | None:
    return None if span is None else [at.isoformat() for at in span]


def _ends(span: "Span | None") -> tuple[str, str]:
    return ("", "") if span is None else (_time(span[0]), _time(span[1]))


def _time(at: "datetime") -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _size(size_bytes: int) -> str:
    """Return a size in the largest unit that leaves a whole number before the point."""
    for unit, bytes_of in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= bytes_of:
            return f"{size_bytes / bytes_of:.1f} {unit}"
    return f"{size_bytes} B"
