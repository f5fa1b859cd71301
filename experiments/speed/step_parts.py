"""What a training step of the ensemble cannot go below: its matrix products alone, and its update alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from experiments.speed.timing import DIM, StepBench, median_s
from invertnas.presets import DEFAULT, preset
from invertnas.spaces.records import NB201

if TYPE_CHECKING:
    import tensorflow as tf

    Product = tuple[tf.Tensor, tf.Tensor | tf.Variable, bool, bool]  # factors, and which of them is transposed


def bench_parts(peak_gflops: float) -> dict[str, float]:
    """Median seconds of the products and of the update of one step, and the products' share of the peak.

    Nothing else of a step is in them: no activation, bias, loss, or joining of the two directions' rows.
    """
    import tensorflow as tf

    bench = StepBench()
    multiply = products_alone(bench)
    gradients = [tf.random.stateless_normal(v.shape, (0, i)) for i, v in enumerate(bench.trainer.variables)]

    @tf.function(autograph=False)
    def update() -> tf.Tensor:
        bench.trainer.adam.apply(gradients, tf.constant(0.0))
        return bench.trainer.adam.iteration

    products_s = median_s(lambda: multiply().numpy())
    return {
        "products_s": products_s,
        "products_share_of_peak": bench.gflop / products_s / peak_gflops,
        "update_s": median_s(lambda: update().numpy()),
    }


def products_alone(bench: StepBench) -> tf.types.experimental.PolymorphicFunction:
    """A function of all matrix products of `bench`'s step, a chain for each direction of the flows.

    Each kernel W meets (K, B, in) rows X and (K, B, out) gradients G in both directions, X W and G W^T. Its own
    gradient X^T G, over the rows of both, is in one of the chains by turns.
    """
    import tensorflow as tf

    kernels = [variable for variable in bench.trainer.variables if variable.shape[1] > 1]  # (K, in, out)
    chains: tuple[list[Product], list[Product]] = ([], [])
    batch = int(bench.x.shape[0])
    for index, kernel in enumerate(kernels):
        members, fan_in, fan_out = kernel.shape
        rows, outer = (
            tf.random.stateless_normal((members, 2 * batch, width), (index, width)) for width in (fan_in, fan_out)
        )
        for chain, part in zip(chains, (slice(None, batch), slice(batch, None))):
            chain += [(rows[:, part], kernel, False, False), (outer[:, part], kernel, False, True)]
        chains[index % 2].append((rows, outer, True, False))
    return tf.function(lambda: tf.stack([_chain(chain) for chain in chains]), autograph=False)


def _chain(products: list[Product]) -> tf.Tensor:
    """One product after the other; the sum of an element of each, so that none is left out."""
    import tensorflow as tf

    total = tf.constant(0.0)
    for a, b, transpose_a, transpose_b in products:
        with tf.control_dependencies([total]):
            total += tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)[0, 0, 0]
    return total


def fast_step_gflop() -> float:
    """Floating-point operations of a training step of one flow of `fast` on NAS-Bench-201, in billions."""
    chosen = preset(DEFAULT, NB201.name)
    config = chosen.with_members(1).inn_config(DIM)
    half, depth = config.dim // 2, config.hidden_layers - 1
    kernels = half * config.hidden + depth * config.hidden**2 + config.hidden * config.dim
    return 2 * 3 * 2 * 2 * config.layers * kernels * chosen.train.batch_size / 1e9


def roofline(peak_gflops: float, step_s: float) -> dict[str, float]:
    """What a step of `paper` cannot go below on this machine: its products at the peak, then its traffic.

    Traffic per weight of 4 bytes: read twice forward (each direction) and twice backward, its gradient written and
    read for the norm and for Adam, weight and both moments read and written. Activations stay in the caches.
    """
    bench, bandwidth = StepBench(), memory_gb_per_s()
    weights = sum(int(np.prod(variable.shape)) for variable in bench.trainer.variables)
    compute_s, traffic_s = bench.gflop / peak_gflops, weights * 4 * (2 + 2 + 3 + 6) / 1e9 / bandwidth
    return {
        "memory_gb_per_s": bandwidth,
        "roofline_compute_s": compute_s,
        "roofline_traffic_s": traffic_s,
        "share_of_roofline": (compute_s + traffic_s) / step_s,
    }


def memory_gb_per_s(mb: int = 256) -> float:
    """Measured rate of copying a large array with all cores, reading and writing counted; the best of ten."""
    import tensorflow as tf

    source = tf.Variable(tf.ones(mb * 2**18))
    target = tf.Variable(tf.zeros(mb * 2**18))
    copy = tf.function(lambda: target.assign(source * 2.0)[0], autograph=False)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        copy().numpy()
        times.append(time.perf_counter() - started)
    return 2 * mb * 2**20 / min(times[2:]) / 1e9
