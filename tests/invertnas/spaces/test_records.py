"""Records of spaces: each fact agrees with the class it is about, and names are quoted nowhere else."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from invertnas.benchmarks.registry import benchmark_names, open_analysis, open_benchmark
from invertnas.errors import ConfigError
from invertnas.proxies.registry import default_proxies, open_proxy
from invertnas.spaces import records as module
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import NB201, SpaceRecord, known, open_space, record_of, records, register

ROOT = Path(__file__).resolve().parents[3]
QUOTING = {  # the papers' numbers, and the name of another package
    "experiments/tables/printed.py",
    "invertnas/spaces/records.py",
    "invertnas/benchmarks/nasbench301/surrogate.py",
    "invertnas/benchmarks/nasbench_nlp/official.py",
}


@pytest.mark.parametrize("record", records(), ids=lambda record: record.stem)
def test_facts_are_those_of_the_classes(record: SpaceRecord) -> None:
    space = open_space(record.name)
    assert isinstance(space, SearchSpace) and space.name == record.name
    if record.benchmark is not None:
        bench, analysis = open_benchmark(record.name, 5), open_analysis(record.name)
        assert (bench.name, bench.datasets, bench.ledger.budget) == (record.name, record.dataset_names, 5)
        assert type(bench.space) is type(space)
        assert all(len(analysis.optimum(dataset)) == 2 for dataset in record.dataset_names)
    assert set(record.left_out) < {space.op_names[op] for op in space.inner_ops}
    assert record.proxy in (None, "nwot", "epsinas") and (record.nwot is None) == (record.nwot_slim is None)
    if record.proxy == "epsinas":
        assert open_proxy(record.proxy, space).name == "epsinas"
    assert (record.proxy is None) == (record.name not in default_proxies())


def test_names_are_distinct_and_unknown_ones_refused() -> None:
    assert len({record.name for record in records()}) == len({record.stem for record in records()}) == len(records())
    assert record_of(NB201.name) is known(NB201.name) is NB201 and known("own") is None
    with pytest.raises(ConfigError, match="got space 'nasbench21'; expected one of .*: did you mean 'nasbench201'"):
        open_space("nasbench21")
    with pytest.raises(ConfigError, match="got space 'nothing'; expected one of"):
        open_benchmark("nothing", 1)


def test_a_space_of_ones_own_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECORDS", dict(module._RECORDS))
    own = SpaceRecord("own", "Own", "own", "examples.own_space:OwnSpace")
    register(own)
    register(own)  # again, as a module imported twice does
    assert records()[-1] is own and open_space("own").name == "own" and "own" not in benchmark_names()
    with pytest.raises(ConfigError, match="got space 'own', which has no benchmark; expected one of nasbench101"):
        open_benchmark("own", 1)
    for taken in (dataclasses.replace(own, name=NB201.name), dataclasses.replace(own, stem=NB201.stem)):
        with pytest.raises(ConfigError, match="which NAS-Bench-201 has"):
            register(taken)


def test_no_name_is_quoted_elsewhere() -> None:
    names = {text for record in records() for text in (record.name, record.stem, record.title)}
    quoted = {
        str(path.relative_to(ROOT))
        for folder in ("invertnas", "experiments", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert quoted == QUOTING
