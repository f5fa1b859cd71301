"""What each table compares: rows, data sets, budgets and trials. Data only; `experiments.tables` runs them.

Searches lie in one pool (`experiments.searches.records`), so tables share them: Tables 2, 6 to 9, 16, 17 and 18 the
default ensemble, Tables 2, 6 to 9 and 18 and the thesis' tables the single INN.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.searches.ablations import REMEDIES
from experiments.searches.initial import INITS
from experiments.searches.methods import ENSEMBLE, METHODS, SINGLE, is_invertnas
from experiments.searches.records import read_searches, search_folder
from experiments.tables.printed import ALIGNFLOW_NAME, TABLE4_NAME, THESIS_NAME
from experiments.tables.spec import Budgets, Place, Row, Table
from invertnas.errors import ConfigError
from invertnas.presets import DEFAULT
from invertnas.spaces.records import NB101, NB201, NB301, NBNLP


def _nb201(cifar: Budgets, imagenet: Budgets | None = None) -> tuple[Place, ...]:
    budgets = {"cifar10": cifar, "cifar100": cifar, "imagenet16-120": imagenet or cifar}
    return tuple(Place(NB201.name, dataset, chosen) for dataset, chosen in budgets.items())


_BO = "bayesian"  # in Table 3 alone, on NAS-Bench-301, as in the paper
_BASELINES = tuple(Row(method, budgets=(192,)) for method in METHODS if not is_invertnas(method) and method != _BO)
_OURS = (Row(SINGLE), Row(ENSEMBLE))
_PAPERS = tuple(
    Row(method, "paper", init=init, optional=True) for method in (SINGLE, ENSEMBLE) for init in ("random", "alignflow")
)
_BLIND = tuple(Row(method, "paper_blind", optional=True) for method in (SINGLE, ENSEMBLE))
_STARTS = tuple(Row(method, init=init, optional=True) for method in (SINGLE, ENSEMBLE) for init in INITS[1:])
_EVERY = (*_BASELINES, *_OURS, *_STARTS, *_PAPERS)
_EVERY_ONCE = tuple(dataclasses.replace(row, budgets=None) for row in _EVERY)
_IMAGENET = Place(NB201.name, "imagenet16-120", (192,))


def _with_trials(rows: tuple[Row, ...], quick: int, long: int | None = None) -> tuple[Row, ...]:
    """Rows with `long` trials of ensembles and of what is run on request alone, and `quick` of the others."""
    return tuple(
        dataclasses.replace(row, trials=long if row.optional or row.method == ENSEMBLE else quick) for row in rows
    )


def _detailed(name: str, place: Place) -> Table:
    return Table(name, f"Table {name.removeprefix('table')}: InvertNAS and baselines", _EVERY, (place,), quoted=True)


_BOTH = _nb201((150, 192))
_NB101, _NB301 = Place(NB101.name, "cifar10", (150,)), Place(NB301.name, "cifar10", (150,), trials=5)
_OTHERS = tuple(dataclasses.replace(place, budgets=(150, 192)) for place in (_NB101, _NB301))
_NBNLP = Place(NBNLP.name, "ptb", (304,), trials=5)
_WEIGHTS = (
    Row(ENSEMBLE),
    Row(ENSEMBLE, "fast_mean", benchmarks=(NB201.name, NB301.name)),
    Row(ENSEMBLE, "fast_greedy", benchmarks=(NB101.name,)),
    Row(ENSEMBLE, "fast_greedy_mean", benchmarks=(NB101.name,)),
)
_BEST_UNKNOWN = (NB101.name, NB301.name)  # no method ends at the best there, so that all can differ
_FINE_TUNING = tuple(Row(SINGLE, name) for name in (DEFAULT, "fast_ranked", "fast_e2e", "fast_e2e_ranked"))
_FINE_TUNING_NOTE = (
    "fast trains the INN alone without rank weights, fast_ranked with them; fast_e2e and fast_e2e_ranked train "
    "the GVAE too."
)
_ALL = (
    Table(
        "table1",
        "Table 1: NAS-Bench-101",
        _with_trials(_EVERY, quick=20, long=10),  # the best differ by less than they spread
        _OTHERS[:1],
        trials=20,
        curves=True,
    ),
    Table(
        "table3",
        "Table 3: NAS-Bench-301 and NAS-Bench-NLP",
        _with_trials((*_EVERY_ONCE, Row(_BO, benchmarks=(NB301.name,))), quick=20),  # as in Table 1
        (_OTHERS[1], _NBNLP),
        trials=20,
        curves=True,
        note="On NAS-Bench-NLP the accuracy is 100 minus the validation loss in nats, as in the paper.",
    ),
    Table(
        "table2",
        "Table 2: NAS-Bench-201",
        _EVERY_ONCE,
        _nb201((192,)),
        curves=True,
        quoted=True,
    ),
    Table(
        "table4",
        "Table 4: initial sampling strategies",
        tuple(Row(method, init=init, optional=method == ENSEMBLE) for method in (ENSEMBLE, SINGLE) for init in INITS),
        (_NB101, *_nb201((150,), (192,)), _NB301, _NBNLP),
        source=TABLE4_NAME,
        report="initial",
        note="The paper's accuracies are the ensemble's. It has a row where it was searched, for which this target "
        "asks only with METHODS=invertnas.",
    ),
    Table(
        "table6",
        "Table 6: single INN and ensemble",
        (*_OURS, *_PAPERS, *_BLIND),
        (_OTHERS[0], *_BOTH, _OTHERS[1], _NBNLP),
    ),
    *(_detailed(name, place) for name, place in zip(("table7", "table8", "table9"), _BOTH)),
    Table(
        "table16",
        "Table 16: candidates of the inverse path",
        (Row(ENSEMBLE), Row(ENSEMBLE, "fast_z", optional=True), Row(ENSEMBLE, "fast_z_blind"), *_PAPERS, *_BLIND),
        (*_nb201((192,)), _NB101, _NB301),
        trials=3,
        report="quality",
    ),
    Table(
        "table17",
        "Table 17: inverse-distance weights (fast) against the plain mean (fast_mean)",
        _WEIGHTS,
        (_NB101, *_nb201((150,), (192,)), _NB301),
        trials=5,
        source=ALIGNFLOW_NAME,
        note="On NAS-Bench-101 fast picks by single members, so that their weights play no part: there fast_greedy, "
        "which picks by the weighted prediction, stands against fast_greedy_mean.",
    ),
    Table(
        "table18",
        "Table 18: number of INNs",
        (Row(SINGLE), *(Row(ENSEMBLE, members=members) for members in (3, 5, 7)), Row(ENSEMBLE)),
        (_NB101, *_nb201((150,), (192,)), _NB301),
        trials=5,
        source=ALIGNFLOW_NAME,
        curves=True,
        note="InvertNAS (single) is one INN, InvertNAS without a number ten. The paper prints no number of queries "
        "here: taken as those of its Table 17.",
    ),
    Table(
        "thesis_table2",
        "Thesis Tables 2 and 7: the single INN at 190 and 400 queries",
        (*_BASELINES, Row(SINGLE)),
        _nb201((190, 400)),
        trials=5,
        source=THESIS_NAME,
        quoted=True,
    ),
    Table(
        "thesis_table4",
        "Thesis Table 4: inverse candidates against random candidates",
        (Row(SINGLE), Row(SINGLE, "fast_inverse"), Row(SINGLE, "fast_random_candidates")),
        _nb201((190, 400)),
        trials=3,
        source=THESIS_NAME,
        curves=True,
        note="fast: inverse path and neighbours of the best; fast_inverse: the inverse path alone, as in the thesis; "
        "fast_random_candidates: uniform samples in place of both.",
    ),
    Table(
        "thesis_table5",
        "Thesis Table 5: fine-tuning of the INN alone and end to end",
        _FINE_TUNING,
        _nb201((200,)),
        trials=3,
        source=THESIS_NAME,
        curves=True,
        note=_FINE_TUNING_NOTE,
    ),
    Table(
        "thesis_table6",
        "Thesis Table 6: without and with rank weights",
        _FINE_TUNING,
        _nb201((200,)),
        trials=3,
        source=THESIS_NAME,
        curves=True,
        note=_FINE_TUNING_NOTE,
    ),
    Table(
        "remedies",
        "Sources of candidates",
        (
            *(Row(ENSEMBLE, name, benchmarks=(NB201.name,), trials=3) for name in (DEFAULT, *REMEDIES)),
            *(Row(SINGLE, name, benchmarks=_BEST_UNKNOWN) for name in (DEFAULT, "fast_inverse", "fast_neighbours")),
        ),
        (_IMAGENET, *(Place(name, "cifar10", (192,)) for name in _BEST_UNKNOWN)),
        curves=True,
    ),
    Table(
        "tradeoff",
        "Cost of a search against its budget",
        (Row(ENSEMBLE),),
        (dataclasses.replace(_IMAGENET, budgets=(100, 192, 400)),),
        trials=3,
        report="cost",
    ),
)
TABLES = {table.name: table for table in _ALL}


def table_named(name: str) -> Table:
    """The table of that name. Raises ConfigError for an unknown one."""
    if name not in TABLES:
        raise ConfigError(f"got table {name!r}; expected one of {', '.join(TABLES)}")
    return TABLES[name]


def collect(table: Table, out: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The records of every row, place and budget of a table, as far as they have been searched."""
    return [
        record
        for row, place in grid(table)
        for budget in table.asked(row, place)
        for record in read_searches(search_folder(out, row.variant, place.benchmark, place.dataset), budget, seeds)
    ]


def grid(table: Table) -> Iterator[tuple[Row, Place]]:
    """Every row at every place where it is shown."""
    return ((row, place) for row in table.rows for place in table.places if table.asked(row, place))
