"""The pool of searches, and what a search had found after fewer queries."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from experiments.searches import methods, runner
from experiments.searches.ablations import SETTINGS as PRESETS
from experiments.searches.ablations import setting as preset
from experiments.searches.benchmarks import BENCHMARKS, open_analysis, open_benchmark
from experiments.searches.initial import BARE_INIT
from experiments.searches.methods import METHODS
from experiments.searches.records import (
    at_budget,
    compact,
    finished,
    longest_or,
    read_searches,
    rounds_within,
    search_folder,
    stored_at,
    variants,
)
from experiments.searches.runner import run_search
from experiments.tables.definitions import TABLES, collect, grid, table_named
from experiments.tables.spec import Place, Row, Table
from invertnas.benchmarks.nasbench201 import NASBench201, NASBench201Analysis
from invertnas.errors import ArtefactError, BudgetError, ConfigError
from invertnas.files.io import read_json, write_json
from invertnas.presets import completed
from tests.helpers.fakes import METHOD, SPACE, register, task, timeless

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def fake_method(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, checkpoint_every_s=1e9)


def store(out: Path, variant: str, queries: int, seed: int, dataset: str = "cifar10") -> dict[str, Any]:
    """A finished random search, its accuracies rising by chance."""
    chosen = task(out, method="random", dataset=dataset, queries=queries, seed=seed)
    record = run_search(chosen)
    record["method"] = variant
    write_json(search_folder(out, variant, "nasbench201", dataset) / f"q{queries}" / f"seed_{seed}.json.gz", record)
    return dict(read_json(chosen.path)) | {"method": variant}


@pytest.mark.parametrize("method", [METHOD, "random", "local_search", "evolution"])
def test_a_search_begins_as_the_shorter_one(tmp_path: Path, method: str) -> None:
    """No method looks at its budget: curve, rounds and outcome of 13 queries are those of the first 13 of 31."""
    short, long = (run_search(task(tmp_path, method=method, queries=queries)) for queries in (13, 31))
    cut = at_budget(long, 13)
    assert len(long["curve"]) == 31 and cut["curve"] == short["curve"] == long["curve"][:13]
    if method != METHOD:  # the rounds of baselines are not cut
        short = short | {"rounds": []}
    assert timeless(json.loads(json.dumps(cut))) == timeless(json.loads(json.dumps(short)))
    assert set(cut) == set(short) and cut["wall_s"] is None


def test_no_factory_is_told_how_to_use_the_budget() -> None:
    """What the prefix rests on, in the source: methods get `arguments` and leave `arguments.budget` alone."""
    tree = ast.parse(Path(methods.__file__).read_text(encoding="utf-8"))
    read = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "budget" not in read and {"seed", "space"} <= read
    for folder in ("search", "inn", "gvae"):
        for path in (ROOT / "invertnas" / folder).rglob("*.py"):
            names = {n.id for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Name)}
            assert not {"budget", "ledger"} & names, path


def test_the_outcome_is_looked_up_again(tmp_path: Path) -> None:
    record, analysis, bench = store(tmp_path, "random", 40, 0), NASBench201Analysis(), NASBench201(40)
    for budget in (1, 7, 39):
        cut = at_budget(record, budget)
        archs = [SPACE.from_string(entry["arch"]) for entry in record["curve"][:budget]]
        values = [bench.query(arch, "cifar10") for arch in archs]
        tests = [analysis.test_accuracy(arch, "cifar10") for arch in archs]
        best = values.index(max(values))
        assert (cut["queries"], cut["best_val"], cut["test_at_best_val"]) == (budget, max(values), tests[best])
        assert (cut["best_arch"], cut["best_test_seen"]) == (record["curve"][best]["arch"], max(map(float, tests)))
    assert at_budget(record, 40) is record
    with pytest.raises(BudgetError, match="got a search of 40 queries; expected at least 41"):
        at_budget(record, 41)


def test_rounds_are_those_that_began_before_the_budget() -> None:
    record = {"config": {"search": {"initial": 30, "batch": 5}}, "rounds": [{"round": r} for r in range(33)]}
    assert [len(rounds_within(record, budget)) for budget in (30, 31, 35, 36, 150, 192)] == [0, 1, 1, 2, 24, 33]
    assert rounds_within({"config": {}, "rounds": [{"phase": "init"}]}, 99) == []


def test_plain_files_of_before_are_read_and_not_searched_again(tmp_path: Path) -> None:
    chosen = task(tmp_path, method="random", dataset="cifar10", queries=20, seed=0)
    record = run_search(chosen)
    plain = chosen.path.with_suffix("")
    write_json(plain, record)
    folder = chosen.path.parent.parent
    assert stored_at(chosen.path) == chosen.path and [path for *_, path in finished(folder)] == [chosen.path]
    chosen.path.unlink()
    assert stored_at(chosen.path) == plain and [path for *_, path in finished(folder)] == [plain]
    assert read_searches(folder, 20, range(1)) == [record] and run_search(chosen) == record
    assert not chosen.path.exists()
    plain.unlink()
    assert stored_at(chosen.path) is None


def test_what_is_stored_keeps_all_that_tables_read() -> None:
    entry = {"round": 3, "valid": 1234567, "fit": {"steps": 40, "losses": {"rev": 0.73114693}, "skipped": [0, 0]}}
    entry |= {"fit_s": 4.680605624998861, "candidates_s": 1.188615232, "seconds": {"draw": 0.0123456}, "gain": None}
    record = {"curve": [{"arch": "a", "val": 1 / 3}], "best_val": 1 / 3, "wall_s": 0.123456789, "rounds": [entry]}
    stored = compact(record)
    (kept,) = stored["rounds"]
    assert stored | {"rounds": 0} == record | {"rounds": 0} and compact(stored) == stored
    assert kept["fit"] == {"steps": 40, "losses": {"rev": 0.731}, "skipped": [0, 0]} and kept["valid"] == 1234567
    assert (kept["fit_s"], kept["candidates_s"]) == (4.68060562, 1.18861523)
    assert kept["seconds"] == {"draw": 0.0123} and kept["gain"] is None and entry["fit_s"] == 4.680605624998861


def test_results_are_small() -> None:
    """Searches, tables and pictures together, in whole blocks of a disk."""
    sizes = [path.stat().st_size for path in (ROOT / "results").rglob("*") if path.is_file()]
    assert sum(sizes) < 10e6 and sum(-(-size // 4096) * 4096 for size in sizes) < 10e6


def test_the_least_sufficient_search_of_each_seed_is_read(tmp_path: Path) -> None:
    kept = {(q, s): store(tmp_path, "random", q, s) for q, s in ((20, 0), (30, 0), (30, 1), (20, 2), (30, 11))}
    folder = search_folder(tmp_path, "random", "nasbench201", "cifar10")
    (folder / "q30" / "seed_5.partial").mkdir()
    (folder / "q30" / ".seed_8.json.gz.x.json.gz").write_text("half")
    assert [(q, s) for q, s, _ in finished(folder)] == [(20, 0), (20, 2), (30, 0), (30, 1), (30, 11)]
    found = read_searches(folder, 20, range(10))
    assert [r["seed"] for r in found] == [0, 1, 2] and [r["queries"] for r in found] == [20, 20, 20]
    assert found[0] == kept[20, 0] and found[1]["curve"] == kept[30, 1]["curve"][:20]
    assert [r["seed"] for r in read_searches(folder, 25, range(10))] == [0, 1]
    assert [longest_or(folder, seed, 20) for seed in (0, 1, 7)] == [20, 30, 20]
    assert read_searches(tmp_path / "nowhere", 20, range(10)) == []


def test_searches_on_other_labels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After official labels are installed, a table of old searches would mix test values of both."""
    store(tmp_path, "random", 20, 0)
    folder = search_folder(tmp_path, "random", "nasbench201", "cifar10")
    assert len(read_searches(folder, 20, range(10))) == 1
    monkeypatch.setattr(NASBench201, "labels", "official table")
    for budget in (20, 10):
        with pytest.raises(ArtefactError, match="on labels 'embedded table', nasbench201 now has 'official table'"):
            read_searches(folder, budget, range(10))
    with pytest.raises(ArtefactError, match="labels='embedded table' .expected 'official table'.*OUT= of make"):
        run_search(task(tmp_path, method="random", dataset="cifar10", queries=20, seed=0))


