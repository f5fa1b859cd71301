"""The loop around real trainings: ask, evaluate on whatever executor there is, tell, record."""

from __future__ import annotations

import concurrent.futures
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Literal, TypeAlias

from invertnas.errors import ConfigError, SearchExhaustedError, WorkerError
from invertnas.protocols import Optimizer
from invertnas.running.log import RunLog, evaluation_event
from invertnas.running.measurement import Evaluation, Progress, RunResult, best_of
from invertnas.running.questions import Job, Questions
from invertnas.running.worker import Evaluate, Outcome, evaluate_once
from invertnas.running.workers import InProcess, ProcessWorkers

Callback: TypeAlias = Callable[[Evaluation, Progress], object]
MODES = ("sync", "async")


def run(
    search: Optimizer,
    evaluate: Evaluate,
    *,
    budget: int,
    executor: Executor | None = None,
    workers: int | Callable[[], int] | None = None,
    mode: Literal["sync", "async"] = "sync",
    out: str | os.PathLike[str] | None = None,
    callbacks: Iterable[Callback] = (),
    retries: int = 2,
    save_every_s: float = 60.0,
) -> RunResult:
    """Search with real trainings, and take up an interrupted run by the same call.

    Every finished training is one line of ``out/log.jsonl``, on the disk before the next step. When the same call is
    made again, with a search constructed in the same way, what the log holds is told and not trained again; trainings
    that were under way start anew. With a larger budget a finished run goes on.

    Args:
        search: a method with ask and tell, just constructed.
        evaluate: trains an architecture and returns its validation accuracy as a fraction, or a `Measurement`. An
            exception, or a value that is not a number, is a failed training: recorded, told as None, not asked again.
        budget: trainings in all, failed ones included.
        executor: where trainings run: any `concurrent.futures.Executor`, such as ``Client(...).get_executor()`` of
            Dask. None for this process, or for processes of this machine if `workers` is above one.
        workers: trainings at a time, or a function that says how many now, for a cluster that grows and shrinks. None
            for one without an executor, and with one for a whole question at a time, in the synchronous mode only.
        mode: "sync" asks the next question when the one before is answered, so the record does not depend on the number
            of workers; "async" asks for more as soon as a worker is idle.
        out: folder of the run; None keeps no record on the disk.
        callbacks: called with each `Evaluation` and the `Progress` after it was recorded.
        retries: how often a training is begun again whose worker was lost; then it counts as failed.
        save_every_s: seconds between two saved states of the search, which make taking up a run quick.

    Returns:
        All finished trainings.

    Raises:
        ConfigError: an argument out of range, a value that is no fraction, or a folder of another search.
        OutputError: the folder cannot be written or is in use.
        ArtefactError: the log or a saved state is damaged.
        SearchExhaustedError: nothing could be asked, or all trainings failed.
        WorkerError: the executor takes no more work.
    """
    _check(budget, executor, workers, mode, retries, save_every_s)
    folder = None if out is None else Path(os.fspath(out))
    signature = {"search": type(search).__name__, "space": getattr(search, "space").name, "mode": mode}
    signature["seed"] = getattr(search, "seed", None)
    with RunLog(folder, signature) as log:
        if len(log.events) > 1:
            log.append({"event": "resume", "at": time.time()})
        questions = Questions(search, log, synchronous=mode == "sync", save_every_s=save_every_s)
        engine = executor or (ProcessWorkers(workers) if isinstance(workers, int) and workers > 1 else InProcess())
        capacity = (lambda: budget) if workers is None and executor is not None else _capacity(workers)
        loop = _Loop(questions, log, evaluate, engine, capacity, budget, retries, tuple(callbacks))
        try:
            return loop.run()
        except BaseException:
            loop.abandon()
            if executor is None and isinstance(engine, ProcessWorkers):
                engine.terminate()
            raise
        finally:
            if executor is None:
                engine.shutdown(wait=False)


