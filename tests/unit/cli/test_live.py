"""The live view: it fits the terminal, reads without colour, and shows PV positive."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from cli.comparison import plain
from cli.events import Event
from cli.lines import summary_line
from cli.live import render
from cli.panels import bar, sparkline
from cli.terminal import Column, Table
from cli.view import ConnectorView, PlanView, Powers, Scales, ViewState

AT = datetime(2019, 9, 18, 14, 5, 30, tzinfo=UTC)
WORDS = "a reason that is much longer than any terminal will ever be wide, and then some more words " * 3


def state(connectors: int = 10, alarms: int = 0) -> ViewState:
    return ViewState(
        site_id="demo",
        at=AT,
        speed=240.0,
        mode="controlling",
        scales=Scales(120.0, 120.0, 100.0, 100.0, 60.0, 208.0),
        powers=Powers(43.2, 61.0, -20.0, 31.5, 92.7, 0.55),
        connectors=tuple(
            ConnectorView(f"ac{n}", "charging" if n % 2 else "free", 7.36, 7.36, 11.2, 60.0, "15:20", WORDS)
            for n in range(1, connectors + 1)
        ),
        target_kw=61.0,
        window_mean_kw=38.25,
        window_left_s=570.0,
        month_peak_kw=43.0,
        plan=PlanView("optimizer", 180.0, tuple(float(n) for n in range(24))),
        alarms=tuple(f"ac{n}: no answer {WORDS}" for n in range(alarms)),
        events=tuple(Event(AT + timedelta(minutes=n), "plan", f"plan {n} {WORDS}") for n in range(30)),
        pace=231.0,
        done=0.5,
        footer=("for comparison: playing rules, bound",),
    )


def drawn(shown: ViewState, width: int, height: int, *, is_terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=is_terminal, color_system=None)
    console.print(render(shown))
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (160, 50), (60, 16)])
@pytest.mark.parametrize("alarms", [0, 1, 12])
@pytest.mark.parametrize("connectors", [1, 10, 60])
def test_no_line_wraps_and_none_is_too_many(width: int, height: int, alarms: int, connectors: int) -> None:
    lines = drawn(state(connectors, alarms), width, height).splitlines()
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_at_80_columns_everything_that_matters_is_there() -> None:
    text = drawn(state(), 80, 24)
    for word in ("demo", "14:05:30", "×240", "controlling", "import of 120", "SoC 55%", "5 of 10 taken"):
        assert word in text
    assert "mean 38.2 kW, 10 min left · target 61.0 · peak 43.0 kW" in text
    assert "7.4 / 7.4 kW   11.2 / 60.0 kWh  15:20" in text
    assert "plan 29" in text


def test_pv_is_positive_and_a_battery_says_which_way() -> None:
    rows = {line.split()[0]: line for line in drawn(state(), 80, 24).splitlines() if line.strip()}
    assert "61.0 kW" in rows["PV"]
    assert "20.0 kW  discharges" in rows["Battery"]


def test_an_alarm_is_above_what_happened_and_counted_in_the_header() -> None:
    text = drawn(state(alarms=1), 100, 30)
    assert "controlling 1 alarm" in text
    assert text.index("! ac0: no answer") < text.index("plan 29")


def test_many_alarms_are_counted_where_they_do_not_fit() -> None:
    assert "more alarms" in drawn(state(alarms=12), 80, 24)


def test_free_connectors_make_way_for_taken_ones() -> None:
    text = drawn(state(connectors=20), 80, 24)
    assert "ac9 " in text
    assert "ac8 " not in text
    assert "more" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, powers=Powers()),
        lambda s: replace(s, plan=None, window_mean_kw=None, target_kw=None),
        lambda s: replace(s, at=None, connectors=(), events=(), plan=None),
        lambda s: replace(s, result=("a table", "a saving")),
        lambda s: replace(s, scales=Scales(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
        lambda s: replace(s, powers=replace(s.powers, grid_kw=-30.0)),
    ],
)
def test_whatever_is_missing_is_drawn_too(change: Callable[[ViewState], ViewState]) -> None:
    lines = drawn(change(state()), 80, 24).splitlines()
    assert max(len(line) for line in lines) <= 80


def test_a_result_is_at_the_bottom() -> None:
    shown = replace(state(), result=("row one", "saved 5"))
    assert [line.strip() for line in drawn(shown, 80, 24).splitlines()[-2:]] == ["row one", "saved 5"]


def test_the_bar_marks_the_target_and_stays_in_its_width() -> None:
    assert bar(60.0, 120.0, 10, "", 90.0).plain == "━━━━━··┃··"
    assert bar(500.0, 120.0, 10, "").plain == "━" * 10
    assert bar(-5.0, 120.0, 4, "").plain == "····"


def test_a_sparkline_of_export_and_of_nothing() -> None:
    assert sparkline((-5.0, 0.0, 10.0)) == "▁▁█"
    assert sparkline(()) == ""


def test_plain_output_has_no_control_codes() -> None:
    assert "\x1b" not in drawn(state(), 80, 24)
    assert "\x1b" not in summary_line(state())
    assert summary_line(state()).startswith("2019-09-18 14:05:30  grid   43.2 kW  PV   61.0 kW")


def test_a_plain_table_is_aligned() -> None:
    table = Table((Column("who"), Column("cost", True)), [("ours", "5.00"), ("uncontrolled", "12.00")])
    assert plain(table) == ["who            cost", "ours           5.00", "uncontrolled  12.00"]
