"""The script that builds the NAS-Bench-NLP table and its surrogate, with few runs and few trees."""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark_data.nbnlp import build as build_nbnlp
from experiments.benchmark_data.nbnlp import data as nbnlp_data
from experiments.benchmark_data.nbnlp import fit as nbnlp_fit
from experiments.common import cli
from invertnas.benchmarks.nasbench_nlp.benchmark import DEFAULT_TABLE, NASBenchNLP, NASBenchNLPAnalysis
from invertnas.benchmarks.nasbench_nlp.surrogate import DEFAULT_SURROGATE, Forest, NLPSurrogate
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces.nasbench_nlp.recipes import from_recipe, to_recipe
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace
from tests.helpers.scripts import set_flags

SPACE = NASBenchNLPSpace()
Recipe = dict[str, dict[str, Any]]


def node(op: str, *inputs: str) -> dict[str, Any]:
    return {"op": op, "input": list(inputs)}


PLAIN: Recipe = {"f": node("linear", "x", "h_prev_0"), "h_new_0": node("activation_tanh", "f")}
# The plain cell with nodes and inputs in another order: unique by AG-Net's count, the same cell by ours.
TURNED: Recipe = {"h_new_0": node("activation_tanh", "g"), "g": node("linear", "h_prev_0", "x")}
# Two linear nodes in either order: the order of the recipe differs, the cell does not.
PAIR: Recipe = {
    "a": node("linear", "x", "h_prev_0"), "b": node("linear", "x", "a"), "h_new_0": node("activation_sigm", "b"),
    "h_new_1": node("elementwise_sum", "a", "h_prev_1"),
}  # fmt: skip
SWAPPED: Recipe = {name: PAIR[name] for name in ("a", "h_new_1", "b", "h_new_0")}


def large() -> Recipe:
    """Nine inner nodes: too many for the space."""
    recipe = {"n0": node("linear", "x", "h_prev_0")}
    for index in range(1, 8):
        recipe[f"n{index}"] = node("activation_tanh", f"n{index - 1}")
    return recipe | {"h_new_0": node("linear", "n7", "h_prev_0")}


def small_release(count: int = 120) -> tuple[list[Recipe], np.ndarray, np.ndarray, list[str]]:
    """Recipes, (R, 50) validation and test curves, and states: the loss depends on the cell, every sixth diverged."""
    rng = np.random.default_rng(0)
    recipes = [PLAIN, TURNED, PAIR, SWAPPED, large()]
    while len(recipes) < count:
        recipes.append(to_recipe(SPACE.sample_states(rng, 1 + len(recipes) % 3)))
    # Noise makes no two curves equal, so that a row out of place would be seen.
    last = np.array([4.5 + 0.1 * len(recipe) for recipe in recipes]) + rng.random(count) / 20
    val = (last[:, None] + np.linspace(1, 0, 50)).astype(np.float32)
    states = ["loss is nan!" if row % 6 == 5 else "OK" for row in range(count)]
    for row, state in enumerate(states):
        if state != "OK":
            val[row, 3:] = np.nan
    return recipes, val, val - np.float32(0.05), states


def write_collected(folder: Path) -> tuple[Path, Path]:
    recipes, val, test, states = small_release()
    text = json.dumps({str(row): recipe for row, recipe in enumerate(recipes)})
    (folder / "recipes.json.xz").write_bytes(lzma.compress(text.encode()))
    params = np.arange(len(recipes))
    arrays = {"val": val, "test": test, "status": np.array(states), "num_params": params}
    write_arrays(folder / "curves.npz", arrays)
    return folder / "recipes.json.xz", folder / "curves.npz"


