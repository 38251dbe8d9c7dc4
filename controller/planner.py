"""Plans in a process of its own, so that a solver never delays the loop. A late, dead or wrong worker costs a plan."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import date
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
        self._pool: ProcessPoolExecutor | None = None

    @property
    def worker_pid(self) -> int | None:
        """Return the process id of the worker, if there is one."""
        processes = getattr(self._pool, "_processes", None) or {}
        return next(iter(processes), None)

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
        is_new = self._pool is None
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=signal.signal,
                initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for the loop, which ends the worker
            )
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, solve, request)
            plan = await asyncio.wait_for(future, self._timeout_s + (START_S if is_new else 0.0))
        except TimeoutError:
            self._fail("the solver took too long")
        except BrokenProcessPool:
            self._fail("the solver's process died")
        except Exception as error:  # noqa: BLE001  whatever a solver throws, the loop goes on with the last plan
            self._fail(f"{type(error).__name__}: {error}")
        else:
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
        if self._pool is None:
            return
        for process in (getattr(self._pool, "_processes", None) or {}).values():
            process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
