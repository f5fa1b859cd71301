"""The two surrogates behind NAS-Bench-301: the embedded ONNX model and the official ensemble.

Embedded: YAHPO Gym's network (Pfisterer et al., 2022), fitted to the training runs of NAS-Bench-301
(Siems et al., 2020), with an affine calibration to predictions of the official xgb_v1.0 models.
Official: those models themselves, through the package nasbench301, always without noise.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.files.io import read_json, sha256_file
from invertnas.spaces.nasbench301.cells import CELL_OPS, NUM_BLOCKS
from invertnas.spaces.nasbench301.space import CELL_NAMES, CompactCell, Genotype

DATA = Path(__file__).parent.parent / "data"
SURROGATE_FILE = "nasbench301_surrogate.onnx"
ENCODING_FILE = "nasbench301_encoding.json"
CALIBRATION_FILE = "nasbench301_calibration.json"
PREDICTIONS_FILE = "nasbench301_official.npz"
EMBEDDED_LABELS = "embedded surrogate (YAHPO Gym), calibrated to xgb_v1.0"
# Epochs of the runs that the surrogate is asked about: the last it knows.
EPOCH = 98
NUM_EDGES = 14
INPUT_WIDTH = 34
# Index of the edge from input 0 to each block; edges are counted block by block, input by input.
FIRST_EDGE = (0, 2, 5, 9)
OFFICIAL_ENSEMBLE = "xgb_v1.0"
OFFICIAL_URL = "https://ndownloader.figshare.com/files/24992018"

Cells = tuple[CompactCell, CompactCell]


@dataclasses.dataclass(frozen=True)
class SurrogateCodes:
    """What the network's categories are called in numbers; 0 stands for an absent edge.

    Attributes:
        edges: for each cell and edge, the code of each operation 0..6.
        inputs: for each cell and block 1..3, the code of each ascending pair of inputs.
    """

    edges: tuple[tuple[tuple[int, ...], ...], ...]
    inputs: tuple[tuple[Mapping[tuple[int, int], int], ...], ...]

    def vector(self, cells: Cells) -> npt.NDArray[np.int32]:
        """(1, 34) codes: 14 edges of the normal cell, 14 of the reduction cell, inputs of blocks 1..3 of each."""
        vector = np.zeros((1, INPUT_WIDTH), np.int32)
        for cell, pairs in enumerate(cells):
            for position, (number, op) in enumerate(pairs):
                edge = FIRST_EDGE[position // 2] + number
                vector[0, cell * NUM_EDGES + edge] = self.edges[cell][edge][op]
            for block, codes in enumerate(self.inputs[cell], start=1):
                pair = pairs[2 * block][0], pairs[2 * block + 1][0]
                vector[0, 2 * NUM_EDGES + cell * (NUM_BLOCKS - 1) + block - 1] = codes[pair]
        return vector


def read_codes(path: Path) -> SurrogateCodes:
    """Codes of YAHPO Gym's ``encoding.json``. Raises DataMissingError, or ArtefactError if it is not complete."""
    if not path.is_file():
        raise DataMissingError(f"no surrogate encoding at {path}; reinstall invertnas or pass the right folder")
    return parse_codes(read_json(path), str(path))


def parse_codes(content: Any, source: str) -> SurrogateCodes:
    """Codes of the parsed ``encoding.json``; `source` names it in errors. Raises ArtefactError."""
    prefix = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
    try:
        edges = tuple(
            tuple(tuple(int(content[f"{prefix}edge_{name}_{k}"][op]) for op in CELL_OPS) for k in range(NUM_EDGES))
            for name in CELL_NAMES
        )
        inputs = tuple(
            tuple(_input_codes(content[f"{prefix}inputs_node_{name}_{b + 2}"], b) for b in range(1, NUM_BLOCKS))
            for name in CELL_NAMES
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{source} lacks a code ({error!r}); expected encoding.json of YAHPO Gym's nb301"
        ) from error
    return SurrogateCodes(edges, inputs)


def _input_codes(codes: Mapping[str, int], block: int) -> dict[tuple[int, int], int]:
    return {(i, j): int(codes[f"{i}_{j}"]) for j in range(block + 2) for i in range(j)}


class Surrogate(Protocol):
    """Anything that predicts a validation accuracy."""

    def accuracy(self, cells: Cells) -> float:
        """Validation accuracy of an architecture as a fraction."""
        ...


class RawSurrogate:
    """YAHPO Gym's network as it is, one architecture at a time, on one thread.

    Args:
        model: the ONNX file's bytes.
        codes: see `SurrogateCodes`.

    Raises:
        DataMissingError: onnxruntime is not installed.
        ArtefactError: the bytes are no ONNX model.
    """

    def __init__(self, model: bytes, codes: SurrogateCodes) -> None:
        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise DataMissingError(
                f"the embedded surrogate of NAS-Bench-301 needs onnxruntime ({error}); "
                "run `pip install 'invertnas[nasbench301]'`"
            ) from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base of their own.
            raise ArtefactError(f"the surrogate is no ONNX model ({error}); reinstall invertnas") from error
        self._codes = codes
        self._epoch = np.array([[EPOCH]], np.float32)

    def percent(self, cells: Cells) -> float:
        """Predicted validation accuracy in percent after 98 epochs, not calibrated."""
        inputs = {"x_cat": self._codes.vector(cells), "x_cont": self._epoch}
        return float(self._session.run(None, inputs)[0][0, 0])


