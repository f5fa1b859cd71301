"""The runner: the record it writes, what it refuses, and how much it may ask."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.searches import methods, pool, runner
from experiments.searches.ablations import SETTINGS as PRESETS
from experiments.searches.runner import run_search
from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
from invertnas.errors import (
    ArtefactError,
    BudgetError,
    ConfigError,
    OutOfDomainError,
    OutputError,
    SearchExhaustedError,
)
from invertnas.files.io import read_json, write_json
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import (
    METHOD,
    OPTIMUM,
    QUERIES,
    SMALL_SEARCH,
    SPACE,
    FakeAnalysis,
    FakeBenchmark,
    FakeSurrogate,
    keep_threads,
    register,
    task,
)

FIELDS = {
    *("method", "benchmark", "dataset", "preset", "init", "labels", "members", "seed", "queries", "curve", "best_arch"),
    *("best_val", "test_at_best_val", "best_test_seen", "wall_s", "rounds", "config", "versions"),
}


@pytest.fixture(autouse=True)
def fake_method(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


def test_the_record_has_every_field(tmp_path: Path) -> None:
    record = run_search(task(tmp_path))
    folder = tmp_path / "searches" / METHOD / "nasbench201" / "cifar100" / "q16"
    assert task(tmp_path).path == folder / "seed_3.json.gz" == task(tmp_path, table="another").path
    assert set(record) == FIELDS
    assert read_json(task(tmp_path).path) == json.loads(json.dumps(record))
    names = {"method": METHOD, "benchmark": "nasbench201", "dataset": "cifar100", "preset": "fast", "init": "random"}
    wanted = {**names, "labels": NASBench201(1).labels, "members": 2, "seed": 3, "queries": QUERIES}
    assert {name: record[name] for name in wanted} == wanted
    assert record["wall_s"] > 0 and record["config"]["search"] == dataclasses.asdict(SMALL_SEARCH)
    assert set(record["versions"]) == {"python", "tensorflow", "keras", "numpy"}
    assert [entry["round"] for entry in record["rounds"]] == [0, 1, 2, 3, 4]


def test_the_curve_holds_each_query_once_in_order(tmp_path: Path) -> None:
    record, bench, analysis = run_search(task(tmp_path)), NASBench201(QUERIES), NASBench201Analysis()
    archs = [SPACE.from_string(entry["arch"]) for entry in record["curve"]]
    assert len(set(archs)) == len(archs) == QUERIES
    assert archs[:6] == InvertNAS(SPACE, FakeSurrogate(), SMALL_SEARCH, seed=3).ask()
    values = [bench.query(arch, "cifar100") for arch in archs]
    assert [entry["val"] for entry in record["curve"]] == values
    tests = [analysis.test_accuracy(arch, "cifar100") for arch in archs]
    first = values.index(max(values))
    assert (record["best_val"], record["best_arch"]) == (max(values), record["curve"][first]["arch"])
    assert (record["test_at_best_val"], record["best_test_seen"]) == (tests[first], max(tests))
    assert record["test_at_best_val"] < record["best_test_seen"]  # else the two could be mixed up


def test_a_finished_search_is_read_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run_search(task(tmp_path))
    before = task(tmp_path).path.stat()
    monkeypatch.setattr(NASBench201, "query", lambda *_: pytest.fail("a query"))
    monkeypatch.setitem(methods.METHODS, METHOD, ("Fake", lambda _: pytest.fail("a new optimiser")))
    assert run_search(task(tmp_path)) == json.loads(json.dumps(record))
    assert task(tmp_path).path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(("fields", "suffix"), [({"preset": "paper"}, "-paper"), ({"members": 5}, "-k5")])
def test_another_setting_has_files_of_its_own(tmp_path: Path, fields: dict[str, Any], suffix: str) -> None:
    run_search(task(tmp_path))
    content = task(tmp_path).path.read_bytes()
    other = task(tmp_path, **fields)
    assert run_search(other)["method"] == METHOD + suffix and f"/{METHOD}{suffix}/" in other.path.as_posix()
    assert task(tmp_path).path.read_bytes() == content


def test_a_result_of_a_preset_that_has_changed_is_not_reused(tmp_path: Path) -> None:
    chosen = task(tmp_path, method="invertnas")
    config = json.loads(json.dumps(PRESETS["fast"].to_dict()))
    record = {"method": "invertnas", "preset": "fast", "init": "random", "queries": QUERIES, "seed": chosen.seed}
    record["labels"] = "embedded table"
    write_json(chosen.path, record | {"config": config})
    assert run_search(chosen)["config"] == config
    config["train"]["learning_rate"] = 7.0
    write_json(chosen.path, record | {"config": config})
    with pytest.raises(ArtefactError, match="another setting: the settings have changed since; choose another --out"):
        run_search(chosen)


def test_a_result_of_a_baseline_with_other_settings_is_not_reused(tmp_path: Path) -> None:
    chosen = task(tmp_path, method="local_search")
    record = run_search(chosen)
    assert run_search(chosen) == json.loads(json.dumps(record))
    write_json(chosen.path, record | {"config": record["config"] | {"num_init": 7}})
    with pytest.raises(ArtefactError, match="another setting: the settings have changed since"):
        run_search(chosen)


def test_a_result_from_before_a_setting_existed_is_reused(tmp_path: Path) -> None:
    """A field's default stands for the behaviour before; a value other than it does not."""
    chosen = task(tmp_path, method="invertnas", preset="fast_e2e")
    config = json.loads(json.dumps(PRESETS["fast_e2e"].to_dict()))
    record = {"method": "invertnas-fast_e2e", "preset": "fast_e2e", "init": "random", "queries": QUERIES}
    record |= {"seed": chosen.seed, "labels": "embedded table", "config": config}
    del config["search"]["candidates"]["source"]
    write_json(chosen.path, record)
    assert run_search(chosen)["config"] == config
    del config["predictor"]["finetune"]
    write_json(chosen.path, record)
    with pytest.raises(ArtefactError, match="the settings have changed since"):
        run_search(chosen)


