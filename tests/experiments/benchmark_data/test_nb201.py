"""The script that builds the NAS-Bench-201 table, with small CSVs and a stand-in for the official API."""

from __future__ import annotations

import gzip
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.benchmark_data import nb201 as build_nb201
from experiments.common import cli
from invertnas.benchmarks.nasbench201 import COLUMN_IMAGES, DATASETS, DEFAULT_TABLE, NASBench201, NASBench201Analysis
from invertnas.errors import ArtefactError, ConfigError, DataMissingError
from invertnas.files.io import read_arrays, sha256_file, write_arrays
from invertnas.spaces import NASBench201Space
from tests.helpers.scripts import set_flags

SPACE = NASBench201Space()
IMAGES = {  # (data set, split) of the official API -> images
    ("cifar10-valid", "train"): 25_000,
    ("cifar10-valid", "x-valid"): 25_000,
    ("cifar10-valid", "ori-test"): 10_000,
    ("cifar10", "ori-test"): 10_000,
    ("cifar100", "train"): 50_000,
    ("cifar100", "x-valid"): 5_000,
    ("cifar100", "x-test"): 5_000,
    ("ImageNet16-120", "train"): 151_700,
    ("ImageNet16-120", "x-valid"): 3_000,
    ("ImageNet16-120", "x-test"): 3_000,
}


def small_rows(count: int = 40) -> list[build_nb201.Row]:
    """Rows whose percentages are means of 1, 2 or 3 runs, all different."""
    archs = [SPACE.to_string(arch) for arch in itertools.islice(SPACE.all(), count)]
    return [
        build_nb201.Row(
            text,
            tuple(
                100 * (7 * row + column + 1) / (seeds * images) for column, images in enumerate(COLUMN_IMAGES.values())
            ),
            seeds,
            0.073306 + row / 1e6,
        )
        for row, (text, seeds) in enumerate(zip(archs, itertools.cycle((1, 2, 3))))
    ]


def write_csv(path: Path, rows: list[build_nb201.Row]) -> Path:
    lines = [",".join(build_nb201.CSV_HEADER)]
    for index, row in enumerate(rows):
        lines.append(
            ",".join(
                [str(index), row.arch, *(f"{p:.8f}" for p in row.percents), str(row.n_seeds), f"{row.params_m:.6f}"]
            )
        )
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["small.csv.gz", "small.csv"])
def test_csv_percentages_are_recovered(tmp_path: Path, name: str) -> None:
    rows = small_rows()
    arrays = build_nb201.pack(
        build_nb201.read_csv(write_csv(tmp_path / name, rows)), "embedded table", "0", num_rows=40
    )
    percents = (arrays["counts"] / arrays["denominators"][:, None] * 100).T
    assert np.allclose(percents, [row.percents for row in rows], rtol=0, atol=1e-10)
    assert arrays["ops"].dtype == np.uint8 and arrays["counts"].dtype == np.uint32
    assert [SPACE.to_string(SPACE.from_cell_ops(ops)) for ops in arrays["ops"]] == [row.arch for row in rows]
    assert arrays["params"].tolist() == [73306 + row for row in range(40)]
    assert arrays["n_seeds"].tolist() == [row.n_seeds for row in rows]


def test_table_file_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, build_nb201.pack(small_rows(), "embedded table", "0", 40), compress=True)
    assert sha256_file(tmp_path / "a.npz") == sha256_file(tmp_path / "b.npz")


def changed(row: build_nb201.Row, **changes: Any) -> build_nb201.Row:
    return build_nb201.dataclasses.replace(row, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "|none~0|"}, "row 3 holds no cell"),
        ({"arch": small_rows()[0].arch}, "row 3 repeats"),
        ({"percents": (float("nan"),) * 16}, "not a number"),
        ({"percents": (100.1,) * 16}, "outside 0..100"),
        ({"percents": (50.0003,) + (50.0,) * 15}, "no mean of 1, 2 or 3 runs on 25000 images"),
        ({"n_seeds": 4}, "n_seeds"),
        ({"params_m": float("nan")}, "parameter count"),
    ],
)
def test_impossible_rows_are_refused(changes: dict[str, Any], message: str) -> None:
    rows = small_rows()
    rows[3] = changed(rows[3], **changes)
    with pytest.raises(ArtefactError, match=message):
        build_nb201.pack(rows, "embedded table", "0", num_rows=40)


def test_missing_rows_are_counted() -> None:
    with pytest.raises(ArtefactError, match="got 39 rows; expected 40"):
        build_nb201.pack(small_rows(39), "embedded table", "0", num_rows=40)


@pytest.mark.parametrize("cut", [10, 200])
def test_truncated_gzip_is_named(tmp_path: Path, cut: int) -> None:
    path = write_csv(tmp_path / "small.csv.gz", small_rows())
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ArtefactError, match="small.csv.gz cannot be read"):
        build_nb201.read_csv(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("index,arch", "arch,index", "has columns"), ("\n5,", "\n6,", "data row 5"), (",1,0.073306", ",1", "data row 0")],
)
def test_malformed_csv_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_csv(tmp_path / "small.csv", small_rows())
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ArtefactError, match=message):
        build_nb201.read_csv(path)


def run_main(**values: Any) -> int | None:
    """`main` through the guard of all scripts, as on the command line."""
    with set_flags(build_nb201.FLAGS, **values):
        return cli.guarded(build_nb201.main)(["build_nb201"])


