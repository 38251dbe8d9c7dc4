"""A running station as plain lines, for pipes and logs: what changes, and a summary now and then."""

from datetime import datetime

from cli.events import Event
from cli.view import ViewState, Watch
from controller.loop import Cycle

TOLD = frozenset({"alarm", "clear", "plan", "session"})


class Lines:
    """An observer behind ``watch`` that prints changes, and a summary whenever a new ``every_s`` begins."""

    def __init__(self, watch: Watch, *, every_s: float, kinds: frozenset[str] = TOLD) -> None:
        self._watch = watch
        self._every_s = every_s
        self._kinds = kinds
        self._period: int | None = None
        watch.listeners.append(self.tell)

    def __call__(self, cycle: Cycle) -> None:
        """Print the summary if it is due."""
        self._watch(cycle)
        at = cycle.snapshot.taken.at
        period = int(at.timestamp() // self._every_s)
        if self._period is not None and period != self._period:
            print(summary_line(self._watch.state()), flush=True)
        self._period = period

    def tell(self, event: Event) -> None:
        """Print an event."""
        if event.kind in self._kinds:
            word = "alarm: " if event.kind == "alarm" else ""
            print(f"{_time(event.at)}  {word}{event.text}", flush=True)


def summary_line(state: ViewState) -> str:
    """Return the powers of a moment in one line; PV is positive, a charging battery too."""
    powers = state.powers
    cars = sum(1 for connector in state.connectors if connector.is_occupied)
    parts = [
        "" if state.at is None else _time(state.at),
        f"grid {_kw(powers.grid_kw)}",
        f"PV {_kw(powers.pv_kw)}",
        f"battery {_kw(powers.battery_kw, '+')}",
        f"charging {_kw(powers.charging_kw)}",
        f"{cars:2d} cars",
        "SoC   –" if powers.soc is None else f"SoC {powers.soc:4.0%}",
    ]
    return "  ".join(parts)


def _kw(power_kw: float | None, sign: str = "") -> str:
    return "    – kW" if power_kw is None else f"{power_kw + 0.0:{sign}6.1f} kW"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