def write_logs(folder: Path) -> Path:
    """The same release as one JSON per run, in the official form and in no helpful order."""
    folder.mkdir()
    recipes, val, test, states = small_release()
    for row, recipe in enumerate(recipes):
        known = ~np.isnan(val[row])
        log = {
            "recepie": json.dumps(recipe), "recepie_id": 1_000_000 + 7 * row, "status": states[row], "num_params": row,
            "val_losses": val[row][known].tolist(), "test_losses": test[row][known].tolist(),
        }  # fmt: skip
        (folder / f"log_{(row * 37) % 120:03d}.json").write_text(json.dumps(log))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> nbnlp_data.Runs:
    recipes, curves = write_collected(tmp_path_factory.mktemp("release"))
    return nbnlp_data.read_collected(recipes, curves, allow_other=True, num_runs=120)


def run_main(**values: Any) -> int | None:
    """`main` through the guard of all scripts, as on the command line."""
    with set_flags(build_nbnlp.FLAGS, **values):
        return cli.guarded(build_nbnlp.main)(["build_nbnlp"])


def test_table_holds_the_runs_of_each_cell(runs: nbnlp_data.Runs, tmp_path: Path) -> None:
    recipes, val, test, _ = small_release()
    table = nbnlp_data.pack(runs)
    names = [name.decode() for name in table["cells"]]
    fitting = [row for row in range(120) if row != 4]
    assert [names[index] for index in table["cell_of_run"]] == [
        SPACE.identity(from_recipe(recipes[row])) for row in fitting
    ]
    assert np.array_equal(table["val"], val[fitting, -1], equal_nan=True)
    assert np.array_equal(table["test"], test[fitting, -1], equal_nan=True)
    path = tmp_path / "table.npz"
    write_arrays(path, table)
    plain = from_recipe(PLAIN)
    rows = [row for row in fitting if from_recipe(recipes[row]) == plain]
    assert rows[:2] == [0, 1]
    losses = np.minimum(np.nan_to_num(val[rows, -1].astype(float), nan=np.log(10_000)), np.log(10_000))
    assert NASBenchNLP(1, path).query(plain, "ptb") == pytest.approx(1 - losses.mean() / 100, abs=1e-12)


def test_census_counts_as_the_papers_do(runs: nbnlp_data.Runs) -> None:
    counts = nbnlp_data.census(runs)
    assert counts["recipes"] == 120 and counts["fitting_recipes"] == 119
    # The turned plain cell is listed as the plain one once its nodes are in order; the swapped pair is not.
    few = nbnlp_data.Runs(runs.cells[:5], runs.val[:5], runs.test[:5], runs.params[:5], runs.origin, "0")
    assert nbnlp_data.census(few) == {
        "recipes": 5, "unique": 4, "unique_fitting": 3, "fitting_recipes": 4, "cells": 2, "diverged_fitting_runs": 0,
    }  # fmt: skip


def test_official_logs_give_the_same_runs(runs: nbnlp_data.Runs, tmp_path: Path) -> None:
    other = nbnlp_data.read_logs(write_logs(tmp_path / "logs"), num_runs=120)
    assert other.cells == runs.cells and other.origin == "official logs"
    for one, two in ((runs.val, other.val), (runs.test, other.test), (runs.params, other.params)):
        assert np.array_equal(one, two, equal_nan=True)


def test_samples_join_runs_of_equal_cells(runs: nbnlp_data.Runs) -> None:
    data = nbnlp_fit.samples(runs)
    pair = data.cells.index(SPACE.to_cell(from_recipe(PAIR)))
    assert data.loss[pair] == pytest.approx(runs.val[[2, 3]].astype(float).mean())
    assert data.label[pair] == data.loss[pair] and not data.diverged[pair]
    assert data.fits.sum() == len(data.cells) - 1 and np.isfinite(data.rows).all()
    lost = data.diverged & np.isnan(data.loss)
    assert lost.any() and np.allclose(data.label[lost], np.log(10_000))


@pytest.fixture(scope="module")
def boosters(runs: nbnlp_data.Runs) -> list[Any]:
    pytest.importorskip("lightgbm")
    data = nbnlp_fit.samples(runs)
    return nbnlp_fit.fit(data, np.ones(len(data.cells), bool), seed=1, scale=0.05)


