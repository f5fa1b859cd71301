"""From records to tables of accuracies and to plots."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.common.style import COLOURS
from experiments.searches.methods import METHODS, base_of, title_of
from experiments.searches.records import search_folder
from experiments.tables.aggregate import COLUMNS, curves, summarise, to_markdown, write_table
from experiments.tables.curves import MOST_LINES, figure_path, pictures, plot_curves, plot_table
from experiments.tables.definitions import TABLES, collect
from experiments.tables.printed import (
    ALIGNFLOW_NAME,
    PAPER_NAME,
    PRINTED,
    QUOTED,
    SOURCE_NOTES,
    THESIS_NAME,
    PaperValue,
    printed_value,
)
from experiments.tables.spec import Place, Row, Table
from invertnas.benchmarks.nasbench101.benchmark import OFFICIAL_OPTIMUM
from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.files.io import write_json

STATS = [f"{name}_{part}" for name in ("val", "test", "best_test") for part in ("mean", "std")]


def record(method: str = "random", vals: tuple[float, ...] = (0.5, 0.7), **fields: Any) -> dict[str, Any]:
    """A finished search that queried `vals` in this order."""
    return {
        **{"method": method, "benchmark": "nasbench201", "dataset": "cifar100", "preset": "published"},
        **{"init": "random", "labels": "embedded table", "members": None, "seed": 0, "queries": 192},
        **{"best_arch": "a", "best_val": max(vals), "test_at_best_val": 0.6, "best_test_seen": 0.65, "wall_s": 2.0},
        **{"curve": [{"arch": "a", "val": val} for val in vals], "rounds": [], "config": {}, "versions": {}},
        **fields,
    }


def store(out: Path, content: dict[str, Any]) -> None:
    folder = search_folder(out, content["method"], content["benchmark"], content["dataset"])
    write_json(folder / f"q{content['queries']}" / f"seed_{content['seed']}.json", content)


RANDOM = Table("mine", "Title", (Row("random"),), (Place("nasbench201", "cifar100", (192,)),))


def test_means_and_deviations_in_percent() -> None:
    records = [
        record(best_val=0.70, test_at_best_val=0.6, best_test_seen=0.65, wall_s=1.0, seed=0),
        record(best_val=0.74, test_at_best_val=0.7, best_test_seen=0.75, wall_s=4.0, seed=1),
    ]
    table = summarise(records)
    assert list(table.columns) == COLUMNS and len(table) == 1
    row = table.iloc[0]
    assert row["trials"] == 2 and row["wall_s_mean"] == 2.5
    assert [row[name] for name in STATS] == pytest.approx([72.0, 2.0, 65.0, 5.0, 70.0, 5.0])
    keys = ["benchmark", "dataset", "method", "preset", "init", "labels", "queries"]
    assert [row[key] for key in keys] == [
        *("nasbench201", "cifar100", "random", "published", "random", "embedded table", 192)
    ]


def test_columns_are_fixed() -> None:
    assert COLUMNS == [
        *("benchmark", "dataset", "method", "preset", "init", "labels", "queries", "trials"),
        *STATS,
        *("paper_val", "paper_val_std", "paper_test", "paper_test_std", "wall_s_mean"),
        *("val_100_mean", "val_150_mean", "queries_to_best_mean"),
    ]
    assert list(summarise([]).columns) == COLUMNS and summarise([]).empty


def test_how_fast_a_search_rose() -> None:
    """After 100 and 150 queries, and the query at which the best was found, averaged over trials."""
    slow = [{"arch": "a", "val": value} for value in [0.1] * 99 + [0.3] + [0.2] * 20 + [0.7] * 72]
    fast = [{"arch": "a", "val": value} for value in [0.5] + [0.4] * 191]
    row = summarise([record(seed=0, curve=slow), record(seed=1, curve=fast)]).iloc[0]
    assert row["val_100_mean"] == pytest.approx(40.0) and row["val_150_mean"] == pytest.approx(60.0)
    assert row["queries_to_best_mean"] == pytest.approx((121 + 1) / 2)


def test_the_papers_numbers_stand_beside_their_rows() -> None:
    table = summarise(
        [record("bananas"), record("bananas", queries=150), record("invertnas", dataset="imagenet16-120")]
    )
    columns = ["paper_val", "paper_val_std", "paper_test", "paper_test_std"]
    keys = zip(table["dataset"], table["method"], table["queries"])
    paper = dict(zip(keys, table[columns].to_numpy(float).tolist()))
    assert paper["cifar100", "bananas", 192] == [73.49, 0.0, 73.51, 0.0]
    np.testing.assert_equal(paper["imagenet16-120", "invertnas", 192], [46.65, np.nan, 47.13, np.nan])
    assert np.isnan(paper["cifar100", "bananas", 150]).all()
    assert printed_value(PAPER_NAME, "nasbench201", "cifar10", "invertnas", 999) == PaperValue()


def test_a_variant_has_its_own_printed_number_or_its_methods() -> None:
    def printed(variant: str, queries: int = 192, source: str = PAPER_NAME) -> float | None:
        return printed_value(source, "nasbench201", "imagenet16-120", variant, queries).test

    assert (printed("invertnas"), printed("invertnas-fast_mean"), printed("invertnas-k5")) == (47.13, 46.78, 46.60)
    assert printed("invertnas-paper") == printed("invertnas-fast_z") == 47.13
    assert printed("invertnas", source=ALIGNFLOW_NAME) == printed("invertnas-fast_z", source=ALIGNFLOW_NAME) == 47.18
    assert printed("invertnas_single", 400, THESIS_NAME) == 47.20
    assert printed("invertnas_single-fast_random_candidates", 400, THESIS_NAME) == 47.00
    assert printed("invertnas_single-fast_ranked", 200, THESIS_NAME) == 46.98 != printed("invertnas_single", 200)


def test_the_thesis_and_the_paper_differ_by_one_point_for_local_search_only() -> None:
    """The paper repeats the thesis' baselines; two validation accuracies of local search lost a point."""
    both = {key for key in PRINTED[PAPER_NAME] if key in PRINTED[THESIS_NAME]}
    differing = {key for key in both if PRINTED[PAPER_NAME][key] != PRINTED[THESIS_NAME][key]}
    assert {key[1:3] for key in differing} == {("cifar100", "local_search"), ("imagenet16-120", "local_search")}
    for key in differing:
        thesis, paper = PRINTED[THESIS_NAME][key].val, PRINTED[PAPER_NAME][key].val
        assert thesis is not None and paper is not None and thesis - paper == pytest.approx(1.0)


