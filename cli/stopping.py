"""Stopping a process that runs for long: the first signal asks, and everything is left safe."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT or SIGTERM sets; use it inside the running loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in SIGNALS:
        loop.add_signal_handler(name, stop.set)
    try:
        yield stop
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(name)
