"""An interruption anywhere changes nothing but the clock: rounds, queries, checkpoints, kills."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.searches import ablations, runner
from experiments.searches.records import at_budget
from experiments.searches.runner import SearchTask, run_search
from invertnas import presets
from invertnas.benchmarks.nasbench201 import NASBench201
from invertnas.errors import ArtefactError
from invertnas.files.io import read_json
from invertnas.inn.config import INNTrainConfig
from invertnas.predictor.config import PredictorConfig
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.spaces import ArchSpec
from tests.helpers.fakes import QUERIES, SPACE, Recorded, Stop, register, stop, task, timeless

ROOT = Path(__file__).resolve().parents[3]
TINY = presets.Preset(
    name="tiny",
    inn={"members": 2, "layers": 1, "hidden_layers": 1, "hidden": 8},
    train=INNTrainConfig(repeat=1, batch_size=8, initial_epochs=3, retrain_epochs=2),
    predictor=PredictorConfig(scale_latent=True),
    search=SearchConfig(initial=8, keep=6, batch=5, candidates=CandidateConfig(max_retries=2, rows=2, mutate_top=3)),
)


@pytest.fixture(autouse=True)
def fake_method(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The uninterrupted record, as it reads back; no checkpoint was written."""
    chosen = task(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        register(patch, checkpoint_every_s=1e9)
        run_search(chosen)
    return dict(read_json(chosen.path))


def finish(chosen: SearchTask, whole: dict[str, Any]) -> None:
    """Run to the end and compare with the uninterrupted record."""
    run_search(chosen)
    assert timeless(read_json(chosen.path)) == timeless(whole)
    assert list(read_json(chosen.path)) == list(whole)
    assert not chosen.partial.exists()


@pytest.mark.parametrize("round_number", range(1, 6))
def test_interrupted_after_any_round(tmp_path: Path, whole: dict[str, Any], round_number: int) -> None:
    spent: list[int] = []

    def report(queries: int, best: float) -> None:
        spent.append(queries)
        if len(spent) == round_number:
            raise Stop

    with pytest.raises(Stop):
        run_search(task(tmp_path), report)
    assert not task(tmp_path).path.exists()
    before = len(Recorded.asks)
    finish(task(tmp_path), whole)
    # The round that was not saved yet is asked again, the ones before are not.
    assert len(Recorded.asks) - before == 6 - (round_number - 1)


@pytest.mark.parametrize("query", range(1, QUERIES + 1))
def test_interrupted_in_any_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, Any], query: int
) -> None:
    class Interrupting(NASBench201):
        def query(self, arch: ArchSpec | str, dataset: str) -> float:
            if self.ledger.spent + 1 == query:
                raise KeyboardInterrupt
            return super().query(arch, dataset)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "open_benchmark", lambda name, budget: Interrupting(budget))
        with pytest.raises(KeyboardInterrupt):
            run_search(task(tmp_path))
    finish(task(tmp_path), whole)


@pytest.mark.parametrize("save", range(1, 6))
def test_interrupted_half_way_through_a_checkpoint(tmp_path: Path, whole: dict[str, Any], save: int) -> None:
    Recorded.stop_at_save = save
    with pytest.raises(Stop):
        run_search(task(tmp_path))
    finish(task(tmp_path), whole)


