"""A Dask scheduler and its workers as separate processes that talk over TCP on the loopback interface."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from invertnas.errors import WorkerError

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_S = 300.0


class Cluster:
    """A scheduler with workers that can be killed, stopped, continued and added; use it as a context manager.

    Attributes:
        scheduler_file: where clients learn the scheduler's address.
        processes: the workers, in the order in which they were started.

    Args:
        workers: processes to start with, of one thread each.
        silence_s: seconds after which the scheduler gives up a worker that says nothing.

    Raises:
        WorkerError: the processes do not come up.
    """

    def __init__(self, workers: int, *, silence_s: float = 300.0) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.scheduler_file = Path(self._folder.name) / "scheduler.json"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment["DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL"] = f"{silence_s}s"
        self._environment = environment
        self._scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self.scheduler_file))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.client: Any = None
        try:
            self._wait_for_file()
            for _ in range(workers):
                self.join()
            import distributed

            connect: Any = distributed.Client  # carries no types
            self.client = connect(scheduler_file=str(self.scheduler_file), timeout=START_S, set_as_default=False)
            self.client.wait_for_workers(workers, timeout=START_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Workers that the scheduler knows now."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def join(self) -> None:
        """Start another worker; it joins when it is up."""
        words = ("--scheduler-file", str(self.scheduler_file), "--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        name = ("--name", str(len(self.processes)), "--local-directory", self._folder.name)
        self.processes.append(self._start("worker", *words, *name))

    def grow(self, workers: int) -> None:
        """Start workers until there are so many, and wait for them."""
        while len([process for process in self.processes if process.poll() is None]) < workers:
            self.join()
        self.client.wait_for_workers(workers, timeout=START_S)

    def busy(self) -> list[subprocess.Popen[bytes]]:
        """Worker processes that are at work now."""
        running, info = self.client.processing(), self.client.scheduler_info(n_workers=-1)["workers"]
        names = [info[address]["name"] for address, tasks in running.items() if tasks and address in info]
        return [self.processes[int(name)] for name in names]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a worker without a word (SIGKILL)."""
        process.kill()
        process.wait()

    def close(self) -> None:
        """End everything that was started."""
        if self.client is not None:
            with contextlib.suppress(Exception):
                self.client.close(timeout=5)
        for process in [*self.processes, self._scheduler]:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self._folder.cleanup()

    def _start(self, role: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", role, "--host", HOST, "--no-dashboard", *words]
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _wait_for_file(self) -> None:
        end = time.monotonic() + START_S
        while not self.scheduler_file.exists():
            if self._scheduler.poll() is not None or time.monotonic() > end:
                raise WorkerError("the Dask scheduler did not start; expected the package `distributed`; install it")
            time.sleep(0.05)