def test_other_checksum_is_refused_and_nothing_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_csv(tmp_path / "other.csv.gz", small_rows()), tmp_path / "table.npz"
    out.write_bytes(b"precious")
    assert run_main(csv=str(source), out=str(out)) == 1
    error = capsys.readouterr().err
    assert error.startswith("ArtefactError: ") and error.count("\n") == 1
    assert sha256_file(source) in error and build_nb201.CSV_SHA256 in error and "--allow_other_csv" in error
    assert run_main(csv=str(source), out=str(out), allow_other_csv=True) == 1
    assert "got 40 rows; expected 15625" in capsys.readouterr().err
    assert out.read_bytes() == b"precious" and len(list(tmp_path.iterdir())) == 2


def test_sources_name_the_checksum_the_script_expects() -> None:
    assert build_nb201.CSV_SHA256 in (DEFAULT_TABLE.parent / "SOURCES.md").read_text(encoding="utf-8")
    assert str(read_arrays(DEFAULT_TABLE)["source_sha256"]) == build_nb201.CSV_SHA256


def test_csv_and_pth_exclude_each_other(tmp_path: Path) -> None:
    for values in ({}, {"csv": "a", "pth": "b"}):
        with set_flags(build_nb201.FLAGS, **values), pytest.raises(ConfigError, match="pass one of"):
            build_nb201.main(["build_nb201"])
    with pytest.raises(DataMissingError, match="no CSV at"):
        build_nb201.check_csv(tmp_path / "absent.csv", "0", allow_other=True)


def test_missing_official_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nas_201_api", None)
    with pytest.raises(DataMissingError, match=r"pip install invertnas\[nasbench201\]"):
        build_nb201.load_official(tmp_path / "official.pth")


DATA_NAMES = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")


class FakeResults:
    """All runs of one cell: run s of cell i gets (i + 11 s + hp) images of every split right."""

    def __init__(self, index: int, hp: str) -> None:
        self.index, self.hp = index, int(hp)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        assert dataset in DATA_NAMES
        return [777, 888, 999][: 1 + self.index % 3]

    def get_metrics(self, dataset: str, setname: str, iepoch: int, is_random: bool) -> dict[str, Any]:
        assert iepoch == self.hp - 1 and is_random is False
        images = IMAGES[dataset, setname]
        right = [(self.index + 11 * seed + self.hp + images) % images for seed in self.get_dataset_seeds(dataset)]
        return {"accuracy": 100 * sum(right) / (images * len(right)), "loss": 0.0}

    def get_compute_costs(self, dataset: str) -> dict[str, Any]:
        return {"params": 0.073306 + self.index / 1e6, "flops": 1.0, "latency": None}


class FakeAPI:
    """Stands in for nas_201_api.NASBench201API; official order = reversed order of the space."""

    def __init__(self, path: str = "", verbose: bool = True) -> None:
        self.meta_archs = [SPACE.to_string(arch) for arch in SPACE.all()][::-1]

    def __len__(self) -> int:
        return len(self.meta_archs)

    def arch(self, index: int) -> str:
        return self.meta_archs[index]

    def query_meta_info_by_index(self, arch_index: int, hp: str) -> FakeResults:
        return FakeResults(arch_index, hp)


def test_official_file_gives_exactly_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nas_201_api", type("module", (), {"NASBench201API": FakeAPI}))
    source, out = tmp_path / "official.pth", tmp_path / "official.npz"
    source.write_bytes(b"stands in for the official file")
    assert run_main(pth=str(source), out=str(out)) == 0
    assert str(read_arrays(out)["source_sha256"]) == sha256_file(source)
    benchmark, analysis = NASBench201(9, out), NASBench201Analysis(out)
    assert benchmark.labels == analysis.labels == "official table"
    for index in (0, 4_242, 15_624):
        arch = SPACE.from_string(FakeAPI().arch(index))
        assert analysis.index(arch) == index
        long, short = FakeResults(index, "200"), FakeResults(index, "12")
        names = zip(
            DATASETS, ("cifar10-valid", "cifar100", "ImageNet16-120"), ("cifar10", "cifar100", "ImageNet16-120")
        )
        for dataset, val_name, test_name in names:
            split = "ori-test" if dataset == "cifar10" else "x-test"
            for results, epochs in ((long, 200), (short, 12)):
                val = results.get_metrics(val_name, "x-valid", epochs - 1, False)["accuracy"] / 100
                test = results.get_metrics(test_name, split, epochs - 1, False)["accuracy"] / 100
                assert analysis.validation_accuracy(arch, dataset, epochs) == pytest.approx(val, abs=1e-12)
                assert analysis.test_accuracy(arch, dataset, epochs) == pytest.approx(test, abs=1e-12)
            assert benchmark.query(arch, dataset) == analysis.validation_accuracy(arch, dataset)
        half = long.get_metrics("cifar10-valid", "ori-test", 199, False)["accuracy"] / 100
        assert analysis.table("cifar10")["halftrain_test"][index] == pytest.approx(half, abs=1e-12)
        assert analysis.table("cifar10")["n_seeds"][index] == 1 + index % 3
        assert round(analysis.params(arch) * 1e6) == 73306 + index


def test_official_file_without_a_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(IMAGES, ("cifar100", "x-test"))
    with pytest.raises(ArtefactError, match="lacks a value of index 0 .*expected v1.1"):
        build_nb201.read_official(FakeAPI())