def test_forest_predicts_exactly_what_lightgbm_does(runs: nbnlp_data.Runs, boosters: list[Any]) -> None:
    rows = nbnlp_fit.samples(runs).rows
    trees = nbnlp_fit.forest(boosters)
    assert len(np.unique(trees.model)) == 4 and (trees.feature >= 0).sum() > 100
    expected = np.stack([booster.predict(rows, raw_score=True) for booster in boosters], axis=1)
    assert np.array_equal(trees.raw(rows), expected)
    # Features between the samples, too.
    mixed = np.random.default_rng(0).permuted(rows, axis=0) + 0.004
    expected = np.stack([booster.predict(mixed, raw_score=True) for booster in boosters], axis=1)
    assert np.array_equal(trees.raw(mixed), expected)


def test_packed_surrogate_is_the_one_that_was_trained(
    runs: nbnlp_data.Runs, boosters: list[Any], tmp_path: Path
) -> None:
    trees = nbnlp_fit.forest(boosters)
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, nbnlp_fit.pack_forest(trees, "0"), compress=True)
    assert sha256_file(tmp_path / "a.npz") == sha256_file(tmp_path / "b.npz")
    cells = [cell for cell in nbnlp_fit.samples(runs).cells if len(cell.ops) <= 8]
    found = NLPSurrogate(tmp_path / "a.npz").loss(cells)
    assert found.shape == (len(cells),) and ((found > 4.3) & (found <= np.log(10_000))).all()


def test_shipped_trees_belong_to_the_shipped_logs() -> None:
    arrays, table = read_arrays(DEFAULT_SURROGATE), read_arrays(DEFAULT_TABLE)
    assert str(arrays["source_sha256"]) == str(table["source_sha256"])
    assert str(table["source_sha256"]) == f"{nbnlp_data.RECIPES_SHA256}+{nbnlp_data.CURVES_SHA256}"
    sources = (DEFAULT_TABLE.parent / "SOURCES.md").read_text(encoding="utf-8")
    assert nbnlp_data.RECIPES_SHA256 in sources and nbnlp_data.CURVES_SHA256 in sources


def test_single_leaves_and_other_splits() -> None:
    class Fake:
        def __init__(self, *trees: dict[str, Any]) -> None:
            self.trees = trees

        def dump_model(self) -> dict[str, Any]:
            return {"tree_info": [{"tree_structure": tree} for tree in self.trees]}

    leaf = {"leaf_value": 2.0}
    trees = nbnlp_fit.forest([Fake(leaf, leaf), Fake(leaf)])
    assert isinstance(trees, Forest) and trees.raw(np.zeros((1, 3))).tolist() == [[4.0, 2.0]]
    split = {"decision_type": "==", "missing_type": "None", "split_feature": 0, "threshold": 1.0}
    with pytest.raises(ArtefactError, match="expected a number compared"):
        nbnlp_fit.forest([Fake(split | {"left_child": leaf, "right_child": leaf})])


def test_agreement_by_hand() -> None:
    label = np.linspace(4.5, 5.5, 101)
    predicted = label.copy()
    predicted[0], predicted[1] = predicted[1], predicted[0]
    found = nbnlp_fit.agreement(predicted, label)
    pairs = 101 * 100 / 2
    assert found["kendall_tau"] == pytest.approx(1 - 2 / pairs, abs=1e-4) and found["cells"] == 101
    assert found["best_tenth_kendall_tau"] == pytest.approx(1 - 2 / 55, abs=1e-4)
    assert found["rmse"] == pytest.approx(0.01 * np.sqrt(2 / 101), abs=1e-4) and found["median_error"] == 0


@pytest.mark.slow
def test_cross_validation_learns_from_other_cells_only(runs: nbnlp_data.Runs) -> None:
    pytest.importorskip("lightgbm")
    quality = nbnlp_fit.cross_validate(nbnlp_fit.samples(runs), seed=0, scale=0.2, folds=3)
    assert quality["completed_without_divergence_model"]["kendall_tau"] > 0.5
    assert quality["divergence"]["share"] > 0.1


