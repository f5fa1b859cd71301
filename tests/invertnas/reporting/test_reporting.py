"""Pictures and pages of runs, from evaluations that are made up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from invertnas.errors import DataMissingError, OutOfDomainError
from invertnas.reporting import draw_cell, save_cell, write_report
from invertnas.reporting.figure import draw_curve, draw_predictions, draw_seconds, predicted_pairs
from invertnas.reporting.page import best_rows, summary
from invertnas.running import Evaluation, RunResult
from invertnas.running.log import RunLog, evaluation_event
from invertnas.spaces import NASBench101Space, NASBench201Space, NASBench301Space, NASBenchNLPSpace

SPACE = NASBench201Space()
CELLS = [SPACE.to_string(arch) for _, arch in zip(range(6), SPACE.all())]


def evaluation(number: int, value: float | None, **changes: Any) -> Evaluation:
    fields: dict[str, Any] = {"number": number, "question": 0, "arch": CELLS[number], "value": value, "costs": {}}
    fields |= {"info": {}, "predicted": None, "evaluate_s": 2.0, "started_at": 100.0 + number, "worker": "host:1"}
    return Evaluation(
        **{**fields, "error": None if value is not None else "ValueError: <x> & y", "attempts": 1, **changes}
    )


RESULT = RunResult(
    (
        evaluation(0, 0.5),
        evaluation(1, None),
        evaluation(2, 0.7, predicted=0.6, worker="host:2"),
        evaluation(3, 0.7, predicted=0.9),
    )
)


@pytest.fixture()
def axes() -> Any:
    return Figure().add_subplot()


def test_the_curve_has_every_value_the_best_so_far_and_the_failed(axes: Any) -> None:
    draw_curve(RESULT, axes)
    each, best, failed = axes.get_lines()
    assert each.get_xydata().tolist() == [[1, 50], [3, 70], [4, 70]]
    assert best.get_ydata().tolist() == [50, 50, 70, 70] and failed.get_xdata().tolist() == [2]


def test_predictions_stand_against_results(axes: Any) -> None:
    np.testing.assert_allclose(predicted_pairs(RESULT.evaluations), [[60, 70], [90, 70]])
    draw_predictions(RESULT.evaluations, axes)
    assert axes.get_title() == "2 predictions, mean error 15.00 points"
    other = Figure().add_subplot()
    draw_predictions(RESULT.evaluations[:2], other)
    assert other.texts[0].get_text() == "no predictions"


def test_seconds_are_bars_by_worker(axes: Any) -> None:
    draw_seconds(RESULT.evaluations, axes)
    spans = [bar.get_paths()[0].get_extents() for bar in axes.collections]
    assert [(span.x0, round(span.x1, 6), round(span.y0 + 0.4)) for span in spans] == [
        (0, 2, 0),
        (1, 3, 0),
        (2, 4, 1),
        (3, 5, 0),
    ]


def test_summary_and_best_cells() -> None:
    rows = dict(summary(RESULT))
    assert rows["trainings"] == "4" and rows["failed"] == "1" and rows["best validation accuracy"] == "70.00 %"
    assert rows["found by training"] == "3" and rows["seconds from first to last"] == "5.0"
    assert rows["seconds of training in all"] == "8.0" and rows["workers"] == "2"
    assert best_rows(RESULT, 2) == [
        ("1", "3", "70.00", "60.00", "2.0", CELLS[2]),
        ("2", "4", "70.00", "90.00", "2.0", CELLS[3]),
    ]


def test_the_page_holds_everything_and_is_safe(tmp_path: Path) -> None:
    with RunLog(tmp_path, {"search": "x"}) as log:
        for each in RESULT.evaluations:
            log.append(evaluation_event(each))
    page, picture = write_report(tmp_path, SPACE, "A <b>title</b>")
    text = page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    assert "A &lt;b&gt;title&lt;/b&gt;" in text and "ValueError: &lt;x&gt; &amp; y" in text and "<x>" not in text
    assert all(each.arch in text for each in RESULT.evaluations)
    assert not re.search(r"(src|href)=\"(?!data:)", text)  # nothing is fetched
    assert text.count("<tr>") == text.count("</tr>") and text.endswith("</html>\n")


def test_a_run_without_a_value_has_a_report_too(tmp_path: Path) -> None:
    with RunLog(tmp_path, {"search": "x"}) as log:
        log.append(evaluation_event(evaluation(0, None)))
    assert "best validation accuracy" not in write_report(tmp_path, SPACE)[0].read_text()
    with pytest.raises(DataMissingError):
        write_report(tmp_path / "nothing", SPACE)


@pytest.mark.parametrize("space", [SPACE, NASBench101Space(), NASBench301Space(), NASBenchNLPSpace()])
def test_a_drawing_has_every_node_in_a_place_of_its_own_and_every_edge(space: Any, axes: Any, tmp_path: Path) -> None:
    arch = space.sample(np.random.default_rng(3))
    draw_cell(space, arch, axes)
    boxes = [text for text in axes.texts if text.get_text()]
    assert len(boxes) == len(arch.ops) == len({text.get_position() for text in boxes})
    assert len(axes.texts) - len(boxes) == len(arch.edges)
    xs = [text.get_position()[0] for text in boxes]
    assert all(xs[source] < xs[target] for source, target in arch.edges)
    save_cell(space, arch, tmp_path / "cell.png")
    assert (tmp_path / "cell.png").read_bytes().startswith(b"\x89PNG")


def test_another_spaces_cell_is_refused(axes: Any) -> None:
    with pytest.raises(OutOfDomainError, match="expected an architecture of nasbench201"):
        draw_cell(SPACE, NASBench101Space().sample(np.random.default_rng(0)), axes)
