"""Tables made again from the stored searches."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experiments.tables.compare import compare, difference, main, remake
from experiments.tables.definitions import TABLES
from invertnas.errors import ConfigError
from invertnas.files.io import write_text
from tests.helpers.scripts import set_flags

ROOT = Path(__file__).resolve().parents[3]


def test_a_difference_is_told_in_words(tmp_path: Path) -> None:
    old, new = tmp_path / "a.csv", tmp_path / "b.csv.gz"
    write_text(new, "x,y\n1,2.0\n3,4.5\n")
    assert difference(old, new) == "not stored"
    for text, words in (
        ("x,y\n1,2.0\n3,4.5\n", ""),
        ("x,y\n1,2.0\n3,4.0\n", "1 cells of y; the largest difference is 0.5"),
        ("x,z\n1,2.0\n3,4.5\n", "2 rows of 2 columns stored, 2 of 2 made"),
        ("x,y\n1,2.0\n", "1 rows of 2 columns stored, 2 of 2 made"),
    ):
        write_text(old, text)
        assert difference(old, new) == words


def test_the_stored_searches_give_the_stored_tables(tmp_path: Path) -> None:
    """Two of them here; all in the slow tests and by `make compare_tables`."""
    remake(["thesis_table5", "table17"], ROOT / "results", tmp_path)
    assert list(compare(ROOT / "results", tmp_path)) == [("table17.csv", ""), ("thesis_table5.csv", "")]
    write_text(tmp_path / "table17.csv", "x\n1\n")
    assert "stored, 1 of 1 made" in dict(compare(ROOT / "results", tmp_path))["table17.csv"]


@pytest.mark.slow
def test_the_stored_searches_give_every_stored_table(tmp_path: Path) -> None:
    remake(list(TABLES), ROOT / "results", tmp_path)
    found = dict(compare(ROOT / "results", tmp_path))
    assert not any(found.values()), found
    assert {f"{name}.csv" for name in TABLES} <= set(found)


def test_the_script_prints_a_line_a_file_and_fails_on_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from experiments.tables import compare as script

    for name in ("searches", "reference"):
        (tmp_path / name).symlink_to(ROOT / "results" / name)
    with set_flags(script.OWN, out=str(tmp_path), tables=["thesis_table5"]):
        assert main(["compare"]) == 1 and capsys.readouterr().out.split() == ["thesis_table5.csv", "not", "stored"]
        shutil.copy(ROOT / "results" / "thesis_table5.csv", tmp_path)
        assert main(["compare"]) == 0 and capsys.readouterr().out.split() == ["thesis_table5.csv", "equal"]
    with set_flags(script.OWN, tables=["table99"]), pytest.raises(ConfigError, match="got tables table99"):
        main(["compare"])
