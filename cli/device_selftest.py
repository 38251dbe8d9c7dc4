"""``heliodock device selftest``: moves a known power and tells reversed, swapped and wrongly scaled quantities."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, write_json, write_text
from cli.running import ask, controller_kept_out
from cli.terminal import Column, Table, busy, fail, note, progress, say, show
from station.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.selftest_run import Session
    from configs.load import LoadedSite
    from controller.selftest_steps import Programme
    from controller.selftest_words import Blind, Finding, Verdict

EXAMPLE = "Example: heliodock device selftest SITE.yaml --asset battery --asset ac1 --report selftest.html"


def selftest(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    *,
    asset: Annotated[
        list[str] | None,
        typer.Option("--asset", metavar="ID", help="Move this one; may be repeated. Else all, one by one."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before power is moved.")] = False,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The store; else SITE.store beside the site file.")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="The verdict as JSON; - is standard output.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE.html", help="A page with plots of what was seen.")
    ] = None,
) -> None:
    """Move each asset in small steps within all limits; tell what is wired or described wrongly. 1 where a fault is.

    Finds a reversed transformer, a swapped phase, a wrong scale and a wrong word order, or says why it can't know.
    """
    from configs.load import load_site

    check_targets(json, report)
    loaded = load_site(site)
    if not loaded.devices:
        raise ConfigError(str(site), 0, "devices", "this site has no devices to test")
    asset_ids = _assets(loaded, asset or [])
    with controller_kept_out(site, store):
        session = asyncio.run(_tested(loaded, asset_ids, is_agreed=yes, is_quiet=json == STDOUT))
    if report:
        from hil.report.selftest import selftest_report

        write_text(report, selftest_report(loaded.site, session.trials, session.verdict))
    if json:
        write_json(json, record_of(loaded.site.site_id, session.verdict))
    if json != STDOUT:
        _show(session.verdict)
    if session.verdict.findings:
        fail(f"{len(session.verdict.findings)} faults found")
        raise typer.Exit(1)


def _assets(loaded: "LoadedSite", wanted: "Sequence[str]") -> list[str]:
    from configs.problems import nearest

    known = list(loaded.site.by_id)
    for asset_id in wanted:
        if asset_id not in known:
            raise ConfigError("--asset", 0, "", f"no asset '{asset_id}'; {nearest(asset_id, known)}")
    return list(dict.fromkeys(wanted)) or known


async def _tested(
    loaded: "LoadedSite", asset_ids: "Sequence[str]", *, is_agreed: bool, is_quiet: bool
) -> "Session":
    from cli.selftest_run import Bench, plan, self_test
    from controller.clock import LiveClock

    bench = Bench(loaded, LiveClock())
    try:
        with busy("reading every device"):
            programmes = await plan(bench, asset_ids)
        if not is_quiet:
            _show_plan(asset_ids, programmes)
        if any(_is_programme(its) for its in programmes):
            ask(
                "Power will be moved as shown. Is somebody at the site, and may it begin?",
                is_agreed=is_agreed,
            )
        with progress(asset_ids) as told:
            return await self_test(bench, asset_ids, told)
    finally:
        await bench.close()


def _is_programme(its: "Programme | Blind") -> bool:
    from controller.selftest_steps import Programme

    return isinstance(its, Programme)


def _show_plan(asset_ids: "Sequence[str]", programmes: "Sequence[Programme | Blind]") -> None:
    from controller.selftest_steps import Programme

    rows, total_s = [], 0.0
    for asset_id, its in zip(asset_ids, programmes, strict=True):
        if isinstance(its, Programme):
            low_kw, high_kw = min(its.levels_kw), max(its.levels_kw)
            total_s += its.duration_s
            steps = f"{len(its.levels_kw)} levels, {low_kw:g} to {high_kw:g} kW"
            rows.append((asset_id, steps, f"{its.duration_s:.0f}"))
        else:
            rows.append((asset_id, f"not moved: {its.reason}", ""))
    columns = (Column("asset"), Column("what"), Column("seconds", True))
    show(
        Table(
            columns,
            rows,
            f"Programme, about {total_s / 60.0:.0f} minutes (more where the base load is restless)",
        )
    )


def _show(verdict: "Verdict") -> None:
    if verdict.gains:
        rows = [
            (name, f"{gain.factor:.3g}", f"{gain.factor_error:.1g}", str(gain.count))
            for name, gain in verdict.gains.items()
        ]
        columns = (Column("kW per kW"), Column("factor", True), Column("±", True), Column("steps", True))
        show(Table(columns, rows, "Measured"))
    for blind in verdict.unobservable:
        note(f"unobservable: {blind.what}: {blind.reason}")
    for finding in verdict.findings:
        _show_finding(finding)
    if not verdict.findings:
        say("no fault found in what could be observed", "green")


def _show_finding(finding: "Finding") -> None:
    say(f"{finding.kind}: {finding.where}.{finding.point} (confidence {finding.confidence:.0%})", "bold red")
    for text in finding.evidence:
        say(f"  seen: {text}")
    for text in finding.advice:
        say(f"  change: {text}")


def record_of(site_id: str, verdict: "Verdict") -> dict[str, Any]:
    """Return a verdict as plain data."""
    return {
        "site": site_id,
        "findings": [
            {
                "kind": its.kind.value,
                "where": its.where,
                "point": its.point,
                "confidence": round(its.confidence, 2),
                "evidence": list(its.evidence),
                "advice": list(its.advice),
                "suspects": list(its.suspects),
            }
            for its in verdict.findings
        ],
        "unobservable": [{"what": its.what, "reason": its.reason} for its in verdict.unobservable],
        "gains": {
            name: {"factor": its.factor, "error": its.factor_error, "steps": its.count}
            for name, its in verdict.gains.items()
        },
    }
