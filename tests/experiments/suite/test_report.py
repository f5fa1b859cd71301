"""The suite's report and pictures, its command line, and searches that do not change with the test values."""

from __future__ import annotations

import csv
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from experiments.common import cli
from experiments.searches.runner import SearchTask, run_search
from experiments.suite import __main__ as suite
from experiments.suite.landscape import Landscape
from experiments.suite.measures import Searches, TaskResult
from experiments.suite.plots import LINES, plot_suite, variants_of
from experiments.suite.report import COLUMNS, comparisons, overall, paired, rows, write_report
from experiments.suite.tasks import Task
from invertnas.benchmarks import nasbench201, nasbench_macro
from invertnas.benchmarks.nasbench101 import benchmark as nasbench101
from invertnas.files.io import read_arrays, write_arrays
from tests.helpers.scripts import set_flags

QUERIES = 150
SPACE = Landscape(np.linspace(0, 1, 1001), 1.0, exact=True)


def searches(variant: str, level: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Searches:
    """Incumbents that rise to about `level`, each seed a little apart."""
    rise = 1 - np.exp(-np.arange(1, QUERIES + 1) / 30)
    incumbents = np.array([(level + 0.01 * seed) * rise for seed in seeds])
    config = {"preset": "published", "config": {"batch_size": 10}}
    return Searches(variant, seeds, incumbents, np.array([1.0, *[np.nan] * (len(seeds) - 1)]), config)


def results() -> list[TaskResult]:
    found = [searches("random", 0.7), searches("evolution", 0.8), searches("bayesian", 0.9)]
    return [
        TaskResult(Task("one", "nasbench201", "cifar10", chosen_on=True), SPACE, tuple(found)),
        TaskResult(Task("two", "nasbench201", "cifar100"), SPACE, (*found[:2], searches("bayesian", 0.9, (0, 1, 5)))),
        TaskResult(Task("three", "nasbench301", "cifar10"), Landscape(SPACE.values, 1.0, False), tuple(found[:2])),
    ]


def test_csv_has_the_promised_columns_and_numbers(tmp_path: Path) -> None:
    write_report(tmp_path, results(), QUERIES)
    with (tmp_path / "suite.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert list(table[0]) == list(COLUMNS) == [
        *("task", "benchmark", "chosen_on", "method", "preset", "batch", "trials", "regret_30", "regret_50"),
        *("regret_75", "regret_100", "regret_150", "rank_50", "rank_100", "rank_150", "queries_to_best", "wall_s"),
    ]  # fmt: skip
    first = table[0]
    assert (first["task"], first["chosen_on"], first["method"], first["batch"]) == ("one", "1", "random", "10")
    incumbents = np.array([0.70, 0.71, 0.72]) * (1 - np.exp(-100 / 30))
    assert float(first["regret_100"]) == pytest.approx(((1 - incumbents) / 0.5).mean(), rel=1e-5)
    assert float(first["rank_100"]) == pytest.approx(np.mean([(SPACE.values > one).mean() for one in incumbents]))
    assert (first["trials"], first["queries_to_best"], float(first["wall_s"])) == ("3", "", 1.0)
    assert len(table) == 8 and table[-1]["chosen_on"] == "0"


def test_budgets_that_were_not_reached_are_left_open() -> None:
    short = [
        TaskResult(one.task, one.landscape, tuple(
            Searches(s.variant, s.seeds, s.incumbents[:, :60], s.wall_s, s.config) for s in one.searches
        ))
        for one in results()
    ]  # fmt: skip
    row = rows(short)[0]
    assert row["regret_50"] is not None and row["rank_50"] is not None
    assert (row["regret_75"], row["regret_150"], row["rank_100"]) == (None, None, None)


def test_only_blocks_that_all_methods_have_are_compared(tmp_path: Path) -> None:
    found = results()
    names = ["random", "evolution", "bayesian"]
    pairs = paired(found, names, 100)
    assert {len(values) for values in pairs.values()} == {3 + 2}
    assert paired(found, names[:2], 100)["random"].shape == (9,)
    compared = comparisons(found, QUERIES)
    assert set(compared) == {(h, n) for h in ("not chosen on", "chosen on", "all") for n in (50, 100, 150)}
    assert list(compared["all", 100].ranks.values()) == [3.0, 2.0, 1.0] and compared["all", 100].blocks == 5
    assert compared["all", 100].friedman_p < 0.05
    assert set(overall(found, 100)) == {"random", "evolution"}
    assert overall(found, 100)["random"] > overall(found, 100)["evolution"]


def test_page_tells_tasks_tests_and_what_the_labels_are(tmp_path: Path) -> None:
    text = write_report(tmp_path, results(), QUERIES)
    assert text == (tmp_path / "suite.md").read_text(encoding="utf-8")
    assert "| one* | 3 |" in text and "| two | 3 |" in text and "| three ~ | 3 |" in text
    assert "## Tasks not chosen on, after 100 queries" in text and "imputed from test accuracies" in text
    line = next(line for line in text.splitlines() if line.startswith("| three"))
    assert line.endswith("| – |")
    ranked = text.partition("## Tasks all, after 100 queries")[2].splitlines()
    assert [row.split("|")[1].strip() for row in ranked if row.startswith("| ")][2:5] == ["BO", "RE", "RS"]


def test_pictures_have_at_most_seven_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(searches(f"invertnas-k{number}", 0.5 + number / 50) for number in range(2, 12))
    found = [TaskResult(Task(f"t{number}", "nasbench201", "cifar10"), SPACE, many) for number in range(4)]
    assert list(map(len, variants_of(found))) == [LINES, 3] and LINES <= 7
    counted: list[int] = []
    monkeypatch.setattr("experiments.suite.plots.save", lambda figure, path: counted.extend(
        len(axes.get_lines()) for axes in figure.axes
    ))  # fmt: skip
    paths = plot_suite(tmp_path, found, QUERIES)
    assert len(paths) == 2 * (2 + 1) and 0 < max(counted) <= 7


def test_pictures_are_written(tmp_path: Path) -> None:
    paths = plot_suite(tmp_path, results(), QUERIES)
    assert [path.name for path in paths] == ["suite_regret_1.png", "suite_profile.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def run_main(out: Path, **values: Any) -> int | None:
    with set_flags(suite.FLAGS, out=str(out), **values):
        return cli.guarded(suite.main)(["suite"])


TINY = {
    "tasks": ["macro-run1", "macro-run2"],
    "methods": ["random", "evolution", "bayesian"],
    "trials": 2,
    "queries": 34,
}


def test_the_suite_from_end_to_end_and_taken_up_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(tmp_path, **TINY) is None
    files = sorted((tmp_path / "searches").rglob("seed_*"))
    assert len(files) == 2 * 3 * 2
    times, text = [path.stat().st_mtime_ns for path in files], (tmp_path / "suite.csv").read_text(encoding="utf-8")
    assert run_main(tmp_path, report_only=True, **TINY) is None and run_main(tmp_path, **TINY) is None
    assert [path.stat().st_mtime_ns for path in files] == times
    assert (tmp_path / "suite.csv").read_text(encoding="utf-8") == text
    assert run_main(tmp_path, chosen_on=True, report_only=True, **TINY) is None
    assert "macro-run2" not in (tmp_path / "suite.csv").read_text(encoding="utf-8")
    assert "# The suite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tasks": ["macro"]}, "got task 'macro'; expected one of"),
        ({"tasks": ["macro-run2"], "chosen_on": True}, "expected one that is chosen on"),
        ({"methods": ["annealing"]}, "got method 'annealing'; expected one of random"),
        ({"preset": ["quick"]}, "got preset 'quick'; expected one of"),
        ({"queries": 3}, "got --queries=3; preset fast starts with"),
        ({"seed": -1}, "got --seed=-1"),
        ({"report_only": True}, "no finished search in"),
    ],
)
def test_bad_flags_are_named(
    tmp_path: Path, values: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(tmp_path, **values) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("Error: ") == 1


def poison(module: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a table in place of a benchmark's own in which every test value that no task searches by is another one."""
    arrays, rng = read_arrays(module.DEFAULT_TABLE), np.random.default_rng(0)
    if module is nasbench101:
        arrays["test"] = rng.permutation(arrays["test"])
    elif module is nasbench201:
        for row, name in enumerate(arrays["columns"].tolist()):
            if "test" in name:
                arrays["counts"][row] = rng.permutation(arrays["counts"][row])
    else:
        arrays["counts"][:, 1:] = rng.permutation(arrays["counts"][:, 1:])
    path = folder / f"poisoned_{module.DEFAULT_TABLE.name}"
    write_arrays(path, arrays)
    monkeypatch.setattr(module, "DEFAULT_TABLE", path)


def poisoned_searches(method: str, queries: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches before and after the poison ask the same questions and get the same answers, and end on other tests."""
    places = {
        nasbench101: ("nasbench101", "cifar10"),
        nasbench201: ("nasbench201", "imagenet16-120-12ep"),
        nasbench_macro: ("nasbench_macro", "cifar10-run1"),
    }
    for module, (benchmark, dataset) in places.items():
        tasks = [
            SearchTask(
                "suite", method, benchmark, dataset, queries, "fast", None, 0, out / name, cli.ROOT / "pretrained"
            )
            for name in ("clean", "poisoned")
        ]
        clean = run_search(tasks[0])
        with monkeypatch.context() as context:
            poison(module, out, context)
            poisoned = run_search(tasks[1])
        assert poisoned["curve"] == clean["curve"] and len(clean["curve"]) == queries
        assert poisoned["test_at_best_val"] != clean["test_at_best_val"]


@pytest.mark.parametrize("method", ["random", "local_search", "evolution", "bayesian"])
def test_poisoned_test_values_change_no_search(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned_searches(method, 40, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bananas", "invertnas_single", "invertnas"])
def test_poisoned_test_values_change_no_search_with_networks(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned_searches(method, 36, tmp_path, monkeypatch)
