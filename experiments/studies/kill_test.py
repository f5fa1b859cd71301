"""Real searches of the tables' runner killed at random moments: each must end in the record of the one that was not.

A search saves a checkpoint each round and is sent SIGKILL at a moment drawn uniformly from its loop; the same command
then runs it to the end. InvertNAS trains a small ensemble on the shipped GVAE; the baselines have their published
settings. Every search has a folder of its own. All are children of this process, forked before TensorFlow has run
anything, as a child forked later would hang.
"""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags, logging
from tqdm import tqdm

from experiments.common.cli import ROOT, run
from experiments.searches import methods, runner
from experiments.searches.methods import MethodArguments
from experiments.searches.runner import SearchTask, run_search
from invertnas.benchmarks.nasbench201 import NASBench201Analysis
from invertnas.checks import checked_count, checked_path, checked_seed
from invertnas.errors import TrainingError
from invertnas.files.io import read_json, write_json
from invertnas.inn.config import INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.presets import DEFAULT, Preset
from invertnas.protocols import Optimizer
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.seeding import generator
from invertnas.spaces.records import NB201

FLAGS = flags.FlagValues()
_KILLS = flags.DEFINE_integer("kills", 100, "Searches that are killed.", flag_values=FLAGS)
_SMALL = flags.DEFINE_integer("invertnas", 10, "How many of them are InvertNAS.", flag_values=FLAGS)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the moments.", flag_values=FLAGS)
_OUT = flags.DEFINE_string("out", str(ROOT / "results"), "Folder of kill_test.json.", flag_values=FLAGS)

METHOD, DATASET = "invertnas_small", NB201.dataset_names[1]
QUERIES = {"evolution": 60, "local_search": 40, "random": 40, "bayesian": 30, METHOD: 24}
SETTING = Preset(
    name="small",
    inn={"members": 2, "layers": 2, "hidden_layers": 1, "hidden": 16},
    train=INNTrainConfig(rank_weighted=False, repeat=1, steps_per_epoch=10, initial_epochs=2, retrain_epochs=1),
    predictor=PredictorConfig(scale_latent=True, scale_accuracy=True),
    search=SearchConfig(
        initial=8, keep=8, batch=2, candidates=CandidateConfig(wanted=20, max_retries=2, rows=5, mutate_top=2)
    ),
)
BEGIN, ROUND = b"b", b"r"
Say = Callable[[bytes], object]


def build_small(arguments: MethodArguments) -> tuple[Optimizer, dict[str, Any]]:
    """InvertNAS of `SETTING` on the shipped GVAE."""
    from invertnas.gvae.pretrained import load_gvae
    from invertnas.predictor.predictor import InvertiblePredictor
    from invertnas.search.optimizer import InvertNAS

    space, seed = arguments.space, arguments.seed
    gvae = load_gvae(space, arguments.pretrained)
    inn = SETTING.inn_config(gvae.config.flat_dim)
    predictor = InvertiblePredictor(space, gvae, inn, SETTING.train, SETTING.predictor, seed=seed)
    return InvertNAS(space, predictor, SETTING.search, seed=seed), SETTING.to_dict()


@dataclasses.dataclass
class Child:
    """A forked search and the pipe it reports by.

    Attributes:
        pid: its process.
        pipe: read end; a byte when the loop begins and one after each round, then its end.
        rounds: rounds reported so far.
    """

    pid: int
    pipe: int
    rounds: int = 0

    def begun(self) -> None:
        """Wait until the loop begins. Raises TrainingError if it never does."""
        if os.read(self.pipe, 1) != BEGIN:
            self.wait()
            raise TrainingError("the search ended before its loop began; see why: make table2 TRIALS=1")

    def run_for(self, seconds: float) -> bool:
        """Whether it still runs after so many seconds."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.pipe], [], [], left)[0]:
                heard = os.read(self.pipe, 64)
                if not heard:
                    return False
                self.rounds += heard.count(ROUND)
        return True

    def kill(self) -> bool:
        """Send SIGKILL; whether that is what ended it."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self) -> int:
        """Its exit code, negative for a signal; closes the pipe."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(status)


def fork(task: SearchTask) -> Child:
    """Start the search of a task in a child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return Child(pid, read)
    code = 1
    try:
        os.close(read)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        _search(task, lambda word: os.write(write, word))
        code = 0
    finally:
        os._exit(code)


def _search(task: SearchTask, say: Say) -> None:
    resume = runner._Progress.resume

    def resumed(progress: Any) -> None:
        resume(progress)
        say(BEGIN)

    setattr(runner._Progress, "resume", resumed)
    runner.CHECKPOINT_EVERY_S = -1.0  # a checkpoint each round

    def report(spent: int, best: float) -> None:
        say(ROUND)

    run_search(task, report)


