"""The surrogate of NAS-Bench-NLP: trees, features, simulation, damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from invertnas.benchmarks.nasbench_nlp import dynamics as nlp_dynamics
from invertnas.benchmarks.nasbench_nlp.features import feature_names, features, parameters, x11_encoding
from invertnas.benchmarks.nasbench_nlp.surrogate import DEFAULT_SURROGATE, Forest, NLPSurrogate, losses
from invertnas.errors import ArtefactError
from invertnas.files.io import read_arrays, write_arrays
from invertnas.spaces import ArchSpec
from invertnas.spaces.nasbench_nlp.cell import Cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()
PLAIN = SPACE.from_string("linear(x,h0);tanh(0)->1")
GRU = SPACE.from_string("linear(x,h0);linear(x,h0);sigm(0);sigm(1);prod(h0,2);linear(x,4);tanh(5);blend(h0,3,6)->7")


@pytest.mark.parametrize("damage", ["truncated", "lacks", "features", "endless", "beyond", "nan"])
def test_damaged_surrogate_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "bad.npz"
    shutil.copy(DEFAULT_SURROGATE, path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    else:
        arrays = read_arrays(path)
        inner = int(np.flatnonzero(arrays["feature"] >= 0)[5])
        if damage == "lacks":
            del arrays["skip"]
        elif damage == "features":
            arrays["names"][0] = "another"
        elif damage == "endless":
            arrays["skip"][inner] = 0
        elif damage == "beyond":
            arrays["skip"][inner] = 100_000
        else:
            arrays["value"][inner] = np.nan
        write_arrays(path, arrays)
    with pytest.raises(ArtefactError, match="bad.npz"):
        NLPSurrogate(path)


def test_forest_by_hand() -> None:
    # Model 0: x0 <= 1 ? (x1 <= 5 ? 1 : 2) : 3, and a single leaf 10; model 1: x1 <= 0 ? -1 : 1.
    trees = Forest(
        np.array([0, 1, -1, -1, -1, -1, 1, -1, -1], np.int16),
        np.array([1.0, 5.0, 1.0, 2.0, 3.0, 10.0, 0.0, -1.0, 1.0]),
        np.array([4, 2, 0, 0, 0, 0, 2, 0, 0], np.int32),
        np.array([0, 5, 6]),
        np.array([0, 0, 1], np.uint8),
    )
    rows = np.array([[1.0, 5.0], [1.0, 5.1], [1.1, 0.0]])
    assert trees.raw(rows).tolist() == [[11.0, 1.0], [12.0, 1.0], [13.0, -1.0]]
    assert trees.raw(rows[:0]).shape == (0, 2)


def test_losses_by_hand() -> None:
    raw = np.array([[0.0, 1.0, -0.1], [0.0, 1.0, 0.1], [3.0, 3.0, -5.0]])
    assert losses(raw).tolist() == pytest.approx([4.3 + np.exp(0.5), np.log(10_000), np.log(10_000)])
    assert NLPSurrogate().loss([]).shape == (0,)


def test_x11_encoding_by_hand() -> None:
    # linear(x,h0) tanh sum(h1,1), states 1 and 2: nodes 4, 5, 6, the last at place 12.
    cell = SPACE.to_cell(SPACE.from_string("linear(x,h0);tanh(0);sum(h1,1)->1,2"))
    numbers = x11_encoding(cell)
    adjacency = np.reshape(numbers[:169], (13, 13))
    assert len(numbers) == 185
    assert np.argwhere(adjacency).tolist() == [[0, 4], [1, 4], [2, 12], [4, 5], [5, 12]]
    assert numbers[169:182] == [0, 0, 0, 0, 6, 2, 0, 0, 0, 0, 0, 0, 4]
    assert numbers[182:] == [5, 6, 0]


def test_parameters_are_those_of_the_logs() -> None:
    # Logged values of the first and the third recipe's networks.
    assert parameters(SPACE.to_cell(PLAIN)) == 5_731_600
    assert parameters(SPACE.to_cell(GRU)) == 9_174_800


def named(arch: ArchSpec) -> dict[str, float]:
    return dict(zip(feature_names(), features(SPACE.to_cell(arch)).tolist()))


def test_structural_features_by_hand() -> None:
    found = named(SPACE.from_string("linear(x,h0);sigm(0);sum(h1,1);tanh(2);prod(1,3)->4,2"))
    expected = {
        "count_linear": 1, "count_elementwise_prod": 1, "nodes": 5, "states": 2, "wide_linear": 0, "params_m": 5.7316,
        "x_to_linear": 1, "memory_to_elementwise_sum": 1, "sigm_to_elementwise_prod": 1, "sum_to_activation_tanh": 1,
        "most_readers": 2, "readers_memory": 1, "readers_new_0": 0, "readers_new_memory": 1,
        "new_0_is_elementwise_prod": 1, "new_memory_is_elementwise_sum": 1, "depth": 5,
        "least_length_x_to_new_0": 3, "most_length_x_to_new_0": 5, "least_squash_memory_to_new_0": 1,
        "least_linear_memory_to_new_memory": 0, "most_activation_h0_to_new_memory": 1, "ways_x_to_new_0": 2,
        # h1 reaches state 1 by a sum alone; nothing reaches state 0 without a squashing operation.
        "unsquashed_links": 1, "unsquashed_self": 1, "unsquashed_self_0": 0, "elementwise_loops": 1,
        "elementwise_loop_0": 0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["least_length_memory_to_new_memory"] == 1
    assert named(PLAIN)["least_length_memory_to_new_0"] == -1


def slow_dynamics(cell: Cell, gain: float, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    """h_new_0 (steps, batch, width) without and with the push, one copy, one sequence, one step at a time."""
    weights, inputs = nlp_dynamics._constants()
    copy = nlp_dynamics.GAINS.index(gain) * nlp_dynamics.REPEATS + repeat
    outputs = np.zeros((nlp_dynamics.STEPS, 2 * nlp_dynamics.BATCH, nlp_dynamics.WIDTH))
    for row in range(2 * nlp_dynamics.BATCH):
        hidden = [np.zeros(nlp_dynamics.WIDTH)] * 3
        for step in range(nlp_dynamics.STEPS):
            values = [inputs[step, copy, row], *hidden]
            for index, (op, sources) in enumerate(zip(cell.ops, cell.inputs)):
                name = SPACE.op_names[op]
                reads = [values[source] for source in sources]
                if name == "linear":
                    value = sum(read @ weights[index, slot, copy] for slot, read in enumerate(reads))
                elif name == "elementwise_prod":
                    value = reads[0] * reads[1]
                elif name == "blend":
                    # In the GRU, node 7 = z is the first sigmoid among the inputs (h0, z, tanh).
                    value = reads[1] * reads[0] + (1 - reads[1]) * reads[2]
                else:
                    value = np.tanh(reads[0]) if name.endswith("tanh") else 1 / (1 + np.exp(-reads[0]))
                values.append(value)
            hidden = [values[cell.states[0]], *hidden[1:]]
            outputs[step, row] = hidden[0]
    return outputs[:, : nlp_dynamics.BATCH], outputs[:, nlp_dynamics.BATCH :]


def test_dynamics_agree_with_a_plain_simulation() -> None:
    cell = SPACE.to_cell(GRU)
    found = dict(zip(nlp_dynamics.DYNAMICS_NAMES, nlp_dynamics.dynamics(cell)))
    for gain in nlp_dynamics.GAINS:
        runs = [slow_dynamics(cell, gain, repeat) for repeat in range(nlp_dynamics.REPEATS)]
        size = np.mean([np.log10(np.sqrt((plain[-1] ** 2).mean())) for plain, _ in runs])
        push = [np.log10(np.sqrt(((pushed - plain)[6] ** 2).mean()) / nlp_dynamics.PUSH) for plain, pushed in runs]
        assert found[f"gain{gain:g}_size_late"] == pytest.approx(size, abs=0.0051)
        assert found[f"gain{gain:g}_push_2"] == pytest.approx(np.mean(push), abs=0.0051)


def test_dynamics_tell_growth_from_forgetting() -> None:
    growing = named(SPACE.from_string("linear(x,h0);sum(h0,0)->1"))
    forgetting = named(SPACE.from_string("linear(x,h0);sigm(0)->1"))
    assert growing["gain3_growth"] > 1 > 0.1 > abs(forgetting["gain3_growth"])
    assert growing["gain1_push_11"] > 0 > -3 > forgetting["gain1_push_11"]
    assert all(np.isfinite(list(named(arch).values())).all() for arch in (PLAIN, GRU))
