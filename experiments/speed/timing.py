"""What `make bench` measures: one training step, its growth with size, and whole searches."""

from __future__ import annotations

import dataclasses
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.speed.plain import PlainAdam, plain_gradients
from invertnas.files.io import versions
from invertnas.presets import preset
from invertnas.spaces.records import NB201

DIM, WARM_UP, REPEATS = 128, 5, 20
# The work on which the thesis code was timed once (1,371 s on 2 cores, its tracing included): passes, labels, training
# steps and validation steps of 64 rows per pass of the initial fit and of two retrain rounds. Every label is
# repeated 20 times; 10 others validate.
THESIS_WORK = ((61, 20, 7, 4), (17, 25, 8, 4), (11, 30, 10, 4))
THESIS_CODE_S = 1371.0


def median_s(call: Callable[[], Any], repeats: int = REPEATS, warm_up: int = WARM_UP) -> float:
    """Median seconds of a call."""
    times = []
    for index in range(warm_up + repeats):
        started = time.perf_counter()
        call()
        if index >= warm_up:
            times.append(time.perf_counter() - started)
    return float(np.median(times))


def matmul_peak_gflops(size: int = 2048) -> float:
    """Measured float32 rate of large square matrix products: one, or one per core at a time, the best of ten."""
    import tensorflow as tf

    def rate(count: int) -> float:
        factors = [tf.random.stateless_normal((size, size), (0, index)) for index in range(count)]
        multiply = tf.function(lambda *a: tf.add_n([tf.matmul(b, b)[0, 0] for b in a]))
        times = []
        for _ in range(12):
            started = time.perf_counter()
            multiply(*factors).numpy()
            times.append(time.perf_counter() - started)
        return count * 2 * size**3 / min(times[2:]) / 1e9

    return max(rate(1), rate(os.cpu_count() or 1))


