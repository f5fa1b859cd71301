"""`invertnas.run` in one process: what is asked, told, recorded, taken up again and refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import invertnas
from invertnas.errors import ArtefactError, ConfigError, OutputError, SearchExhaustedError, WorkerError
from invertnas.running import Evaluation, Measurement, Progress, read_events, read_run
from invertnas.running.log import RunLog
from invertnas.spaces import ArchSpec
from tests.helpers.trainings import ALL, SPACE, ListSearch, Training, begun, score

TEXTS = [SPACE.to_string(arch) for arch in ALL[:30]]


class Interruption(Exception):
    """Stands for a kill between two lines of the log."""


def stop_after(count: int) -> Callable[[Evaluation, Progress], None]:
    def stop(_: Evaluation, progress: Progress) -> None:
        if progress.evaluations == count:
            raise Interruption

    return stop


def essence(result: invertnas.running.RunResult) -> list[tuple[Any, ...]]:
    """What must not depend on workers, interruptions and the clock."""
    return [(e.number, e.question, e.arch, e.value, e.costs, e.info, e.error) for e in result.evaluations]


def test_everything_asked_is_evaluated_told_and_recorded_once(tmp_path: Path) -> None:
    search, seen = ListSearch(), list[tuple[int, int]]()
    result = invertnas.run(
        search, Training(), budget=7, out=tmp_path, callbacks=[lambda e, p: seen.append((e.number, p.evaluations))]
    )
    assert [e.arch for e in result.evaluations] == TEXTS[:7]
    assert [e.value for e in result.evaluations] == [score(arch) for arch in ALL[:7]]
    assert [len(told) for told in search.tells] == [3, 3, 1] and list(search.told) == TEXTS[:7]
    assert [e.question for e in result.evaluations] == [0, 0, 0, 1, 1, 1, 2]
    assert seen == [(number, number + 1) for number in range(7)]
    best = max(ALL[:7], key=score)
    assert result.best is not None and result.best.arch == SPACE.to_string(best)
    assert result.best_values[-1] == score(best) and result.best_values[0] == score(ALL[0])
    assert read_run(tmp_path) == result
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines].count("evaluation") == 7 and lines[0]["space"] == "nasbench201"
    assert all(e.info == {"text": e.arch} and e.costs["convolutions"] >= 0 for e in result.evaluations)


def test_a_failed_training_is_recorded_told_as_none_and_not_asked_again(tmp_path: Path) -> None:
    search, training = ListSearch(), Training(fails=(TEXTS[1],), diverges=(TEXTS[3],))
    result = invertnas.run(search, training, budget=6, out=tmp_path)
    assert search.told[TEXTS[1]] is None and search.told[TEXTS[3]] is None and len(search.told) == 6
    first, second = result.evaluations[1], result.evaluations[3]
    assert (
        first.failed and first.error is not None and first.error.startswith("ValueError: out of memory (trainings.py:")
    )
    assert second.error == "the value is not a number" and second.costs
    assert [e.attempts for e in result.evaluations] == [1] * 6


def test_all_trainings_failed(tmp_path: Path) -> None:
    search = ListSearch(ALL[:3])
    with pytest.raises(SearchExhaustedError, match="no cell is left"):
        invertnas.run(search, Training(fails=tuple(TEXTS)), budget=6, out=tmp_path)
    assert len(read_run(tmp_path).evaluations) == 3 and read_run(tmp_path).best is None


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_space_that_is_used_up_ends_the_run(mode: Any) -> None:
    result = invertnas.run(ListSearch(ALL[:5]), Training(), budget=9, mode=mode)
    assert len(result.evaluations) == 5 and result.stopped == "no cell is left"


def test_numbers_are_taken_as_they_come() -> None:
    import numpy as np

    for value in (1, 0.5, np.float32(0.5), np.array([0.5])):
        result = invertnas.run(ListSearch(), lambda _, value=value: value, budget=1)  # type: ignore[misc]
        assert result.evaluations[0].value == (1.0 if value == 1 else 0.5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (73.1, "got 73.1 as the value of a training; expected a validation accuracy as a fraction"),
        (-0.1, "as a fraction in"),
        ("0.9", "got '0.9' as the value of a training; expected a number"),
        (None, "got None as the value of a training"),
        (True, "got True as the value of a training"),
    ],
)
def test_a_value_that_is_no_fraction_ends_the_run_with_a_named_error(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        invertnas.run(ListSearch(), lambda _: value, budget=3, out=tmp_path)
    assert not read_run(tmp_path).evaluations  # after the error is mended the same call trains it


@pytest.mark.parametrize("given", [{"costs": {"a": "x"}}, {"info": {"a": object()}}, {"costs": {"a": None}}])
def test_measurements_hold_numbers_and_json(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="got"):
        Measurement(0.5, **given)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("save_every_s", [0.0, 60.0])
def test_an_interrupted_run_goes_on_to_the_same_record(mode: Any, save_every_s: float, tmp_path: Path) -> None:
    whole = invertnas.run(ListSearch(), Training(fails=(TEXTS[4],)), budget=10, mode=mode)
    for stop in range(1, 10):
        out, marks = tmp_path / f"{stop}", tmp_path / f"marks{stop}"
        marks.mkdir()
        training = Training(marks, fails=(TEXTS[4],))
        arguments: dict[str, Any] = {"budget": 10, "out": out, "mode": mode, "save_every_s": save_every_s}
        with pytest.raises(Interruption):
            invertnas.run(ListSearch(), training, callbacks=[stop_after(stop)], **arguments)
        search = ListSearch()
        result = invertnas.run(search, training, **arguments)
        assert essence(result) == essence(whole)
        assert set(begun(marks).values()) == {1} and len(begun(marks)) == 10
        assert search.told == {e.arch: e.value for e in whole.evaluations}
        assert essence(read_run(out)) == essence(whole)
        states = [path.name for path in out.glob("search/*")]
        assert len(states) == (save_every_s == 0)


def test_a_finished_run_is_read_and_goes_on_with_a_larger_budget(tmp_path: Path) -> None:
    training = Training(tmp_path / "marks")
    (tmp_path / "marks").mkdir()
    first = invertnas.run(ListSearch(), training, budget=4, out=tmp_path / "run")
    again = invertnas.run(ListSearch(), training, budget=4, out=tmp_path / "run")
    assert again == first
    search = ListSearch()
    longer = invertnas.run(search, training, budget=8, out=tmp_path / "run")
    assert longer.evaluations[:4] == first.evaluations
    assert [len(told) for told in search.tells] == [3, 3, 2]  # as if it had been one run
    assert len(begun(tmp_path / "marks")) == 8 and set(begun(tmp_path / "marks").values()) == {1}


def test_a_line_cut_short_is_dropped_and_its_training_done_again(tmp_path: Path) -> None:
    whole = invertnas.run(ListSearch(), Training(), budget=5, out=tmp_path)
    log = tmp_path / "log.jsonl"
    content = log.read_bytes()
    for cut in (3, 40):
        log.write_bytes(content[:-cut])
        assert essence(invertnas.run(ListSearch(), Training(), budget=5, out=tmp_path)) == essence(whole)
    lines = content.splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:2], b"{nonsense\n", *lines[2:]]))
    with pytest.raises(ArtefactError, match="damaged in line 3"):
        invertnas.run(ListSearch(), Training(), budget=5, out=tmp_path)
    log.write_bytes(b"[1]\n" + content)
    with pytest.raises(ArtefactError, match="damaged in line 1"):
        invertnas.run(ListSearch(), Training(), budget=5, out=tmp_path)
    log.write_bytes(b'{"event": "other"}\n')
    with pytest.raises(ArtefactError, match="expected a log of format 1"):
        invertnas.run(ListSearch(), Training(), budget=5, out=tmp_path)


def test_a_folder_of_another_search_or_in_use_is_refused(tmp_path: Path) -> None:
    invertnas.run(ListSearch(), Training(), budget=2, out=tmp_path)
    with pytest.raises(ConfigError, match=r"got mode='async' \(in the log 'sync'\)"):
        invertnas.run(ListSearch(), Training(), budget=2, out=tmp_path, mode="async")
    other = ListSearch()
    other.seed = 1
    with pytest.raises(ConfigError, match=r"got seed=1 \(in the log 0\), but .* is of another search"):
        invertnas.run(other, Training(), budget=2, out=tmp_path)
    with RunLog(tmp_path / "held", {}), pytest.raises(OutputError, match="another process is running in"):
        RunLog(tmp_path / "held", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        invertnas.run(ListSearch(), Training(), budget=2, out=tmp_path / "file")
    with pytest.raises(invertnas.DataMissingError, match="expected the folder of a run"):
        read_events(tmp_path / "nothing")


def test_a_search_that_asks_otherwise_when_it_is_replayed_goes_on_from_the_log(tmp_path: Path) -> None:
    with pytest.raises(Interruption):
        invertnas.run(ListSearch(), Training(), budget=6, out=tmp_path, callbacks=[stop_after(4)])
    search = ListSearch(ALL[100:])
    with pytest.warns(RuntimeWarning, match="did not ask again what the log says"):
        result = invertnas.run(search, Training(), budget=9, out=tmp_path)
    assert [e.arch for e in result.evaluations[:6]] == TEXTS[:6] and len(search.told) == 9
    assert search.told == {e.arch: e.value for e in result.evaluations}
    assert any(event["event"] == "note" for event in read_events(tmp_path))


class Backwards(ThreadPoolExecutor):
    """Ends what it was given in the opposite order, so that later trainings are done first."""

    def __init__(self) -> None:
        super().__init__(1)
        self.held: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.held.append((future, fn, args))
        if len(self.held) == 3:
            while self.held:
                last, function, given = self.held.pop()
                last.set_result(function(*given))
        return future


def test_the_synchronous_record_does_not_depend_on_the_order_in_which_trainings_end() -> None:
    forward, backward = ListSearch(), ListSearch()
    expected = invertnas.run(forward, Training(), budget=9)
    found = invertnas.run(backward, Training(), budget=9, executor=Backwards())
    assert essence(found) == essence(expected) and backward.tells == forward.tells


def test_the_asynchronous_mode_tells_each_and_keeps_workers_busy() -> None:
    open_at_once = list[int]()

    class Watched(ListSearch):
        def tell(self, archs: Any, accuracies: Any) -> None:
            open_at_once.append(len(self.open))
            super().tell(archs, accuracies)

    search = Watched()
    with ThreadPoolExecutor(4) as executor:
        result = invertnas.run(search, Training(sleep_s=0.01), budget=20, executor=executor, workers=4, mode="async")
    assert len(result.evaluations) == 20 == len(search.tells) and all(len(told) == 1 for told in search.tells)
    assert max(open_at_once) == 4 and len({e.number for e in result.evaluations}) == 20


def test_the_number_of_workers_may_change_while_it_runs() -> None:
    sizes = iter([1] * 4 + [3] * 1000)
    with ThreadPoolExecutor(4) as executor:
        result = invertnas.run(
            ListSearch(), Training(), budget=12, executor=executor, workers=lambda: next(sizes), mode="async"
        )
    assert sorted(e.arch for e in result.evaluations) == sorted(TEXTS[:12])


def test_an_executor_that_is_shut_down_ends_the_run_with_a_named_error(tmp_path: Path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(WorkerError, match="the executor takes no more work"):
        invertnas.run(ListSearch(), Training(), budget=3, executor=executor, out=tmp_path)
    assert essence(invertnas.run(ListSearch(), Training(), budget=3, out=tmp_path))


class Losing(ThreadPoolExecutor):
    """Loses the worker of some architectures, some times."""

    def __init__(self, losses: dict[str, int]) -> None:
        super().__init__(1)
        self.losses = losses

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        text = SPACE.to_string(args[1])
        if self.losses.get(text, 0):
            self.losses[text] -= 1
            future: Future[Any] = Future()
            future.set_exception(ConnectionError("worker went away"))
            return future
        return super().submit(fn, *args, **kwargs)


def test_a_training_whose_worker_is_lost_is_begun_again_a_few_times(tmp_path: Path) -> None:
    search = ListSearch()
    with Losing({TEXTS[0]: 2, TEXTS[4]: 3}) as executor:
        result = invertnas.run(search, Training(), budget=6, executor=executor, out=tmp_path)
    assert [e.attempts for e in result.evaluations] == [3, 1, 1, 1, 3, 1]
    assert result.evaluations[0].value == score(ALL[0])
    assert result.evaluations[4].error == "the worker was lost 3 times: ConnectionError: worker went away"
    assert search.told[TEXTS[4]] is None and len(search.told) == 6
    lost = [event["arch"] for event in read_events(tmp_path) if event["event"] == "lost"]
    assert sorted(lost) == sorted([TEXTS[0]] * 2 + [TEXTS[4]] * 3)


def test_attempts_count_over_interruptions(tmp_path: Path) -> None:
    with pytest.raises(Interruption), Losing({TEXTS[0]: 9}) as executor:
        invertnas.run(
            ListSearch(), Training(), budget=3, executor=executor, out=tmp_path, retries=2, callbacks=[stop_after(2)]
        )
    losses = [event for event in read_events(tmp_path) if event["event"] == "lost"]
    with Losing({TEXTS[0]: 9}) as executor:
        result = invertnas.run(ListSearch(), Training(), budget=3, executor=executor, out=tmp_path, retries=2)
    assert losses and result.evaluations[0].attempts == 3 and result.evaluations[0].failed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0}, "got budget=0; expected a whole number, at least 1"),
        ({"budget": 2.0}, "got budget=2.0"),
        ({"budget": True}, "got budget=True"),
        ({"workers": 0}, "got workers=0"),
        ({"retries": -1}, "got retries=-1; expected a whole number, at least 0"),
        ({"mode": "fast"}, "got mode='fast'; expected one of sync, async"),
        ({"executor": 3}, "got executor=3; expected a concurrent.futures.Executor"),
        ({"workers": lambda: 1}, "got a function as workers without an executor"),
        ({"executor": ThreadPoolExecutor(1), "mode": "async"}, "got an executor without workers"),
        ({"save_every_s": -1}, "got save_every_s=-1"),
        ({"save_every_s": float("nan")}, "got save_every_s=nan"),
    ],
)
def test_arguments_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        invertnas.run(ListSearch(), Training(), **{"budget": 1, **changes})


def test_evaluations_say_where_and_how_long() -> None:
    result = invertnas.run(ListSearch(), Training(sleep_s=0.02), budget=1)
    (evaluation,) = result.evaluations
    assert 0.02 <= evaluation.evaluate_s < 5 and evaluation.worker.partition(":")[2].isdecimal()
    assert dataclasses.asdict(evaluation)["predicted"] is None


def test_what_the_search_predicted_stands_in_the_record(tmp_path: Path) -> None:
    from invertnas.search.config import CandidateConfig, SearchConfig
    from invertnas.search.optimizer import InvertNAS
    from tests.helpers.fakes import FakeSurrogate

    def search() -> InvertNAS:
        config = SearchConfig(initial=6, keep=6, batch=2, candidates=CandidateConfig(wanted=20, rows=4))
        return InvertNAS(SPACE, FakeSurrogate(), config, seed=0)

    def evaluate(arch: ArchSpec) -> float:
        return score(arch)

    result = invertnas.run(search(), evaluate, budget=12, out=tmp_path / "whole")
    predicted = [e.predicted for e in result.evaluations]
    assert predicted[:6] == [None] * 6 and all(value is not None for value in predicted[6:])
    for save_every_s in (0.0, 60.0):
        out = tmp_path / f"{save_every_s}"
        with pytest.raises(Interruption):
            invertnas.run(search(), evaluate, budget=12, out=out, callbacks=[stop_after(9)], save_every_s=save_every_s)
        again = invertnas.run(search(), evaluate, budget=12, out=out, save_every_s=save_every_s)
        assert essence(again) == essence(result) and [e.predicted for e in again.evaluations] == predicted
