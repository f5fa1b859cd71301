"""Initial strategies in the experiments: names, records, flags of the tables, and Table 4."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from experiments.searches.initial import BARE_INIT, DEFAULT_INIT, INITS
from experiments.searches.methods import MethodArguments, build, title_of, variant_name
from experiments.searches.runner import SearchTask, run_search
from experiments.tables.definitions import TABLES
from invertnas import build as door
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_json, write_json
from invertnas.initial import RandomInitial, initial_settings, open_initial
from invertnas.initial.opening import scores_folder
from invertnas.presets import PRESETS
from invertnas.proxies import cache
from invertnas.proxies.cache import DATA, score_path, write_scores
from invertnas.spaces import ArchSpec
from invertnas.spaces.base import SearchSpace
from tests.experiments.common.test_cli import parse
from tests.helpers.fakes import METHOD, OPTIMUM, SPACE, FakeBenchmark, FakeSurrogate, Stop, register, score, stop, task


class Neighbours:
    """The neighbourhood of the optimum, in an order of the seed; implements `InitialStrategy`."""

    name = "proxy"

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        near = list(dict.fromkeys(n for arch in SPACE.neighbours(OPTIMUM) for n in SPACE.neighbours(arch)))
        return [near[index] for index in np.random.default_rng(seed).permutation(len(near))[:count]]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name}


class Missing(Neighbours):
    """A strategy without its weights."""

    name = "alignflow"

    def choose(self, space: SearchSpace, count: int, seed: int) -> list[ArchSpec]:
        raise DataMissingError("no alignflow_nb201.json; run `make train_alignflow_nb201` or restore the file")


def opened(name: str, *_: Any) -> Any:
    return {"random": RandomInitial, "proxy": Neighbours, "alignflow": Missing}[name]()


def test_a_random_start_keeps_the_paths_of_committed_results() -> None:
    assert variant_name("invertnas", "fast", None) == variant_name("invertnas", "fast", None, "random") == "invertnas"
    assert variant_name("invertnas", "paper", 3, "proxy") == "invertnas-paper-k3-init_proxy"
    assert variant_name("bananas", "paper", 3, "proxy") == "bananas"
    assert task(Path("o"), method="invertnas").path == Path(
        "o/searches/invertnas/nasbench201/cifar100/q16/seed_3.json.gz"
    )
    moved = task(Path("o"), method="invertnas", init="alignflow")
    assert moved.path.parts[2] == moved.name == "invertnas-init_alignflow"
    assert moved.labels_of_method() == {"preset": "fast", "init": "alignflow"}
    assert task(Path("o"), method="random", init="proxy").labels_of_method() == {
        "preset": "published",
        "init": "random",
    }
    assert BARE_INIT == "random" and DEFAULT_INIT in INITS


def test_variants_are_titled() -> None:
    assert title_of("invertnas-init_proxy") == "InvertNAS, zero-cost proxy start"
    assert title_of("invertnas_single-k3-init_alignflow") == "InvertNAS (single), 3 INNs, AlignFlow start"


def test_unknown_strategies_and_spaces_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got initial strategy 'best'; expected one of random, proxy, alignflow"):
        open_initial("best", SPACE, folder=tmp_path)
    with pytest.raises(ConfigError, match="'proxy' on 'tiny'"):
        initial_settings("proxy", "tiny")


@pytest.mark.parametrize(("name", "file"), [("proxy", "nwot"), ("alignflow", "nwot_reduced")])
def test_missing_scores_name_the_target_that_makes_them(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "DATA", tmp_path / "package")
    strategy = open_initial(name, SPACE, folder=tmp_path)
    with pytest.raises(DataMissingError, match=f"nasbench201_{file}.npz; run .*proxy_scores --space=nasbench201"):
        strategy.choose(SPACE, 30, 0)


def test_scores_beside_the_weights_come_before_those_of_the_package(tmp_path: Path) -> None:
    assert scores_folder("nasbench_nlp", tmp_path, reduced=True) == DATA
    (tmp_path / "nasbench_nlp_epsinas_reduced.npz").write_bytes(b"")
    assert scores_folder("nasbench_nlp", tmp_path, reduced=True) == tmp_path
    assert scores_folder("nasbench_nlp", tmp_path, reduced=False) == DATA


def test_strategies_read_score_files_and_translations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores of the folder of the weights, by the file format of the package; AlignFlow replaced."""
    reduced = [arch for arch in SPACE.all() if 5 not in arch.ops]
    about = {"space": "nasbench201", "proxy": "nwot"}
    for archs, kind in ((list(SPACE.all()), False), (reduced, True)):
        path = score_path("nasbench201", "nwot", reduced=kind, folder=tmp_path)
        write_scores(path, archs, np.array([score(arch) for arch in archs]), about | {"reduced": kind})
    full = open_initial("proxy", SPACE, folder=tmp_path).choose(SPACE, 30, 0)
    assert min(map(score, full)) > np.quantile([score(arch) for arch in SPACE.all()], 0.95)
    monkeypatch.setattr("invertnas.alignflow.load_alignflow", lambda space, gvae, folder: f"flow of {gvae}")
    calls: list[tuple[Any, Any]] = []

    def translate(model: Any, gvae: Any, space: SearchSpace, archs: list[ArchSpec]) -> list[ArchSpec | None]:
        calls.append((model, gvae))
        return [None if index % 3 == 0 else arch for index, arch in enumerate(archs)]

    monkeypatch.setattr("invertnas.alignflow.translate", translate)
    found = open_initial("alignflow", SPACE, folder=tmp_path, gvae=cast(Any, "a GVAE")).choose(SPACE, 30, 0)
    assert len(found) == 30 and not any(5 in arch.ops for arch in found)
    assert calls and set(calls) == {("flow of a GVAE", "a GVAE")}


