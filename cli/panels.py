"""The parts of the live view, as lines of text. Pure; PV is positive here, as people read it."""

from rich.text import Text

from cli.events import Event
from cli.view import ConnectorView, ViewState

LABEL = 10
TAIL = 33
SPARKS = "▁▂▃▄▅▆▇█"
STYLES = {
    "alarm": "bold red",
    "clear": "green",
    "plan": "cyan",
    "session": "blue",
    "command": "",
    "log": "yellow",
}
STATES = {"charging": "green", "plugged": "yellow", "full": "cyan", "faulted": "bold red", "lost": "bold red"}


def fitted(line: Text, width: int, *, pad: bool = False) -> Text:
    """Return a line that is cut to ``width``, and padded to it if wanted."""
    line = line.copy()
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis", pad=pad)
    return line


def header_lines(state: ViewState, width: int) -> list[Text]:
    """Return site, time, speed, mode and health, and a rule."""
    left = Text.assemble(("heliodock", "bold"), "  ", (state.site_id, "bold cyan"))
    if state.at is not None:
        left.append(f"  {state.at:%a %d %b %Y  %H:%M:%S}")
    if state.speed != 1.0:
        left.append(f"  ×{state.speed:g}", "dim")
    if state.done is not None:
        left.append(f"  {state.done:.0%}", "dim")
    style = "bold red" if state.alarms else "green" if state.mode == "controlling" else "yellow"
    count = len(state.alarms)
    alarms = f" {count} alarm{'s' if count > 1 else ''}" if count else ""
    right = Text(f"● {state.mode}{alarms}", style)
    gap = max(width - left.cell_len - right.cell_len, 2)
    return [Text.assemble(left, " " * gap, right), Text("─" * width, "bright_black")]


def balance_lines(state: ViewState, width: int) -> list[Text]:
    """Return the powers with their bars: grid, PV, battery, building, charging."""
    powers, scales = state.powers, state.scales
    room = max(width - LABEL - TAIL, 8)
    soc = "" if powers.soc is None else f"SoC {powers.soc:.0%}"
    battery = _way(powers.battery_kw, "charges", "discharges", "rests")
    rows = [_grid_line(state, room)]
    if scales.pv_kw:
        rows.append(_row("PV", bar(powers.pv_kw, scales.pv_kw, room, "yellow"), powers.pv_kw))
    if scales.battery_kw:
        style = "green" if powers.battery_kw >= 0 else "magenta"
        drawn = bar(abs(powers.battery_kw), scales.battery_kw, room, style)
        rows.append(_row("Battery", drawn, abs(powers.battery_kw), f"{battery:<10} {soc}"))
    drawn = bar(powers.building_kw or 0.0, scales.building_kw, room, "white")
    rows.append(_row("Building", drawn, powers.building_kw))
    cars = sum(1 for connector in state.connectors if connector.is_occupied)
    drawn = bar(powers.charging_kw, scales.charging_kw, room, "blue")
    rows.append(_row("Charging", drawn, powers.charging_kw, f"{cars} of {len(state.connectors)} taken"))
    return rows


def _grid_line(state: ViewState, room: int) -> Text:
    """The grid's bar ends at the hard limit; the mark is the billed peak that is not to be exceeded."""
    grid_kw, scales = state.powers.grid_kw, state.scales
    if grid_kw is None:
        return _row("Grid", bar(0.0, 1.0, room, "red"), None, "no reading")
    most_kw = scales.import_kw if grid_kw >= 0 else scales.export_kw
    style = "blue" if grid_kw < 0 else "red" if grid_kw > scales.import_kw else "cyan"
    mark_kw = state.target_kw if grid_kw >= 0 else None
    way = _way(grid_kw, "import", "export", "")
    drawn = bar(abs(grid_kw), most_kw, room, style, mark_kw)
    return _row("Grid", drawn, abs(grid_kw), f"{way} of {most_kw:.0f}")


def _row(name: str, drawn: Text, power_kw: float | None, tail: str = "") -> Text:
    number = "     – kW" if power_kw is None else f"{power_kw:6.1f} kW"
    return Text.assemble((f"{name:<{LABEL}}", "bold"), drawn, " ", number, "  ", (tail, "dim"))


def _way(power_kw: float, into: str, out: str, still: str) -> str:
    return still if abs(power_kw) < 0.05 else into if power_kw > 0 else out


