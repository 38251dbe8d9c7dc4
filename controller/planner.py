"""Plans in a process of its own, so that a solver never delays the loop. A late, dead or wrong worker costs a plan."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from multiprocessing.connection import Connection
from time import perf_counter

import structlog

from optimizer.demand import expected_peak_kw
from optimizer.problem import PlanningInput
from optimizer.solve import schedule
from station.plan import Plan

log = structlog.get_logger(__name__)

START_S = 30.0
"""A new worker has to import the solver first; so much is added to its first deadline."""

_peaks_kw: dict[tuple[str, date], float | None] = {}
"""In the worker: the peak that the past lets expect, by site and day."""


def solve(request: PlanningInput) -> Plan:
    """Return a plan; runs in the worker. The expected peak is learnt once a day."""
    began_s = perf_counter()
    key = (request.site.site_id, request.now.date())
    if key not in _peaks_kw:
        _peaks_kw.clear()
        _peaks_kw[key] = expected_peak_kw(request.site, request.history, request.now)
    plan = schedule(replace(request, expected_peak_kw=_peaks_kw[key]))
    return replace(plan, solve_ms=(perf_counter() - began_s) * 1000.0)


def serve(requests: "Connection[Plan | str, PlanningInput]") -> None:
    """Answer each request with a plan, or with a text that says why there is none, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the loop, which ends the worker
    with suppress(EOFError, OSError):
        while True:
            request = requests.recv()
            try:
                answer: Plan | str = solve(request)
            except Exception as error:  # noqa: BLE001  whatever a solver throws, the worker is there for the next one
                answer = f"{type(error).__name__}: {error}"
            requests.send(answer)


class Worker:
    """The solver's process behind a pipe. A pool would need semaphores, and so a /dev/shm that can be written."""

    def __init__(self) -> None:
        """Start it; raises OSError where that can't be done."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, request: PlanningInput) -> Plan | str:
        """Wait for the answer; raises EOFError or OSError where the process has died or is ended meanwhile."""
        self._pipe.send(request)
        answer: Plan | str = self._pipe.recv()
        return answer

    def end(self) -> None:
        """Kill it; whoever waits for an answer gets an EOFError."""
        self._process.kill()


class Planner:
    """Solves the newest request; an older one that has not been begun is dropped."""

    def __init__(self, timeout_s: float, on_plan: Callable[[Plan], None] | None = None) -> None:
        """``timeout_s`` is wall time; a worker that is later is ended and replaced."""
        self.plan: Plan | None = None
        self.failures = 0
        self.last_cause = ""
        self._timeout_s = timeout_s
        self._on_plan = on_plan
        self._request: PlanningInput | None = None
        self._wanted = asyncio.Event()
        self._worker: Worker | None = None

    def ask(self, request: PlanningInput) -> None:
        """Ask for a plan and return at once."""
        self._request = request
        self._wanted.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                request, self._request = self._request, None
                if request is not None:
                    await self._solve(request)
        finally:
            self._end_worker()

    async def _solve(self, request: PlanningInput) -> None:
        start_s = START_S if self._worker is None else 0.0
        try:
            self._worker = self._worker or Worker()
            answer = asyncio.to_thread(self._worker.ask, request)
            plan = await asyncio.wait_for(answer, self._timeout_s + start_s)
        except TimeoutError:
            self._fail("the solver took too long")
        except (EOFError, ConnectionError):
            self._fail("the solver's process died")
        except OSError as refused:
            self._fail(f"the solver's process cannot be asked: {refused.strerror or refused}")
        else:
            self._take(plan)

    def _take(self, plan: Plan | str) -> None:
        if isinstance(plan, str):
            self._fail(plan)
            return
        if self.last_cause:
            log.info("planner is back")
            self.last_cause = ""
        self.plan = plan
        if self._on_plan is not None:
            self._on_plan(plan)

    def _fail(self, cause: str) -> None:
        self.failures += 1
        if cause != self.last_cause:
            log.warning("no plan", cause=cause)
        self.last_cause = cause
        self._end_worker()

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None