def task_in(folder: Path, method: str) -> SearchTask:
    """A search of the method, below a folder."""
    queries, pretrained = QUERIES[method], ROOT / "pretrained"
    return SearchTask("kill_test", method, NB201.name, DATASET, queries, DEFAULT, None, 0, folder, pretrained)


def timeless(value: Any) -> Any:
    """Without the entries that hold seconds."""
    if isinstance(value, dict):
        return {key: timeless(entry) for key, entry in value.items() if not key.endswith("_s")}
    return [timeless(entry) for entry in value] if isinstance(value, list) else value


def exact_ledger(record: dict[str, Any]) -> bool:
    """Whether as many different cells were paid as the budget says, each with the table's value."""
    analysis, curve = NASBench201Analysis(), record["curve"]
    values = [analysis.validation_accuracy(entry["arch"], DATASET) for entry in curve]
    different = len({entry["arch"] for entry in curve})
    return different == record["queries"] and [entry["val"] for entry in curve] == values


def _whole(task: SearchTask) -> tuple[dict[str, Any], float]:
    """The record of a search that is not killed, and the seconds of its loop."""
    child = fork(task)
    child.begun()
    started = time.perf_counter()
    child.run_for(3600.0)
    seconds = time.perf_counter() - started
    if child.wait():
        raise TrainingError("the search that is not killed failed; expected a record: run another method to see why")
    return timeless(read_json(task.path)), seconds


def _killed(task: SearchTask, delay: float, whole: dict[str, Any]) -> dict[str, Any] | None:
    """What came of a search killed after `delay` seconds; None if it had ended before."""
    child = fork(task)
    child.begun()
    running = child.run_for(delay)
    if not child.kill() or not running:
        return None
    left = task.partial.is_dir() and (task.partial / "latest.json").exists()
    code = fork(task).wait()
    record = read_json(task.path) if code == 0 else {}
    return {
        "method": task.method,
        "delay_s": round(delay, 3),
        "rounds_before": child.rounds,
        "checkpoint_left": left,
        "exit_code": code,
        "equal": timeless(record) == whole,
        "exact_ledger": bool(record) and exact_ledger(record),
    }


def main(_: Sequence[str]) -> int:
    """Run the test; returns 1 unless all records are equal and all ledgers exact."""
    kills, small = checked_count(_KILLS.value, "kills"), checked_count(_SMALL.value, "invertnas", 0)
    rng, out = generator(checked_seed(_SEED.value), "kill-test"), checked_path(_OUT.value, "out") / "kill_test.json"
    methods.METHODS[METHOD] = ("InvertNAS (small)", build_small)
    runs, parts = list[dict[str, Any]](), dict[str, Any]()
    with tempfile.TemporaryDirectory() as scratch, tqdm(total=kills, unit="kill") as bar:
        for method, wanted in shares(kills, small).items():
            if wanted:
                parts[method], new = _kill_often(Path(scratch) / method, method, wanted, rng, bar)
                runs += new
    write_json(out, summary(runs, parts))
    logging.info("wrote %s", out)
    good = sum(entry["equal"] and entry["exact_ledger"] for entry in runs)
    print(f"{good} of {kills} killed searches ended in the record of the one that was not")
    return int(good < kills)


def shares(kills: int, small: int) -> dict[str, int]:
    """How often each method is killed: InvertNAS `small` times, the baselines the rest in equal shares, in order."""
    others = [method for method in QUERIES if method != METHOD]
    rest = max(kills - small, 0)
    each = {method: rest // len(others) + (place < rest % len(others)) for place, method in enumerate(others)}
    return each | {METHOD: kills - rest}


def _kill_often(
    folder: Path, method: str, wanted: int, rng: np.random.Generator, bar: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures of the whole search, and what came of each kill."""
    if method == METHOD:  # TensorFlow is imported once, here, and runs nothing before a fork
        import invertnas.gvae.pretrained  # noqa: F401
        import invertnas.predictor.predictor  # noqa: F401
    whole, seconds = _whole(task_in(folder / "whole", method))
    runs, attempts = list[dict[str, Any]](), 0
    while len(runs) < wanted:
        attempts += 1
        done = _killed(task_in(folder / str(attempts), method), seconds * rng.random(), whole)
        if done is not None:
            runs.append(done)
            bar.update()
    figures = {"queries": QUERIES[method], "rounds": len(whole["rounds"]), "loop_s": round(seconds, 2)}
    return figures | {"kills": wanted, "ended_before_their_kill": attempts - wanted}, runs


def summary(runs: list[dict[str, Any]], parts: dict[str, Any]) -> dict[str, Any]:
    """What is kept: counts first, then each method, then each kill."""
    return {
        "kills": len(runs),
        "equal_records": sum(entry["equal"] for entry in runs),
        "exact_ledgers": sum(entry["exact_ledger"] for entry in runs),
        "methods": parts,
        "runs": runs,
    }


if __name__ == "__main__":
    sys.argv[0] = "kill_test"
    run(main, FLAGS)
