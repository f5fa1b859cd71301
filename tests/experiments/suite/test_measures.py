"""Tasks, landscapes, statistics and what is read from finished searches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.searches.benchmarks import open_analysis, open_benchmark
from experiments.searches.records import search_folder
from experiments.suite import landscape as module
from experiments.suite.landscape import Landscape, landscape
from experiments.suite.measures import TaskResult, read_task
from experiments.suite.statistics import compare, critical_difference, wilcoxon_p
from experiments.suite.tasks import TASKS, task_named
from invertnas.errors import ArtefactError, ConfigError
from invertnas.files.io import write_json

MACRO = task_named("macro-run1")


def test_tasks_are_data_sets_of_their_benchmarks_and_half_of_them_may_be_chosen_on() -> None:
    assert len({task.name for task in TASKS}) == len({(t.benchmark, t.dataset) for t in TASKS}) == len(TASKS) == 14
    for task in TASKS:
        assert task.dataset in open_benchmark(task.benchmark, 1).datasets
    assert {task.name for task in TASKS if task.chosen_on} == {
        *("cifar10-200ep", "imagenet16-120-12ep", "nb301-validation", "nb101-validation", "macro-run1")
    }
    with pytest.raises(ConfigError, match="got task 'nb301'; expected one of cifar10-200ep"):
        task_named("nb301")


@pytest.mark.parametrize("name", ["cifar100-12ep", "cifar10-halftrain-test", "nb101-test", "macro-run2"])
def test_a_listed_space_is_taken_whole_and_as_the_benchmark_answers(name: str, tmp_path: Path) -> None:
    task = task_named(name)
    found, analysis = landscape(task, tmp_path), open_analysis(task.benchmark)
    assert found.exact and found.best == found.values[-1] == analysis.optimum(task.dataset)[0]
    assert not list(tmp_path.iterdir()) and (np.diff(found.values) >= 0).all()
    bench, rng = open_benchmark(task.benchmark, 200), np.random.default_rng(0)
    answers = [bench.query(bench.space.sample(rng), task.dataset) for _ in range(200)]
    assert set(answers) <= set(found.values.tolist())


def test_regret_and_rank_by_hand() -> None:
    found = Landscape(np.array([0.1, 0.2, 0.2, 0.5, 0.9]), 0.9, exact=True)
    assert found.mean == pytest.approx(0.38)
    assert found.regret(np.array([0.9, 0.38, 0.1])) == pytest.approx([0, 1, 0.8 / 0.52])
    assert found.rank(np.array([0.9, 0.5, 0.2, 0.05])).tolist() == pytest.approx([0, 0.2, 0.4, 1])
    assert found.seen(0.95) is found
    sampled = Landscape(found.values, 0.9, exact=False)
    assert (sampled.seen(0.95).best, sampled.seen(0.8).best) == (0.95, 0.9)


def test_a_sample_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES", 20)
    task = task_named("nb301-validation")
    found = landscape(task, tmp_path)
    assert len(found.values) == 20 and not found.exact
    assert found.values.min() > 0.85 and len(np.unique(found.values)) == 20
    monkeypatch.setattr(module, "generator", lambda *_: pytest.fail("drawn again"))
    assert np.array_equal(landscape(task, tmp_path).values, found.values)


def test_critical_difference_is_demsars() -> None:
    # Section 3.2.2: four classifiers on fourteen data sets, 1.25.
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / (6 * 30)), abs=1e-3)


def test_comparison_of_methods() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0, 1, 40)
    regrets = {"a": base, "b": base + 0.1, "c": base + rng.normal(0, 0.3, 40)}
    found = compare(regrets)
    assert found is not None and found.blocks == 40
    ranks = np.array([stats.rankdata(column) for column in np.array(list(regrets.values())).T]).mean(axis=0)
    assert list(found.ranks.values()) == pytest.approx(ranks.tolist())
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*regrets.values()).pvalue)
    assert found.wilcoxon_p["a", "b"] < 1e-6 and found.wins["a", "b"] == (1.0, 0.0)
    assert found.wilcoxon_p["a", "c"] == wilcoxon_p(regrets["c"], regrets["a"])


def test_equal_and_too_few_methods() -> None:
    same = np.linspace(0, 1, 10)
    found = compare(dict.fromkeys("abc", same))
    assert found is not None and found.friedman_p == 1.0 and set(found.ranks.values()) == {2.0}
    assert wilcoxon_p(same, same) == 1.0
    # A tie is half for and half against.
    assert wilcoxon_p(np.array([0.0] * 20 + [1.0]), np.zeros(21)) > 0.5
    assert compare({"a": same, "b": same}) is None and compare(dict.fromkeys("abc", same[:1])) is None


def store(out: Path, vals: list[float], seed: int, queries: int | None = None, **fields: Any) -> None:
    """A search by evolution on the first run of Macro that was answered `vals`."""
    record = {
        **{"method": "evolution", "benchmark": MACRO.benchmark, "dataset": MACRO.dataset, "preset": "published"},
        **{"init": "random", "labels": open_benchmark(MACRO.benchmark, 1).labels, "seed": seed, "wall_s": 2.0 + seed},
        **{"queries": len(vals), "curve": [{"arch": "00000000", "val": val} for val in vals]},
        **{"rounds": [], "config": {"population": 30}, "best_val": max(vals)},
        **fields,
    }
    folder = search_folder(out, "evolution", MACRO.benchmark, MACRO.dataset)
    write_json(folder / f"q{queries or len(vals)}" / f"seed_{seed}.json.gz", record)


def read(out: Path, variants: list[str], seeds: Sequence[int], queries: int) -> TaskResult:
    result = read_task(out, MACRO, variants, seeds, queries, out)
    assert result is not None
    return result


def test_searches_are_cut_to_the_budget_and_the_least_that_suffices_serves(tmp_path: Path) -> None:
    best = landscape(MACRO, tmp_path).best
    store(tmp_path, [0.9, 0.8, best], 0)
    store(tmp_path, [0.5, 0.6, 0.7, 0.8], 1)
    store(tmp_path, [0.1, 0.1, 0.1, 0.1, 0.1], 1)
    store(tmp_path, [0.9, 0.9], 2)
    store(tmp_path, [0.9, 0.9, 0.9], 3)
    result = read(tmp_path, ["random", "evolution"], range(3), 3)
    (found,) = result.searches
    assert (found.variant, found.seeds, found.preset, found.batch) == ("evolution", (0, 1), "published", 1)
    assert found.incumbents.tolist() == [[0.9, 0.9, best], [0.5, 0.6, 0.7]]
    assert found.wall_s[0] == 2.0 and np.isnan(found.wall_s[1])
    assert result.queries_to_best(found) is None
    assert result.regret(found)[0].tolist() == pytest.approx([*result.landscape.regret(np.array([0.9, 0.9])), 0.0])
    alone = read(tmp_path, ["evolution"], [0], 3)
    assert alone.queries_to_best(alone.searches[0]) == 3.0


def test_searches_on_other_labels_are_refused(tmp_path: Path) -> None:
    store(tmp_path, [0.9], 0, labels="hearsay")
    with pytest.raises(ArtefactError, match="was made on labels 'hearsay'"):
        read_task(tmp_path, MACRO, ["evolution"], [0], 1, tmp_path)


def test_batches_are_those_of_the_settings(tmp_path: Path) -> None:
    for seed, (config, batch) in enumerate(
        (({"search": {"batch": 5}}, 5), ({"batch_size": 10}, 10), ({"num_init": 10}, 1), ({}, 1))
    ):
        store(tmp_path, [0.5], seed, config=config)
        assert read(tmp_path, ["evolution"], [seed], 1).searches[0].batch == batch


def test_a_task_without_searches_is_none_and_draws_no_sample(tmp_path: Path) -> None:
    assert read_task(tmp_path, task_named("nbnlp-validation"), ["random"], [0], 1, tmp_path) is None
    assert not list(tmp_path.iterdir())