def best_known(benchmark: str, dataset: str) -> float:
    """Best validation accuracy of the official table where there is one, else 1."""
    if benchmark == "nasbench101":
        return OFFICIAL_OPTIMUM[0]
    return NASBench201Analysis().optimum(dataset)[0] if benchmark == "nasbench201" else 1.0


def test_printed_numbers_belong_to_known_methods_and_possible_accuracies() -> None:
    for source, printed in PRINTED.items():
        assert {base_of(variant) for _, _, variant, _ in printed} <= set(METHODS)
        every = [(key[:2], value) for key, value in printed.items()]
        every += [(place, value) for place, rows in QUOTED[source].items() for _, _, value in rows]
        for (benchmark, dataset), value in every:
            assert value.val is not None and value.val <= 100 * best_known(benchmark, dataset) + 0.005


def test_every_row_of_a_comparison_has_a_printed_number() -> None:
    """A renamed preset or a mistyped key would lose them silently.

    The paper has no test accuracies on NAS-Bench-301.
    """
    for name in ("table17", "table18", "thesis_table2", "thesis_table4", "thesis_table5", "thesis_table6"):
        table = TABLES[name]
        for row in table.rows:
            for place in table.places:
                for queries in table.asked(row, place):
                    value = printed_value(table.source, place.benchmark, place.dataset, row.variant, queries)
                    assert value.val is not None, (name, row.variant, place, queries)
                    assert (value.test is not None) == (place.benchmark != "nasbench301")


def test_rows_are_ordered_by_data_set_budget_and_method() -> None:
    names = [("imagenet16-120", 192), ("cifar10", 192), ("cifar10", 150), ("cifar100", 192)]
    shuffled = [record(m, dataset=d, queries=q) for m in reversed(METHODS) for d, q in names]
    table = summarise(shuffled)
    order = [("cifar10", 150), ("cifar10", 192), ("cifar100", 192), ("imagenet16-120", 192)]
    expected = [(d, q, m) for (d, q), m in itertools.product(order, METHODS)]
    assert list(table[["dataset", "queries", "method"]].itertuples(index=False, name=None)) == expected


