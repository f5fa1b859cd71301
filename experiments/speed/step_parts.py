"""What a training step of the ensemble cannot go below: its matrix products alone, and its update alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.speed.timing import StepBench, median_s

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
