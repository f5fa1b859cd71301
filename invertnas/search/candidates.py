"""Candidate generation by the inverse path (paper Algorithm 1, lines 2-10, and its named remedies)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from invertnas.protocols import Draw, DrawsAhead, FloatArray, Labelled, Surrogate
from invertnas.search.config import CandidateConfig
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec

KeyOf = Callable[[ArchSpec], str]
DRAWS = 20  # a uniform sampler misses the last unknown architecture of n + 1 in 20 n draws with probability e^-20


@dataclasses.dataclass
class CandidatePool:
    """New candidates of one round and how they came about (paper Appendix I).

    Attributes:
        archs: distinct architectures not queried before, by identity or isomorphism class.
        decoded: graphs decoded from the inverse path, or sampled where it is replaced.
        valid: of these, valid ones.
        keys: of these, identities or classes of the distinct ones (within the round).
        novel: of these, never queried before.
        tries: tries made.
        escalations: how often the noise grew.
        neighbours: candidates added as neighbours of incumbents or of other candidates.
        random: uniform samples added, and what filled up too small a pool.
    """

    archs: dict[str, ArchSpec] = dataclasses.field(default_factory=dict)
    decoded: int = 0
    valid: int = 0
    keys: set[str] = dataclasses.field(default_factory=set)
    novel: int = 0
    tries: int = 0
    escalations: int = 0
    neighbours: int = 0
    random: int = 0

    @property
    def unique(self) -> int:
        """Distinct valid graphs decoded."""
        return len(self.keys)

    def diagnostics(self) -> dict[str, Any]:
        """Counts and shares: the valid and the novel of all decoded graphs, the unique of the valid ones."""
        counts = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("archs", "keys")
        }
        counts["unique"] = self.unique
        decoded, valid = max(self.decoded, 1), max(self.valid, 1)
        shares = {"validity": self.valid / decoded, "uniqueness": self.unique / valid, "novelty": self.novel / decoded}
        return counts | shares


def inversion_targets(config: CandidateConfig, seen: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(rows,) accuracies to invert: 1.0, or a range beyond the best seen, up to 1.0."""
    if config.target == "one":
        return np.ones(config.rows, np.float32)
    better = np.sort(seen)[len(seen) // 2 :]
    reach = config.target_range * max(float(better.std()), 1e-4)
    return np.minimum(better[-1] + reach * rng.random(config.rows), 1.0).astype(np.float32)


def generate_candidates(
    space: SearchSpace,
    surrogate: Surrogate,
    labelled: Labelled,
    config: CandidateConfig,
    *,
    least: int,
    rng: np.random.Generator,
    failed: Sequence[ArchSpec] = (),
) -> CandidatePool:
    """Distinct unqueried candidates for one round.

    Args:
        space: gives identities and neighbours.
        surrogate: its inverse path proposes, unless `config.source` replaces it.
        labelled: everything queried so far.
        config: see CandidateConfig.
        least: size below which neighbours and samples fill a pool that stays too small, see `config.fill`.
        rng: source of z, noise and fill.
        failed: queried without an accuracy; not proposed again.

    Returns:
        The pool; at least `least` architectures unless the space holds no more.
    """
    key_of = functools.lru_cache(maxsize=None)(
        space.identity if config.unique_by == "identity" else space.isomorphism_class
    )
    known = {key_of(arch) for arch in (*labelled.archs, *failed)}
    pool, seen = CandidatePool(), np.array(labelled.accuracies, np.float32)
    if config.escalate == "always" and config.source == "inverse" and isinstance(surrogate, DrawsAhead):
        _add_tries_at_once(pool, surrogate, config, seen, rng, known, key_of)
    while pool.tries < config.max_retries and len(pool.archs) < config.wanted:
        _add_try(pool, _proposals(space, surrogate, pool, config, seen, rng), config, known, key_of)
    pool.novel = len(pool.archs)
    best = sorted(range(len(labelled)), key=lambda i: -labelled.accuracies[i])
    incumbents = [labelled.archs[i] for i in best]
    _add_neighbours(pool, space, incumbents[: config.mutate_top], known, key_of, config.mutations, rng)
    _add_samples(pool, [space.sample(rng) for _ in range(config.samples)], known, key_of)
    _climb(pool, space, surrogate, config, known, key_of)
    if config.fill == "ranked" and len(pool.archs) < least:
        least = max(least, config.wanted)
    _fill(pool, space, incumbents, known, key_of, least, rng)
    return pool


def _add_try(
    pool: CandidatePool, decoded: Sequence[ArchSpec | None], config: CandidateConfig, known: set[str], key_of: KeyOf
) -> None:
    before, valid = len(pool.archs), [arch for arch in decoded if arch is not None]
    for arch in valid:
        key = key_of(arch)
        pool.keys.add(key)
        if key not in known:
            pool.archs.setdefault(key, arch)
    pool.tries += 1
    pool.decoded += len(decoded)
    pool.valid += len(valid)
    if config.escalate == "always" or len(pool.archs) == before:
        pool.escalations += 1


def _add_tries_at_once(
    pool: CandidatePool,
    surrogate: DrawsAhead,
    config: CandidateConfig,
    seen: FloatArray,
    rng: np.random.Generator,
    known: set[str],
    key_of: KeyOf,
) -> None:
    """The tries of a round in one call, where the noise of each is known beforehand.

    They draw and are accepted in the order of tries made one by one. `rng` is left as the last accepted try leaves
    it, so the same candidates come out and whatever draws next draws the same.
    """
    draws, states = list[Draw](), list[Any]()
    for number in range(config.max_retries):
        targets = inversion_targets(config, seen, rng)
        draws.append(surrogate.draw(targets, **_noise(config, number), rng=rng))
        states.append(rng.bit_generator.state)
    for decoded, state in zip(surrogate.invert_drawn(draws) if draws else (), states):
        _add_try(pool, decoded, config, known, key_of)
        if len(pool.archs) >= config.wanted:
            rng.bit_generator.state = state
            return


def _noise(config: CandidateConfig, escalations: int) -> dict[str, float]:
    """Standard deviation of z and noise on the latents after so many escalations."""
    return {
        "z_std": config.z_std + escalations * config.z_std_step,
        "latent_noise": config.latent_noise + escalations * config.latent_noise_step,
    }


def _proposals(
    space: SearchSpace,
    surrogate: Surrogate,
    pool: CandidatePool,
    config: CandidateConfig,
    seen: FloatArray,
    rng: np.random.Generator,
) -> Sequence[ArchSpec | None]:
    """What one try proposes; None where a decoded graph is invalid."""
    if config.source == "random":
        return [space.sample(rng) for _ in range(config.wanted - len(pool.archs))]
    return surrogate.invert(inversion_targets(config, seen, rng), **_noise(config, pool.escalations), rng=rng)


def _add_samples(pool: CandidatePool, archs: list[ArchSpec], known: set[str], key_of: KeyOf) -> None:
    before = len(pool.archs)
    for arch in archs:
        key = key_of(arch)
        if key not in known:
            pool.archs.setdefault(key, arch)
    pool.random += len(pool.archs) - before


def _add_neighbours(
    pool: CandidatePool,
    space: SearchSpace,
    incumbents: list[ArchSpec],
    known: set[str],
    key_of: KeyOf,
    most: int = 0,
    rng: np.random.Generator | None = None,
) -> None:
    """All neighbours of each, or at most `most` of them drawn by `rng`."""
    before = len(pool.archs)
    for incumbent in incumbents:
        options = space.neighbours(incumbent)
        if rng is not None and 0 < most < len(options):
            options = [options[index] for index in rng.permutation(len(options))[:most]]
        for arch in options:
            key = key_of(arch)
            if key not in known:
                pool.archs.setdefault(key, arch)
    pool.neighbours += len(pool.archs) - before


def _climb(
    pool: CandidatePool,
    space: SearchSpace,
    surrogate: Surrogate,
    config: CandidateConfig,
    known: set[str],
    key_of: KeyOf,
) -> None:
    """Neighbours of the best-predicted candidates, `climb` times; nobody's neighbours join twice."""
    predicted, expanded = dict[str, float](), set[str]()
    for _ in range(config.climb if config.mutate_top else 0):
        new = [key for key in pool.archs if key not in predicted]
        if not new:
            break
        means, _ = surrogate.predict([pool.archs[key] for key in new])
        predicted |= dict(zip(new, np.nan_to_num(means, nan=-np.inf).tolist()))
        best = sorted((key for key in predicted if key not in expanded), key=lambda key: -predicted[key])
        chosen = best[: config.mutate_top]
        expanded |= set(chosen)
        _add_neighbours(pool, space, [pool.archs[key] for key in chosen], known, key_of)


def _fill(
    pool: CandidatePool,
    space: SearchSpace,
    ranked: list[ArchSpec],
    known: set[str],
    key_of: KeyOf,
    least: int,
    rng: np.random.Generator,
) -> None:
    """Neighbours of the best architectures first, then random samples.

    Sampling ends with `DRAWS` draws for each known architecture that gave nothing new: a small space is then used up.
    """
    before = len(pool.archs)
    for incumbent in ranked:
        if len(pool.archs) >= least:
            break
        options = space.neighbours(incumbent)
        for index in rng.permutation(len(options)):
            key = key_of(options[index])
            if len(pool.archs) < least and key not in known:
                pool.archs.setdefault(key, options[index])
    idle = 0
    for _ in range(1000 * least):
        if len(pool.archs) >= least or idle > DRAWS * (len(known) + len(pool.archs) + 5):
            break
        arch = space.sample(rng)
        key = key_of(arch)
        idle = idle + 1 if key in known or key in pool.archs else 0
        if key not in known:
            pool.archs.setdefault(key, arch)
    pool.random += len(pool.archs) - before
