"""Loop-based NumPy references: losses, weights, one Adam step and one coupling flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MLP = list[tuple[Array, Array]]  # (kernel, bias) per layer
Coupling = tuple[MLP, MLP]  # net1 and net2


def _cross_entropy(labels: Array, logits: Array) -> float:
    highest = max(logits)
    log_sum = highest + math.log(sum(math.exp(value - highest) for value in logits))
    return -sum(label * (logit - log_sum) for label, logit in zip(labels, logits))


def node_loss(ops: Array, logits: Array) -> float:
    """Mean over graphs and nodes; all-zero rows count as 0."""
    batch, nodes, _ = ops.shape
    return sum(_cross_entropy(ops[b, n], logits[b, n]) for b in range(batch) for n in range(nodes)) / (batch * nodes)


def edge_loss(adjacency: Array, logits: Array) -> float:
    """Mean over graphs and node pairs."""
    batch, nodes, _ = adjacency.shape
    total = 0.0
    for b in range(batch):
        for i in range(nodes):
            for j in range(nodes):
                labels = np.array([1.0 - adjacency[b, i, j], adjacency[b, i, j]])
                total += _cross_entropy(labels, logits[b, i, j])
    return total / (batch * nodes * nodes)


def kl_loss(mean: Array, log_var: Array) -> float:
    """Closed form of KL(N(m, v) || N(0, 1)) per number: log(1 / sd) + (v + m^2) / 2 - 1 / 2."""
    batch, nodes, latent = mean.shape
    total = 0.0
    for b in range(batch):
        for n in range(nodes):
            for k in range(latent):
                deviation = math.exp(0.5 * log_var[b, n, k])
                total += math.log(1.0 / deviation) + (deviation**2 + mean[b, n, k] ** 2) / 2.0 - 0.5
    return total / (batch * nodes)


def rank_weights(y: Array, kappa: float) -> Array:
    """1 / (kappa n + number of strictly better entries), member by member."""
    result = np.zeros_like(y)
    for k, row in enumerate(y):
        for i, value in enumerate(row):
            result[k, i] = 1.0 / (kappa * len(row) + sum(1 for other in row if other > value))
    return result


def weighted_mean(values: Array, weights: Array) -> Array:
    """Per member; 0 where no weight is left."""
    result = []
    for row, factors in zip(values, weights):
        total = sum(factors)
        result.append(sum(v * w for v, w in zip(row, factors)) / total if total > 0 else 0.0)
    return np.array(result)


def regression_loss(y: Array, y_hat: Array, weights: Array) -> Array:
    """Per member."""
    return weighted_mean(np.array([[(b - a) ** 2 for a, b in zip(*rows)] for rows in zip(y, y_hat)]), weights)


def reverse_loss(x: Array, x_hat: Array, weights: Array) -> Array:
    """Per member; squares averaged over the features."""
    errors = [[sum((b - a) ** 2 for a, b in zip(*r)) / len(r[0]) for r in zip(*rows)] for rows in zip(x, x_hat)]
    return weighted_mean(np.array(errors), weights)


def mmd(samples: Array, others: Array, bandwidths: Sequence[float]) -> Array:
    """Per member: mean of k(x, x') + k(y, y') - 2 k(x, y) over all pairs."""

    def kernel(a: Array, b: Array) -> float:
        distance = sum((p - q) ** 2 for p, q in zip(a, b))
        return sum(width**2 / (width**2 + distance) for width in bandwidths)

    result = []
    for xs, ys in zip(samples, others):
        count = len(xs)
        total = 0.0
        for i in range(count):
            for j in range(count):
                total += kernel(xs[i], xs[j]) + kernel(ys[i], ys[j]) - 2.0 * kernel(xs[i], ys[j])
        result.append(total / count**2)
    return np.array(result)


def idw_weights(predictions: Array, truth: Array) -> Array:
    """1 / (mse + 1e-8), normalised; 0 for members without a finite error."""
    raw = []
    for row in predictions:
        mse = sum((p - t) ** 2 for p, t in zip(row, truth)) / len(truth)
        raw.append(1.0 / (mse + 1e-8) if math.isfinite(mse) else 0.0)
    return np.array([value / sum(raw) for value in raw])


def adam_step(
    value: Array, gradient: Array, first: Array, second: Array, step: int, rate: float
) -> tuple[Array, Array, Array]:
    """New value and moments after step number `step` (from 1); epsilon beside the uncorrected root, as Keras has it."""
    first = 0.9 * first + 0.1 * gradient
    second = 0.999 * second + 0.001 * gradient**2
    corrected = rate * math.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step)
    return value - corrected * first / (np.sqrt(second) + 1e-7), first, second


def clip_by_norm(gradients: Sequence[Array], bound: float) -> list[Array]:
    """All tensors of one member, scaled to a global norm of at most `bound`."""
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    return [g * (bound / norm if norm > bound else 1.0) for g in gradients]


def _mlp(layers: MLP, row: Array) -> Array:
    for index, (kernel, bias) in enumerate(layers):
        row = np.array([sum(row[i] * kernel[i, j] for i in range(len(row))) + bias[j] for j in range(len(bias))])
        if index < len(layers) - 1:
            row = np.array([max(value, 0.0) for value in row])
    return row


def _scale_shift(layers: MLP, half: Array, bound: float) -> tuple[Array, Array]:
    output = _mlp(layers, half)
    count = len(output) // 2
    return np.array([bound * math.tanh(value) for value in output[:count]]), output[count:]


def flow_forward(
    orders: Sequence[Sequence[int]], couplings: Sequence[Coupling], bound: float, x: Array
) -> tuple[Array, float]:
    """One row through a single-member flow: output and log-determinant."""
    row, log_det = np.array(x, np.float64), 0.0
    for order, (net1, net2) in zip(orders, couplings):
        row = np.array([row[i] for i in order])
        half = len(row) // 2
        part1, part2 = row[:half], row[half:]
        s2, t2 = _scale_shift(net2, part2, bound)
        part1 = np.array([v * math.exp(s) + t for v, s, t in zip(part1, s2, t2)])
        s1, t1 = _scale_shift(net1, part1, bound)
        part2 = np.array([v * math.exp(s) + t for v, s, t in zip(part2, s1, t1)])
        row = np.concatenate([part1, part2])
        log_det += sum(s1) + sum(s2)
    return row, log_det


def flow_inverse(
    orders: Sequence[Sequence[int]], couplings: Sequence[Coupling], bound: float, y: Array
) -> tuple[Array, float]:
    """One row backwards through a single-member flow: input and log-determinant of the inverse."""
    row, log_det = np.array(y, np.float64), 0.0
    for order, (net1, net2) in zip(reversed(orders), reversed(couplings)):
        half = len(row) // 2
        part1, part2 = row[:half], row[half:]
        s1, t1 = _scale_shift(net1, part1, bound)
        part2 = np.array([(v - t) / math.exp(s) for v, s, t in zip(part2, s1, t1)])
        s2, t2 = _scale_shift(net2, part2, bound)
        part1 = np.array([(v - t) / math.exp(s) for v, s, t in zip(part1, s2, t2)])
        joined = np.concatenate([part1, part2])
        row = np.empty_like(joined)
        for position, source in enumerate(order):
            row[source] = joined[position]
        log_det -= sum(s1) + sum(s2)
    return row, log_det