class StepBench:
    """A trainer at a given ensemble size and the data to run single steps on.

    No two rows of its batch are of one label, so that no forward pass is shared.
    """

    def __init__(self, members: int = 10, batch: int = 64, matmul_dtype: str = "float32") -> None:
        import tensorflow as tf

        from invertnas.inn.config import INNTrainConfig
        from invertnas.inn.flow import FlowEnsemble
        from invertnas.inn.train import INNTrainer

        paper = preset("paper", NB201.name)
        self.inn = paper.changed(inn={"members": members, "matmul_dtype": matmul_dtype}).inn_config(DIM)
        self.flow = FlowEnsemble.create(self.inn, seed=0)
        self.trainer = INNTrainer(self.flow, INNTrainConfig(batch_size=batch, repeat=1), seed=0)
        rng = np.random.default_rng(0)
        self.x = tf.constant(0.1 * rng.standard_normal((batch, DIM)), tf.float32)
        self.y = tf.constant(rng.random(batch), tf.float32)
        self.ones = tf.ones((members, batch))
        self.order = tf.constant(np.arange(batch)[np.newaxis], tf.int32)
        self.seed, self.span = tf.constant([0, 1], tf.int32), tf.constant([0.0, 1000.0, 0.0, 1e-3])  # see `Pass.span`

    def step(self) -> None:
        """One rank-weighted training step, to completion."""
        rows = (self.x, self.y, self.ones, self.order)
        self.trainer.steps(*rows, self.seed, self.span, True)

    def validate(self) -> None:
        """One validation step on the same rows."""
        self.trainer.validate(self.x, self.y, self.seed)

    def plain_difference(self) -> dict[str, float]:
        """Median seconds of the plainly written step, and how far its gradients are from the engine's.

        A distance is the largest over the weights of one tensor, as a share of its largest gradient. Beside it
        stands what the plain gradients themselves change by where each input moves by one unit of float32's
        last place: what two correct orders of summation may differ by.
        """
        import tensorflow as tf

        from invertnas.inn.engine import Batch

        rest, weighted = (self.y, self.ones), tf.constant(True)
        adam = PlainAdam(self.trainer.variables, self.inn.members, self.trainer.config.clip_norm)

        @tf.function
        def step() -> tf.Tensor:
            total, gradients = plain_gradients(self.trainer, (self.x, *rest), self.seed, weighted)
            adam.apply(gradients, tf.constant(1e-3))
            return total

        plain = tf.function(lambda x: plain_gradients(self.trainer, (x, *rest), self.seed, weighted)[1])
        batch = Batch(self.x, *rest, tf.range(tf.size(self.y)))
        got = tf.function(lambda: self.trainer.gradients(batch, self.seed, weighted)[1])()
        signs = np.random.default_rng(1).choice((-1.0, 1.0), self.x.shape)
        expected, moved = plain(self.x), plain(self.x * tf.constant(1.0 + 2.0**-23 * signs, tf.float32))
        return {
            "gradient_distance_to_plain": _distance(got, expected),
            "gradient_distance_of_last_place": _distance(moved, expected),
            "plain_step_s": median_s(lambda: step().numpy()),
        }

    def thesis_fits_s(self) -> float:
        """Seconds of the fits of `THESIS_WORK` on random labels, without early stopping, tracing included.

        Raises:
            RuntimeError: if a fit ran other passes or steps than the thesis code.
        """
        rng, trainer = np.random.default_rng(2), self.trainer
        x, y = (0.1 * rng.standard_normal((40, DIM))).astype(np.float32), rng.random(40).astype(np.float32)
        started = time.perf_counter()
        for index, (passes, labels, steps, _) in enumerate(THESIS_WORK):
            names = ("initial_epochs", "retrain_epochs", "initial_patience", "retrain_patience")
            lengths: dict[str, Any] = dict.fromkeys(names, passes)
            trainer.config = dataclasses.replace(trainer.config, repeat=20, **lengths)
            report = trainer.fit(x[10 : 10 + labels], y[10 : 10 + labels], x[:10], y[:10], round_index=index)
            if (report.epochs, report.steps) != (passes, passes * steps):
                raise RuntimeError(f"got {report.epochs} passes, {report.steps} steps; expected {passes} of {steps}")
        return time.perf_counter() - started

    def inverse_error(self) -> float:
        """Largest error of a latent after forward and inverse, in units of its standard deviation 1."""
        import tensorflow as tf

        x = tf.random.stateless_normal((self.inn.members, int(self.x.shape[0]), DIM), (0, 1))
        return float(tf.reduce_max(tf.abs(self.flow(self.flow(x)[0], inverse=True)[0] - x)))

    @property
    def gflop(self) -> float:
        """Floating-point operations of the matrix products of one step, in billions.

        Three products (forward, two gradients) for each kernel in each of the two directions.
        """
        kernels = sum(int(np.prod(v.shape)) for v in self.flow.trainable_variables if "kernel" in v.path)
        return 2 * 3 * 2 * kernels * int(self.x.shape[0]) / 1e9


def _distance(gradients: Sequence[Any], expected: Sequence[Any]) -> float:
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(map(np.asarray, gradients), expected))


def bench_step() -> dict[str, float]:
    """Tracing and first step, median step and its share of the matmul peak, beside the plain and the mixed one."""
    bench = StepBench()
    started = time.perf_counter()
    bench.step()
    trace_s = time.perf_counter() - started
    step_s = median_s(bench.step)
    peak = matmul_peak_gflops()
    mixed = StepBench(matmul_dtype="bfloat16")
    mixed_step_s = median_s(mixed.step)
    rate = bench.gflop / step_s
    return {
        "trace_s": trace_s,
        "step_s": step_s,
        "step_gflop": bench.gflop,
        "step_gflops": rate,
        "matmul_peak_gflops": peak,
        "share_of_peak": rate / peak,
        **bench.plain_difference(),
        "inverse_error": bench.inverse_error(),
        "mixed_precision_step_s": mixed_step_s,
        "mixed_precision_inverse_error": mixed.inverse_error(),
        **bench_thesis_work(bench),
    }