def test_files_with_other_checksums_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipes, curves = write_collected(tmp_path)
    out = tmp_path / "table.npz"
    out.write_bytes(b"precious")
    values = {"recipes": str(recipes), "curves": str(curves), "out": str(out), "surrogate": False}
    assert run_main(**values) == 1
    error = capsys.readouterr().err
    assert error.startswith("ArtefactError: ") and error.count("\n") == 1
    assert nbnlp_data.RECIPES_SHA256 in error and "--allow_other_files" in error
    assert run_main(**values, allow_other_files=True) == 1
    assert "holds 120 recipes; expected 14322" in capsys.readouterr().err
    assert out.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 3


def test_main_writes_table_surrogate_and_quality(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lightgbm")
    monkeypatch.setattr(nbnlp_data.read_logs, "__defaults__", (120,))
    monkeypatch.setattr(nbnlp_fit.cross_validate, "__kwdefaults__", {"scale": 1.0, "folds": 2})
    out = tmp_path / "made.npz"
    assert run_main(logs=str(write_logs(tmp_path / "logs")), out=str(out), scale=0.01) == 0
    assert "wrote" in capsys.readouterr().out
    quality = json.loads((tmp_path / "made_quality.json").read_text())
    assert quality["census"]["recipes"] == 120 and "kendall_tau" in quality["surrogate"]["completed"]
    assert NASBenchNLPAnalysis(out).origin == "official logs"
    unlogged = SPACE.from_string("linear(x,h0);sum(h0,0);leaky_relu(1);leaky_relu(2)->3")
    assert 0.9 < NASBenchNLP(1, out, tmp_path / "made_surrogate.npz").query(unlogged, "ptb") < 0.96


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": None}, "is no log of the release"),
        ({"val_losses": [5.0] * 49}, "49 epochs"),
        ({"recepie": "{"}, "is no log"),
        ({"recepie": {"h_new_0": node("activation_tanh", "h_new_0")}}, "read each other"),
        ({"recepie": {"h_new_0": node("relu", "x")}}, "a recipe is no cell"),
        ({"val_losses": [5.0] * 49 + [-1.0]}, "outside 0..100 nats"),
    ],
)
def test_malformed_logs_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    log = {
        "recepie": PLAIN, "recepie_id": 1, "status": "OK", "num_params": 5, "val_losses": [5.0] * 50,
        "test_losses": [5.0] * 50,
    }  # fmt: skip
    log |= change
    if log["status"] is None:
        del log["status"]
    (tmp_path / "one.json").write_text(json.dumps(log))
    with pytest.raises(ArtefactError, match=message):
        nbnlp_data.read_logs(tmp_path, num_runs=1)


def test_missing_parts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataMissingError, match="no logs in .*logs.zip"):
        nbnlp_data.read_logs(tmp_path)
    (tmp_path / "one.json").write_text("{}")
    with pytest.raises(ArtefactError, match="holds 1 logs; expected 14322"):
        nbnlp_data.read_logs(tmp_path)
    with pytest.raises(DataMissingError, match="no file at .*ptb_recipes.json.xz"):
        nbnlp_data.read_collected(tmp_path / "absent", tmp_path / "absent")
    (tmp_path / "bad.xz").write_bytes(b"no xz")
    with pytest.raises(ArtefactError, match="bad.xz cannot be read"):
        nbnlp_data.read_collected(tmp_path / "bad.xz", tmp_path / "bad.xz", allow_other=True)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(DataMissingError, match="pip install lightgbm"):
        nbnlp_fit.lightgbm()


def test_flags_exclude_each_other() -> None:
    for values in ({}, {"recipes": "a"}, {"recipes": "a", "curves": "b", "logs": "c"}):
        with set_flags(build_nbnlp.FLAGS, **values, surrogate=False), pytest.raises(
            ConfigError, match="pass the first two"
        ):
            build_nbnlp.main(["build_nbnlp"])
