"""Validity, uniqueness and novelty: from rounds to the table and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments.tables.definitions import TABLES
from experiments.tables.quality import METRICS, quality_markdown, rounds, shares, summarise_rounds, write_quality


def entry(number: int, decoded: int, valid: int, unique: int, novel: int) -> dict[str, Any]:
    counts = {"decoded": decoded, "valid": valid, "unique": unique, "novel": novel, "tries": 1}
    return {"round": number, **counts, "random": max(5 - novel, 0)}


def record(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    given = {"benchmark": "nasbench201", "dataset": "imagenet16-120", "method": "invertnas", "preset": "fast"}
    return {**given, "queries": 192, "seed": 0, "rounds": list(entries), **fields}


def test_shares_are_the_papers() -> None:
    """Valid of all decoded, distinct of the valid, new of all decoded (Appendix I)."""
    assert shares(entry(0, 200, 50, 10, 4)) == (0.25, 0.2, 0.02)
    assert shares(entry(0, 0, 0, 0, 0)) == (0, 0, 0)
    assert shares(entry(0, 10, 0, 0, 0)) == (0, 0, 0)


def test_means_are_over_the_rounds_of_all_trials() -> None:
    frame = rounds([record(entry(0, 100, 100, 50, 40)), record(entry(0, 100, 0, 0, 0), entry(1, 10, 5, 5, 5), seed=1)])
    assert frame[["seed", "round", "decoded"]].to_numpy().tolist() == [[0, 0, 100], [1, 0, 100], [1, 1, 10]]
    (row,) = [row for _, row in summarise_rounds(frame).iterrows()]
    assert (row["trials"], row["rounds"], row["decoded_mean"]) == (2, 3, 70)
    assert row["filled_mean"] == 2.5  # five in the round that decoded nothing, in two searches
    assert [row[f"{metric}_mean"] for metric in METRICS] == pytest.approx([50.0, 50.0, 30.0])
    assert row["validity_std"] == pytest.approx(100 * (1 / 6) ** 0.5)
    assert row["paper_validity"] == pytest.approx(33.101) and row["paper_novelty"] == pytest.approx(0.30907)


def test_the_table_shows_the_papers_value_in_brackets() -> None:
    lines = quality_markdown(summarise_rounds(rounds([record(entry(0, 100, 90, 9, 8))])), "T").splitlines()
    assert lines[0] == "# T" and lines[2] == "## ImageNet16-120 (nasbench201)"
    assert lines[6] == "| InvertNAS | 1 | 100 | 90.00 ± 0.00 (33.1) | 10.00 ± 0.00 (0.407) | 8.00 ± 0.00 (0.309) | 0 |"


def test_files_and_a_figure_per_data_set(tmp_path: Path) -> None:
    table = TABLES["table16"]
    entries = [entry(n, 100, 90 - n, 30, 20) for n in range(5)]
    records = [record(*entries), record(*entries, method="invertnas-fast_z"), record(*entries, dataset="cifar10")]
    records.append(record(*entries, benchmark="nasbench101", dataset="cifar10"))
    text = write_quality(tmp_path, table, records)
    assert (tmp_path / "table16.md").read_text(encoding="utf-8") == text
    assert (
        len(pd.read_csv(tmp_path / "table16.csv")) == 4 and len(pd.read_csv(tmp_path / "table16_rounds.csv.gz")) == 20
    )
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        *("table16_imagenet16-120.png", "table16_nasbench101_cifar10.png", "table16_nasbench201_cifar10.png")
    ]
    assert write_quality(tmp_path / "empty", table, []).startswith("# Table 16")
