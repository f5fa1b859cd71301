"""BANANAS: Bayesian optimisation with an ensemble of networks on path encodings (White et al., 2021a)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from invertnas.checks import checked
from invertnas.search.baselines.bananas_config import BananasConfig
from invertnas.search.baselines.base import Baseline
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray

if TYPE_CHECKING:
    from invertnas.search.baselines.bananas_network import StackedNetworks


class PathEncoder:
    """Truncated path encoding (White et al., 2021a, section 4).

    Column i of a cell tells whether it holds path i, in the order of length, then of operation
    indices (lexicographic); longer paths are rarer in random cells and are cut off. The cells of an
    architecture stand side by side; a space whose `paths` has another number of parts says so by `path_parts`.

    Args:
        space: gives the paths of an architecture.
        ops: operation indices that occur on paths.
        shortest: operations on the shortest path that is counted.
        longest: operations on the longest path.
        cutoff: number of columns kept per cell.

    Attributes:
        paths: the P <= `cutoff` paths of a cell, in column order.
        width: D = P * cells, columns in all.
    """

    def __init__(self, space: SearchSpace, ops: Sequence[int], *, shortest: int, longest: int, cutoff: int) -> None:
        lengths = range(shortest, longest + 1)
        every = itertools.chain.from_iterable(itertools.product(sorted(ops), repeat=length) for length in lengths)
        self.paths = tuple(itertools.islice(every, cutoff))
        self._parts = int(getattr(space, "path_parts", space.num_cells))
        self.width = len(self.paths) * self._parts
        self._longest = len(self.paths[-1]) if self.paths else 0
        self._space = space
        self._column = {path: column for column, path in enumerate(self.paths)}

    def encode(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B, D) float32 entries 0 or 1."""
        encoded = np.zeros((len(archs), self._parts, len(self.paths)), np.float32)
        for row, arch in enumerate(archs):
            for cell, paths in enumerate(self._space.paths(arch, self._longest)):
                encoded[row, cell, [self._column[path] for path in paths if path in self._column]] = 1.0
        return encoded.reshape(len(archs), self.width)


class Bananas(Baseline):
    """Ranks mutations of the best architectures by independent Thompson sampling (ITS).

    Each round fits the networks from scratch on all evaluated architectures. Inputs are path
    encodings, targets are validation errors in percent, 100 * (1 - accuracy), neither standardised
    (as naszilla does), and the loss is their mean absolute error. ITS draws one value per candidate
    from a normal distribution with the mean and standard deviation of the ensemble; the `batch_size`
    lowest are asked for.

    Args:
        space: the search space.
        config: settings.
        seed: master seed.
    """

    method = "bananas"

    def __init__(self, space: SearchSpace, config: BananasConfig = BananasConfig(), *, seed: int) -> None:
        self.config = checked(config, BananasConfig, "config", "Bananas")
        super().__init__(space, config, seed=seed)
        self.encoder = PathEncoder(
            space,
            space.inner_ops if config.path_ops is None else config.path_ops,
            shortest=config.shortest_path,
            longest=space.num_nodes // space.num_cells - 2,
            cutoff=config.cutoff,
        )

    @property
    def networks(self) -> StackedNetworks:
        """The ensemble's program, without parameters; TensorFlow is imported on first use."""
        from invertnas.search.baselines.bananas_network import stacked_networks

        return stacked_networks(self.encoder.width, self.config)

    def _choose(self, count: int | None) -> tuple[list[ArchSpec], dict[str, Any]]:
        config, history = self.config, self.history
        missing = self._missing(config.num_init, len(history), count)
        if missing or not len(history):
            return self._fresh(missing or 1), {"phase": "init"}
        wanted = config.batch_size if count is None else count
        candidates = self._candidates(wanted)
        if not candidates:
            return self._fresh(wanted), {"phase": "random", "candidates": 0}
        if len(candidates) <= wanted:
            return candidates, {"phase": "mutate", "candidates": len(candidates)}
        report, errors = self._predict(candidates)
        drawn = self._rng("its", history.count).normal(errors.mean(axis=0), errors.std(axis=0))
        chosen = np.argsort(drawn, kind="stable")[:wanted]
        note = {"phase": "model", "candidates": len(candidates), **report}
        return [candidates[index] for index in chosen], note

    def _candidates(self, wanted: int) -> list[ArchSpec]:
        """Unknown, distinct one-edit mutations of the best evaluated architectures."""
        config, rng = self.config, self._rng("candidates", self.history.count)
        found: dict[str, ArchSpec] = {}
        for rank, parent in enumerate(self.history.ranked()):
            if len(found) >= config.candidates or (rank >= config.parents and len(found) >= wanted):
                break
            for _ in range(config.candidates):
                child = self.space.mutate(self.history.archs[parent], rng)
                identity = self.space.identity(child)
                if not self.history.known(identity):
                    found.setdefault(identity, child)
        return list(found.values())[: config.candidates]

    def _predict(self, candidates: Sequence[ArchSpec]) -> tuple[dict[str, Any], FloatArray]:
        """A report of the fit, and the members' errors (members, B) in percent."""
        history = self.history
        inputs = self.encoder.encode([history.archs[identity] for identity in history.evaluated])
        targets = 100.0 * (1.0 - np.array(list(history.accuracies.values())))
        networks = self.networks
        theta, losses = networks.fit(inputs, targets.astype(np.float32), seed=self.seed, index=len(history))
        report = {"mae_first": float(losses[0].mean()), "mae_last": float(losses[-1].mean())}
        return report, networks.predict(theta, self.encoder.encode(candidates))
