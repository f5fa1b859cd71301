"""Initial strategies on stand-in scores and a stand-in translation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from invertnas.errors import ConfigError, SearchExhaustedError
from invertnas.initial import (
    AlignFlowInitial,
    AlignFlowInitialConfig,
    InitialStrategy,
    ProxyConfig,
    ProxyInitial,
    RandomInitial,
)
from invertnas.initial.ranking import ranked
from invertnas.search.config import SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.seeding import generator
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import SPACE, FakeSurrogate, TinySpace, cell, score

ALL = list(SPACE.all())
REDUCED = [arch for arch in ALL if 5 not in arch.ops]  # without the fourth operation


@dataclasses.dataclass(frozen=True)
class Scored:
    """Cells with given scores; implements `ScoredCells`."""

    archs: Sequence[ArchSpec]
    scores: np.ndarray

    def arch(self, index: int) -> ArchSpec:
        return self.archs[index]


def scored(archs: Sequence[ArchSpec]) -> Scored:
    """Scores that rise with the accuracy of `score`, made all different."""
    return Scored(archs, np.array([score(arch) for arch in archs]) + 1e-9 * np.arange(len(archs)))


def restored(archs: Sequence[ArchSpec]) -> list[ArchSpec | None]:
    """Stand-in for AlignFlow: the first skip becomes operation 5, cells without one are invalid."""
    return [_restored(arch) for arch in archs]


def _restored(arch: ArchSpec) -> ArchSpec | None:
    inner = list(arch.ops[1:-1])
    if 3 not in inner:
        return None
    inner[inner.index(3)] = 5
    return cell(*inner)


def scores_of(archs: Sequence[ArchSpec]) -> np.ndarray:
    return scored(archs).scores


CELLS, REDUCED_CELLS = scored(ALL), scored(REDUCED)


def proxy(**options: object) -> ProxyInitial:
    return ProxyInitial(lambda: CELLS, ProxyConfig("nwot", **options))  # type: ignore[arg-type]


def alignflow(**options: object) -> AlignFlowInitial:
    config = AlignFlowInitialConfig("nwot", **options)  # type: ignore[arg-type]
    return AlignFlowInitial(lambda: REDUCED_CELLS, restored, scores_of, config)


STRATEGIES = [
    RandomInitial(),
    proxy(),
    proxy(share=1.0),
    alignflow(),
    alignflow(order="sources", sources=7, unique_by="identity"),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_sets_are_distinct_valid_and_reproducible(strategy: InitialStrategy) -> None:
    assert isinstance(strategy, InitialStrategy)
    for seed in (0, 1):
        archs = strategy.choose(SPACE, 30, seed)
        assert len({SPACE.identity(arch) for arch in archs}) == len(archs) == 30
        assert all(SPACE.is_valid(arch) for arch in archs)
        assert strategy.choose(SPACE, 30, seed) == archs
        assert strategy.choose(SPACE, 10, seed) == archs[:10]
    assert strategy.to_dict()["name"] == strategy.name
    with pytest.raises(ConfigError, match="initial set of 0"):
        strategy.choose(SPACE, 0, 0)


@pytest.mark.parametrize("strategy", [RandomInitial(), proxy(), alignflow()], ids=lambda s: s.name)
def test_trials_start_from_different_sets(strategy: InitialStrategy) -> None:
    sets = [{SPACE.identity(arch) for arch in strategy.choose(SPACE, 30, seed)} for seed in range(4)]
    shared = [len(a & b) for i, a in enumerate(sets) for b in sets[:i]]
    assert max(shared) < 25


def test_random_sets_are_those_searches_have_always_started_from() -> None:
    """Uniform samples of the stream "initial", written out; committed results rest on it."""
    rng, names, expected = generator(7, "initial"), set[str](), list[ArchSpec]()
    while len(expected) < 30:
        arch = SPACE.sample(rng)
        if SPACE.identity(arch) not in names:
            names.add(SPACE.identity(arch))
            expected.append(arch)
    assert RandomInitial().choose(SPACE, 30, 7) == expected
    config = SearchConfig(initial=30)
    search = InvertNAS(SPACE, FakeSurrogate(), config, seed=7)
    given = InvertNAS(SPACE, FakeSurrogate(), config, initial=expected, seed=7)
    assert search.ask() == given.ask() == expected


def test_a_small_space_gives_all_it_has() -> None:
    assert len(RandomInitial().choose(TinySpace(), 100, 0)) == 64


def best(cells: Scored, count: int) -> list[ArchSpec]:
    order = sorted(range(len(cells.archs)), key=lambda index: -cells.scores[index])
    return [cells.archs[index] for index in order[:count]]


def test_the_proxy_takes_the_best_scored_of_all() -> None:
    assert proxy(share=1.0, unique_by="identity").choose(SPACE, 20, 3) == best(CELLS, 20)


def test_with_a_half_the_proxy_takes_about_every_second_of_the_best() -> None:
    chosen = proxy(unique_by="identity").choose(SPACE, 30, 3)
    position = {SPACE.identity(arch): index for index, arch in enumerate(best(CELLS, 200))}
    places = [position[SPACE.identity(arch)] for arch in chosen]
    assert places == sorted(places) and 45 < places[-1] < 85  # 30 of a half: 60 +- 8
    assert 10 < len(set(places) & set(range(30))) < 21


def test_copies_of_a_network_count_once() -> None:
    by_name = proxy(share=1.0, unique_by="identity").choose(SPACE, 200, 0)
    first = dict[str, ArchSpec]()
    for arch in by_name:
        first.setdefault(SPACE.isomorphism_class(arch), arch)
    assert len(first) < 200
    assert proxy(share=1.0).choose(SPACE, len(first), 0) == list(first.values())


def test_by_sources_alignflow_goes_down_the_reduced_ranking() -> None:
    """The translated cells in the order of their sources; invalid ones and repetitions are passed over."""
    chosen = alignflow(order="sources", share=1.0, unique_by="identity").choose(SPACE, 30, 0)
    expected = dict.fromkeys(arch for arch in restored(best(REDUCED_CELLS, 400)) if arch is not None)
    assert chosen == list(expected)[:30]
    assert all(5 in arch.ops for arch in chosen)


@pytest.mark.parametrize("sources", [1, 7, 30, 5000])
def test_by_sources_the_block_size_does_not_change_the_set(sources: int) -> None:
    expected = alignflow(order="sources").choose(SPACE, 30, 2)
    assert alignflow(order="sources", sources=sources).choose(SPACE, 30, 2) == expected


def test_by_the_proxy_alignflow_takes_the_best_of_all_it_translated() -> None:
    chosen = alignflow(share=1.0, unique_by="identity", sources=300).choose(SPACE, 30, 0)
    translated = list(dict.fromkeys(arch for arch in restored(best(REDUCED_CELLS, 300)) if arch is not None))
    assert chosen == best(scored(translated), 30)
    assert chosen != translated[:30]


def test_by_the_proxy_the_next_block_follows_when_one_is_not_enough() -> None:
    chosen = alignflow(share=1.0, unique_by="identity", sources=20).choose(SPACE, 30, 0)
    first = list(dict.fromkeys(arch for arch in restored(best(REDUCED_CELLS, 20)) if arch is not None))
    assert len(first) < 30 and chosen[: len(first)] == best(scored(first), len(first))


def test_no_more_is_translated_than_needed() -> None:
    blocks: list[int] = []

    def counting(archs: Sequence[ArchSpec]) -> list[ArchSpec | None]:
        blocks.append(len(archs))
        return restored(archs)

    config = AlignFlowInitialConfig("nwot", sources=50)
    AlignFlowInitial(lambda: REDUCED_CELLS, counting, scores_of, config).choose(SPACE, 5, 0)
    assert blocks == [50]


def test_too_few_cells_are_named() -> None:
    few = Scored(ALL[:20], np.arange(20.0))
    with pytest.raises(
        SearchExhaustedError, match="different cells of nasbench201 scored by nwot; expected at least 30"
    ):
        ProxyInitial(lambda: few, ProxyConfig("nwot", share=1.0, unique_by="identity")).choose(SPACE, 30, 0)
    config = AlignFlowInitialConfig("nwot", sources=2000)
    nothing = AlignFlowInitial(lambda: REDUCED_CELLS, lambda archs: [None] * len(archs), scores_of, config)
    with pytest.raises(SearchExhaustedError, match="got 0 different valid cells of nasbench201 from 2048 cells"):
        nothing.choose(SPACE, 30, 0)


def test_cells_without_a_signal_are_left_out() -> None:
    scores = np.array([1.0, -np.inf, 3.0, np.nan, 2.0, np.inf])
    assert ranked(scores, 1.0, 0).tolist() == [2, 4, 0]


def test_equal_scores_are_ordered_by_the_seed() -> None:
    orders = {tuple(ranked(np.zeros(50), 1.0, seed)) for seed in range(5)}
    assert len(orders) == 5 and all(sorted(order) == list(range(50)) for order in orders)


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 1.5}, {"unique_by": "name"}])
def test_options_out_of_range(options: dict[str, object]) -> None:
    for make in (proxy, alignflow):
        with pytest.raises(ConfigError, match=next(iter(options))):
            make(**options)
    for name, value in (("sources", 0), ("order", "name")):
        with pytest.raises(ConfigError, match=name):
            alignflow(**{name: value})


def test_a_strategy_reads_nothing_before_it_is_asked() -> None:
    def refuse() -> Scored:
        raise AssertionError("read")

    ProxyInitial(refuse, ProxyConfig("nwot"))
    AlignFlowInitial(refuse, restored, scores_of, AlignFlowInitialConfig("nwot"))
