"""From a site file and the words of the command line to what a twin plays."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from cli.arguments import local_text, moment_of
from cli.terminal import note
from station.errors import ConfigError

if TYPE_CHECKING:
    from configs.load import LoadedSite
    from hil.run import TwinRun
    from station.inputs import Series, SessionRow


@dataclass(frozen=True, slots=True)
class TwinWords:
    """What the command line says; None is left to the site file."""

    from_text: str | None = None
    days: float | None = None
    step_s: float = 60.0
    sessions: Path | None = None
    series: Path | None = None
    is_energy_known: bool = False


def twin_run(loaded: "LoadedSite", words: TwinWords) -> "TwinRun":
    """Return what a twin plays; raise ``ConfigError`` for what can't be played."""
    from hil.run import TwinRun

    site, settings = loaded.site, loaded.twin
    series_file, series = series_of(loaded, words)
    start_at = start_of(loaded, words)
    days = words.days if words.days is not None else float(settings.days or 1)
    window_s = site.tariff.demand.window_s
    _check_grid(start_at, days, words.step_s, window_s)
    _check_range(series_file, series, start_at, days, site.timezone)
    return TwinRun(
        site,
        sessions_of(loaded, words),
        series,
        start_at,
        days,
        words.step_s,
        is_energy_known=words.is_energy_known,
    )


def series_of(loaded: "LoadedSite", words: TwinWords) -> tuple[Path, "Series"]:
    """Return the series and its file: scaled and clipped as the site says, or as it is where the command names it."""
    from configs.csv_data import read_series

    most_kw = loaded.site.base_load.max_kw
    file = words.series or loaded.twin.series
    if file is None:
        problem = "is needed: measured load and sun; or name a file with --series"
        raise ConfigError(str(loaded.file), 0, "twin.series", problem)
    series = read_series(file)
    if series.price_per_kwh is not None or series.export_price_per_kwh is not None:
        note(f"the prices in {file} are not used; those of tariff {loaded.site.tariff.tariff_id} are")
    if words.series is None:
        return file, series.scaled(loaded.twin.load_factor, loaded.twin.pv_factor, most_kw)
    over = sum(1 for power_kw in series.load_kw if power_kw > most_kw)
    if over:
        note(f"{over} rows of {file} lie above the base load's max_kw {most_kw:g} and are cut to it")
    return file, series.scaled(1.0, 1.0, most_kw)


def sessions_of(loaded: "LoadedSite", words: TwinWords) -> tuple["SessionRow", ...]:
    """Return the cars; none where neither the site nor the command line names a file."""
    from configs.csv_data import read_sessions

    file = words.sessions or loaded.twin.sessions
    ids = [connector.asset_id for connector in loaded.site.connectors]
    return read_sessions(file, ids) if file else ()


def start_of(loaded: "LoadedSite", words: TwinWords) -> datetime:
    """Return when the twin starts, in UTC."""
    timezone = loaded.site.timezone
    if words.from_text is not None:
        return moment_of("--from", words.from_text, timezone)
    if loaded.twin.first_day is None:
        problem = "is needed: the first day that is played; or name it with --from"
        raise ConfigError(str(loaded.file), 0, "twin.from", problem)
    return datetime.combine(loaded.twin.first_day, time(0), ZoneInfo(timezone)).astimezone(UTC)


def _check_grid(start_at: datetime, days: float, step_s: float, window_s: float) -> None:
    """Refuse what does not fall on the windows that are billed."""
    if start_at.timestamp() % window_s:
        raise ConfigError("--from", 0, "", f"must lie on a multiple of the billed {window_s:g} s")
    if not days > 0.0 or (days * 86_400.0) % window_s:
        problem = f"must be a positive number of the billed {window_s:g} s, such as 1 or 0.25; not {days:g}"
        raise ConfigError("--days", 0, "", problem)
    if not step_s > 0.0 or window_s % step_s:
        raise ConfigError("--step-s", 0, "", f"must divide the billed {window_s:g} s; {step_s:g} does not")


def _check_range(file: Path, series: "Series", start_at: datetime, days: float, timezone: str) -> None:
    ends_at = start_at + timedelta(days=days)
    if series.starts_at <= start_at and ends_at <= series.ends_at:
        return
    wanted = f"{local_text(start_at, timezone)} to {local_text(ends_at, timezone)}"
    there = f"{local_text(series.starts_at, timezone)} to {local_text(series.ends_at, timezone)}"
    raise ConfigError(str(file), 0, "time", f"has no rows for {wanted}; it goes from {there}")
