"""A search space of your own in one file: define it, pretrain a GVAE on samples of it, search it.

Replace `OwnSpace` by your cells and `accuracy` by your training run. Takes about half a minute on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from experiments import cli
from invertnas.presets import preset
from invertnas.seeding import generator
from invertnas.spaces import ArchSpec, GraphSpace
from invertnas.spaces.spec import graph_paths

VALUE = {2: 1.0, 3: 0.4, 4: 0.1}


class OwnSpace(GraphSpace):
    """Input, three nodes with one of three operations, output, wired forward in any way that leaves no node idle."""

    name = "own"
    op_names = ("input", "output", "conv", "pool", "skip")
    inner_ops = (2, 3, 4)
    num_nodes = 5

    def sample(self, rng: np.random.Generator) -> ArchSpec:
        """Uniform: drawn until valid."""
        while True:
            edges = zip(*np.nonzero(np.triu(rng.integers(0, 2, (5, 5)), k=1)))
            arch = ArchSpec((0, *rng.integers(2, 5, 3).tolist(), 1), tuple((int(a), int(b)) for a, b in edges))
            if self.is_valid(arch):
                return arch

    def is_valid(self, arch: ArchSpec) -> bool:
        """Labels where they belong, an edge into every node but the input and out of every node but the output."""
        ops, inner = arch.ops, arch.ops[1:-1]
        labelled = len(ops) == 5 and (ops[0], ops[-1]) == (0, 1) and set(inner) <= set(self.inner_ops)
        return labelled and {a for a, _ in arch.edges} == {0, 1, 2, 3} and {b for _, b in arch.edges} == {1, 2, 3, 4}


def accuracy(arch: ArchSpec) -> float:
    """Stands in for training: strong operations and changes of operation on every path pay, edges cost."""
    paths = graph_paths(arch)
    gains = [sum(VALUE[op] for op in path) + 0.5 * sum(a != b for a, b in zip(path, path[1:])) for path in paths]
    return float(0.6 + 0.3 * np.tanh(0.5 * np.mean(gains)) - 0.005 * len(arch.edges))


def search(queries: int = 40, *, samples: int = 2000, epochs: int = 30, seed: int = 0) -> dict[str, float]:
    """Accuracies of the architectures queried, in order, by their strings; the first ten are random."""
    from invertnas.gvae.config import GVAEConfig, GVAETrainConfig
    from invertnas.gvae.train import GVAETrainer
    from invertnas.inn.config import INNConfig
    from invertnas.predictor import InvertiblePredictor
    from invertnas.search.invertnas import InvertNAS

    space, rng = OwnSpace(), generator(seed, "own-space")
    graphs = space.encode([space.sample(rng) for _ in range(samples)])
    config = GVAEConfig(space.num_nodes, len(space.op_names), latent_dim=8, gin_channels=(64, 16), blocks=1)
    train = GVAETrainConfig(epochs=epochs, batch_size=32, learning_rate=3e-3, seed=seed)
    gvae = GVAETrainer(config, train, graphs).run()
    chosen = preset("fast", space.name)
    inn = INNConfig(config.flat_dim, members=5, layers=2, hidden_layers=1, hidden=64)
    fit, settings = replace(chosen.train, steps_per_epoch=100), replace(chosen.search, initial=10, keep=10)
    predictor = InvertiblePredictor(space, gvae, inn, fit, chosen.predictor, seed=seed)
    optimizer, found = InvertNAS(space, predictor, settings, seed=seed), dict[str, float]()
    while len(found) < queries:
        archs = optimizer.ask()[: queries - len(found)]
        values = [accuracy(arch) for arch in archs]
        optimizer.tell(archs, values)
        found |= {space.to_string(arch): value for arch, value in zip(archs, values)}
    return found


def main(argv: Sequence[str]) -> None:
    """Search and print the best."""
    found = search()
    best = max(found, key=lambda text: found[text])
    first = list(found.values())[:10]
    print(f"random: mean {np.mean(first):.4f}, best {max(first):.4f}; after {len(found)} queries: {found[best]:.4f}")
    print(best)


if __name__ == "__main__":
    cli.run(main)
