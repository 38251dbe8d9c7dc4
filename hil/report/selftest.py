"""The self-test as one page that needs nothing else: the verdict, and plots of what was asked, done and seen."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from controller.selftest_words import Channel, Trial, Verdict, asked, of_meter, of_moved
from hil.report import style
from hil.report.page import page
from hil.report.style import svg_of
from station.topology import Site


def selftest_report(site: Site, trials: Sequence[Trial], verdict: Verdict) -> str:
    """Return the page."""
    count = len(verdict.findings)
    return page(
        "selftest.html",
        title=f"{site.site_id}: self-test",
        facts=[
            ("faults", str(count) if count else "none in what could be observed"),
            ("moved", ", ".join(trial.asset.asset_id for trial in trials) or "nothing"),
            ("unobservable", str(len(verdict.unobservable))),
        ],
        findings=verdict.findings,
        unobservable=verdict.unobservable,
        gains=[
            (name, f"{its.factor:.3g}", f"{its.factor_error:.1g}", its.count)
            for name, its in verdict.gains.items()
        ],
        figures=[
            (
                trial.asset.asset_id,
                trial.ended,
                svg_of(trial_figure(trial), f"trial of {trial.asset.asset_id}"),
            )
            for trial in trials
            if trial.samples
        ],
    )


def trial_figure(trial: Trial) -> Figure:
    """Return the plot of one trial: what was asked and what the device says; below it what the meter says."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        began_s = trial.samples[0].mono_s
        for axes, name, channel, colour in (
            (upper, "asked", asked, style.FAINT),
            (upper, trial.asset.asset_id, of_moved("power_kw"), style.BATTERY),
            (lower, "meter", of_meter("power_kw"), style.GRID),
        ):
            seconds, powers_kw = _course(trial, channel, began_s)
            axes.plot(seconds, powers_kw, color=colour, label=name, drawstyle="steps-post", linewidth=1.2)
        for axes in (upper, lower):
            axes.set_ylabel("kW")
            axes.legend(loc="upper right")
        lower.set_xlabel("s")
        return figure


def _course(trial: Trial, channel: Channel, began_s: float) -> tuple[list[float], list[float]]:
    pairs = [(s.mono_s - began_s, value) for s in trial.samples if (value := channel(s)) is not None]
    return [seconds for seconds, _ in pairs], [value for _, value in pairs]
