"""From stored searches to the files of a table: reads the pool, never runs a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.tables.aggregate import write_table
from experiments.tables.cost import write_cost
from experiments.tables.curves import plot_table
from experiments.tables.definitions import collect
from experiments.tables.initial_sets.report import write_initial
from experiments.tables.quality import write_quality
from experiments.tables.spec import Place, Table

REPORTS = {"accuracy": write_table, "quality": write_quality, "cost": write_cost}


def publish(table: Table, out: Path, seeds: Sequence[int], places: Sequence[Place], pretrained: Path) -> str:
    """Write a table's `.md`, `.csv` and pictures from the searches below `out/searches`; returns the Markdown.

    Args:
        table: what is compared.
        out: results folder.
        seeds: trials that count.
        places: data sets of a table of initial sets; the others show what has been searched.
        pretrained: folder of the weights, read by tables of initial sets.
    """
    records = collect(table, out, seeds)
    if table.report == "initial":
        text = write_initial(out, table, records, places, seeds, pretrained)
    else:
        text = REPORTS[table.report](out, table, records)
    if table.curves:
        plot_table(out, table, records)
    return text
