"""Recurrent cells with constant weights: one channel for all is equal to a network of full width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from invertnas.errors import ArtefactError, DataMissingError
from invertnas.proxies.networks.recurrent import constant_outputs, embedding_sums
from invertnas.proxies.tokens import VOCABULARY, Tokens, ptb_tokens, zipf_tokens
from invertnas.spaces.nasbench_nlp.cell import Cell
from invertnas.spaces.nasbench_nlp.space import NASBenchNLPSpace

SPACE = NASBenchNLPSpace()
# Every operation, two and three inputs of linear, three states, a blend with and without a sigmoid as gate.
CELLS = (
    "linear(x,h0);tanh(0)->1",
    "linear(x,h0);linear(x,h0,h1);sigm(0);tanh(1);blend(h1,2,3);sum(2,4);leaky_relu(5)->6,4",
    "linear(x,h0,h1);tanh(0);sigm(0);blend(h0,h1,1);prod(2,3);leaky_relu(4);linear(h2,5);sum(h2,6)->6,3,7",
)
WEIGHTS = (0.03, 0.15)
WIDTHS = (5, 6, 4)


def cell_of(text: str) -> Cell:
    return SPACE.to_cell(SPACE.from_string(text))


def full_width(cell: Cell, embedded: np.ndarray, weight: float, bias: float) -> np.ndarray:
    """(steps, batch, channels) output of the last layer, with matrices and one sequence at a time."""
    outputs = embedded
    for width in WIDTHS:
        inputs, outputs = outputs, np.zeros((*embedded.shape[:2], width))
        for row in range(inputs.shape[1]):
            hidden = [np.full(width, weight)] * 3
            for step in range(len(inputs)):
                values = [inputs[step, row], *hidden]
                for op, sources in zip(cell.ops, cell.inputs):
                    values.append(apply(SPACE.op_names[op], values, sources, cell, width, weight, bias))
                hidden = [*(values[state] for state in cell.states), *hidden[len(cell.states) :]]
                outputs[step, row] = hidden[0]
    return outputs


def apply(
    name: str, values: list[np.ndarray], sources: tuple[int, ...], cell: Cell, width: int, weight: float, bias: float
) -> np.ndarray:
    reads = [values[source] for source in sources]
    if name == "linear":
        products = [np.full((width, len(read)), weight) @ read for read in reads]
        return np.sum(products, axis=0) + np.full(width, bias)
    if name == "blend":
        names = ["" if source < 4 else SPACE.op_names[cell.ops[source - 4]] for source in sources]
        gate = names.index("activation_sigm") if "activation_sigm" in names else 0
        one, other = (read for index, read in enumerate(reads) if index != gate)
        return reads[gate] * one + (1 - reads[gate]) * other
    return {
        "activation_sigm": lambda: 1 / (1 + np.exp(-reads[0])),
        "activation_tanh": lambda: np.tanh(reads[0]),
        "activation_leaky_relu": lambda: np.maximum(reads[0], 0) + 0.01 * np.minimum(reads[0], 0),
        "elementwise_sum": lambda: reads[0] + reads[1],
        "elementwise_prod": lambda: reads[0] * reads[1],
    }[name]()


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("text", CELLS)
def test_one_channel_equals_the_full_width(text: str, biases: bool) -> None:
    cell, embedded = cell_of(text), np.random.default_rng(0).normal(size=(6, 3, 7))
    found = constant_outputs(cell, embedded.sum(axis=2), WEIGHTS, WIDTHS, constant_biases=biases)
    assert found is not None and found.shape == (2, 6, 3) and np.ptp(found, axis=2).min() > 1e-9
    for outputs, weight in zip(found, WEIGHTS):
        full = full_width(cell, embedded, weight, weight if biases else 0)
        np.testing.assert_allclose(full, np.repeat(outputs[:, :, None], WIDTHS[-1], axis=2), rtol=1e-10)


def test_overflow_is_none_and_quiet() -> None:
    cell = cell_of("linear(x,h0);prod(h0,0);sum(0,1)->2")
    assert constant_outputs(cell, np.full((40, 2), 5.0), (2.0, 9.0), (50, 50)) is None


def test_embedding_sums_are_of_the_words() -> None:
    tokens = Tokens(np.array([[0, 1], [1, 1]]), 3)
    sums = embedding_sums(tokens, 400, seed=1)
    assert sums[0, 1] == sums[1, 0] == sums[1, 1] != sums[0, 0]
    assert np.array_equal(sums, embedding_sums(tokens, 400, seed=1))
    many = embedding_sums(Tokens(np.arange(3000)[None], 3000), 400, seed=1)
    assert many.mean() == pytest.approx(200, abs=0.5) and many.std() == pytest.approx((400 / 12) ** 0.5, rel=0.05)


def test_zipf_tokens_follow_the_law() -> None:
    tokens = zipf_tokens(400, 256, seed=3)
    counts = np.bincount(tokens.ids.ravel(), minlength=VOCABULARY)
    total = (1 / np.arange(1, VOCABULARY + 1)).sum()
    assert tokens.ids.shape == (400, 256) and tokens.vocabulary == VOCABULARY == len(counts)
    for rank in (1, 2, 10):
        assert counts[rank - 1] / counts.sum() == pytest.approx(1 / (rank * total), rel=0.1)
    assert np.array_equal(tokens.ids, zipf_tokens(400, 256, seed=3).ids)
    assert not np.array_equal(tokens.ids, zipf_tokens(400, 256, seed=4).ids)


def test_ptb_tokens_lay_the_text_out_in_columns(tmp_path: Path) -> None:
    path = tmp_path / "ptb.train.txt"
    path.write_text(" a b a \n c d\n a a b\n", encoding="utf-8")  # a b a <eos> c d <eos> a a b <eos>
    tokens = ptb_tokens(path, 3, 2)
    assert tokens.ids.tolist() == [[0, 4], [1, 2], [0, 0]] and tokens.vocabulary == 5


def test_ptb_tokens_name_their_faults(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="no text at"):
        ptb_tokens(tmp_path / "none.txt", 2, 2)
    path = tmp_path / "ptb.train.txt"
    path.write_text("a b c\n", encoding="utf-8")
    with pytest.raises(ArtefactError, match="4 words; expected at least 6"):
        ptb_tokens(path, 3, 2)
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ArtefactError, match="not UTF-8"):
        ptb_tokens(path, 3, 2)
