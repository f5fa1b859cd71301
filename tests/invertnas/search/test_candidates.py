"""Candidate generation: Algorithm 1 line by line, with a surrogate that plays back what it decodes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from invertnas.errors import ConfigError
from invertnas.protocols import Draw, FloatArray, Labelled
from invertnas.search.candidates import CandidatePool, generate_candidates, inversion_targets
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.spaces import ArchSpec, NASBench201Space
from tests.helpers.fakes import OPTIMUM, SPACE, FakeSurrogate, Replies, TinySpace, cell, score

KNOWN = [cell(2, 2, 2, 2, 2, 2), cell(3, 3, 3, 3, 3, 2), cell(4, 4, 4, 4, 4, 4)]
NEW = [cell(6, 6, 6, 6, *pair) for pair in ((2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (3, 4), (4, 2), (4, 3))]


def labelled(archs: list[ArchSpec]) -> Labelled:
    return Labelled().extend(archs, [score(arch) for arch in archs])


def run(
    replies: Replies,
    config: CandidateConfig,
    *,
    known: list[ArchSpec] | None = None,
    least: int = 1,
    space: NASBench201Space = SPACE,
    seed: int = 0,
) -> tuple[CandidatePool, FakeSurrogate]:
    surrogate = FakeSurrogate(space, replies)
    rng = np.random.default_rng(seed)
    pool = generate_candidates(
        space, surrogate, labelled(KNOWN if known is None else known), config, least=least, rng=rng
    )
    return pool, surrogate


def noise(surrogate: FakeSurrogate, name: str) -> list[float]:
    return [call[name] for call in surrogate.inversions]


def test_stops_as_soon_as_enough_candidates_are_found() -> None:
    replies: Replies = [[NEW[0], NEW[1]], [NEW[2], NEW[3]], [NEW[4]]]
    pool, surrogate = run(replies, CandidateConfig(wanted=3, max_retries=9))
    assert pool.tries == len(surrogate.inversions) == 2
    assert list(pool.archs.values()) == NEW[:4]


def test_stops_after_max_retries() -> None:
    pool, surrogate = run([[arch] for arch in NEW], CandidateConfig(wanted=100, max_retries=5))
    assert pool.tries == len(surrogate.inversions) == 5
    assert list(pool.archs.values()) == NEW[:5]


def test_a_full_pool_needs_exactly_wanted_candidates() -> None:
    pool, _ = run([[NEW[0]], [NEW[1]], [NEW[2]]], CandidateConfig(wanted=2, max_retries=9))
    assert pool.tries == 2


def test_noise_grows_after_a_try_without_a_new_candidate_only() -> None:
    replies: Replies = [[NEW[0], None], [NEW[0], KNOWN[0]], [NEW[1], NEW[0]], [None, None], [], [NEW[2]]]
    config = CandidateConfig(
        wanted=99, max_retries=7, z_std=0.2, z_std_step=0.1, latent_noise=0.01, latent_noise_step=0.5
    )
    pool, surrogate = run(replies, config)
    assert noise(surrogate, "z_std") == pytest.approx([0.2, 0.2, 0.3, 0.3, 0.4, 0.5, 0.5])
    assert noise(surrogate, "latent_noise") == pytest.approx([0.01, 0.01, 0.51, 0.51, 1.01, 1.51, 1.51])
    assert pool.escalations == 4  # the last try is empty too


def test_noise_starts_at_zero_as_in_the_paper() -> None:
    _, surrogate = run([], CandidateConfig(max_retries=3))
    assert noise(surrogate, "z_std") == pytest.approx([0.0, 0.1, 0.2])
    assert noise(surrogate, "latent_noise") == [0.0, 0.0, 0.0]


def test_always_grows_the_noise_after_every_try() -> None:
    config = CandidateConfig(wanted=99, max_retries=4, z_std_step=0.25, latent_noise_step=0.1, escalate="always")
    pool, surrogate = run([[arch] for arch in NEW], config)
    assert noise(surrogate, "z_std") == [0.0, 0.25, 0.5, 0.75]
    assert noise(surrogate, "latent_noise") == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert pool.escalations == 4


def test_noise_starts_anew_each_round() -> None:
    surrogate, rng = FakeSurrogate(SPACE, []), np.random.default_rng(0)
    config = CandidateConfig(max_retries=2)
    for _ in range(2):
        generate_candidates(SPACE, surrogate, labelled(KNOWN), config, least=1, rng=rng)
    assert noise(surrogate, "z_std") == pytest.approx([0.0, 0.1, 0.0, 0.1])


def test_counts_and_shares_of_a_hand_made_round() -> None:
    a, b, known = NEW[0], NEW[1], KNOWN[0]
    pool, _ = run([[a, a, None, known], [b, a, None, None]], CandidateConfig(wanted=99, max_retries=2))
    assert list(pool.archs.values()) == [a, b]
    assert pool.diagnostics() == {
        "decoded": 8,
        "valid": 5,
        "unique": 3,
        "novel": 2,
        "tries": 2,
        "escalations": 0,
        "neighbours": 0,
        "random": 0,
        "validity": 5 / 8,
        "uniqueness": 3 / 5,
        "novelty": 2 / 8,
    }


def test_shares_of_a_round_that_decodes_nothing() -> None:
    pool, _ = run([[], []], CandidateConfig(max_retries=2))
    shares = pool.diagnostics()
    assert (shares["validity"], shares["uniqueness"], shares["novelty"]) == (0, 0, 0)


@pytest.mark.parametrize("mutate_top", [0, 3])
def test_queried_architectures_never_come_back(mutate_top: int) -> None:
    known = [*KNOWN, *SPACE.neighbours(KNOWN[0])[:20]]
    config = CandidateConfig(wanted=500, max_retries=2, mutate_top=mutate_top)
    pool, _ = run([[*known, NEW[0]], [NEW[0], *known]], config, known=known, least=200)
    identities = [SPACE.identity(arch) for arch in pool.archs.values()]
    assert identities == list(pool.archs) and len(identities) >= 200
    assert not set(identities) & {SPACE.identity(arch) for arch in known}


def test_neighbours_of_the_best_incumbents_join() -> None:
    best = sorted(KNOWN, key=score, reverse=True)[:2]
    assert best != KNOWN[:2]
    expected = {SPACE.identity(n) for arch in best for n in SPACE.neighbours(arch)}
    expected -= {SPACE.identity(arch) for arch in KNOWN}
    inverted = SPACE.neighbours(best[0])[0]
    pool, _ = run([[inverted]], CandidateConfig(wanted=1, mutate_top=2))
    assert set(pool.archs) == expected
    assert (pool.novel, pool.neighbours, pool.random) == (1, len(expected) - 1, 0)


@pytest.mark.parametrize("climb", [1, 3])
def test_a_climb_adds_the_neighbours_of_the_best_predicted(climb: int) -> None:
    surrogate = FakeSurrogate(SPACE, [])
    surrogate.fit(labelled(KNOWN), Labelled(), round_index=0)
    known = {SPACE.identity(arch) for arch in KNOWN}
    best = max(KNOWN, key=score)
    expected = {SPACE.identity(n): n for n in SPACE.neighbours(best) if SPACE.identity(n) not in known}
    done = set[str]()
    for _ in range(climb):
        open_ones = [arch for name, arch in expected.items() if name not in done]
        top = open_ones[int(np.argmax(surrogate.predict(open_ones)[0]))]
        done.add(SPACE.identity(top))
        for near in SPACE.neighbours(top):
            if SPACE.identity(near) not in known:
                expected.setdefault(SPACE.identity(near), near)
    config = CandidateConfig(wanted=1, max_retries=1, mutate_top=1, climb=climb)
    pool = generate_candidates(SPACE, surrogate, labelled(KNOWN), config, least=1, rng=np.random.default_rng(0))
    assert list(pool.archs) == list(expected) and pool.neighbours == len(expected)


def test_a_climb_without_neighbours_is_none() -> None:
    pool, _ = run([[NEW[0]]], CandidateConfig(wanted=1, climb=2))
    assert list(pool.archs.values()) == NEW[:1]


def test_an_inverse_path_without_result_is_filled_by_neighbours_of_the_best() -> None:
    config = CandidateConfig(max_retries=2, rows=3)
    pool, surrogate = run([[None] * 6, [None] * 6], config, least=5)
    best = max(KNOWN, key=score)
    assert (len(pool.archs), pool.random, pool.novel, pool.decoded) == (5, 5, 0, 12)
    assert set(pool.archs) <= {SPACE.identity(n) for n in SPACE.neighbours(best)}
    assert len(surrogate.inversions) == 2
    again, other = (run([], config, least=5, seed=seed)[0] for seed in (0, 1))
    assert list(again.archs) == list(pool.archs) != list(other.archs)


def test_fill_goes_on_with_random_samples_beyond_all_neighbours() -> None:
    pool, _ = run([], CandidateConfig(max_retries=1), known=KNOWN[:1], least=40)
    near = {SPACE.identity(n) for n in SPACE.neighbours(KNOWN[0])}
    assert len(pool.archs) == 40 and set(list(pool.archs)[:24]) == near


@pytest.mark.parametrize(("found", "filled"), [(4, 26), (5, 0)])
def test_a_ranked_fill_leaves_a_choice_where_too_few_are_found(found: int, filled: int) -> None:
    config = CandidateConfig(max_retries=1, wanted=30, fill="ranked")
    pool, _ = run([[*NEW[:found]]], config, least=5)
    assert (pool.novel, pool.random) == (found, filled)
    assert run([[*NEW[:found]]], dataclasses.replace(config, fill="batch"), least=5)[0].random == 5 - found


def test_some_neighbours_of_each_of_the_best_and_uniform_samples_join() -> None:
    config = CandidateConfig(wanted=1, max_retries=1, mutate_top=2, mutations=4, samples=9)
    pool, _ = run([[NEW[0]]], config)
    best = sorted(KNOWN, key=score, reverse=True)[:2]
    near = {SPACE.identity(n) for arch in best for n in SPACE.neighbours(arch)}
    joined = list(pool.archs)[1 : 1 + pool.neighbours]
    assert 0 < pool.neighbours <= 8 and set(joined) <= near
    assert 0 < pool.random <= 9 and len(pool.archs) == 1 + pool.neighbours + pool.random
    again, other = (run([[NEW[0]]], config, seed=seed)[0] for seed in (0, 1))
    assert list(again.archs) == list(pool.archs) != list(other.archs)


def test_random_candidates_replace_the_inverse_path() -> None:
    config = CandidateConfig(wanted=40, max_retries=9, source="random")
    pool, surrogate = run([[NEW[0]]], config)
    assert surrogate.inversions == [] and len(pool.archs) == 40
    assert not set(pool.archs) & {SPACE.identity(arch) for arch in KNOWN}
    assert pool.decoded == pool.valid >= pool.novel == 40 and (pool.neighbours, pool.random) == (0, 0)
    again, other = (run([], config, seed=seed)[0] for seed in (0, 1))
    assert list(again.archs) == list(pool.archs) != list(other.archs)


def test_random_candidates_are_drawn_until_there_are_enough_new_ones() -> None:
    space = TinySpace()
    every = [arch for arch in space.all() if set(arch.ops[1:-1]) <= {2, 3}]
    config = CandidateConfig(wanted=10, max_retries=60, source="random")
    pool, _ = run([], config, known=every[:50], space=space)
    assert len(pool.archs) == 10 and pool.tries > 1 and pool.decoded > 10


def test_a_large_enough_pool_is_not_filled() -> None:
    pool, _ = run([[*NEW[:3]]], CandidateConfig(wanted=3), least=3)
    assert (len(pool.archs), pool.random) == (3, 0)


@pytest.mark.parametrize("left", [3, 0])
def test_an_exhausted_space_gives_what_is_left(left: int) -> None:
    space = TinySpace()
    every = [arch for arch in space.all() if set(arch.ops[1:-1]) <= {2, 3}]
    assert len(every) == 64
    pool, _ = run([], CandidateConfig(max_retries=1), known=every[left:], least=5, space=space)
    assert set(pool.archs.values()) == set(every[:left])


def test_one_of_each_isomorphism_class() -> None:
    """With `none` (6) on the edges into the output nothing else of a cell matters."""
    dead = [cell(a, b, 3, 6, 6, 6) for a, b in ((2, 2), (2, 3), (3, 2))]
    replies: Replies = [[*dead, NEW[0], NEW[1]]]
    pool, _ = run(replies, CandidateConfig(max_retries=1, unique_by="isomorphism"))
    classes = [SPACE.isomorphism_class(arch) for arch in pool.archs.values()]
    assert len(set(classes)) == len(classes) == pool.novel and dead[0] in pool.archs.values()
    assert dead[1] not in pool.archs.values() and pool.unique == pool.novel
    again, _ = run(replies, CandidateConfig(max_retries=1, unique_by="isomorphism"), known=[*KNOWN, dead[2]])
    assert dead[0] not in again.archs.values() and again.unique == pool.unique
    plain, _ = run(replies, CandidateConfig(max_retries=1))
    assert list(plain.archs.values()) == replies[0]


def test_target_one_inverts_one() -> None:
    targets = inversion_targets(CandidateConfig(rows=7), np.array([0.2, 0.9], np.float32), np.random.default_rng(0))
    assert targets.dtype == np.float32 and targets.tolist() == [1.0] * 7


def test_target_beyond_best_covers_the_range_above_the_best() -> None:
    seen = np.array([0.1, 0.8, 0.2, 0.6, 0.15, 0.7], np.float32)
    config = CandidateConfig(rows=2000, target="beyond_best", target_range=2.0)
    targets = inversion_targets(config, seen, np.random.default_rng(0))
    reach = 2.0 * float(np.std([0.6, 0.7, 0.8]))
    assert targets.shape == (2000,) and targets.dtype == np.float32
    assert 0.8 - 1e-6 <= targets.min() < 0.8 + 0.01 * reach
    assert 0.8 + 0.99 * reach < targets.max() <= 0.8 + reach + 1e-6
    assert inversion_targets(config, seen + np.float32(0.19), np.random.default_rng(0)).max() == 1.0


def test_target_beyond_best_survives_equal_accuracies() -> None:
    config = CandidateConfig(rows=50, target="beyond_best")
    targets = inversion_targets(config, np.full(5, 0.5, np.float32), np.random.default_rng(0))
    assert (targets >= 0.5).all() and 0.5 < targets.max() <= 0.5001 + 1e-6


def test_targets_reach_the_surrogate() -> None:
    config = CandidateConfig(max_retries=2, rows=3, target="beyond_best")
    _, surrogate = run([], config)
    best = max(score(arch) for arch in KNOWN)
    assert [call["targets"].shape for call in surrogate.inversions] == [(3,), (3,)]
    assert all((call["targets"] >= np.float32(best)).all() for call in surrogate.inversions)
    assert score(OPTIMUM) > best


@pytest.mark.parametrize(
    "fields",
    [
        {"wanted": 0},
        {"max_retries": -1},
        {"rows": 0},
        {"mutate_top": -1},
        {"climb": -1},
        *({name: -0.1} for name in ("z_std", "z_std_step", "latent_noise", "latent_noise_step", "target_range")),
        {"escalate": "sometimes"},
        {"target": "two"},
        {"source": "oracle"},
        {"fill": "half"},
    ],
)
def test_candidate_settings_out_of_range(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(CandidateConfig(), **fields)


@pytest.mark.parametrize("fields", [{"initial": 19}, {"keep": 0}, {"keep": 31}, {"batch": 0}, {"selection": "first"}])
def test_search_settings_out_of_range(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(SearchConfig(), **fields)
    assert SearchConfig(initial=20, keep=20, batch=1).keep == 20


class Counting(TinySpace):
    """Counts the samples that are drawn of it."""

    def __init__(self) -> None:
        self.samples = 0

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        self.samples += 1
        return super().sample(rng)


@pytest.mark.parametrize("left", [0, 1, 20])
def test_a_small_space_is_used_up_without_endless_sampling(left: int) -> None:
    space = Counting()
    known = [cell(*ops) for ops in itertools.product((2, 3), repeat=6)][left:]
    config = CandidateConfig(wanted=100, max_retries=0, fill="ranked")
    pool, _ = run([], config, known=known, least=5, space=space)
    assert len(pool.archs) == left and space.samples < 64 * 40


class DrawingSurrogate(FakeSurrogate):
    """Decodes what its random numbers say, and can draw many tries ahead; `calls` counts the inversions."""

    calls = 0

    def draw(self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator) -> Draw:
        z = z_std * rng.standard_normal((len(targets), 6)).astype(np.float32)
        noise = None
        if latent_noise > 0:
            noise = (latent_noise * rng.standard_normal((self.members * len(targets), 6))).astype(np.float32)
        return Draw(targets, z, noise)

    def invert_drawn(self, draws: Sequence[Draw]) -> list[list[ArchSpec | None]]:
        self.calls += 1
        return [self._decoded(draw) for draw in draws]

    def _decoded(self, draw: Draw) -> list[ArchSpec | None]:
        rows = np.tile(draw.z, (self.members, 1)) + (0.0 if draw.noise is None else draw.noise) + draw.targets[0]
        ops = 4 + np.rint(rows).astype(int)
        return [cell(*row) if set(row.tolist()) <= {2, 3, 4, 5, 6} else None for row in ops]

    def invert(
        self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        self.calls += 1
        return self._decoded(self.draw(targets, z_std=z_std, latent_noise=latent_noise, rng=rng))


class OneByOne:
    """The same surrogate without `draw`."""

    def __init__(self, inner: DrawingSurrogate) -> None:
        self.invert, self.predict = inner.invert, inner.predict


@pytest.mark.parametrize(("wanted", "tries"), [(4, None), (60, None), (10_000, 7)])
def test_all_tries_in_one_call_choose_what_the_loop_chooses(wanted: int, tries: int | None) -> None:
    config = CandidateConfig(
        wanted=wanted, max_retries=7, rows=5, z_std=0.3, z_std_step=0.1, latent_noise_step=0.2, escalate="always"
    )
    pools, nexts, calls = list[CandidatePool](), list[float](), list[int]()
    for inner in (DrawingSurrogate(), DrawingSurrogate()):
        surrogate: Any = inner if not pools else OneByOne(inner)
        rng = np.random.default_rng(2)
        pools.append(generate_candidates(SPACE, surrogate, labelled(KNOWN), config, least=2, rng=rng))
        nexts.append(rng.random())
        calls.append(inner.calls)
    together, loop = pools
    assert list(together.archs) == list(loop.archs) and together.diagnostics() == loop.diagnostics()
    assert nexts[0] == nexts[1]  # whatever is drawn next is the same
    assert calls == [1, loop.tries] and loop.tries == (tries or loop.tries) and len(loop.archs) > 3


def test_noise_that_depends_on_what_is_found_is_drawn_try_by_try() -> None:
    surrogate = DrawingSurrogate()
    config = CandidateConfig(wanted=10_000, max_retries=5, rows=3, z_std_step=0.5)
    pool = generate_candidates(SPACE, surrogate, labelled(KNOWN), config, least=2, rng=np.random.default_rng(0))
    assert surrogate.calls == pool.tries == 5
