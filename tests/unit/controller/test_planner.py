"""The planner's process: it answers, it may die or fail to start, and the loop only loses a plan."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from controller import planner as module
from controller.planner import Planner
from station.plan import Plan, PlanOrigin
from tests.unit.optimizer.cases import car, request

HOUR_S = 3600.0
"""A plan that takes longer than this test's own time-out is the fault that is looked for."""


@asynccontextmanager
async def running(planner: Planner) -> AsyncIterator[Planner]:
    task = asyncio.ensure_future(planner.run())
    try:
        yield planner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def planned(plans: "asyncio.Queue[Plan]", planner: Planner) -> Plan:
    planner.ask(request(car()))
    return await plans.get()


async def until_failed(planner: Planner, count: int) -> str:
    async with asyncio.timeout(60.0):
        while planner.failures < count:  # noqa: ASYNC110  the planner has no event for what did not happen
            await asyncio.sleep(0.02)
    return planner.last_cause


async def test_a_worker_that_dies_costs_one_plan_and_is_replaced() -> None:
    plans: asyncio.Queue[Plan] = asyncio.Queue()
    async with running(Planner(HOUR_S, plans.put_nowait)) as planner:
        assert (await planned(plans, planner)).origin is PlanOrigin.OPTIMIZER
        (worker,) = multiprocessing.active_children()
        worker.kill()
        worker.join()
        planner.ask(request(car()))
        assert await until_failed(planner, 1) == "the solver's process died"
        assert planner.plan is not None
        assert (await planned(plans, planner)).origin is PlanOrigin.OPTIMIZER
        assert planner.last_cause == ""
    for ended in multiprocessing.active_children():
        ended.join()  # for ever, if it had been left running


async def test_a_request_that_the_solver_chokes_on_is_a_cause_and_not_the_end() -> None:
    plans: asyncio.Queue[Plan] = asyncio.Queue()
    async with running(Planner(HOUR_S, plans.put_nowait)) as planner:
        planner.ask(replace(request(car()), history=None))  # type: ignore[arg-type]
        assert "AttributeError" in await until_failed(planner, 1)
        assert (await planned(plans, planner)).origin is PlanOrigin.OPTIMIZER


async def test_a_worker_that_is_late_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_S", 0.0)
    async with running(Planner(0.01)) as planner:
        planner.ask(request(car()))
        assert await until_failed(planner, 1) == "the solver took too long"
    assert planner.plan is None


async def test_where_no_process_can_be_started_the_loop_goes_on_without_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "Worker", refuse)
    async with running(Planner(HOUR_S)) as planner:
        planner.ask(request(car()))
        assert await until_failed(planner, 1) == "the solver's process cannot be asked: Permission denied"
        planner.ask(request(car()))
        await until_failed(planner, 2)