@pytest.mark.parametrize("name", INITS)
def test_settings_are_those_of_the_strategy(name: str, tmp_path: Path) -> None:
    """The runner compares them without reading scores or weights."""
    settings = initial_settings(name, "nasbench201")
    assert open_initial(name, SPACE, folder=tmp_path).to_dict() == settings == json.loads(json.dumps(settings))
    assert settings["name"] == name and settings.get("proxy", "nwot") == "nwot"
    assert initial_settings("proxy", "nasbench_nlp")["proxy"] == "epsinas"


def test_an_interrupted_search_does_not_go_on_from_another_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch)
    bench = FakeBenchmark(16, before=lambda number: stop() if number == 11 else None)
    monkeypatch.setattr("experiments.searches.runner.open_benchmark", lambda name, budget: bench)
    chosen = task(tmp_path, dataset="cifar10")
    with pytest.raises(Stop):
        run_search(chosen)
    other = task(tmp_path, dataset="cifar10", init="proxy")
    assert METHOD + "-init_proxy" in other.path.parts
    shutil.copytree(chosen.partial, other.partial)
    monkeypatch.setattr("experiments.searches.runner.open_benchmark", lambda name, budget: FakeBenchmark(budget))
    with pytest.raises(ArtefactError, match="is of another setting"):
        run_search(other)


def store(chosen: SearchTask, settings: dict[str, Any] | None) -> dict[str, Any]:
    """A finished result file of a task, with stored settings of the initial strategy."""
    config = PRESETS["fast"].to_dict() | ({} if settings is None else {"init": settings})
    record = {"method": chosen.name, "preset": "fast", "init": chosen.init, "queries": 16, "seed": 3}
    record |= {"labels": "embedded table", "config": config}
    write_json(chosen.path, record)
    return dict(read_json(chosen.path))


def test_a_result_of_other_settings_of_the_strategy_is_refused(tmp_path: Path) -> None:
    settings = initial_settings("proxy", "nasbench201")
    chosen = task(tmp_path, method="invertnas", init="proxy")
    checked = settings | {"files": {"scores.npz": "0123"}}
    assert store(chosen, checked) == run_search(chosen)
    for changed in (settings | {"share": 1.0}, None, {"name": "random"}):
        store(chosen, changed)
        with pytest.raises(ArtefactError, match="another setting"):
            run_search(chosen)
    bare = task(tmp_path, method="invertnas")
    for known in (None, {"name": "random"}):
        assert store(bare, known) == run_search(bare)