@pytest.mark.parametrize(
    "change", [{"queries": 99}, {"seed": 4}, {"method": "random"}, {"init": "zero-cost"}, {"labels": "official"}]
)
def test_a_moved_result_file_is_noticed(tmp_path: Path, change: dict[str, Any]) -> None:
    record = run_search(task(tmp_path)) | change
    write_json(task(tmp_path).path, record)
    with pytest.raises(ArtefactError, match="was made with another setting"):
        run_search(task(tmp_path))
    assert read_json(task(tmp_path).path) == json.loads(json.dumps(record))


def test_presets_do_not_matter_to_baselines(tmp_path: Path) -> None:
    chosen = task(tmp_path, method="random")
    record = run_search(chosen)
    assert (record["preset"], record["members"], record["queries"]) == ("published", None, QUERIES)
    assert run_search(dataclasses.replace(chosen, preset="paper", members=3))["curve"] == record["curve"]


def test_a_budget_below_the_initial_set(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="got a budget of 5 queries; the initial set alone takes 6"):
        run_search(task(tmp_path, queries=5))
    with pytest.raises(BudgetError, match="got a budget of 0 queries"):
        run_search(task(tmp_path, queries=0))
    assert list(tmp_path.iterdir()) == []
    assert run_search(task(tmp_path, queries=6))["rounds"] == []


@pytest.mark.parametrize("queries", [7, 9])
def test_a_round_larger_than_the_rest_of_the_budget_is_cut(tmp_path: Path, queries: int) -> None:
    record = run_search(task(tmp_path, queries=queries))
    assert record["queries"] == len(record["curve"]) == queries


