"""The script that builds the NAS-Bench-101 table: the official file in small, and what is refused."""

from __future__ import annotations

import base64
import json
import struct
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark_data.nb101 import build as build_nb101
from experiments.benchmark_data.nb101 import official as nb101_official
from experiments.common import cli
from invertnas.benchmarks.nasbench101 import benchmark as nasbench101
from invertnas.benchmarks.nasbench101.benchmark import NASBench101, NASBench101Analysis
from invertnas.benchmarks.nasbench101.tfrecord import parse_run, read_runs
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, sha256_file
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench101.space import NASBench101Space
from tests.helpers.scripts import set_flags

SPACE = NASBench101Space()
RNG = np.random.default_rng(0)
ARCHS = [*map(SPACE.from_string, ("1 input output", "101 input maxpool3x3 output")), *map(SPACE.sample, [RNG] * 10)]
# (cell, repeat, split) -> accuracy; no share of 9,984 images, so a table of whole numbers would show.
VALUES = RNG.uniform(0.1, 0.95, (len(ARCHS), 3, 2))


def number(value: int) -> bytes:
    """A base-128 number: seven bits a byte, lowest first."""
    parts = [value & 127]
    while value := value >> 7:
        parts.append(value & 127)
    return bytes([part | 128 for part in parts[:-1]] + parts[-1:])


def field(index: int, content: bytes | float | int) -> bytes:
    if isinstance(content, bytes):
        return number(index << 3 | 2) + number(len(content)) + content
    if isinstance(content, float):
        return number(index << 3 | 1) + struct.pack("<d", content)
    return number(index << 3) + number(content)


def metrics(val: float, test: float) -> bytes:
    """ModelMetrics of three evaluations: before training, half-way, and the last, which counts."""
    rows = [(0.0, 0.1, 0.1, 0.1), (54.0, 0.8, 0.7, 0.6), (108.0, 0.999, val, test)]
    messages = [
        b"".join(field(index, double) for index, double in enumerate((epoch, 1769.1, *accuracies), 1))
        + field(6, b"/path/model.ckpt-1")
        for epoch, *accuracies in rows
    ]
    return b"".join(field(1, message) for message in messages) + field(2, 8_555_530) + field(3, 1234.5)


def record(
    arch: ArchSpec, val: float, test: float, epochs: int = 108, changes: Mapping[str, str] | None = None
) -> bytes:
    count = len(arch.ops)
    row = {
        "hash": SPACE.identity(arch),
        "digits": "".join(str(int((x, y) in arch.edges)) for x in range(count) for y in range(count)),
        "names": ",".join(SPACE.op_names[op] for op in arch.ops),
        "blob": base64.b64encode(metrics(val, test)).decode(),
    } | dict(changes or {})
    return json.dumps([row["hash"], epochs, row["digits"], row["names"], row["blob"]]).encode()


def write(path: Path, records: Iterable[bytes]) -> Path:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in records:
            writer.write(content)
    return path


def shuffled() -> list[tuple[int, int, int]]:
    """(cell, repeat, epochs): three long runs of every cell, in no order, among shorter ones that must not count."""
    rows = [(cell, repeat, 108) for cell in range(len(ARCHS)) for repeat in range(3)]
    rows += [(cell, 0, epochs) for cell in range(len(ARCHS)) for epochs in (4, 12, 36)]
    return [rows[row] for row in np.random.default_rng(1).permutation(len(rows))]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [
        record(ARCHS[cell], VALUES[cell, repeat, 0], VALUES[cell, repeat, 1], epochs)
        for cell, repeat, epochs in shuffled()
    ]
    return write(tmp_path_factory.mktemp("official") / "nasbench_full.tfrecord", records)


def run_main(**values: Any) -> int | None:
    """`main` through the guard of all scripts, as on the command line."""
    with set_flags(build_nb101.FLAGS, **values):
        return cli.guarded(build_nb101.main)(["build_nb101"])


def means(split: int) -> list[float]:
    """Of the three long runs of each cell, summed in the file's order, which decides the last digit."""
    sums = [0.0] * len(ARCHS)
    for cell, repeat, epochs in shuffled():
        sums[cell] += float(VALUES[cell, repeat, split]) if epochs == 108 else 0.0
    return [value / 3 for value in sums]