def bar(power_kw: float, most_kw: float, width: int, style: str, mark_kw: float | None = None) -> Text:
    """Return a bar; it reads without colour too. ``mark_kw`` is drawn as an upright stroke."""
    share = min(max(power_kw / most_kw, 0.0), 1.0) if most_kw > 0 else 0.0
    halves = round(share * width * 2)
    full = "━" * (halves // 2) + "╸" * (halves % 2)
    drawn = Text.assemble((full, style), ("·" * (width - len(full)), "bright_black"))
    if mark_kw is not None and 0.0 < mark_kw < most_kw:
        at = min(int(mark_kw / most_kw * width), width - 1)
        drawn = Text.assemble(drawn[:at], ("┃", "bold"), drawn[at + 1 :])
    return drawn


def connector_lines(state: ViewState, height: int) -> list[Text]:
    """Return the table of connectors in ``height`` lines; where they don't fit, free ones are left out first."""
    head = f"{'':<7}{'':<9}{'power / offered':>16}  {'session / asked':>16}  {'until':<6} "
    rows = list(state.connectors)
    if len(rows) > height - 1:
        kept = sorted(rows, key=lambda row: not row.is_occupied)[: max(height - 2, 0)]
        rows = [row for row in rows if row in kept]
    lines = [Text(head, "dim"), *(_connector_line(row) for row in rows)]
    left_out = len(state.connectors) - len(rows)
    return [*lines, Text(f"… and {left_out} more", "dim")] if left_out else lines


def _connector_line(row: ConnectorView) -> Text:
    style = STATES.get(row.state, "bright_black")
    line = Text.assemble(
        (f"{row.connector_id:<7}", "bold" if row.is_occupied else "bright_black"), (f"{row.state:<9}", style)
    )
    if not row.is_occupied:
        return line
    power = "–" if row.power_kw is None else f"{row.power_kw:.1f}"
    offered = "–" if row.offered_kw is None else f"{row.offered_kw:.1f}"
    asked = "?" if row.asked_kwh is None else f"{row.asked_kwh:.1f}"
    line.append(f"{f'{power} / {offered} kW':>16}  ")
    line.append(f"{f'{row.session_kwh:.1f} / {asked} kWh':>16}  {row.until:<6} ")
    return line.append(row.reason, "dim")


def plan_lines(state: ViewState, width: int) -> list[Text]:
    """Return the demand window, and the last plan with the planned grid power of the coming hours."""
    lines = []
    if state.window_mean_kw is not None:
        target = "" if state.target_kw is None else f" · target {state.target_kw:.1f}"
        left_s = state.window_left_s
        left = f"{left_s:.0f} s left" if left_s < 120.0 else f"{left_s / 60.0:.0f} min left"
        lines.append(
            Text.assemble(
                (f"{'Demand':<{LABEL}}", "bold"),
                f"mean {state.window_mean_kw:.1f} kW, {left}{target} · peak {state.month_peak_kw:.1f} kW",
            )
        )
    plan = state.plan
    if plan is None:
        lines.append(Text.assemble((f"{'Plan':<{LABEL}}", "bold"), ("none yet: plain rules", "yellow")))
    else:
        drawn = sparkline(plan.hourly_kw)
        kw = f" ≤ {max(plan.hourly_kw):.0f} kW in {len(plan.hourly_kw)} h" if plan.hourly_kw else ""
        origin = f"{plan.origin.replace('_', ' ')}, {_age(plan.age_s)} "
        text = Text.assemble((f"{'Plan':<{LABEL}}", "bold"), origin, (drawn, "cyan"), (kw, "dim"))
        lines.append(fitted(text, width))
    return [*lines, _pace_line(state)]


def sparkline(values_kw: tuple[float, ...]) -> str:
    """Return a small picture of planned import; what is exported counts as nothing."""
    most_kw = max((*values_kw, 1.0))
    steps = (int(max(value_kw, 0.0) / most_kw * (len(SPARKS) - 1) + 0.5) for value_kw in values_kw)
    return "".join(SPARKS[step] for step in steps)


def _age(age_s: float) -> str:
    return f"{age_s:.0f} s old" if age_s < 120.0 else f"{age_s / 60.0:.0f} min old"


def _pace_line(state: ViewState) -> Text:
    if state.pace:
        text = f"the clock waits for each: ×{state.pace:.0f} reached, {state.missed} missed"
    else:
        text = f"late {state.late_ms:.1f} ms, at worst {state.worst_late_ms:.0f} ms, {state.missed} missed"
    return Text.assemble((f"{'Cycles':<{LABEL}}", "bold"), text)


def event_lines(state: ViewState, height: int) -> list[Text]:
    """Return the standing alarms and then what happened last, the newest first, in ``height`` lines."""
    alarms = [Text(f"! {alarm}", "bold red") for alarm in state.alarms]
    if len(alarms) > max(height - 1, 1):
        hidden = len(alarms) - max(height - 1, 1) + 1
        alarms = [*alarms[: max(height - 2, 0)], Text(f"! and {hidden} more alarms", "bold red")]
    foot = [Text(line, "dim") for line in state.footer[: max(height - 1, 0)]]
    room = max(height - len(alarms) - len(foot), 0)
    events = [_event_line(event) for event in reversed(state.events)][:room]
    return [*alarms, *events, *[Text()] * (room - len(events)), *foot][: max(height, 0)]


def _event_line(event: Event) -> Text:
    return Text.assemble((f"{event.at:%H:%M:%S}  ", "dim"), (event.text, STYLES.get(event.kind, "")))


def result_lines(state: ViewState) -> list[Text]:
    """Return the outcome of a finished run under a blank line."""
    return [Text(), *(Text(line) for line in state.result)] if state.result else []
