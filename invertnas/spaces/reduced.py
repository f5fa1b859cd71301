"""The reduced search spaces: the same graphs with fewer operations (paper section 3.2 and F.5).

What is left out: the 3x3 convolution (NAS-Bench-101, NAS-Bench-201), the separable 3x3 and 5x5 convolutions
(NAS-Bench-301), the element-wise sum (NAS-Bench-NLP). On NAS-Bench-Macro, which the paper does not have, it is the
larger block. A reduced architecture is an architecture of its space
that has none of these; its validity and identity are the space's.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from invertnas.errors import ConfigError
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import known, record_of, records
from invertnas.spaces.spec import ArchSpec


def reduced_ops(space: SearchSpace) -> tuple[int, ...]:
    """The inner operations that the reduced space keeps. Raises ConfigError for a space without a reduced one."""
    record = known(space.name)
    if record is None or not record.left_out:
        having = ", ".join(other.name for other in records() if other.left_out)
        raise ConfigError(f"got space {space.name!r}, which has no reduced space; expected one of {having}")
    return tuple(op for op in space.inner_ops if space.op_names[op] not in record.left_out)


def is_reduced(space: SearchSpace, arch: ArchSpec) -> bool:
    """Whether a graph is an architecture of the reduced space.

    An operation on a node that the space prunes counts as well. Raises ConfigError as `reduced_ops`.
    """
    left_out = set(space.inner_ops) - set(reduced_ops(space))
    return left_out.isdisjoint(arch.ops) and space.is_valid(arch)


def sample_reduced(space: SearchSpace, rng: np.random.Generator) -> ArchSpec:
    """One architecture of the reduced space.

    Distributed as `space.sample` under the condition that nothing left out occurs: uniform where that is. Where
    every node may hold any operation, the operations are drawn anew; elsewhere one draw in eight (NAS-Bench-101)
    or four in five (NAS-Bench-NLP) are kept. Raises ConfigError as `reduced_ops`.
    """
    kept = reduced_ops(space)
    if record_of(space.name).any_op:
        arch = space.sample(rng)
        drawn = iter(rng.choice(kept, size=len(arch.ops)).tolist())
        return dataclasses.replace(arch, ops=tuple(next(drawn) if op in space.inner_ops else op for op in arch.ops))
    left_out = set(space.inner_ops) - set(kept)
    while True:
        arch = space.sample(rng)
        if left_out.isdisjoint(arch.ops):
            return arch