def bench_thesis_work(bench: StepBench) -> dict[str, float]:
    """Seconds of the fits on which the thesis code was timed, tracing included, and of as many of `bench`'s steps.

    Each label of the fits is in a batch several times and passes forward once; of `bench` no two rows are alike.
    """
    fits = StepBench().thesis_fits_s()
    bench.validate()
    started = time.perf_counter()
    for passes, _, train_steps, val_steps in THESIS_WORK:
        for call in passes * (train_steps * (bench.step,) + val_steps * (bench.validate,)):
            call()
    return {"thesis_fits_s": fits, "thesis_work_s": time.perf_counter() - started}


def bench_growth() -> dict[str, dict[str, float]]:
    """Median step seconds against members (at batch 64) and batch (at 10 members)."""
    members = {str(k): median_s(StepBench(members=k).step, 10, 2) for k in (1, 5, 10, 20)}
    batch = {str(b): median_s(StepBench(batch=b).step, 10, 2) for b in (16, 64, 256)}
    return {"step_s_by_members": members, "step_s_by_batch": batch}


def bench_search(
    name: str, rounds: int | None, *, pretrained: Path, dataset: str, queries: int = 192
) -> dict[str, float]:
    """Time a search of `queries` queries, or its first `rounds` rounds and extrapolate.

    The extrapolation is `rest_s`.
    """
    from experiments.searches.benchmarks import open_benchmark
    from experiments.searches.methods import MethodArguments, build

    bench = open_benchmark(NB201.name, queries)
    arguments = MethodArguments(bench.space, queries, name, None, pretrained, 0)
    started = time.perf_counter()
    optimizer, config = build("invertnas", arguments)
    total = 1 + -(-(queries - config["search"]["initial"]) // config["search"]["batch"])
    while bench.ledger.remaining and (rounds is None or len(optimizer.diagnostics()) < rounds):
        archs = optimizer.ask()[: bench.ledger.remaining]
        optimizer.tell(archs, [bench.query(arch, dataset) for arch in archs])
    wall_s = time.perf_counter() - started
    records = optimizer.diagnostics()
    seconds = [record["fit_s"] + record["candidates_s"] for record in records]
    result = {
        "wall_s": wall_s,
        "first_round_s": seconds[0],
        "retrain_round_s": float(np.median([record["fit_s"] for record in records[1:]])),
        "candidate_round_s": float(np.median([record["candidates_s"] for record in records[1:]])),
        "rounds_measured": float(len(records)),
    }
    if len(records) < total - 1:
        result["extrapolated_s"] = wall_s + rest_s(records, total - 1)
    return result


def rest_s(records: Sequence[Mapping[str, Any]], total: int) -> float:
    """Seconds of the rounds from `len(records)` to `total`, by rounds 2 and later (0 is the initial fit, 1 traces).

    Steps per pass follow a straight line, since the labels do. Passes, which end by early stopping, seconds per step
    and seconds of the candidates are medians.
    """
    rounds, later = np.arange(len(records)), records[2:]
    steps, passes = (np.array([record["fit"][name] for record in later], float) for name in ("steps", "epochs"))
    fit_s, candidates_s = (np.array([record[name] for record in later]) for name in ("fit_s", "candidates_s"))
    slope, base = np.polyfit(rounds[2:], steps / passes, 1) if len(later) > 1 else (0.0, float((steps / passes)[0]))
    steps_ahead = np.median(passes) * (base + slope * np.arange(len(records), total))
    return float((np.median(fit_s / steps) * steps_ahead + np.median(candidates_s)).sum())


def peak_rss_gb() -> float:
    """Largest resident memory of this process so far, in units of 2^30 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def machine() -> dict[str, Any]:
    """Facts that decide the figures."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            name = line.split(":", 1)[1].strip()
            break
    return {"cpu": name, "cores": os.cpu_count(), "system": platform.system(), "versions": versions()}


def to_markdown(record: dict[str, Any]) -> str:
    """One row per figure."""
    lines = ["| Figure | Value |", "|---|---:|"]
    for name, value in record.items():
        cells = value.items() if isinstance(value, dict) else [("", value)]
        for key, inner in cells:
            if isinstance(inner, (int, float)):
                lines.append(f"| {name}{' ' + key if key else ''} | {inner:.4g} |")
    return "\n".join(lines)
