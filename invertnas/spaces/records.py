"""The search spaces that ship, one record each: every fact about a space that code elsewhere asks for by its name.

A new space is its own file and one record here; a program adds its own with `register`. Classes stand as
"module:Class" and are imported when they are asked for, so that reading a record imports nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Literal

from invertnas.checks import suggestion
from invertnas.errors import ConfigError
from invertnas.spaces.base import SearchSpace

Sizes = tuple[int, int, int, Literal[8, 16, 32]]  # NWOT: channels, cells, images, pixels along each side


@dataclasses.dataclass(frozen=True)
class SpaceRecord:
    """One search space and its benchmark.

    Attributes:
        name: name in code, flags and files, e.g. "nasbench201".
        title: name in tables and figures.
        stem: short name in names of weight files and make targets.
        space: class of the space.
        benchmark: class of the search side, None without a benchmark.
        analysis: class of the analysis side, None without a benchmark.
        datasets: name and title of each data set.
        size: number of architectures, None where they cannot be listed.
        left_out: names of the operations that the reduced space leaves out (paper section 3.2 and F.5).
        any_op: whether every inner node may hold any operation, whatever the edges.
        proxy: zero-cost proxy that the paper uses (F.5), None without one.
        scored: cells whose proxy scores ship, None for all.
        alignflow_size: architectures of each domain that AlignFlow trains on (paper Table 11), None without weights.
        nwot: class of the networks that NWOT scores, None where it does not apply.
        nwot_slim: size of the networks that NWOT scores by default.
        nwot_full: size of the networks that the benchmark trains.
        epsinas: class of epsinas on the space, None where it does not apply.
    """

    name: str
    title: str
    stem: str
    space: str
    benchmark: str | None = None
    analysis: str | None = None
    datasets: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    left_out: tuple[str, ...] = ()
    any_op: bool = False
    proxy: str | None = None
    scored: int | None = None
    alignflow_size: int | None = None
    nwot: str | None = None
    nwot_slim: Sizes | None = None
    nwot_full: Sizes | None = None
    epsinas: str | None = None

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the data sets, in the order of the tables."""
        return tuple(name for name, _ in self.datasets)


