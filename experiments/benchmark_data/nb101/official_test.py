"""The official mean test accuracy of every NAS-Bench-101 cell, as published in a public repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101.labels import DENOMINATOR
from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import read_arrays, sha256_file
from invertnas.spaces.nasbench101.graph import canonical_masks, cell_code, labellings, module_hash
from invertnas.spaces.nasbench101.space import MAX_NODES, NUM_CELLS

TEST_SHA256 = "6e03c1a661e9b4055d3c3de6c48182198daf88b90561d5f6e806a16f84cbe760"
ARRAY = "test_correct_of_29952"
TOLERANCE = 1e-8
Accuracies = npt.NDArray[np.float64]


def all_cells() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
    """(423624,) codes of all cells, ascending, and (423624,) the rank of each by the benchmark's hash."""
    masks = [(mask, nodes) for nodes in range(2, MAX_NODES + 1) for mask in canonical_masks(nodes)]
    cells = [(mask, labels) for mask, nodes in masks for labels in labellings(mask, nodes)]
    codes = np.array([cell_code(mask, labels) for mask, labels in cells], np.uint32)
    ranks = np.empty(len(cells), np.intp)
    ranks[np.argsort([module_hash(mask, labels) for mask, labels in cells])] = np.arange(len(cells))
    return codes, ranks


def check_test_means(path: Path, allow_other: bool) -> str:
    """SHA-256 of the file. Raises DataMissingError, or ArtefactError if it is not the expected one."""
    if not path.is_file():
        raise DataMissingError(f"no file at {path}; pass the path of nb101_test_mean3_ep108.npz with --test_means")
    got = sha256_file(path)
    if got != TEST_SHA256 and not allow_other:
        raise ArtefactError(
            f"{path} has sha256 {got}; expected {TEST_SHA256}. Fetch the file again, or pass --allow_other_csv "
            "to build from a file of your own; nothing was written"
        )
    return got


def read_test_means(path: Path, num_cells: int = NUM_CELLS) -> Accuracies:
    """(num_cells,) mean test accuracies after 108 epochs as fractions, in the order of the benchmark's hashes.

    Raises:
        ArtefactError: the file lacks the array, or the array has another length or values above one.
    """
    counts = read_arrays(path).get(ARRAY)
    if counts is None or counts.shape != (num_cells,) or counts.dtype != np.uint16 or (counts > DENOMINATOR).any():
        raise ArtefactError(
            f"{path} holds no {ARRAY} of {num_cells} whole numbers up to {DENOMINATOR}; fetch the file again"
        )
    return counts / np.float64(DENOMINATOR)


def check_known(test: Accuracies, known: Accuracies) -> int:
    """Check the (K,) test means against those known from elsewhere, NaN where unknown; how many are compared.

    Raises:
        ArtefactError: one differs.
    """
    given = ~np.isnan(known)
    error = np.abs(test[given] - known[given])
    if (error > TOLERANCE).any():
        raise ArtefactError(
            f"{int((error > TOLERANCE).sum())} of {len(error)} known test means differ, by up to {error.max():.6f}; "
            "the two files are of different releases"
        )
    return len(error)
