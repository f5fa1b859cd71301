"""GPUs are shared: memory is taken as it is needed, so that several processes fit on one."""

from __future__ import annotations

import contextlib
import functools

import tensorflow as tf


@functools.lru_cache(maxsize=None)
def grow_memory() -> int:
    """Let TensorFlow take GPU memory as it needs it; returns the number of GPUs.

    Without effect on a GPU that TensorFlow has taken already. Called by whatever creates the first weights.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # TensorFlow has started
            tf.config.experimental.set_memory_growth(gpu, True)
    return len(gpus)