def test_a_search_starts_from_the_set_of_its_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        class config:
            flat_dim = 128

    monkeypatch.setattr("invertnas.gvae.pretrained.load_gvae", lambda *_: Model)
    monkeypatch.setattr(door, "build_predictor", lambda *_, **__: FakeSurrogate())
    monkeypatch.setattr(door, "open_initial", lambda name, *_, **__: opened(name))
    (tmp_path / "nasbench201_nwot.npz").write_bytes(b"scores")
    files = {"proxy": {"files": {"nasbench201_nwot.npz": hashlib.sha256(b"scores").hexdigest()}}}
    for init in ("random", "proxy"):
        optimizer, config = build("invertnas", MethodArguments(SPACE, 40, "fast", None, tmp_path, 5, init))
        assert optimizer.ask() == opened(init).choose(SPACE, 30, 5)
        settings = initial_settings(init, SPACE.name) | files.get(init, {})
        assert config == PRESETS["fast"].to_dict() | {"init": settings}
    with pytest.raises(DataMissingError, match="make train_alignflow_nb201"):
        build("invertnas", MethodArguments(SPACE, 40, "fast", None, tmp_path, 5, "alignflow"))


def names(tasks: Any) -> list[tuple[str, str]]:
    """(variant, benchmark) of the tasks of a table, in order."""
    assert isinstance(tasks, list), tasks
    return [(chosen["name"], chosen["benchmark"]) for chosen in tasks]


def test_the_flag_sets_the_start_of_any_table() -> None:
    common = ["--table=table2", "--trials=1"]
    proxy, random, both, paper = parse(
        [*common, "--init=proxy"],
        [*common, "--init=random"],
        ["--table=table17", "--init=alignflow"],
        [*common, "--init=proxy", "--preset=paper", "--methods=invertnas"],
    )
    baselines = {row.method for row in TABLES["table2"].rows if not row.method.startswith("invertnas")}
    assert {name for name, _ in names(proxy)} == baselines | {"invertnas_single-init_proxy", "invertnas-init_proxy"}
    assert {name for name, _ in names(random)} == baselines | {"invertnas_single", "invertnas"}
    means = ("", "-fast_mean", "-fast_greedy", "-fast_greedy_mean")
    assert {name for name, _ in names(both)} == {f"invertnas{mean}-init_alignflow" for mean in means}
    assert {name for name, _ in names(paper)} == {"invertnas-paper-init_proxy"}


def test_table_4_compares_the_strategies() -> None:
    common, ensemble = ["--table=table4", "--trials=1"], "--methods=invertnas"
    own, proxy, ensembles, one, place = parse(
        common,
        [*common, "--init=proxy"],
        [*common, ensemble],
        [*common, ensemble, "--init=alignflow", "--benchmark=nasbench301"],
        [*common, "--benchmark=nasbench201", "--dataset=cifar10"],
    )
    every = {"invertnas_single", "invertnas_single-init_proxy", "invertnas_single-init_alignflow"}
    assert {name for name, _ in names(own)} == every and len(own) == 3 * 6
    assert {name for name, _ in names(proxy)} == {"invertnas_single-init_proxy"} and len(proxy) == 6
    assert {name for name, _ in names(ensembles)} == {name.replace("_single", "") for name in every}
    assert names(one) == [("invertnas-init_alignflow", "nasbench301")]
    assert {chosen for _, chosen in names(place)} == {"nasbench201"} and len(place) == 3


def test_flags_that_do_not_go_together() -> None:
    cases = {
        ("--table=table4", "--benchmark=nasbench1"): "OutOfDomainError: got benchmark 'nasbench1'; expected one of",
        ("--table=table4", "--benchmark=nasbench301", "--dataset=ptb"): "OutOfDomainError: table4 has no data set ptb",
        ("--table=table2", "--kl_only"): "ConfigError: got --kl_only with table2",
    }
    for told, expected in zip(parse(*map(list, cases)), cases.values()):
        assert isinstance(told, str) and told.startswith(expected)