class _Loop:
    """Keeps the executor busy, and records what comes back."""

    def __init__(
        self,
        questions: Questions,
        log: RunLog,
        evaluate: Evaluate,
        executor: Executor,
        capacity: Callable[[], int],
        budget: int,
        retries: int,
        callbacks: tuple[Callback, ...],
    ) -> None:
        self.questions, self.log, self.evaluate, self.executor = questions, log, evaluate, executor
        self.capacity, self.budget, self.retries, self.callbacks = capacity, budget, retries, callbacks
        self.evaluations = [job.evaluation for job in questions.jobs if job.evaluation is not None]
        self.running: dict[Future[Outcome], Job] = {}
        self.started = time.perf_counter()

    def run(self) -> RunResult:
        """Until the budget is spent or nothing more can be asked."""
        stopped: str | None = None
        while True:
            try:
                self._fill()
            except SearchExhaustedError as error:
                stopped = str(error)
            if not self.running:
                break
            done, _ = concurrent.futures.wait(self.running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in sorted(done, key=lambda each: self.running[each].number):
                self._collect(future)
            stopped = None
        self.questions.tell_rest()
        result = RunResult(tuple(sorted(self.evaluations, key=lambda each: each.number)), stopped)
        if stopped is not None and result.best is None:
            raise SearchExhaustedError(stopped)
        return result

    def abandon(self) -> None:
        """Ask the executor not to begin what it has not begun."""
        for future in self.running:
            future.cancel()

    def _fill(self) -> None:
        """Submit while there are idle workers and budget."""
        while len(self.running) < self.capacity() and len(self.evaluations) + len(self.running) < self.budget:
            waiting = self.questions.waiting
            if not waiting:
                if self.questions.synchronous and self.running:
                    return
                free = min(self.capacity(), self.budget - len(self.evaluations)) - len(self.running)
                self.questions.ask(max(free, 1))
            self._submit(waiting.popleft())
            if any(future.done() for future in self.running):
                return  # in this process a training is over when it is submitted

    def _submit(self, job: Job) -> None:
        try:
            future = self.executor.submit(evaluate_once, self.evaluate, job.arch)
        except (concurrent.futures.BrokenExecutor, RuntimeError) as error:
            raise WorkerError(
                f"the executor takes no more work ({type(error).__name__}: {error}); expected one that survives the "
                "loss of a worker; run again to go on, with workers=n in place of a process pool of your own"
            ) from error
        self.running[future] = job

    def _collect(self, future: Future[Outcome]) -> None:
        job = self.running.pop(future)
        try:
            outcome = future.result()
        except (concurrent.futures.CancelledError, Exception) as error:
            self._lost(job, error)
            return
        if outcome.refused is not None:
            raise ConfigError(f"evaluate({job.text}): {outcome.refused}")
        self._record(job, outcome)

    def _lost(self, job: Job, error: BaseException) -> None:
        """The worker is gone, not the training's fault as far as one knows: begin it again, a few times."""
        text = " ".join(f"{type(error).__name__}: {error}".split())
        job.attempts += 1
        self.log.append({"event": "lost", "number": job.number, "arch": job.text, "error": text, "at": time.time()})
        if job.attempts <= self.retries:
            self.questions.waiting.appendleft(job)
            return
        reason = f"the worker was lost {job.attempts} times: {text}"
        self._record(job, Outcome(None, {}, {}, reason, None, 0.0, time.time(), ""))

    def _record(self, job: Job, outcome: Outcome) -> None:
        evaluation = Evaluation(
            number=job.number,
            question=job.question,
            arch=job.text,
            value=outcome.value,
            costs=outcome.costs,
            info=outcome.info,
            predicted=job.predicted,
            evaluate_s=outcome.evaluate_s,
            started_at=outcome.started_at,
            worker=outcome.worker,
            error=outcome.error,
            attempts=job.attempts + (outcome.worker != ""),
        )
        self.log.append(evaluation_event(evaluation))
        self.evaluations.append(evaluation)
        self.questions.finish(job, evaluation)
        progress = Progress(
            evaluations=len(self.evaluations),
            budget=self.budget,
            failed=sum(each.failed for each in self.evaluations),
            best=best_of(tuple(self.evaluations)),
            wall_s=time.perf_counter() - self.started,
        )
        for callback in self.callbacks:
            callback(evaluation, progress)


def _capacity(workers: int | Callable[[], int] | None) -> Callable[[], int]:
    """The function that says how many trainings may run now."""
    if callable(workers):
        return workers
    return lambda: 1 if workers is None else workers


def _check(
    budget: Any, executor: Any, workers: Any, mode: Any, retries: Any, save_every_s: Any
) -> None:  # of any type, as they come from a user
    whole = {"budget": (budget, 1), "retries": (retries, 0)}
    if workers is not None and not callable(workers):
        whole["workers"] = workers, 1
    for name, (value, least) in whole.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"got {name}={value!r}; expected a whole number, at least {least}")
    if mode not in MODES:
        raise ConfigError(f"got mode={mode!r}; expected one of {', '.join(MODES)}")
    if executor is not None and not isinstance(executor, Executor):
        raise ConfigError(
            f"got executor={executor!r}; expected a concurrent.futures.Executor, as Client.get_executor()"
        )
    if executor is None and callable(workers):
        raise ConfigError("got a function as workers without an executor; expected a number; pass the executor too")
    if executor is not None and workers is None and mode == "async":
        raise ConfigError("got an executor without workers in the asynchronous mode; expected how many; pass workers=")
    if isinstance(save_every_s, bool) or not isinstance(save_every_s, (int, float)) or not save_every_s >= 0:
        raise ConfigError(f"got save_every_s={save_every_s!r}; expected seconds, at least 0")
