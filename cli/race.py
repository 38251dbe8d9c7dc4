"""Several strategies of one run, each in its own process where there is more than one core."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.queues import Queue
from queue import Empty

from hil.account import Account
from hil.bound import run_oracle
from hil.run import TwinRun
from hil.twin import run_strategy

PROCESSES = 2
LONGEST_FIRST = ("mpc", "capped_llf", "edf", "llf", "round_robin", "rules", "uncontrolled", "oracle")
LOOK_S = 0.1
INTERRUPTED = 130

Progress = Callable[[str, float], None]
Told = tuple[str, float]

_here: dict[str, object] = {}
"""In a worker: the run and the queue of progress."""


def race(run: TwinRun, names: Sequence[str], progress: Progress) -> dict[str, Account]:
    """Return the account of each strategy in the order of ``names``."""
    if len(names) < 2 or (os.cpu_count() or 1) < 2:
        return {name: _account(run, name, progress) for name in names}
    context = multiprocessing.get_context("spawn")
    told: Queue[Told] = context.Queue()
    pool = ProcessPoolExecutor(min(PROCESSES, len(names)), context, _begin, (run, told))
    try:
        order = sorted(names, key=LONGEST_FIRST.index)
        with _deaf():
            futures = {name: pool.submit(_in_worker, name) for name in order}
        _follow(list(futures.values()), told, progress)
        return {name: futures[name].result() for name in names}
    except BaseException as error:
        for worker in (getattr(pool, "_processes", None) or {}).values():
            worker.kill()
        if isinstance(error, KeyboardInterrupt):
            os._exit(INTERRUPTED)  # a pool that is interrupted while it starts may be waited for in vain
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        told.close()


def _account(run: TwinRun, name: str, progress: Progress) -> Account:
    if name != "oracle":
        return run_strategy(run, name, progress)
    account = run_oracle(run)
    progress(name, 1.0)
    return account


def _follow(futures: "list[Future[Account]]", told: "Queue[Told]", progress: Progress) -> None:
    """Pass progress on until all is done or one has failed."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=LOOK_S, return_when=FIRST_COMPLETED)
        while True:
            try:
                progress(*told.get_nowait())
            except Empty:
                break
        for future in done:
            future.result()


@contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that never hear Ctrl-C: this one answers it for all, a moment later.

    The mask is what they inherit. The pool has threads, and one of them may hear it all the same; so it is only noted
    until everybody is there, for a process that is half started can't be ended.
    """
    heard = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: heard.set())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if heard.is_set():
        raise KeyboardInterrupt


def _begin(run: TwinRun, told: "Queue[Told]") -> None:
    """Prepare a worker."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told.cancel_join_thread()
    _here.update(run=run, told=told)


def _end_with_parent() -> None:
    """Work for nobody: a parent that was killed could not end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(name: str) -> Account:
    run, told = _here["run"], _here["told"]
    assert isinstance(run, TwinRun)
    assert isinstance(told, Queue)
    return _account(run, name, lambda strategy, share: told.put((strategy, share)))