def test_official_file_gives_exactly_its_values(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "official.npz"
    assert run_main(tfrecord=str(source), out=str(out), allow_partial=True) == 0
    benchmark, analysis = NASBench101(len(ARCHS), out), NASBench101Analysis(out)
    assert benchmark.labels == analysis.labels == "official table"
    assert [benchmark.query(arch, "cifar10") for arch in ARCHS] == means(0)
    assert [analysis.test_accuracy(arch, "cifar10") for arch in ARCHS] == means(1)
    assert analysis.optimum("cifar10") == (max(means(0)), max(means(1)))
    assert np.allclose(means(0), VALUES[:, :, 0].mean(1), rtol=0, atol=1e-15)
    assert {analysis.sources(arch) for arch in ARCHS} == {("mean of three runs",) * 2}
    assert str(read_arrays(out)["source_sha256"]) == sha256_file(source)
    with pytest.raises(DataMissingError, match="holds 12 of the 423624 cells"):
        NASBench101(1, out).query(SPACE.from_string("101 input conv3x3-bn-relu output"), "cifar10")


def test_one_record_by_hand() -> None:
    run = parse_run(record(ARCHS[1], 0.25, 0.125))
    assert (run.module_hash, run.epochs) == ("53cee42601ad14d661bb6878031d6acb", 108)
    assert run.adjacency == ("010", "001", "000") and run.operations == ("input", "maxpool3x3", "output")
    assert (run.val_accuracy, run.test_accuracy) == (0.25, 0.125)


def test_unknown_fields_are_passed_over() -> None:
    extra = number(9 << 3 | 5) + struct.pack("<f", 1.5) + field(12, 1 << 40) + field(300, b"later")
    blob = base64.b64encode(extra + metrics(0.25, 0.125) + extra).decode()
    assert parse_run(record(ARCHS[0], 0, 0, changes={"blob": blob})).val_accuracy == 0.25


BLOB = metrics(0.5, 0.5)
MALFORMED = {
    "no JSON": b"\x00\x01",
    "four entries": json.dumps(["a", 108, "0100", "input,output"]).encode(),
    "no message": record(ARCHS[0], 0, 0, changes={"blob": "%%%"}),
    "message cut short": record(ARCHS[0], 0, 0, changes={"blob": base64.b64encode(BLOB[:-3]).decode()}),
    "message of nothing": record(ARCHS[0], 0, 0, changes={"blob": ""}),
    "group": record(ARCHS[0], 0, 0, changes={"blob": base64.b64encode(BLOB + number(7 << 3 | 3)).decode()}),
    "percent": record(ARCHS[0], 93.2, 92.9),
    "not a number": record(ARCHS[0], float("nan"), 0.5),
    "digits for three nodes": record(ARCHS[0], 0.5, 0.5, changes={"digits": "010001000"}),
    "digit two": record(ARCHS[0], 0.5, 0.5, changes={"digits": "0200"}),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_records_are_named(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "odd.tfrecord", [record(ARCHS[0], 0.5, 0.5), content])
    with pytest.raises(ArtefactError, match="odd.tfrecord is no NAS-Bench-101 file: record 1 "):
        list(read_runs(path))


def refused(capsys: pytest.CaptureFixture[str], path: Path, **values: Any) -> str:
    """The one line that the script prints; whatever is at --out must stay."""
    out = path.parent / "table.npz"
    out.write_bytes(b"precious")
    before = sorted(path.parent.iterdir())
    assert run_main(tfrecord=str(path), out=str(out), **values) == 1
    assert out.read_bytes() == b"precious" and sorted(path.parent.iterdir()) == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


DAMAGE = {
    "cut inside a record": lambda content: content[:-20],
    "a bit flipped": lambda content: content[:5000] + bytes([content[5000] ^ 4]) + content[5001:],
    "text": lambda content: b"<html>not found</html>" * 20,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_file_is_named_and_nothing_overwritten(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(damage(source.read_bytes()))
    error = refused(capsys, path, allow_partial=True)
    assert error.startswith("ArtefactError") and "bad.tfrecord is truncated or damaged" in error


def test_file_cut_between_records_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = [record(arch, 0.5, 0.5) for arch in ARCHS for _ in range(3)]
    error = refused(capsys, write(tmp_path / "part.tfrecord", whole))
    assert "got 12 cells" in error and "0 of them without exactly 3" in error and "expected 423624 cells" in error
    error = refused(capsys, write(tmp_path / "part.tfrecord", whole[:-1]), allow_partial=True)
    assert "1 of them without exactly 3" in error
    assert "got 0 cells" in refused(capsys, write(tmp_path / "part.tfrecord", []), allow_partial=True)
    assert "no file at" in refused(capsys, tmp_path / "absent.tfrecord")


CHAIN = SPACE.from_string("101 input maxpool3x3 output")
FOREIGN = {
    "another hash": {"hash": "0" * 32},
    "another graph": {"names": "input,conv3x3-bn-relu,output"},
    "unknown operation": {"names": "input,conv5x5-bn-relu,output"},
    "edge backwards": {"digits": "010001100"},
    "ends exchanged": {"names": "output,maxpool3x3,input"},
}


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_cells_are_refused(changes: dict[str, str]) -> None:
    runs = [parse_run(record(CHAIN, 0.5, 0.5, changes=changes))] * 3
    with pytest.raises(ArtefactError, match="whose hash is"):
        nb101_official.official_means(runs, num_cells=None)


class FakePackage:
    """Stands in for nasbench.api.NASBench: answers from VALUES, repeats in another order."""

    def __init__(self, path: str = "") -> None:
        self.asked: list[str] = []
        self.wrong = ""

    def get_metrics_from_hash(self, module_hash: str) -> tuple[dict[str, Any], dict[int, list[dict[str, float]]]]:
        self.asked.append(module_hash)
        cell = [SPACE.identity(arch) for arch in ARCHS].index(module_hash)
        runs = [
            {"final_validation_accuracy": v + 1e-6 * (module_hash == self.wrong), "final_test_accuracy": t}
            for v, t in VALUES[cell, ::-1].tolist()
        ]
        return {}, {108: runs, 4: []}


def test_the_official_package_agrees(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePackage()
    monkeypatch.setitem(sys.modules, "nasbench", type("package", (), {}))
    monkeypatch.setitem(sys.modules, "nasbench.api", type("module", (), {"NASBench": lambda path: fake}))
    out = tmp_path / "official.npz"
    assert run_main(tfrecord=str(source), out=str(out), allow_partial=True, compare=5) == 0
    assert len(set(fake.asked)) == 5 and out.exists()
    fake.wrong = fake.asked[-1]
    out.unlink()
    assert run_main(tfrecord=str(source), out=str(out), allow_partial=True, compare=5) == 1
    assert not out.exists()
    found = nb101_official.official_means(read_runs(source), None)
    with pytest.raises(ArtefactError, match=f"cell {fake.wrong}: the package nasbench gives"):
        nb101_official.compare(fake, found, found)


def test_missing_official_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nasbench.api", None)
    with pytest.raises(DataMissingError, match="needs the package nasbench"):
        nb101_official.open_package(tmp_path / "official.tfrecord")


def test_sources_exclude_each_other_and_the_official_one_is_named() -> None:
    for values in ({}, {"known": "a", "tfrecord": "b"}, {"known": "a"}, {"tfrecord": "b", "test_means": "c"}):
        with set_flags(build_nb101.FLAGS, **values), pytest.raises(
            ConfigError, match="pass one of .* https://.*only108.tfrecord"
        ):
            build_nb101.main(["build_nb101"])


def test_converted_official_table_takes_over(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nasbench101_official.npz"
    monkeypatch.setattr(nasbench101, "OFFICIAL_TABLE", path)
    monkeypatch.setattr(build_nb101, "OFFICIAL_TABLE", path)
    assert NASBench101(1).labels.startswith("embedded")
    assert run_main(tfrecord=str(source), allow_partial=True) == 0 and path.is_file()
    assert NASBench101(1).labels == NASBench101Analysis().labels == "official table"
