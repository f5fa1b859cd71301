"""Executors of this package: trainings in this process, or in processes of their own that can be lost one by one."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import Any

from invertnas.errors import ConfigError


class InProcess(Executor):
    """Runs what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that is done."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ProcessWorkers(Executor):
    """As many processes as workers, each in a pool of its own: one that is killed takes no other with it.

    Processes are spawned, as a forked child hangs once TensorFlow has run. What is submitted must be picklable, so a
    function of a module; a script must start its run under ``if __name__ == "__main__"``.

    Args:
        workers: number of processes; that many calls may be open at a time.
        environments: environment variables that each worker starts with, such as
            ``[{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]``; None for none.

    Raises:
        ConfigError: no worker, or another number of environments.
    """

    def __init__(self, workers: int, environments: Sequence[Mapping[str, str]] | None = None) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ConfigError(f"got workers={workers!r}; expected a whole number, at least 1")
        if environments is not None and len(environments) != workers:
            raise ConfigError(
                f"got {len(environments)} environments for {workers} workers; expected one for each; pass a list of "
                "that length"
            )
        self._environments = [dict(each) for each in environments or [{}] * workers]
        self._pools: list[ProcessPoolExecutor | None] = [None] * workers
        self._pids: list[Future[int] | None] = [None] * workers
        self._open: dict[int, Future[Any]] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give the call to an idle worker, which is started, or replaced if it was lost.

        Raises:
            RuntimeError: if no worker is idle.
        """
        idle = [slot for slot in range(len(self._pools)) if slot not in self._open or self._open[slot].done()]
        if not idle:
            raise RuntimeError(f"all {len(self._pools)} workers are busy; submit when one is done")
        slot = idle[0]
        try:
            future = self._pool(slot).submit(fn, *args, **kwargs)
        except concurrent.futures.BrokenExecutor:
            self._drop(slot)
            future = self._pool(slot).submit(fn, *args, **kwargs)
        self._open[slot] = future
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all workers, after what they are doing if `wait`."""
        for pool in self._pools:
            if pool is not None:
                pool.shutdown(wait, cancel_futures=cancel_futures)

    def terminate(self) -> None:
        """End all workers now, whatever they are doing."""
        for started in self._pids:
            if started is not None and started.done() and started.exception() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(started.result(), signal.SIGKILL)
        self.shutdown(wait=False, cancel_futures=True)

    def _pool(self, slot: int) -> ProcessPoolExecutor:
        pool = self._pools[slot]
        if pool is None:
            pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
            with _environment(self._environments[slot]):
                self._pids[slot] = pool.submit(os.getpid)  # starts the process
            self._pools[slot] = pool
        return pool

    def _drop(self, slot: int) -> None:
        pool, self._pools[slot] = self._pools[slot], None
        if pool is not None:
            pool.shutdown(wait=False)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for the processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """End this worker when the process that started it ends, however that comes about."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_exit, args=(parent.sentinel,), daemon=True).start()


def _wait_and_exit(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
