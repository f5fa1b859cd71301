"""The surrogate of NAS-Bench-NLP: gradient-boosted trees on cell features, evaluated with NumPy alone.

`make data_nbnlp` trains it with LightGBM on the PTB logs and writes the trees; nothing here needs
LightGBM. A few regression models predict log(loss - `OFFSET`) of a completed run; one more model tells cells
whose training diverges, and these get `DIVERGED_LOSS`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from invertnas.benchmarks.nasbench_nlp.features import feature_names, features
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import read_arrays
from invertnas.spaces.nasbench_nlp.cell import Cell

DEFAULT_SURROGATE = Path(__file__).parent.parent / "data" / "nasbench_nlp_surrogate.npz"
# Loss in nats of guessing uniformly among the 10,000 words of PTB: what a diverged run counts as.
DIVERGED_LOSS = float(np.log(10_000))
# Below every loss in the logs (4.41), so that the logarithm spreads the good cells.
OFFSET = 4.3
ARRAYS = ("feature", "value", "skip", "roots", "model", "names", "source_sha256")
Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Forest:
    """Trees of several models, node after node, each node followed by its left subtree.

    Attributes:
        feature: (V,) column a node looks at, -1 at a leaf.
        value: (V,) threshold of a node (left if the feature is not greater), or the value of a leaf.
        skip: (V,) how much further the right subtree starts; 0 at a leaf.
        roots: (T,) first node of each tree.
        model: (T,) model each tree belongs to, ascending.
    """

    feature: npt.NDArray[np.int16]
    value: Array
    skip: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int64]
    model: npt.NDArray[np.uint8]

    def raw(self, rows: Array) -> Array:
        """(B, M) sums over the trees of each of M models, for (B, K) features."""
        node = np.repeat(self.roots[None], len(rows), axis=0)
        row = np.arange(len(rows))[:, None]
        while True:
            column = self.feature[node]
            inside = column >= 0
            if not inside.any():
                break
            right = rows[row, column] > self.value[node]
            node = np.where(inside, node + np.where(right, self.skip[node], 1), node)
        leaves = self.value[node]
        starts = np.searchsorted(self.model, np.arange(int(self.model[-1]) + 2))
        # LightGBM adds tree after tree; doing the same gives the same last digit.
        sums = [np.cumsum(leaves[:, a:b], axis=1)[:, -1] for a, b in zip(starts[:-1], starts[1:])]
        return np.stack(sums, axis=1)


def losses(raw: Array) -> Array:
    """(B,) validation losses in nats from the (B, M) outputs: regression models first, divergence last."""
    completed = OFFSET + np.exp(raw[:, :-1].mean(axis=1))
    return np.where(raw[:, -1] > 0, DIVERGED_LOSS, np.minimum(completed, DIVERGED_LOSS))


class NLPSurrogate:
    """Predicts the validation loss after 50 epochs on PTB of any cell.

    Args:
        path: file of `experiments.benchmark_data.nbnlp.build`; default is the one that comes with the package.

    Raises:
        DataMissingError, ArtefactError: if the file is missing, damaged or of another version.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.forest = _load(path or DEFAULT_SURROGATE)

    def loss(self, cells: Sequence[Cell]) -> Array:
        """(B,) predicted losses in nats per token of cells in canonical form."""
        if not cells:
            return np.zeros(0)
        return losses(self.forest.raw(np.stack([features(cell) for cell in cells])))


@functools.lru_cache(maxsize=4)
def _load(path: Path) -> Forest:
    if not path.is_file():
        raise DataMissingError(
            f"no surrogate of NAS-Bench-NLP at {path}; reinstall InvertNAS, or in a checkout run make data_nbnlp"
        )
    arrays = read_arrays(path)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing or tuple(arrays["names"].tolist()) != feature_names():
        raise ArtefactError(
            f"{path} lacks {', '.join(missing) or 'the features of this version'}; reinstall invertnas or train the "
            "surrogate again with experiments.benchmark_data.nbnlp.build"
        )
    forest = Forest(*(arrays[name] for name in ARRAYS[:5]))
    _check(path, forest)
    for array in (forest.feature, forest.value, forest.skip, forest.roots, forest.model):
        array.setflags(write=False)
    return forest


def _check(path: Path, forest: Forest) -> None:
    """Raise ArtefactError unless every way from a root ends in a leaf of the same tree."""
    size, leaf = len(forest.feature), forest.feature < 0
    ends = np.append(forest.roots[1:], size)
    tree_end = np.repeat(ends, np.diff(forest.roots, append=size)) if size else ends
    inside = ~leaf
    sound = (
        forest.value.shape == forest.skip.shape == (size,)
        and forest.roots.shape == forest.model.shape
        and len(forest.roots) > 1
        and forest.roots[0] == 0
        and bool((np.diff(forest.roots) > 0).all())
        and bool((np.diff(forest.model.astype(int)) >= 0).all())
        and bool(np.isfinite(forest.value).all())
        and int(forest.feature.max()) < len(feature_names())
        and bool((forest.skip[inside] > 1).all())
        and bool((np.flatnonzero(inside) + forest.skip[inside] < tree_end[inside]).all())
    )
    if not sound:
        raise ArtefactError(f"{path} does not hold trees; reinstall invertnas or train the surrogate again")
