"""Where log lines go: to standard error as human lines, or into the live view."""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

Line = Callable[[str, str], None]
"""Takes a level and a line."""

TOLD = frozenset({"alarm", "alarm cleared"})
"""What the view and the plain lines tell themselves."""

NOISY = ("asyncua", "pymodbus", "asyncio")
"""Libraries whose words say again, and less well, what our own devices report."""


def log_to_stderr(least: int = logging.INFO) -> None:
    """Send log lines of at least this level to standard error, coloured on a terminal only; alarms are left out."""
    _quiet_libraries()
    structlog.configure(
        processors=[
            _drop_told,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def log_to(line: Line, least: int = logging.WARNING) -> None:
    """Hand log lines of at least this level to a function that must not block."""
    _quiet_libraries()
    structlog.configure(
        processors=[_drop_told, structlog.processors.add_log_level, _hand_over(line)],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=False,
    )


def _hand_over(line: Line) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    def process(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level, text = str(event.pop("level", "")), str(event.pop("event", ""))
        line(level, " ".join([text, *(f"{key}={value}" for key, value in event.items())]))
        raise structlog.DropEvent

    return process


def _drop_told(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event.get("event") in TOLD:
        raise structlog.DropEvent
    return event


def _quiet_libraries() -> None:
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