CIFAR10, CIFAR100 = ("cifar10", "CIFAR-10"), ("cifar100", "CIFAR-100")
IMAGENET16, PTB = ("imagenet16-120", "ImageNet16-120"), ("ptb", "PTB")
NB101 = SpaceRecord(
    name="nasbench101",
    title="NAS-Bench-101",
    stem="nb101",
    space="invertnas.spaces.nasbench101:NASBench101Space",
    benchmark="invertnas.benchmarks.nasbench101:NASBench101",
    analysis="invertnas.benchmarks.nasbench101:NASBench101Analysis",
    datasets=(CIFAR10, ("cifar10-test", "CIFAR-10, by test accuracy")),
    size=423_624,
    left_out=("conv3x3-bn-relu",),
    proxy="nwot",
    scored=5_000,
    alignflow_size=5_000,
    nwot="invertnas.proxies.networks.nasbench101:NB101Network",
    nwot_slim=(16, 1, 32, 16),
    nwot_full=(128, 3, 128, 32),
)
NB201 = SpaceRecord(
    name="nasbench201",
    title="NAS-Bench-201",
    stem="nb201",
    space="invertnas.spaces.nasbench201:NASBench201Space",
    benchmark="invertnas.benchmarks.nasbench201:NASBench201",
    analysis="invertnas.benchmarks.nasbench201:NASBench201Analysis",
    datasets=(
        *(CIFAR10, CIFAR100, IMAGENET16),
        *((f"{name}-12ep", f"{title}, 12 epochs") for name, title in (CIFAR10, CIFAR100, IMAGENET16)),
        ("cifar10-halftrain-test", "CIFAR-10, trained on half, by test accuracy"),
    ),
    size=15_625,
    left_out=("nor_conv_3x3",),
    any_op=True,
    proxy="nwot",
    alignflow_size=15_625,
    nwot="invertnas.proxies.networks.nasbench201:NB201Network",
    nwot_slim=(16, 1, 32, 16),
    nwot_full=(16, 5, 128, 32),
    epsinas="invertnas.proxies.epsinas:EpsinasNB201",
)
NB301 = SpaceRecord(
    name="nasbench301",
    title="NAS-Bench-301",
    stem="nb301",
    space="invertnas.spaces.nasbench301:NASBench301Space",
    benchmark="invertnas.benchmarks.nasbench301:NASBench301",
    analysis="invertnas.benchmarks.nasbench301:NASBench301Analysis",
    datasets=(CIFAR10,),
    left_out=("sep_conv_3x3", "sep_conv_5x5"),
    any_op=True,
    proxy="nwot",
    scored=6_000,
    alignflow_size=20_000,
    nwot="invertnas.proxies.networks.nasbench301:NB301Network",
    nwot_slim=(8, 2, 16, 16),
    nwot_full=(32, 2, 128, 32),
)
NBNLP = SpaceRecord(
    name="nasbench_nlp",
    title="NAS-Bench-NLP",
    stem="nbnlp",
    space="invertnas.spaces.nasbench_nlp:NASBenchNLPSpace",
    benchmark="invertnas.benchmarks.nasbench_nlp:NASBenchNLP",
    analysis="invertnas.benchmarks.nasbench_nlp:NASBenchNLPAnalysis",
    datasets=(PTB,),
    left_out=("elementwise_sum",),
    proxy="epsinas",
    scored=25_000,
    alignflow_size=25_000,
    epsinas="invertnas.proxies.epsinas:EpsinasNLP",
)
MACRO = SpaceRecord(
    name="nasbench_macro",
    title="NAS-Bench-Macro",
    stem="macro",
    space="invertnas.spaces.nasbench_macro:NASBenchMacroSpace",
    benchmark="invertnas.benchmarks.nasbench_macro:NASBenchMacro",
    analysis="invertnas.benchmarks.nasbench_macro:NASBenchMacroAnalysis",
    datasets=tuple((f"cifar10-run{run}", f"CIFAR-10, test accuracy of run {run}") for run in (1, 2, 3)),
    size=6_561,
    left_out=("mb6_k5",),
    any_op=True,
)
_RECORDS = {record.name: record for record in (NB101, NB201, NB301, NBNLP, MACRO)}


def records() -> tuple[SpaceRecord, ...]:
    """All records, in the order of the tables."""
    return tuple(_RECORDS.values())


def known(name: str) -> SpaceRecord | None:
    """The record of a space; None for a space of one's own."""
    return _RECORDS.get(name)


def record_of(name: str) -> SpaceRecord:
    """The record of a space. Raises ConfigError for an unknown name, with the nearest one."""
    if not isinstance(name, str) or name not in _RECORDS:
        raise ConfigError(f"got space {name!r}; expected one of {', '.join(_RECORDS)}{suggestion(name, _RECORDS)}")
    return _RECORDS[name]


def register(record: SpaceRecord) -> None:
    """Add a space of one's own, so that scripts and `build_search` know it by name.

    Raises:
        ConfigError: its name or stem is taken by another space.
    """
    for other in _RECORDS.values():
        if other != record and (other.name == record.name or other.stem == record.stem):
            raise ConfigError(
                f"got space {record.name!r} ({record.stem}), which {other.title} has; expected a new name"
            )
    _RECORDS[record.name] = record


def open_space(name: str) -> SearchSpace:
    """The search space of a name. Raises ConfigError for an unknown one."""
    space: SearchSpace = load_class(record_of(name).space)()
    return space


def as_space(space: SearchSpace | str) -> SearchSpace:
    """A space, or the one of a name. Raises ConfigError for an unknown name, and for what is no space."""
    if isinstance(space, str):
        return open_space(space)
    if not isinstance(space, SearchSpace):
        raise ConfigError(f"got space {space!r}; expected a SearchSpace, or one of {', '.join(_RECORDS)}")
    return space


def load_class(path: str) -> Any:
    """The class of "module:Class", imported now."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