def test_committed_searches_are_on_the_present_labels() -> None:
    """Else every table would refuse them."""
    present = {name: open_benchmark(name, 1).labels for name in BENCHMARKS}
    paths = list((ROOT / "results" / "searches").glob("*/*/*/q*/seed_*.json.gz"))
    assert paths
    for path in paths:
        record = read_json(path)
        assert record["labels"] == present[record["benchmark"]], path


def test_variants_are_those_with_searches(tmp_path: Path) -> None:
    for variant in ("random", "invertnas-k3"):
        store(tmp_path, variant, 20, 0)
    search_folder(tmp_path, "empty", "nasbench201", "cifar10").mkdir(parents=True)
    assert variants(tmp_path, "nasbench201", "cifar10") == ["invertnas-k3", "random"]
    assert variants(tmp_path, "nasbench201", "cifar100") == []


def test_a_table_collects_its_rows_places_and_budgets(tmp_path: Path) -> None:
    for variant, queries in (("random", 30), ("bananas", 20)):
        for seed in range(3):
            store(tmp_path, variant, queries, seed)
    rows = (Row("random"), Row("bananas", budgets=(20,)), Row("evolution"))
    table = Table("t", "T", rows, (Place("nasbench201", "cifar10", (20, 30)), Place("nasbench201", "cifar100", (20,))))
    found = [(r["method"], r["dataset"], r["queries"], r["seed"]) for r in collect(table, tmp_path, range(2))]
    assert found == [
        *(("random", "cifar10", queries, seed) for queries in (20, 30) for seed in range(2)),
        *(("bananas", "cifar10", 20, seed) for seed in range(2)),
    ]


