"""A search space of your own in one file: define it, pretrain a GVAE on samples of it, search it.

It needs the package `invertnas` only, so copy it where you like. Replace `OwnSpace` by your cells and `accuracy` by
your training run. Takes 35 s of one core.
"""

from __future__ import annotations

import os

import numpy as np

import invertnas
from invertnas import ArchSpec, GraphSpace

VALUE = {2: 1.0, 3: 0.4, 4: 0.1}
REQUIRED = 0.9  # share of architectures kept aside that a GVAE must give back exactly to be searched with


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
    (paths,) = OwnSpace().paths(arch)
    gains = [sum(VALUE[op] for op in path) + 0.5 * sum(a != b for a, b in zip(path, path[1:])) for path in paths]
    return float(0.6 + 0.3 * np.tanh(0.5 * np.mean(gains)) - 0.005 * len(arch.edges))


def pretrain(space: invertnas.SearchSpace, samples: int, epochs: int, seed: int) -> tuple[invertnas.GVAE, float]:
    """A GVAE of the space, and the share of architectures it has not seen that come back exactly.

    Raises:
        invertnas.TrainingError: fewer than `REQUIRED` come back.
    """
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(samples)]
    archs = list({space.identity(arch): arch for arch in drawn}.values())  # each once, or those kept aside were seen
    kept, seen = space.encode(archs[: len(archs) // 10]), space.encode(archs[len(archs) // 10 :])
    nodes, cells = space.num_nodes // space.num_cells, space.num_cells
    config = invertnas.GVAEConfig(nodes, len(space.op_names), 8, gin_channels=(64, 16), blocks=1, cells=cells)
    train = invertnas.GVAETrainConfig(epochs=epochs, batch_size=32, learning_rate=3e-3, seed=seed)
    gvae = invertnas.GVAETrainer(config, train, invertnas.split_cells(seen, cells)).run()
    share = invertnas.reconstruction_metrics(gvae, space, kept)["exact_reconstruction"]
    if share < REQUIRED:
        raise invertnas.TrainingError(
            f"got {share:.1%} of {len(kept)} architectures back; expected {REQUIRED:.0%}: more samples or epochs"
        )
    return gvae, share


def search(gvae: invertnas.GVAE, queries: int = 40, seed: int = 0) -> dict[str, float]:
    """Accuracies of the architectures queried, in order, by their strings; the first ten are random."""
    space = OwnSpace()
    small = invertnas.preset("fast", space.name).changed(
        inn={"members": 5, "layers": 2, "hidden_layers": 1, "hidden": 64},
        train={"steps_per_epoch": 300},
        search={"initial": 10, "keep": 10, "batch": 3},
    )
    optimizer, found = invertnas.build_search(space, preset=small, gvae=gvae, seed=seed), dict[str, float]()
    while len(found) < queries:
        archs = optimizer.ask()[: queries - len(found)]
        values = [accuracy(arch) for arch in archs]
        optimizer.tell(archs, values)
        found |= {space.to_string(arch): value for arch, value in zip(archs, values)}
    return found


def main() -> None:
    """Pretrain, search and print the best."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # faster; read when TensorFlow is first imported
    gvae, share = pretrain(OwnSpace(), samples=2000, epochs=60, seed=0)
    print(f"architectures kept aside that the GVAE gives back: {share:.1%}")
    found = search(gvae)
    best = max(found, key=lambda text: found[text])
    first = list(found.values())[:10]
    print(f"random: mean {np.mean(first):.4f}, best {max(first):.4f}; after {len(found)} queries: {found[best]:.4f}")
    print(best)


if __name__ == "__main__":
    main()