@pytest.mark.parametrize(
    ("fields", "error", "told"),
    [
        ({"dataset": "cifar1000"}, OutOfDomainError, "got data set 'cifar1000'; expected one of cifar10, cifar100"),
        ({"method": "oracle"}, ConfigError, "got method 'oracle'; expected one of random"),
        ({"benchmark": "nasbench999"}, ConfigError, "got space 'nasbench999'; expected one of nasbench101"),
    ],
)
def test_unknown_names(tmp_path: Path, fields: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        run_search(task(tmp_path, **fields))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_shows_before_the_first_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(NASBench201, "query", lambda *_: pytest.fail("a query"))
    with pytest.raises(OutputError, match="choose a writable output folder"):
        run_search(task(tmp_path / "file" / "results"))


def open_fakes(monkeypatch: pytest.MonkeyPatch, bench: FakeBenchmark, known: bool = True) -> None:
    monkeypatch.setattr(runner, "open_benchmark", lambda name, budget: bench)
    monkeypatch.setattr(runner, "open_analysis", lambda name: FakeAnalysis(bench, known))


def test_test_accuracies_are_read_after_the_last_query_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = FakeBenchmark(QUERIES)
    with pytest.raises(AssertionError, match="during the search"):
        FakeAnalysis(bench).test_accuracy(OPTIMUM, "cifar10")
    open_fakes(monkeypatch, bench)
    record = run_search(task(tmp_path, dataset="cifar10"))
    assert record["test_at_best_val"] == 1.0 - record["best_val"]
    assert record["best_test_seen"] == 1.0 - min(entry["val"] for entry in record["curve"])


def test_a_benchmark_without_test_accuracies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_fakes(monkeypatch, FakeBenchmark(QUERIES), known=False)
    record = run_search(task(tmp_path, dataset="cifar10"))
    assert record["test_at_best_val"] is None and record["best_test_seen"] is None


class Stubborn:
    """An optimiser that asks what it is given, whatever it was told; implements `Optimizer`."""

    def __init__(self, asks: Sequence[list[ArchSpec]]) -> None:
        self.asks, self.told = list(asks), list[tuple[int, int]]()

    def ask(self) -> list[ArchSpec]:
        return self.asks.pop(0) if self.asks else []

    def tell(self, archs: Sequence[ArchSpec], accuracies: Sequence[float]) -> None:
        self.told.append((len(archs), len(accuracies)))

    def save(self, folder: Path) -> None:
        assert folder.is_dir()

    def load(self, folder: Path) -> None:
        raise NotImplementedError

    def diagnostics(self) -> list[dict[str, Any]]:
        return []


def stubborn(patch: pytest.MonkeyPatch, *asks: list[ArchSpec]) -> Stubborn:
    """Register such an optimiser as method "stubborn"."""
    optimizer = Stubborn(asks)
    patch.setitem(methods.METHODS, "stubborn", ("Stubborn", lambda _: (optimizer, {})))
    return optimizer


def test_a_repeated_question_is_free_and_no_point_of_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c, d = SPACE.neighbours(OPTIMUM)[:4]
    optimizer = stubborn(monkeypatch, [a, b, a], [b, c], [c, d])
    record = run_search(task(tmp_path, method="stubborn", queries=4))
    assert [entry["arch"] for entry in record["curve"]] == [SPACE.to_string(arch) for arch in (a, b, c, d)]
    assert record["queries"] == 4 and optimizer.told == [(3, 3), (2, 2), (2, 2)]


def test_an_optimizer_that_asks_for_nothing_new_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = SPACE.neighbours(OPTIMUM)[:2]
    for number, second in enumerate(([b], [])):
        stubborn(monkeypatch, [a, b], [*second])
        with pytest.raises(SearchExhaustedError, match="stubborn asked for nothing new after 2 queries"):
            run_search(task(tmp_path / str(number), method="stubborn", queries=4))


def test_fewer_architectures_than_a_batch_are_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn(monkeypatch, *([arch] for arch in SPACE.neighbours(OPTIMUM)[:5]))
    assert run_search(task(tmp_path, method="stubborn", queries=5))["queries"] == 5


def test_the_first_of_equally_good_architectures_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = NASBench201Analysis()
    values = analysis.table("cifar10")["val"]
    top = next(value for value in sorted(values, reverse=True) if (values == value).sum() > 1)
    twins = [analysis.arch(int(row)) for row in (values == top).nonzero()[0]]
    assert analysis.test_accuracy(twins[0], "cifar10") != analysis.test_accuracy(twins[1], "cifar10")
    for number, (first, second) in enumerate((twins[:2], twins[1::-1])):
        stubborn(monkeypatch, [first, second])
        record = run_search(task(tmp_path / str(number), method="stubborn", dataset="cifar10", queries=2))
        assert record["best_arch"] == SPACE.to_string(first)
        assert record["test_at_best_val"] == analysis.test_accuracy(first, "cifar10")


def test_a_failing_search_ends_the_table_and_keeps_the_finished_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn(monkeypatch)
    tasks = [task(tmp_path, method=method) for method in ("random", "stubborn", METHOD)]
    with pytest.raises(SearchExhaustedError):
        pool.run_all(tasks, jobs=1)
    assert [chosen.path.exists() for chosen in tasks] == [True, False, False]
    monkeypatch.setitem(methods.METHODS, "stubborn", methods.METHODS["random"])
    pool.run_all(tasks, jobs=1)
    assert all(chosen.path.exists() for chosen in tasks)


def test_no_task_is_no_error(tmp_path: Path) -> None:
    pool.run_all([], jobs=1)


def test_searches_side_by_side_give_the_same_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "limit_threads", keep_threads)
    tasks = [task(tmp_path / "2", method="random", seed=seed, queries=8) for seed in (0, 1)]
    pool.run_all(tasks, jobs=2)
    for chosen in tasks:
        alone = run_search(dataclasses.replace(chosen, out=tmp_path / "1"))
        assert read_json(chosen.path)["curve"] == alone["curve"]


def test_a_budget_above_the_space_is_refused_before_the_first_query(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="got a budget of 15626 queries; nasbench201 has 15625 architectures"):
        run_search(task(tmp_path, method="random", queries=15_626))
    assert list(tmp_path.rglob("*")) == []


def test_what_an_exhausted_method_found_is_kept_as_the_shorter_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archs = SPACE.neighbours(OPTIMUM)[:3]
    stubborn(monkeypatch, archs, [])
    with pytest.raises(SearchExhaustedError, match="nothing new after 3 queries; lower the budget to 3, whose search"):
        run_search(task(tmp_path, method="stubborn", queries=9))
    shorter = task(tmp_path, method="stubborn", queries=3)
    assert [path.name for path in tmp_path.rglob("seed*")] == [shorter.path.name]
    kept = run_search(shorter)
    assert kept["queries"] == 3 and [entry["arch"] for entry in kept["curve"]] == list(map(SPACE.to_string, archs))
    stubborn(monkeypatch, [])
    with pytest.raises(SearchExhaustedError, match="asked for nothing; expected architectures"):
        run_search(task(tmp_path / "none", method="stubborn", queries=9))
