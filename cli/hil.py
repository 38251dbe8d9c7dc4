"""``heliodock hil run``: play scenarios on a rig and judge them."""

from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, make_directory, write_json
from cli.terminal import Column, Table, fail, progress, say, show
from hil.scenario import RigKind
from station.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.rigs.trace import Trace
    from hil.scenario import Scenario
    from hil.verdict import Verdict

RUNS = Path("runs") / "hil"
PATIENCE_S = 2.0
"""A run that takes longer shows how far it is."""

STYLES = {"passed": "green", "failed": "red", "void": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="Scenarios with faults, played on a rig and judged.", no_args_is_help=True)
    group.callback()(_group)
    example = "Example: heliodock hil run hil/scenarios/charger-silent.yaml --rig emu"
    group.command("run", epilog=example)(run)
    app.add_typer(group, name="hil")


def _group() -> None:
    """Play scenarios with faults on a rig, and judge them."""


def run(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO.yaml ...", show_default=False)],
    *,
    rig: Annotated[
        RigKind, typer.Option(help="sim: virtual time. emu: real sockets on this machine, in real time.")
    ] = RigKind.SIM,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="In place of the scenario's own.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Where the run is kept, one folder each where there are several; else runs/hil/ID-RIG.",
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="All verdicts as JSON; - is standard output.")
    ] = None,
) -> None:
    """Play scenarios and judge them; 1 where one fails or proves nothing (void), 2 where a file is unusable."""
    from hil.verdict_files import verdict_data

    check_targets(json)
    loaded = [_load(file, rig, seed) for file in scenarios]
    _refuse_twins(loaded)
    folders = [make_directory(str(_folder(out, scenario, rig, len(loaded)))) for scenario in loaded]
    verdicts = []
    for scenario, folder in zip(loaded, folders, strict=True):
        verdict = _judged(scenario, rig)
        _keep(verdict, folder)
        verdicts.append(verdict)
        if json != STDOUT:
            _show(verdict, folder)
    if json:
        write_json(json, {"runs": [verdict_data(verdict) for verdict in verdicts]})
    bad = [verdict for verdict in verdicts if verdict.status != "passed"]
    for verdict in bad:
        _tell(verdict)
    if bad:
        raise typer.Exit(1)


def _load(file: Path, rig: RigKind, seed: int | None) -> "Scenario":
    from hil.scenario import load_scenario

    scenario = load_scenario(file)
    if rig not in scenario.model.rigs:
        rigs = ", ".join(known.value for known in scenario.model.rigs)
        raise ConfigError(str(file), 0, "rigs", f"this scenario is not for '{rig.value}', but for {rigs}")
    return scenario if seed is None else scenario.with_seed(seed)


def _refuse_twins(scenarios: "list[Scenario]") -> None:
    """Refuse two scenarios of one id: the second would overwrite the first one's folder."""
    seen: dict[str, Path] = {}
    for scenario in scenarios:
        if scenario.model.id in seen:
            problem = f"'{scenario.model.id}' is that of {seen[scenario.model.id]} too"
            raise ConfigError(str(scenario.file), 0, "id", problem)
        seen[scenario.model.id] = scenario.file


def _folder(out: str | None, scenario: "Scenario", rig: RigKind, count: int) -> Path:
    name = f"{scenario.model.id}-{rig.value}"
    if out is None:
        return RUNS / name
    return Path(out) / name if count > 1 else Path(out)


def _judged(scenario: "Scenario", rig: RigKind) -> "Verdict":
    from hil.verdict import judge

    return judge(scenario, rig, _played(scenario, rig))


def _played(scenario: "Scenario", rig: RigKind) -> "Trace":
    from logging import WARNING

    from cli.logs import log_to_stderr
    from hil.rigs import emu, sim

    began_s = monotonic()
    name = f"{scenario.model.id} {rig.value}"
    with ExitStack() as bars:
        tell: Callable[[str, float], None] | None = None

        def watch(share: float) -> None:
            nonlocal tell
            if tell is None and monotonic() - began_s > PATIENCE_S:
                tell = bars.enter_context(progress([name]))
            if tell is not None:
                tell(name, share)

        if rig is RigKind.SIM:
            return sim.play(scenario, watch)
        log_to_stderr(WARNING)
        return emu.play(scenario, watch)


def _keep(verdict: "Verdict", folder: Path) -> None:
    from hil.verdict_files import write_folder

    try:
        write_folder(verdict, folder)
    except OSError as refused:
        problem = f"cannot be written: {(refused.strerror or str(refused)).lower()}"
        raise ConfigError(str(folder), 0, "", problem) from None


def _show(verdict: "Verdict", folder: Path) -> None:
    from hil.verdict_report import HEADINGS, result_row

    model, status = verdict.scenario.model, verdict.status.value
    ranks = dict(zip(HEADINGS, (0, 0, 0, 2, 1, 3, 4), strict=True))
    columns = tuple(
        Column(name, name in {"value", "limit", "margin", "first breach"}, rank)
        for name, rank in ranks.items()
    )
    rows = [result_row(result) for result in verdict.results]
    show(Table(columns, rows, f"{model.id} on {verdict.rig.value}, seed {model.seed}: {model.title}"))
    for log in verdict.trace.faults:
        say(f"fault: {log.fault.on} {log.fault.kind.value} hit {log.hits} exchanges")
    say(f"{status}: {folder / 'report.html'}", STYLES[status])


def _tell(verdict: "Verdict") -> None:
    """Say why a run did not pass, and how to repeat it."""
    from hil.verdict_files import failure_words, repeat_command

    for cause in verdict.void_causes:
        fail(f"{verdict.scenario.model.id}: void: {cause}")
    for result in verdict.results:
        if not result.has_passed:
            fail(f"{verdict.scenario.model.id}: {result.text}: {failure_words(result)}")
    fail(f"seed {verdict.scenario.model.seed}; repeat with: {repeat_command(verdict.scenario, verdict.rig)}")
