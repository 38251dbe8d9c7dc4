"""``heliodock twin``: the same days under several strategies, in virtual time."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import STDOUT, local_text
from cli.paths import check_targets, make_directory, write_json, write_text
from cli.terminal import Column, Table, note, progress, say, show
from cli.twin_input import TwinWords, twin_run
from station.errors import ConfigError

if TYPE_CHECKING:
    from hil.account import Account
    from hil.run import TwinRun

OURS = "mpc"
YARDSTICKS = ("uncontrolled", "oracle")
"""What ``captured`` is measured between; played silently where nobody asked for them."""


class Energy(StrEnum):
    """What the controller knows of the energy that a car will take."""

    KNOWN = "known"
    REQUESTED = "requested"


From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DATE", help="First local day, or an ISO time with zone; else the site's twin.from."
    ),
]
Days = Annotated[float | None, typer.Option(metavar="N", help="How many days; else the site's twin.days.")]
StepS = Annotated[float, typer.Option(metavar="S", help="Length of a step, which is also the control cycle.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME ...", help="Which strategies; all of them where none is named."),
]
Sessions = Annotated[Path | None, typer.Option(metavar="CSV", help="Cars, in place of the site's.")]
SeriesFile = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV", help="Load and sun, in place of the site's; taken as it is, without twin.scale."
    ),
]
Knowledge = Annotated[
    Energy,
    typer.Option(help="What the controller knows of a car's need: what its driver says, or the truth."),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N", help="Recorded. The twin has no chance in it yet; this will seed noise of the load."
    ),
]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="All numbers as JSON; - is standard output.")
]
Html = Annotated[str | None, typer.Option("--html", metavar="FILE", help="A report with plots.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="DIR", help="15-minute means and sessions of each strategy as CSV."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    example = (
        "Example: heliodock twin configs/stations/demo.yaml --from 2019-09-09 --days 1 --strategy rules mpc"
    )
    app.command(epilog=example)(twin)


def twin(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    *,
    from_: From = None,
    days: Days = None,
    step_s: StepS = 60.0,
    strategy: Strategies = None,
    sessions: Sessions = None,
    series: SeriesFile = None,
    energy: Knowledge = Energy.REQUESTED,
    seed: Seed = 0,
    json: Json = None,
    html: Html = None,
    out: Out = None,
) -> None:
    """Play days of a station in virtual time under one or more strategies, and say what each cost."""
    from configs.load import load_site

    shown = _strategies(strategy or [])
    check_targets(json, html)
    words = TwinWords(from_, days, step_s, sessions, series, energy is Energy.KNOWN)
    run = twin_run(load_site(site), words)
    directory = make_directory(out) if out else None
    _warn(run)
    accounts = _play(run, shown)
    if json:
        from hil.report.record import twin_record

        write_json(json, twin_record(run, accounts, shown, seed))
    if html:
        from hil.report.twin import twin_report

        write_text(html, twin_report(run, {name: accounts[name] for name in shown}, accounts))
    if directory:
        _write_files(directory, {name: accounts[name] for name in shown})
    if json != STDOUT:
        _show(run, accounts, shown)


def _strategies(names: Sequence[str]) -> list[str]:
    """Return the strategies that are asked for; raise ``ConfigError`` with the nearest to an unknown one."""
    from configs.problems import nearest
    from hil.twin import STRATEGIES

    wanted = [part for name in names for part in name.split(",") if part]
    for name in wanted:
        if name not in STRATEGIES:
            raise ConfigError("--strategy", 0, name, f"no such strategy; {nearest(name, list(STRATEGIES))}")
    return list(dict.fromkeys(wanted)) or list(STRATEGIES)


def _warn(run: "TwinRun") -> None:
    from datetime import timedelta

    ends_at = run.start_at + timedelta(days=run.days)
    if not any(run.start_at <= row.plugged_in_at < ends_at for row in run.sessions):
        note("no car arrives in these days")


def _play(run: "TwinRun", shown: Sequence[str]) -> "dict[str, Account]":
    """Return the accounts of what is shown and of the two yardsticks."""
    from cli.race import race

    names = [*shown, *(name for name in YARDSTICKS if name not in shown)]
    with progress(shown) as tell:
        return race(run, names, lambda name, share: tell(name, share) if name in shown else None)


def _write_files(directory: Path, accounts: "Mapping[str, Account]") -> None:
    from hil.report.series_files import write_means, write_sessions

    for name, account in accounts.items():
        try:
            write_means(directory / f"{name}.csv", account)
            write_sessions(directory / f"{name}_sessions.csv", account)
        except OSError as refused:
            problem = f"cannot be written: {(refused.strerror or str(refused)).lower()}"
            raise ConfigError(str(directory), 0, "", problem) from None


def _show(run: "TwinRun", accounts: "Mapping[str, Account]", shown: Sequence[str]) -> None:
    from hil.report.table import HEADINGS, RANKS, table_row

    columns = tuple(Column(name, index > 0, RANKS.get(name, 0)) for index, name in enumerate(HEADINGS))
    rows = [table_row(accounts, name) for name in shown]
    marked = shown.index(OURS) if OURS in shown and len(shown) > 1 else None
    show(Table(columns, rows, marked=marked))
    tariff = run.site.tariff
    days = f"{run.days:g} day" + ("" if run.days == 1.0 else "s")
    start = local_text(run.start_at, run.site.timezone)
    say(
        f"{run.site.site_id}: {days} from {start}, steps of {run.step_s:g} s; costs in {tariff.currency} "
        f"by tariff {tariff.tariff_id}; energy {'known' if run.is_energy_known else 'requested'}"
    )
