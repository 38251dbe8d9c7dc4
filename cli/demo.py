"""``heliodock demo``: a recorded day on real sockets, controlled, and what it cost against others."""

import asyncio
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cli.paths import make_directory, write_text
from cli.terminal import note, say, show
from cli.twin_input import TwinWords, twin_run
from station.errors import ConfigError

if TYPE_CHECKING:
    from cli.comparison import Comparison
    from cli.view import ViewState, Watch
    from configs.load import LoadedSite
    from controller.app import App
    from hil.account import Account
    from hil.demo import DemoSettings
    from hil.run import TwinRun

HOUR_S = 3600.0
FASTEST = 240.0
WHOLE_DAY = 24.0
FIRST_CARS = "05:00"
"""A part of a day begins here: at night nothing happens."""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock demo --headless --hours 2")(demo)


def demo(
    *,
    speed: Annotated[
        float, typer.Option(metavar="N", help="So many times as fast as life at most, 1 to 240.")
    ] = FASTEST,
    hours: Annotated[float, typer.Option(metavar="H", help="How much of the day.")] = 24.0,
    day: Annotated[
        str, typer.Option(metavar="DATE", help="Which recorded day, May to December.")
    ] = "2019-09-18",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM",
            help="When to begin; else at midnight, or with the first cars for a part of a day.",
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Plain lines, and leave when the day is over.")
    ] = False,
    no_console: Annotated[
        bool, typer.Option("--no-console", help="Accepted for scripts: there is no web console yet.")
    ] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report is written.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Play a day of the demonstration station: its emulated devices on local ports, controlled over real sockets."""
    del no_console
    from configs.load import CONFIGS, load_site

    if not 1.0 <= speed <= FASTEST:
        raise ConfigError("--speed", 0, "", f"must be between 1 and {FASTEST:g}; not {speed:g}")
    settings = _settings(load_site(CONFIGS / "stations" / "demo.yaml"), speed, hours, _start(day, at, hours))
    make_directory(str(out))
    asyncio.run(_demo(settings, out, is_live=sys.stdout.isatty() and not headless))


def _start(day: str, at: str | None, hours: float) -> datetime:
    """Return the local time at which to begin, without its zone."""
    try:
        return datetime.combine(
            date.fromisoformat(day), time.fromisoformat(at or ("00:00" if hours >= WHOLE_DAY else FIRST_CARS))
        )
    except ValueError as wrong:
        raise ConfigError("--day/--at", 0, "", str(wrong).lower()) from None


def _settings(loaded: "LoadedSite", speed: float, hours: float, start: datetime) -> "DemoSettings":
    from hil.demo import DemoSettings, cycle_s, with_whole_day

    window_s = loaded.site.tariff.demand.window_s
    if not hours > 0.0 or hours * HOUR_S % window_s:
        raise ConfigError(
            "--hours", 0, "", f"must be a positive multiple of {window_s / HOUR_S:g}; not {hours:g}"
        )
    loaded = replace(loaded, site=with_whole_day(loaded.site, hours))
    step_s = next(s for s in range(1, int(window_s) + 1) if s >= cycle_s(speed) and not window_s % s)
    from_text = start.replace(tzinfo=ZoneInfo(loaded.site.timezone)).isoformat()
    run = twin_run(loaded, TwinWords(from_text=from_text, days=hours / 24.0, step_s=float(step_s)))
    return DemoSettings(loaded, run, speed, hours)


async def _demo(settings: "DemoSettings", out: Path, *, is_live: bool) -> None:
    from cli.comparison import Comparison
    from cli.stopping import stop_on_signals
    from hil.demo import on_free_ports

    comparison = Comparison(settings.run)
    try:
        with stop_on_signals() as stop:
            loaded, offset = on_free_ports(settings.loaded)
            if offset:
                note(f"the usual ports are busy; all device ports are {offset} higher")
            settings = replace(settings, loaded=loaded)
            play = _with_view if is_live else _with_lines
            accounts = await play(settings, comparison, stop)
    finally:
        comparison.close()
    if accounts is None:
        say("stopped before the day was over; there is no result")
        return
    _tell(settings.run, accounts, out)


async def _with_lines(
    settings: "DemoSettings", comparison: "Comparison", stop: asyncio.Event
) -> "dict[str, Account] | None":
    import logging

    from cli.lines import Lines
    from cli.logs import log_to_stderr
    from cli.view import Watch
    from hil.demo import play

    log_to_stderr(logging.WARNING)
    site, run = settings.loaded.site, settings.run
    start = run.start_at.astimezone(ZoneInfo(site.timezone))
    say(f"{site.site_id}: {settings.hours:g} h from {start:%a %Y-%m-%d %H:%M} at most ×{settings.speed:g}")
    watch = Watch(site, settings.speed)
    lines = Lines(watch, every_s=HOUR_S, kinds=frozenset({"alarm", "clear"}))
    ours, _ = await play(replace(settings, watch=lines), stop)
    return None if stop.is_set() else await _all(ours, comparison, stop)


async def _with_view(
    settings: "DemoSettings", comparison: "Comparison", stop: asyncio.Event
) -> "dict[str, Account] | None":
    from cli.comparison import outcome, plain
    from cli.live import live_view
    from cli.logs import log_to
    from cli.view import Watch
    from hil.demo import play

    screen = _Screen(Watch(settings.loaded.site, settings.speed), settings, comparison)
    log_to(screen.watch.log)
    async with live_view(screen.state):
        ours, _ = await play(replace(settings, watch=screen.watch, began=screen.began), stop)
        accounts = None if stop.is_set() else await _all(ours, comparison, stop)
        if accounts is not None:
            currency = settings.run.site.tariff.currency
            table = plain(outcome(accounts, currency))
            screen.result = (*table, verdict(settings.run, accounts), "Ctrl-C ends")
            await stop.wait()
    return accounts


async def _all(ours: "Account", comparison: "Comparison", stop: asyncio.Event) -> "dict[str, Account] | None":
    """Return all accounts once the comparison is done, or None when that is not waited for."""
    from cli.comparison import OURS

    waiting = asyncio.gather(*(asyncio.wrap_future(future) for future in comparison.futures.values()))
    stopping = asyncio.ensure_future(stop.wait())
    both: list[asyncio.Future[Any]] = [waiting, stopping]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not waiting.done():
        waiting.cancel()
        return None
    return {OURS: ours, **dict(zip(comparison.futures, waiting.result(), strict=True))}


@dataclass
class _Screen:
    """What the live view of a demonstration shows beyond the station itself."""

    watch: "Watch"
    settings: "DemoSettings"
    comparison: "Comparison"
    app: "App | None" = None
    result: tuple[str, ...] = ()
    first_s: float | None = None
    pace: float = 0.0
    cycles: int = 0
    first_cycle: int = 0

    def began(self, app: "App") -> None:
        """Take the application, once it is there."""
        self.app = app

    def state(self) -> "ViewState":
        """Return what is to be shown now."""
        from cli.run import state_of

        if self.app is None:
            return self.watch.state()
        state = state_of(self.app, self.watch)
        played_s = 0.0
        if state.at is not None:
            played_s = (state.at - self.settings.run.start_at) / timedelta(seconds=1)
        return replace(
            state,
            pace=self._paced(),
            done=min(played_s / (self.settings.hours * HOUR_S), 1.0),
            mode="the day is over" if self.result else state.mode,
            footer=(self.comparison.text,) if self.comparison.text else (),
            result=self.result,
        )

    def _paced(self) -> float:
        """Return how many times as fast as life it has been since the first look; it stands still at the end."""
        from hil.demo import cycle_s

        if self.first_s is None:
            self.first_s, self.first_cycle = monotonic(), self.watch.cycles
        elif self.watch.cycles != self.cycles:
            gone = self.watch.cycles - self.first_cycle
            self.pace = gone * cycle_s(self.settings.speed) / max(monotonic() - self.first_s, 1e-3)
        self.cycles = self.watch.cycles
        return self.pace


def verdict(run: "TwinRun", accounts: "dict[str, Account]") -> str:
    """Return in one line what was saved; of a part of a day nothing can be said."""
    from cli.comparison import saving

    if run.days * 24.0 < WHOLE_DAY:
        return "a part of a day: what cars get later counts as missing, so no saving is claimed"
    return saving(accounts, run.site.tariff.currency)


def _tell(run: "TwinRun", accounts: "dict[str, Account]", out: Path) -> None:
    from cli.comparison import OURS, ROWS, outcome
    from hil.report.series_files import write_means, write_sessions
    from hil.report.twin import twin_report

    currency = run.site.tariff.currency
    show(outcome(accounts, currency))
    say(verdict(run, accounts))
    shown = {name: accounts[name] for name in ROWS}
    write_means(out / "ours.csv", accounts[OURS])
    write_sessions(out / "ours_sessions.csv", accounts[OURS])
    write_text(str(out / "report.html"), twin_report(run, shown, accounts))
    say(f"report: {out / 'report.html'}")
