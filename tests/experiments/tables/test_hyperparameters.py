"""The paper's hyper-parameters and the settings that follow it."""

from __future__ import annotations

from experiments.tables.hyperparameters import DEVIATIONS, markdown, values


def test_the_settings_of_the_paper_are_as_printed_but_for_named_deviations() -> None:
    for value in values():
        if value.printed is not None:
            differs = value.paper != value.printed
            assert differs == ((value.table, value.name) in DEVIATIONS), value


def test_all_six_tables_are_whole() -> None:
    found = values()
    counts = {table: sum(value.table == table for value in found) for table in dict.fromkeys(v.table for v in found)}
    assert counts == {"Table 10": 20, "Table 11": 12, **{f"Table {number}": 16 for number in range(12, 16)}}
    assert all(value.paper is not None and value.fast is not None for value in found)
    assert sum(value.printed is not None for value in found) > 80


def test_the_text_has_every_line_and_explains_what_differs() -> None:
    text = markdown()
    assert text.count("\n## Table") == 6 and text.count("| nasbench_nlp ") == 5 + 16
    assert "| Validation set size*" in text and "\\* Validation set size: 30 of 30 train" in text
    row = next(line for line in text.splitlines() if "Last learning rate" in line and "nasbench301" in line)
    assert [cell.strip() for cell in row.split("|")[3:6]] == ["0.0001", "0.0001", "0"]
