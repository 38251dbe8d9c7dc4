"""The live view: one calm screen of a running station, from 80x24 upwards. ``render`` is pure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from cli.panels import (
    balance_lines,
    connector_lines,
    event_lines,
    fitted,
    header_lines,
    plan_lines,
    result_lines,
)
from cli.view import ViewState

WIDE = 150
"""From this width on the connectors stand beside the balance."""

LEFT = 66
ROOMY = 26
"""From this height on parts are set apart."""

GAP = 3
REFRESH_HZ = 4.0


def render(state: ViewState) -> RenderableType:
    """Return the whole screen; it fits itself into whatever width and height it is drawn with."""
    return _Screen(state)


@dataclass(frozen=True, slots=True)
class _Screen:
    state: ViewState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        height = options.height or console.height
        for line in lines(self.state, width, height):
            yield fitted(line, width)


def lines(state: ViewState, width: int, height: int) -> list[Text]:
    """Return the screen's lines, at most ``height`` of them; none is wider than ``width``."""
    head = header_lines(state, width)
    tail = result_lines(state)
    body = _wide(state, width) if width >= WIDE else _narrow(state, width, height - len(head) - len(tail))
    room = height - len(head) - len(body) - len(tail)
    events = event_lines(state, room - 1) if room > 2 else event_lines(state, room)
    gap = [Text()] if room > 2 else []
    return [*head, *body, *gap, *events, *tail][:height]


def _narrow(state: ViewState, width: int, height: int) -> list[Text]:
    balance = balance_lines(state, width)
    plan = [] if state.result else plan_lines(state, width)
    least = 1 + min(len(state.alarms) + 1, 3)
    room = max(height - len(balance) - len(plan) - least - 1, 4)
    gap = [Text()] if height >= ROOMY else []
    return [*balance, Text(), *connector_lines(state, room - len(gap)), *gap, *plan]


def _wide(state: ViewState, width: int) -> list[Text]:
    left = [*balance_lines(state, LEFT), Text(), *plan_lines(state, LEFT)]
    right = connector_lines(state, 40)
    height = max(len(left), len(right))
    left += [Text()] * (height - len(left))
    right += [Text()] * (height - len(right))
    rows = zip(left, right, strict=True)
    return [
        Text.assemble(fitted(one, LEFT, pad=True), " " * GAP, fitted(two, width - LEFT - GAP))
        for one, two in rows
    ]


@asynccontextmanager
async def live_view(
    state_of: Callable[[], ViewState], console: Console | None = None, rate_hz: float = REFRESH_HZ
) -> AsyncIterator[None]:
    """Show the view while the block runs. Drawing happens in a thread, so the control loop never waits for it."""
    with Live(console=console, screen=True, auto_refresh=False, transient=True) as live:
        drawing = asyncio.create_task(_draw(live, state_of, 1.0 / rate_hz))
        try:
            yield
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing


async def _draw(live: Live, state_of: Callable[[], ViewState], period_s: float) -> None:
    while True:
        picture = render(state_of())
        await asyncio.to_thread(live.update, picture, refresh=True)
        await asyncio.sleep(period_s)
