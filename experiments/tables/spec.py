"""What a table is: rows, places and budgets. `experiments.tables.definitions` has the tables themselves."""

from __future__ import annotations

import dataclasses
from typing import Literal

from experiments.searches.initial import DEFAULT_INIT
from experiments.searches.methods import variant_name
from experiments.tables.printed import PAPER_NAME
from invertnas.presets import DEFAULT

Budgets = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Row:
    """A method at a setting.

    Attributes:
        method: key of `experiments.searches.methods.METHODS`.
        preset: preset of InvertNAS, of no effect on baselines.
        members: flows in the ensemble, None for the preset's number.
        budgets: where they differ from those of the place.
        optional: shown where result files exist, and not run unless asked for by name.
        init: initial strategy of InvertNAS, of no effect on baselines.
        benchmarks: those the row is shown on, None for all of the table's.
        trials: most seeds per place, None for the place's number.
    """

    method: str
    preset: str = DEFAULT
    members: int | None = None
    budgets: Budgets | None = None
    optional: bool = False
    init: str = DEFAULT_INIT
    benchmarks: tuple[str, ...] | None = None
    trials: int | None = None

    @property
    def variant(self) -> str:
        """Its name in paths and records."""
        return variant_name(self.method, self.preset, self.members, self.init)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where methods are compared.

    Attributes:
        benchmark, dataset: what is searched.
        budgets: the numbers of queries at which rows are shown.
        trials: most seeds per row, where a search is long; None for the table's number.
    """

    benchmark: str
    dataset: str
    budgets: Budgets
    trials: int | None = None


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the paper or the thesis.

    Attributes:
        name: of the make target and of the files written.
        title: heading.
        rows: what is compared, in the order shown.
        places: where.
        trials: seeds per row and place.
        source: whose printed numbers stand beside: a key of `experiments.tables.printed.PRINTED`.
        report: accuracies, the quality of the inverse path's candidates, costs, or initial sets.
        curves: whether search curves are drawn.
        quoted: whether the printed numbers of methods that are not run here are shown too.
        note: what a reader must know, below the table.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    places: tuple[Place, ...]
    trials: int = 10
    source: str = PAPER_NAME
    report: Literal["accuracy", "quality", "cost", "initial"] = "accuracy"
    curves: bool = False
    quoted: bool = False
    note: str = ""

    def asked(self, row: Row, place: Place) -> Budgets:
        """The numbers of queries at which a row is shown at a place; none where it is not."""
        if row.benchmarks is not None and place.benchmark not in row.benchmarks:
            return ()
        return place.budgets if row.budgets is None else row.budgets