def test_interrupted_again_and_again(tmp_path: Path, whole: dict[str, Any]) -> None:
    reports: list[float] = []

    def report(queries: int, best: float) -> None:
        reports.append(best)
        if len(reports) % 2 == 0:
            raise Stop

    for _ in range(4):
        with pytest.raises(Stop):
            run_search(task(tmp_path), report)
    assert reports == sorted(reports) and len(list(task(tmp_path).partial.glob("at_*"))) == 1
    finish(task(tmp_path), whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from experiments.searches import methods
from experiments.searches import runner
from tests.helpers import fakes
fakes.Recorded.stop = staticmethod(lambda: os.kill(os.getpid(), signal.SIGKILL))
methods.METHODS[fakes.METHOD] = ("Fake", fakes.factory)
runner.CHECKPOINT_EVERY_S = -1.0
number, reports = int(sys.argv[2]), []
fakes.Recorded.stop_at_save = number if sys.argv[1] == "save" else None
def report(spent, best):
    reports.append(spent)
    if sys.argv[1] == "report" and len(reports) == number:
        fakes.Recorded.stop()
runner.run_search(fakes.task(Path(sys.argv[3])), report)
"""


@pytest.mark.parametrize(("place", "number"), [("save", 3), ("report", 4)])
def test_killed_and_run_again(tmp_path: Path, whole: dict[str, Any], place: str, number: int) -> None:
    command = [sys.executable, "-c", KILLED, place, str(number), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (task(tmp_path).partial / "latest.json").exists() and not task(tmp_path).path.exists()
    finish(task(tmp_path), whole)


def test_wall_time_adds_up_over_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000_000, 100))  # every look at the clock takes 100 s
    monkeypatch.setattr(runner.time, "perf_counter", lambda: float(next(clock)))
    with pytest.raises(Stop):
        run_search(task(tmp_path), stopping_at(14))
    saved = read_json(task(tmp_path).partial / "latest.json")["wall_s"]
    assert saved > 0
    assert run_search(task(tmp_path))["wall_s"] > saved


def interrupted(out: Path) -> SearchTask:
    """A task with a checkpoint after two rounds."""
    with pytest.raises(Stop):
        run_search(task(out), stopping_at(10))
    return task(out)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"at": "at_8"}'])
def test_a_damaged_pointer_is_refused(tmp_path: Path, text: str) -> None:
    chosen = interrupted(tmp_path)
    (chosen.partial / "latest.json").write_text(text)
    with pytest.raises(ArtefactError, match="latest.json .*; delete .*run again"):
        run_search(chosen)


def test_a_lost_or_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    chosen = interrupted(tmp_path)
    state = chosen.partial / "at_8" / "optimizer.json"
    state.write_text(state.read_text()[:40])
    with pytest.raises(ArtefactError, match="optimizer.json"):
        run_search(chosen)
    state.unlink()
    with pytest.raises(ArtefactError, match="latest.json is damaged .*optimizer.json.*run again"):
        run_search(chosen)


def test_a_checkpoint_of_another_setting_is_refused(tmp_path: Path) -> None:
    chosen = interrupted(tmp_path)
    saved = read_json(chosen.partial / "latest.json")
    saved["setting"]["config"]["search"]["batch"] = 9
    (chosen.partial / "latest.json").write_text(json.dumps(saved))
    with pytest.raises(ArtefactError, match="another setting; choose another --out or delete"):
        run_search(chosen)


def stopping_at(queries: int) -> Callable[[int, float], None]:
    """A report callback that interrupts after that many queries."""
    return lambda spent, best: stop() if spent == queries else None


def tiny_weights(folder: Path) -> None:
    """An untrained small GVAE as the shipped weights."""
    from invertnas.gvae.config import GVAEConfig
    from invertnas.gvae.model import GVAE
    from invertnas.gvae.pretrained import save_gvae

    small = {"latent_dim": 2, "gin_channels": [8, 4], "blocks": 1, "model_dim": 4, "heads": 1, "feed_forward": 4}
    config = GVAEConfig.from_dict({"num_nodes": SPACE.num_nodes, "num_ops": len(SPACE.op_names), **small})
    save_gvae(GVAE.create(config), folder, SPACE.name, data_sha256="", seed=0, extra={})


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_the_real_search_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_weights(tmp_path / "weights")
    monkeypatch.setitem(ablations.SETTINGS, "tiny", TINY)
    fields: dict[str, Any] = {
        "method": "invertnas",
        "preset": "tiny",
        "queries": 23,
        "pretrained": tmp_path / "weights",
    }
    record = run_search(task(tmp_path / "whole", **fields))
    chosen = task(tmp_path / "parts", **fields)
    for stop_at in (13, 23):  # the first round after the initial set, and the last
        with pytest.raises(Stop):
            run_search(chosen, stopping_at(stop_at))
        assert read_json(chosen.partial / "latest.json")["at"] == f"at_{stop_at - 5}"
    run_search(chosen)
    assert timeless(read_json(chosen.path)) == timeless(json.loads(json.dumps(record)))
    assert len(record["rounds"]) == 3 and record["rounds"][1]["fit"]["losses"] != record["rounds"][2]["fit"]["losses"]
    assert record["config"]["predictor"] == dataclasses.asdict(TINY.predictor)
    shorter = run_search(task(tmp_path / "short", **{**fields, "queries": 18}))  # the budget is read nowhere
    assert at_budget(record, 18)["curve"] == shorter["curve"]