@dataclasses.dataclass(frozen=True)
class EmbeddedSurrogate:
    """The network and its calibration: percent = slope * network + intercept."""

    network: RawSurrogate
    slope: float
    intercept: float

    def accuracy(self, cells: Cells) -> float:
        """Calibrated validation accuracy as a fraction."""
        return (self.slope * self.network.percent(cells) + self.intercept) / 100


def read_calibration(folder: Path) -> dict[str, Any]:
    """The calibration JSON of a folder, whose checksums its model and encoding must have.

    Raises:
        DataMissingError: a file is missing.
        ArtefactError: a file is damaged or not the one the calibration was fitted for.
    """
    path = folder / CALIBRATION_FILE
    for name in (CALIBRATION_FILE, SURROGATE_FILE, ENCODING_FILE):
        if not (folder / name).is_file():
            raise DataMissingError(
                f"no {name} in {folder}; reinstall invertnas or build the files with "
                "`python -m experiments.benchmark_data.nb301.build --source FOLDER`"
            )
    content = read_json(path)
    try:
        numbers = [float(content["slope"]), float(content["intercept"])]
        expected = {name: str(content["sha256"][name]) for name in (SURROGATE_FILE, ENCODING_FILE)}
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} lacks a value ({error!r}); build it again or reinstall invertnas") from error
    if not all(map(math.isfinite, numbers)) or numbers[0] <= 0:
        raise ArtefactError(f"{path} has slope and intercept {numbers}; expected finite numbers, the slope positive")
    for name, digest in expected.items():
        if (got := sha256_file(folder / name)) != digest:
            raise ArtefactError(f"{folder / name} has sha256 {got}; expected {digest}: reinstall invertnas")
    return dict(content)


@functools.lru_cache(maxsize=4)
def load_embedded(folder: Path) -> EmbeddedSurrogate:
    """The calibrated network of a data folder. Raises as `read_calibration` and `RawSurrogate`."""
    calibration = read_calibration(folder)
    network = RawSurrogate((folder / SURROGATE_FILE).read_bytes(), read_codes(folder / ENCODING_FILE))
    return EmbeddedSurrogate(network, float(calibration["slope"]), float(calibration["intercept"]))


def official_folder(folder: Path) -> Path:
    """The ensemble's folder of the official models: the one given, or its ``xgb_v1.0``.

    Raises:
        DataMissingError: there are no models in it.
        ArtefactError: it holds several ensembles and none is called ``xgb_v1.0``.
    """
    chosen = folder / OFFICIAL_ENSEMBLE if (folder / OFFICIAL_ENSEMBLE).is_dir() else folder
    if not any(chosen.rglob("*surrogate_model.model")):
        raise DataMissingError(
            f"no surrogate_model.model below {chosen}; unpack the models of NAS-Bench-301 v1.0 ({OFFICIAL_URL}) "
            f"and pass their folder or its {OFFICIAL_ENSEMBLE}"
        )
    several = sorted(child.name for child in chosen.iterdir() if re.fullmatch(r".+_v\d+\.\d+", child.name))
    if several:
        raise ArtefactError(f"{chosen} holds the ensembles {', '.join(several)}; pass one, e.g. {chosen / several[0]}")
    return chosen


def official_labels(folder: Path) -> str:
    """How values of these models are called in tables: with their version and without noise. Raises as above."""
    return f"official surrogate {official_folder(folder).name}, without noise"


@dataclasses.dataclass(frozen=True)
class OfficialSurrogate:
    """The official ensemble: `model` is what ``nasbench301.load_ensemble`` returns."""

    model: Any

    def accuracy(self, cells: Cells) -> float:
        """Mean of the ensemble as a fraction, no noise. Raises ArtefactError if it is no percentage."""
        normal, reduce = (tuple((CELL_OPS[op], number) for number, op in cell) for cell in cells)
        concat = range(2, 2 + NUM_BLOCKS)
        genotype = Genotype(normal, list(concat), reduce, list(concat))
        percent = float(self.model.predict(config=genotype, representation="genotype", with_noise=False))
        if not 0 <= percent <= 100:
            raise ArtefactError(f"the official models predict {percent}; expected an accuracy in percent")
        return percent / 100


@functools.lru_cache(maxsize=4)
def load_official(folder: Path) -> OfficialSurrogate:
    """The official models of a folder.

    Raises:
        DataMissingError: models or package are missing.
        ArtefactError: the models cannot be loaded.
    """
    chosen = official_folder(folder)
    try:
        package = importlib.import_module("nasbench301")
    except ImportError as error:
        raise DataMissingError(
            f"the official models need the package nasbench301 ({error}); run `pip install nasbench301`, or leave "
            "the folder out to use the embedded surrogate"
        ) from error
    try:
        return OfficialSurrogate(package.load_ensemble(str(chosen)))
    except (OSError, KeyError, IndexError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ArtefactError(f"the models in {chosen} cannot be loaded ({error!r}); unpack them again") from error
