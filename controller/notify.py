"""Tells systemd how the control process is: ready, alive, stopping (the protocol of ``sd_notify``).

The watchdog is fed by completed cycles only, so a loop that hangs anywhere, its write phase included, is found out.
"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from controller.loop import Cycle
from station.errors import ConfigError

log = structlog.get_logger(__name__)

LEAST_CYCLES = 2.5
"""The supervisor must wait for at least so many cycles, or it would kill a loop that is merely late."""


class Notifier:
    """An observer of the loop; does nothing where no supervisor listens. It never blocks and never raises."""

    def __init__(self, address: str) -> None:
        """``address`` is that of a datagram socket, as in ``NOTIFY_SOCKET``: a path, or ``@name``; empty: nobody."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._is_ready = False
        self._is_deaf = False

    def __call__(self, _: Cycle) -> None:
        """Say that a cycle is complete, its write phase included; the first one makes the process ready."""
        if self._is_ready:
            self._send("WATCHDOG=1")
        else:
            self._is_ready = self._send("READY=1\nWATCHDOG=1")

    @contextmanager
    def telling_the_end(self, stop: asyncio.Event) -> Iterator[None]:
        """Say that the end has begun as soon as ``stop`` is set inside the block."""
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda wait: wait.cancelled() or self._send("STOPPING=1"))
        try:
            yield
        finally:
            stopping.cancel()

    def _send(self, text: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), self._address)
        except OSError as refused:
            if not self._is_deaf:
                log.warning("the supervisor cannot be told", cause=refused.strerror or str(refused))
            self._is_deaf = True
            return False
        self._is_deaf = False
        return True


def notifier_of(environment: Mapping[str, str], cycle_s: float) -> Notifier:
    """Return the notifier for what systemd has set; raise ``ConfigError`` where its watchdog is too quick."""
    watchdog_s = float(environment.get("WATCHDOG_USEC") or "inf") / 1e6
    is_for_us = environment.get("WATCHDOG_PID") in (None, "", str(os.getpid()))
    if is_for_us and watchdog_s < LEAST_CYCLES * cycle_s:
        problem = (
            f"the unit's WatchdogSec of {watchdog_s:g} s is below {LEAST_CYCLES:g} cycles of {cycle_s:g} s"
        )
        raise ConfigError("systemd", 0, "WatchdogSec", problem)
    return Notifier(environment.get("NOTIFY_SOCKET", ""))
