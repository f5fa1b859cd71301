"""Files of scored architectures: written by `experiments.pretrain.proxy_scores`, read by initial strategies.

An .npz holds `ops` (M, N) uint8, 255 for padding; `edges` (M, E) uint8, the bits of the upper triangle of each
adjacency, row by row; `scores` (M,) float32; and `about`, a JSON text with space, proxy, whether the space is the
reduced one, how the cells were chosen, the proxy's configuration, versions, and a checksum of the three arrays.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invertnas.errors import ArtefactError, DataMissingError, OutOfDomainError
from invertnas.files.io import read_arrays, sha256_arrays, write_arrays
from invertnas.files.shipped import remedy
from invertnas.proxies.base import FloatArray
from invertnas.spaces.spec import ArchSpec

DATA = Path(__file__).parent / "data"
PADDING = 255
AGAIN = "score again"
ARRAYS = ("ops", "edges", "scores", "about")
FIELDS = ("space", "proxy", "reduced", "sha256")
Bytes = npt.NDArray[np.uint8]


def pack(archs: Sequence[ArchSpec]) -> tuple[Bytes, Bytes]:
    """(M, N) operations and (M, E) packed edges; N is the size of the largest graph."""
    nodes = max((len(arch.ops) for arch in archs), default=0)
    number = {pair: index for index, pair in enumerate(_pairs(nodes))}
    ops = np.full((len(archs), nodes), PADDING, np.uint8)
    bits = np.zeros((len(archs), len(number)), bool)
    for row, arch in enumerate(archs):
        ops[row, : len(arch.ops)] = arch.ops
        bits[row, [number[edge] for edge in arch.edges]] = True
    return ops, np.packbits(bits, axis=1)


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """M scored architectures.

    Attributes:
        ops, edges: see `pack`.
        scores: (M,) float64, higher is better; -inf where the network has no signal.
        about: description, at least space, proxy and reduced.
    """

    ops: Bytes
    edges: Bytes
    scores: FloatArray
    about: dict[str, Any]

    def __len__(self) -> int:
        return len(self.scores)

    def arch(self, index: int) -> ArchSpec:
        """The architecture of one row. Raises OutOfDomainError if there is no such row."""
        if not 0 <= index < len(self):
            raise OutOfDomainError(f"got row {index}; expected 0 to {len(self) - 1}")
        pairs = _pairs(self.ops.shape[1])
        bits = np.unpackbits(self.edges[index], count=len(pairs))
        ops = self.ops[index]
        return ArchSpec(tuple(ops[ops != PADDING].tolist()), tuple(pairs[bit] for bit in np.flatnonzero(bits)))

    def archs(self) -> list[ArchSpec]:
        """All architectures, in order."""
        return [self.arch(index) for index in range(len(self))]


def score_path(space: str, proxy: str, *, reduced: bool, folder: Path = DATA) -> Path:
    """Where the scores of a space, or of its reduced space, are kept."""
    return folder / f"{space}_{proxy}{'_reduced' if reduced else ''}.npz"


def write_scores(path: Path, archs: Sequence[ArchSpec], scores: FloatArray, about: dict[str, Any]) -> None:
    """Write a table atomically; `about` gets the checksum. Raises OutputError if it cannot be written."""
    ops, edges = pack(archs)
    values = np.asarray(scores, np.float32)
    text = json.dumps({**about, "sha256": sha256_arrays(ops, edges, values)})
    write_arrays(path, {"ops": ops, "edges": edges, "scores": values, "about": np.array(text)}, compress=True)


def load_scores(space: str, proxy: str, *, reduced: bool, folder: Path = DATA) -> ScoreTable:
    """The scores of a space, or of its reduced space.

    Args:
        space: name of the search space.
        proxy: name of the proxy.
        reduced: whether of the reduced space.
        folder: where the file is; default is the package's own.

    Raises:
        DataMissingError: there is no such file.
        ArtefactError: it is damaged, or holds something else.
    """
    path = score_path(space, proxy, reduced=reduced, folder=folder)
    if not path.is_file():
        flags = f"--space={space} --proxy={proxy}{' --reduced' if reduced else ''} --out={folder}"
        raise DataMissingError(f"no scores at {path}; run `python -m experiments.pretrain.proxy_scores {flags}`")
    table = read_scores(path)
    wanted = {"space": space, "proxy": proxy, "reduced": reduced}
    found = {name: table.about[name] for name in wanted}
    if found != wanted:
        raise ArtefactError(f"{path} holds {found}; expected {wanted}: {remedy(path, AGAIN)}")
    return table


def read_scores(path: Path) -> ScoreTable:
    """A table, its checksum verified. Raises ArtefactError if it is damaged or no table."""
    arrays = read_arrays(path)
    if missing := set(ARRAYS) - set(arrays):
        raise ArtefactError(f"{path} lacks {', '.join(sorted(missing))}; {remedy(path, AGAIN)}")
    ops, edges, scores = arrays["ops"], arrays["edges"], arrays["scores"]
    about = _about(path, str(arrays["about"]))
    pairs = len(_pairs(ops.shape[1])) if ops.ndim == 2 else -1
    sound = scores.ndim == 1 and edges.shape == (len(scores), -(-pairs // 8)) and len(ops) == len(scores)
    if not sound or np.isnan(scores).any() or sha256_arrays(ops, edges, scores) != about["sha256"]:
        raise ArtefactError(f"{path} is not as it was written; {remedy(path, AGAIN)}")
    return ScoreTable(ops, edges, scores.astype(np.float64), about)


def _about(path: Path, text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except json.JSONDecodeError as error:
        raise ArtefactError(f"{path} has no description ({error}); {remedy(path, AGAIN)}") from error
    if not isinstance(about, dict) or not set(FIELDS) <= set(about):
        raise ArtefactError(f"{path} has a description without {', '.join(FIELDS)}; {remedy(path, AGAIN)}")
    return about


@functools.lru_cache(maxsize=None)
def _pairs(nodes: int) -> tuple[tuple[int, int], ...]:
    """(source, target) of every entry above the diagonal, row by row: sorted."""
    return tuple((source, target) for source in range(nodes) for target in range(source + 1, nodes))
