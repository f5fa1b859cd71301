"""From measured values and the surrogate to one validation and one test accuracy for every cell.

Every label stands for the mean of three runs, as the official table has it. Known means are taken as they are, which
all test accuracies are. The highest of three runs lies above their mean, so known validation maxima are converted
(`Conversion`). All other validation accuracies are imputed from the test accuracy and the graph.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.benchmark_data.nb101.known import Known
from invertnas.benchmarks.nasbench101.benchmark import EMBEDDED, SOURCES

# An accuracy is a share of 9,984 images, which fill whole TPU batches; a mean of three a share of 29,952.
DENOMINATOR = 3 * 9_984
FOLDS = 5
TEST_KNOTS = (0.8, 0.85, 0.88, 0.91, 0.95)
GAP_KNOTS = (0.88, 0.91, 0.94)
# Four standard deviations: one of the three runs failed, which says nothing about other cells.
FAILED_GAP = 0.012
IMPUTED, CONVERTED, MEASURED = range(len(SOURCES))
Accuracies = npt.NDArray[np.float64]


def _fit_shift(values: Accuracies, differences: Accuracies, knots: tuple[float, ...]) -> Accuracies:
    """Least squares of the differences as a function of the values, linear between knots, constant beyond."""
    basis = np.stack([np.interp(values, knots, unit) for unit in np.eye(len(knots))], axis=1)
    return np.linalg.lstsq(basis, differences)[0].astype(np.float64)


def _left_out_errors(values: Accuracies, differences: Accuracies, knots: tuple[float, ...]) -> Accuracies:
    """Differences less the fit to the other four fifths of the pairs."""
    folds = np.arange(len(values)) % FOLDS
    errors = np.empty(len(values))
    for fold in range(FOLDS):
        rest, here = folds != fold, folds == fold
        errors[here] = differences[here] - np.interp(
            values[here], knots, _fit_shift(values[rest], differences[rest], knots)
        )
    return errors


def _rms(errors: Accuracies) -> float:
    return float(np.sqrt((errors**2).mean()))


@dataclasses.dataclass(frozen=True)
class ShiftToTest:
    """Test from validation accuracy, both means of three runs: test = validation - shift(validation).

    Attributes:
        knots, shifts: the shift is linear between the knots and constant beyond.
        pairs: cells fitted on.
        rmse: of the test accuracy, each cell predicted by a fit without its fifth of the pairs.
    """

    knots: tuple[float, ...]
    shifts: tuple[float, ...]
    pairs: int
    rmse: float

    def test(self, val: Accuracies) -> Accuracies:
        """(K,) test accuracies, at least 0, of (K,) validation accuracies."""
        return np.maximum(val - np.interp(val, self.knots, self.shifts), 0)

    def validation(self, test: Accuracies) -> Accuracies:
        """Inverse of `test`."""
        return test + np.interp(test, np.subtract(self.knots, self.shifts), self.shifts)


def fit_shift_to_test(val: Accuracies, test: Accuracies) -> ShiftToTest:
    """Fit on (K,) cells of which both means are known."""
    shifts = _fit_shift(val, val - test, TEST_KNOTS)
    return ShiftToTest(
        TEST_KNOTS, tuple(shifts.tolist()), len(val), _rms(_left_out_errors(val, val - test, TEST_KNOTS))
    )


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The mean of three runs from the highest of them: mean = highest - gap(highest).

    Attributes:
        knots, gaps: the gap is linear between the knots and constant beyond.
        direct: cells fitted on of which highest and mean are known.
        by_test: cells fitted on of which the mean was taken back from the mean test accuracy.
        failed: cells left out because the gap tells of a run that failed.
        rmse: of the mean of the direct cells, each predicted by a fit without its fifth of all.
    """

    knots: tuple[float, ...]
    gaps: tuple[float, ...]
    direct: int
    by_test: int
    failed: int
    rmse: float

    def mean(self, highest: Accuracies) -> Accuracies:
        """(K,) means, from 0 to the maximum, of (K,) maxima."""
        return np.clip(highest - np.interp(highest, self.knots, self.gaps), 0, highest)


def fit_conversion(known: Known, shift: ShiftToTest) -> Conversion:
    """Fit on the known maxima whose mean validation or mean test accuracy is known too.

    Args:
        known: K measured cells.
        shift: takes mean test back to mean validation accuracies.
    """
    direct = ~np.isnan(known.val_mean)
    mean = np.where(direct, known.val_mean, shift.validation(known.test_mean))
    gap = known.val_max - mean
    given, sound = ~np.isnan(gap), gap < FAILED_GAP
    used = np.flatnonzero(given & sound)
    highest, gaps, direct = known.val_max[used], gap[used], direct[used]
    fitted = tuple(_fit_shift(highest, gaps, GAP_KNOTS).tolist())
    rmse = _rms(_left_out_errors(highest, gaps, GAP_KNOTS)[direct])
    failed, counted = int((given & ~sound).sum()), int(direct.sum())
    return Conversion(GAP_KNOTS, fitted, counted, len(used) - counted, failed, rmse)


@dataclasses.dataclass(frozen=True)
class Labels:
    """One label for each of M cells, and what it is (index into `SOURCES`)."""

    val: Accuracies
    test: Accuracies
    val_source: npt.NDArray[np.uint8]
    test_source: npt.NDArray[np.uint8]


def assemble(
    codes: npt.NDArray[np.uint32], imputed: Accuracies, test: Accuracies, known: Known, conversion: Conversion
) -> Labels:
    """Labels of all cells.

    Args:
        codes: (M,) all cells, ascending.
        imputed: (M,) imputed mean validation accuracies.
        test: (M,) measured mean test accuracies.
        known: K measured cells.
        conversion: fitted on the measured cells.
    """
    rows = np.searchsorted(codes, known.codes)
    val, val_source = imputed.copy(), np.full(len(codes), IMPUTED, np.uint8)
    for source, values in ((CONVERTED, conversion.mean(known.val_max)), (MEASURED, known.val_mean)):
        given = ~np.isnan(values)
        val[rows[given]] = values[given]
        val_source[rows[given]] = source
    return Labels(val, test, val_source, np.full(len(codes), MEASURED, np.uint8))


def embedded_table(codes: npt.NDArray[np.uint32], labels: Labels, sources: str) -> dict[str, Any]:
    """Arrays of the table file (`invertnas.benchmarks.nasbench101.benchmark.ARRAYS`)."""
    return {
        "steps": np.diff(codes, prepend=np.uint32(0)),
        "val": np.rint(labels.val * DENOMINATOR).astype(np.uint16),
        "test": np.rint(labels.test * DENOMINATOR).astype(np.uint16),
        "denominator": np.array(DENOMINATOR),
        "val_source": labels.val_source,
        "test_source": labels.test_source,
        "origin": np.array(EMBEDDED),
        "source_sha256": np.array(sources),
    }
