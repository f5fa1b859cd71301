"""What a process may use of the machine: threads of TensorFlow and BLAS, its kernels, and how memory comes back."""

from __future__ import annotations

import contextlib
import ctypes
import os

import threadpoolctl

from invertnas.startup import prepare

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
MMAP_BYTES, TRIM_BYTES = 1 << 30, (1 << 31) - 1


def limit_threads(threads: int) -> None:
    """Give this process's TensorFlow and BLAS `threads` cores; only before TensorFlow's first operation.

    OpenBLAS would take all cores, and two processes side by side would then wait for each other most of the time.
    On a GPU, every process takes memory as it needs it, so that several have room.
    """
    prepare()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # of libraries that are loaded later
        os.environ[name] = str(threads)
    threadpoolctl.threadpool_limits(threads)  # of those that are loaded
    _set_threads(threads, threads)


def share_cores() -> None:
    """All cores for one search: half of them for each direction of the flows, which a step runs at a time.

    Without effect once TensorFlow has started.
    """
    with contextlib.suppress(RuntimeError):  # TensorFlow has started
        _set_threads(max(1, (os.cpu_count() or 1) // 2), 2)


def keep_freed_memory() -> None:
    """Keep large freed buffers in the process, where the C library is glibc.

    By default it gives them back to the system. Every training step then fetches 36 MB of pages anew.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)


def _set_threads(intra: int, inter: int) -> None:
    keep_freed_memory()
    import tensorflow as tf

    from invertnas.stacked.devices import grow_memory

    tf.config.threading.set_intra_op_parallelism_threads(intra)
    tf.config.threading.set_inter_op_parallelism_threads(inter)
    grow_memory()