def test_settings_are_not_averaged_together() -> None:
    fields: list[dict[str, Any]] = [
        {"preset": "fast"},
        {"preset": "paper"},
        {"labels": "official table", "preset": "fast"},
    ]
    table = summarise([record("invertnas", best_val=0.1 * i, **f) for i, f in enumerate(fields * 2, start=1)])
    assert table["trials"].tolist() == [2, 2, 2]
    assert table.groupby("preset")["val_mean"].apply(sorted).to_dict() == {
        "fast": pytest.approx([25.0, 45.0]),
        "paper": pytest.approx([35.0]),
    }


def test_unknown_test_accuracies_stay_empty() -> None:
    table = summarise([record(test_at_best_val=None, best_test_seen=None)])
    assert table[["test_mean", "test_std", "best_test_mean"]].isna().all(axis=None)
    row = next(line for line in to_markdown(table, "T").splitlines() if line.startswith("| RS"))
    assert row == "| RS | published | 192 | 1 | 70.00 | – | – | 72.12 ± 0.90 | 72.31 ± 0.92 | – | – | 2 | 2.0 |"


def test_test_accuracies_of_some_trials_are_no_mean_of_all() -> None:
    """On NAS-Bench-NLP only logged cells have one, and those are no sample of what searches find."""
    some = summarise([record(seed=0), record(seed=1, test_at_best_val=None, best_test_seen=0.7)])
    assert some[["test_mean", "test_std"]].isna().all(axis=None)
    assert some["best_test_mean"].tolist() == pytest.approx([67.5]) and some["trials"].tolist() == [2]
    text = to_markdown(some, "T")
    assert "| 2 | 70.00 ± 0.00 | – | 67.50 ± 2.50 |" in text and "given only where every trial has one" in text


def test_one_trial_has_no_deviation_and_it_is_said_what_it_divides_by() -> None:
    one, two = summarise([record()]), summarise([record(seed=0, best_val=0.70), record(seed=1, best_val=0.74)])
    assert one[["val_std", "test_std", "best_test_std"]].isna().all(axis=None) and one["val_mean"].tolist() == [70.0]
    assert two["val_std"].tolist() == pytest.approx([2.0])  # 2.83 if divided by one less
    assert "(dividing by their number; a single trial has none)" in to_markdown(one, "T")


def test_it_is_said_which_initial_sets_the_papers_numbers_are_from() -> None:
    frame = summarise([record("invertnas", dataset="imagenet16-120")])
    for source in (PAPER_NAME, ALIGNFLOW_NAME):
        assert "AlignFlow's" in SOURCE_NOTES[source] and SOURCE_NOTES[source] in to_markdown(frame, "T", source)
    own = to_markdown(summarise([record("invertnas", dataset="imagenet16-120")], ALIGNFLOW_NAME), "T", ALIGNFLOW_NAME)
    assert "| 46.70 ± 0.06 | 47.18 ± 0.28 |" in own and "| Paper (AlignFlow) val. |" in own
    assert "| 46.65 | 47.13 |" in to_markdown(frame, "T") and "| Paper val. |" in to_markdown(frame, "T")


def test_markdown_has_the_optimum_and_a_row_per_method() -> None:
    text = to_markdown(summarise([record("random"), record("bananas"), record("random", dataset="cifar10")]), "Title")
    lines = text.splitlines()
    assert lines[0] == "# Title"
    assert [line for line in lines if line.startswith("## ")] == [
        "## CIFAR-10 (nasbench201, embedded table)",
        "## CIFAR-100 (nasbench201, embedded table)",
    ]
    optima = [line for line in lines if line.startswith("| Optimum of the space")]
    assert ["91.61" in optima[0] and "94.37" in optima[0], "73.49" in optima[1] and "73.51" in optima[1]] == [True] * 2
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert [line.split("|")[1].strip() for line in lines if "| 70.00 |" in line] == ["RS", "RS", "BANANAS"]


def test_quoted_methods_stand_below_the_measured_ones() -> None:
    frame = summarise([record("random")])
    assert "not run here" not in to_markdown(frame, "T")
    lines = to_markdown(frame, "T", quoted=True).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert [line.split(" (not")[0].strip("| ") for line in rows[4:]] == ["β-DARTS", "AG-Net", "Shapley-NAS", "DiNAS"]
    thesis = to_markdown(frame, "T", THESIS_NAME, quoted=True)
    assert "| CR-LSO (not run here) |  | 500 |" in thesis and "| Thesis val. | Thesis test |" in thesis


