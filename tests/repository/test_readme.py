"""README and docs tell the truth: their tables are the ones the result files give."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest

from experiments.common.cli import ROOT
from experiments.tables.aggregate import summarise, to_markdown
from experiments.tables.cost import growth, growth_markdown, tradeoff, tradeoff_markdown
from experiments.tables.definitions import TABLES, collect
from experiments.tables.initial_sets.report import initial_markdown
from experiments.tables.quality import quality_markdown, rounds, summarise_rounds
from experiments.tables.readme import BENCH, BRIEF, REQUIRED, blocks, compact_table, filled
from invertnas.errors import ArtefactError

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", REQUIRED)
def test_tables_equal_the_result_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(text, ROOT / "results", page) == text, "run `make readme`"
    for name in {name.removesuffix(BRIEF) for name in blocks(text, page)} - {BENCH}:
        assert collect(TABLES[name], ROOT / "results", range(TABLES[name].trials)), name


def committed(report: str) -> list[str]:
    """Tables of a kind whose Markdown is committed."""
    return [name for name, t in TABLES.items() if t.report == report and (ROOT / "results" / f"{name}.md").exists()]


@pytest.mark.parametrize("name", committed("accuracy"))
def test_committed_tables_equal_the_result_files(name: str) -> None:
    table = TABLES[name]
    frame = summarise(collect(table, ROOT / "results", range(table.trials)), table.source)
    text = to_markdown(frame, table.title, table.source, quoted=table.quoted, note=table.note)
    assert (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8") == text, f"run `make {name}`"

    stored = pd.read_csv(ROOT / "results" / f"{name}.csv")
    fresh = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    pd.testing.assert_frame_equal(stored, fresh, check_dtype=False, rtol=0, atol=1e-4)


def test_every_committed_table_is_compared_below_or_above() -> None:
    """A report of another kind would need a test of its own."""
    kinds = {TABLES[path.stem].report for path in (ROOT / "results").glob("*.md") if path.stem in TABLES}
    assert kinds == {"accuracy", "quality", "initial", "cost"}


@pytest.mark.parametrize("name", committed("cost"))
def test_committed_costs_equal_the_result_files(name: str) -> None:
    """Of every setting in the pool, so that a search added, moved or run again is noticed."""
    made = {name: tradeoff(ROOT / "results"), "cost": growth(ROOT / "results")}
    texts = {name: tradeoff_markdown(made[name]), "cost": growth_markdown(made["cost"], TABLES[name].title)}
    for stem, frame in made.items():
        stored, fresh = pd.read_csv(ROOT / "results" / f"{stem}.csv"), pd.read_csv(io.StringIO(frame.to_csv()))
        pd.testing.assert_frame_equal(stored, fresh[stored.columns], check_dtype=False, rtol=0, atol=1e-4)
        assert (ROOT / "results" / f"{stem}.md").read_text(encoding="utf-8") == texts[stem], f"run `make {name}`"


@pytest.mark.parametrize("name", committed("quality"))
def test_committed_counts_equal_the_result_files(name: str) -> None:
    table = TABLES[name]
    frame = rounds(collect(table, ROOT / "results", range(table.trials)))
    text = quality_markdown(summarise_rounds(frame), table.title)
    assert (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8") == text, f"run `make {name}`"


@pytest.mark.parametrize("name", committed("initial"))
def test_committed_accuracies_by_initial_set_equal_the_result_files(name: str) -> None:
    table = TABLES[name]
    keys = ["benchmark", "dataset", "init", "method", "preset", "queries"]
    shown = pd.read_csv(ROOT / "results" / f"{name}.csv").dropna(subset="method").set_index(keys)
    frame = summarise(collect(table, ROOT / "results", range(table.trials)), table.source).set_index(keys)
    assert set(shown.index) == set(frame.index), f"run `make {name}`"
    columns = ["trials", "val_mean", "val_std", "test_mean", "test_std"]
    expected = frame.loc[shown.index, columns].astype(float)
    np.testing.assert_allclose(shown[columns].astype(float), expected, atol=1e-6, err_msg=f"run `make {name}`")
    printed = ["paper_val", "paper_test"]
    np.testing.assert_allclose(shown[printed].astype(float), frame.loc[shown.index, printed].astype(float))


@pytest.mark.parametrize("name", committed("initial"))
def test_committed_initial_sets_are_shown_as_stored(name: str) -> None:
    """Divergences take minutes to compute, so that the Markdown is compared with the CSV beside it."""
    text = initial_markdown(pd.read_csv(ROOT / "results" / f"{name}.csv"), [], TABLES[name])
    assert (ROOT / "results" / f"{name}.md").read_text(encoding="utf-8") == text, f"run `make {name}`"


def test_a_changed_number_or_a_lost_marker_is_noticed() -> None:
    number = re.search(r"\| InvertNAS \| \d+ \| (\d\d\.\d\d)", README)
    assert number
    assert filled(README.replace(number[1], "99.99"), ROOT / "results") == README
    with pytest.raises(ArtefactError, match="lacks the markers"):
        filled(README.replace("<!-- end table2_brief -->", ""), ROOT / "results")


def test_blocks_are_those_marked_and_the_required_ones() -> None:
    assert blocks("") == list(REQUIRED["README.md"]) and "table17" in blocks("<!-- begin table17 -->")
    with pytest.raises(ArtefactError, match="markers of table5; expected one of table1"):
        blocks("<!-- begin table5 -->")
    optional = f"{README}\n<!-- begin table9 -->\n<!-- end table9 -->\n"
    assert "| Method | Queries | Trials |" in filled(optional, ROOT / "results").removeprefix(README)


def test_a_brief_table_has_validation_accuracies_of_default_settings() -> None:
    head, _, *rows = filled(README, ROOT / "results").partition("begin table2_brief -->\n")[2].splitlines()[:9]
    assert head == "| Method | Trials | CIFAR-10 val. | CIFAR-100 val. | ImageNet16-120 val. |"
    names = [row.split("|")[1].strip() for row in rows]
    assert names == ["*Best of the labels*", "RS", "LS", "RE", "BANANAS", "InvertNAS (single)", "InvertNAS"]


def test_queries_stand_where_they_are_needed() -> None:
    frames = {name: summarise(collect(TABLES[name], ROOT / "results", range(3))) for name in ("table2", "table7")}
    assert "ueries" not in compact_table(frames["table2"]).split("\n\n")[0]
    lines = compact_table(frames["table7"]).splitlines()
    assert lines[0].startswith("| Method | Queries | Trials | CIFAR-10 val.")
    assert [line.split("|")[2].strip() for line in lines if line.startswith("| InvertNAS |")] == ["150", "192"]
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    early = frames["table2"].assign(queries=[150 if d == "cifar10" else 192 for d in frames["table2"]["dataset"]])
    assert "| CIFAR-10 (150 queries) val. |" in compact_table(early)