def test_tables_name_known_methods_presets_and_places() -> None:
    analyses = {name: open_analysis(name) for name in BENCHMARKS}
    for name, table in TABLES.items():
        assert table.name == name and table.trials >= 3
        assert len({row.variant for row in table.rows}) == len(table.rows), name
        for row in table.rows:
            assert row.method in METHODS and row.preset in PRESETS
        for place in table.places:
            assert place.dataset in open_benchmark(place.benchmark, 1).datasets
            assert analyses[place.benchmark].optimum(place.dataset)[0] or place.benchmark in (
                "nasbench301",
                "nasbench_nlp",
            )
            assert list(place.budgets) == sorted(set(place.budgets))
    with pytest.raises(ConfigError, match="got table 'table5'; expected one of table1"):
        table_named("table5")


def test_what_the_issue_asks_for_is_in_the_registry() -> None:
    def variants_of(name: str) -> set[str]:
        return {row.variant for row in TABLES[name].rows if not row.optional}

    assert variants_of("table2") == set(METHODS) - {METHOD, "bayesian"} and TABLES["table2"].trials == 10
    shown = [(name, place.benchmark) for name, t in TABLES.items() for r, place in grid(t) if r.method == "bayesian"]
    assert shown == [("table3", "nasbench301")]
    means = {"", "-fast_mean", "-fast_greedy", "-fast_greedy_mean"}
    assert variants_of("table17") == {f"invertnas{name}" for name in means}
    for idw, mean in (("fast", "fast_mean"), ("fast_greedy", "fast_greedy_mean")):
        assert {PRESETS[name].predictor.aggregate for name in (idw, mean)} == {"idw", "mean"}
    assert variants_of("table18") == {"invertnas_single", "invertnas", *(f"invertnas-k{k}" for k in (3, 5, 7))}
    assert TABLES["table18"].trials >= 5
    single = "invertnas_single"
    assert variants_of("thesis_table4") == {single, f"{single}-fast_inverse", f"{single}-fast_random_candidates"}
    assert PRESETS["fast_random_candidates"].search.candidates.source == "random"
    tuned = {single, *(f"{single}-fast_{name}" for name in ("ranked", "e2e", "e2e_ranked"))}
    assert variants_of("thesis_table5") == variants_of("thesis_table6") == tuned
    for name, ranked, tuning in (
        ("fast", False, "frozen"),
        ("fast_ranked", True, "frozen"),
        ("fast_e2e", False, "end_to_end"),
        ("fast_e2e_ranked", True, "end_to_end"),
    ):
        assert (PRESETS[name].train.rank_weighted, PRESETS[name].predictor.finetune) == (ranked, tuning)