def test_variants_are_titled() -> None:
    assert title_of("invertnas-k3") == "InvertNAS, 3 INNs"
    assert title_of("invertnas-fast_mean-k12") == "InvertNAS, fast_mean, 12 INNs"
    assert title_of("invertnas_single-kx") == "InvertNAS (single), kx"


def test_write_table_leaves_markdown_and_csv(tmp_path: Path) -> None:
    for seed in range(3):
        store(tmp_path, record(seed=seed, best_val=0.7 + seed / 100))
    text = write_table(tmp_path, RANDOM, collect(RANDOM, tmp_path, range(9)))
    assert (tmp_path / "mine.md").read_text(encoding="utf-8") == text and text.startswith("# Title\n")
    table = pd.read_csv(tmp_path / "mine.csv")
    assert list(table.columns) == COLUMNS
    assert table[["trials", "val_mean", "val_std"]].to_numpy().tolist() == [[3, 71.0, 0.8165]]


def test_an_empty_folder_gives_an_empty_table(tmp_path: Path) -> None:
    assert write_table(tmp_path, RANDOM, collect(RANDOM, tmp_path, range(9))).startswith("# Title\n")
    assert pd.read_csv(tmp_path / "mine.csv").empty
    assert curves([]) == {}


def test_curves_are_of_the_longest_searches(tmp_path: Path) -> None:
    short, long = record(vals=(0.1, 0.2), queries=2), record("bananas", vals=(0.3, 0.4, 0.5), queries=3)
    drawn: list[dict[str, np.ndarray]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "experiments.tables.curves.plot_curves", lambda path, dataset, methods, optimum: drawn.append(methods)
        )
        plot_table(tmp_path, RANDOM, [short, long])
    assert [list(methods) for methods in drawn] == [["bananas"]]


def test_curves_are_running_maxima_cut_to_the_shortest() -> None:
    records = [record(vals=(0.5, 0.4, 0.7)), record(vals=(0.2, 0.9, 0.1), seed=1), record("bananas", vals=(0.6, 0.1))]
    found = curves([*records, record(vals=(0.1,), dataset="cifar10")])
    assert set(found) == {("nasbench201", "cifar100"), ("nasbench201", "cifar10")}
    methods = found["nasbench201", "cifar100"]
    assert list(methods) == ["random", "bananas"]
    np.testing.assert_allclose(methods["random"], [[50, 50], [20, 90]])
    np.testing.assert_allclose(methods["bananas"], [[60, 60]])
    np.testing.assert_allclose(found["nasbench201", "cifar10"]["random"], [[10]])


@pytest.mark.parametrize("optimum", [0.7349, None])
def test_the_plot_is_a_picture(tmp_path: Path, optimum: float | None) -> None:
    rng = np.random.default_rng(0)
    values = {name: np.maximum.accumulate(rng.uniform(60, 73, (3, 50)), axis=1) for name in METHODS}
    path = tmp_path / "figures" / "table2_cifar100.png"
    plot_curves(path, "cifar100", values, optimum)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 5_000
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert set(COLOURS) == set(METHODS) and len(set(COLOURS.values())) == len(METHODS)


def test_a_plot_of_searches_that_start_at_the_optimum(tmp_path: Path) -> None:
    plot_curves(tmp_path / "x.png", "cifar10", {"random": np.full((2, 5), 91.0)}, 0.91)
    assert (tmp_path / "x.png").stat().st_size > 5_000


def test_a_picture_has_at_most_seven_curves() -> None:
    first = ["random", "bananas", "invertnas"]
    others = [f"invertnas-k{number}" for number in range(2, 17)]
    split = pictures([*first, *others], first)
    assert split[0] == first and max(map(len, split)) == MOST_LINES == 7
    assert [group[0] for group in split[1:]] == ["invertnas"] * 3  # to compare with
    assert [name for group in split[1:] for name in group[1:]] == others
    assert pictures(first, first) == [first] and pictures(others[:3], first) == [others[:3]]
    assert pictures([], first) == []
    many = pictures(others, others)
    assert [len(group) for group in many] == [7, 7, 1] and [name for group in many for name in group] == others


def test_later_pictures_of_a_data_set_are_numbered(tmp_path: Path) -> None:
    names = [figure_path(tmp_path, TABLES["table2"], "nasbench201", "cifar10", number).name for number in (1, 2)]
    assert names == ["table2_cifar10.png", "table2_cifar10_2.png"]