def test_on_nasbench101_and_301_fast_settings_pick_otherwise() -> None:
    for name in ("fast", "fast_explore", "fast_mean"):
        chosen = preset(name, "nasbench301")
        assert (chosen.search.selection, chosen.search.explore) == ("ucb", 2.0)
        assert chosen.predictor.uncertainty == "gaussian_process" and chosen.name == name
    assert preset("fast_mean", "nasbench301").predictor.aggregate == "mean"
    assert preset("fast_thompson", "nasbench301") == PRESETS["fast_thompson"]
    for space in ("nasbench201", "nasbench_nlp"):
        assert preset("fast", space) == PRESETS["fast"] != preset("fast_explore", space) == PRESETS["fast_explore"]
    assert preset("fast", "nasbench101").search == PRESETS["fast_members"].search
    for name, space in itertools.product(("fast_greedy", "fast_greedy_mean"), ("nasbench101", "nasbench301")):
        assert preset(name, space) == PRESETS[name] and PRESETS[name].search.selection == "greedy"
    assert preset("fast_explore", "nasbench101") == PRESETS["fast_explore"]
    for name, space in itertools.product(("paper", "thesis"), ("nasbench101", "nasbench301")):
        assert preset(name, space).search == PRESETS[name].search


def test_presets_other_than_the_paper_differ_from_fast_in_what_they_are_named_for() -> None:
    def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        nested = [
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
            for key, value in config.items()
        ]
        return {key: value for part in nested for key, value in part.items()}

    fast = flat(PRESETS["fast"].to_dict())
    changes = {
        name: {key for key, value in flat(PRESETS[name].to_dict()).items() if value != fast[key]} - {"name"}
        for name in (
            "fast_mean",
            "fast_ranked",
            "fast_e2e",
            "fast_e2e_ranked",
            "fast_thesis",
            "fast_10_steps",
            "fast_wide",
        )
    }
    assert changes == {
        "fast_mean": {"predictor.aggregate"},
        "fast_ranked": {"train.rank_weighted"},
        "fast_e2e": {"predictor.finetune", "predictor.encoder_reverse"},
        "fast_e2e_ranked": {"predictor.finetune", "predictor.encoder_reverse", "train.rank_weighted"},
        "fast_thesis": {"train.rev_weight", "train.latent_weight"},
        "fast_10_steps": {"train.steps_per_epoch"},
        "fast_wide": {"inn.hidden_layers", "inn.hidden"},
    }


@pytest.mark.parametrize("name", PRESETS)
def test_a_stored_preset_lacks_nothing(name: str) -> None:
    config = PRESETS[name].to_dict()
    assert completed(config) == config
    older = json.loads(json.dumps(config))
    del older["search"]["candidates"]["source"]
    assert completed(older)["search"]["candidates"]["source"] == "inverse"
    assert older["search"]["candidates"].get("source") is None  # the record itself is left as it is


def test_committed_searches_are_of_the_present_presets() -> None:
    """Else a table would mix settings, and running it again would refuse the file."""
    folders = [folder for folder in (ROOT / "results" / "searches").glob("invertnas*/*/*")]
    assert folders
    for folder in folders:
        variant, benchmark, dataset = folder.parts[-3:]
        for queries, seed, path in list(finished(folder))[:1]:
            record = read_json(path)
            chosen = task(ROOT / "results", method=variant.split("-")[0], benchmark=benchmark, dataset=dataset)
            members = record["members"] if "-k" in variant else None
            setting = {"preset": record["preset"], "members": members, "init": record.get("init", BARE_INIT)}
            chosen = dataclasses.replace(chosen, queries=queries, seed=seed, **setting)
            found = runner._finished(chosen, path, open_benchmark(benchmark, 1).labels)
            assert chosen.path == path and found["queries"] == queries
