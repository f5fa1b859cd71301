"""Rank densities of initial sets beside the best of the space (paper section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.common.style import new_figure, save
from experiments.searches.initial import INIT_TITLES
from experiments.tables.initial_sets.rank_divergence import (
    BANDWIDTH,
    GRID,
    TOP_SHARES,
    FloatArray,
    ideal_log_density,
    log_density,
)

COLOURS = {"random": "#999999", "proxy": "#0072B2", "alignflow": "#D55E00"}
STYLES = ("-", "--", ":")  # of the ideal densities, the smallest share first
ZOOM = 0.15


def plot_ranks(path: Path, title: str, sets: Mapping[str, FloatArray], trials: int) -> None:
    """Write one PNG: all ranks on the left, the best ones on the right; density on a logarithmic scale.

    Args:
        path: of the picture.
        title: names benchmark and data set.
        sets: strategy -> (n,) ranks of its initial sets.
        trials: behind each strategy's ranks.
    """
    figure, panels = new_figure((10.0, 4.2), columns=2)
    for axes, right in zip(panels, (1.0, ZOOM)):
        for share, style in zip(TOP_SHARES, STYLES):
            density = np.exp(ideal_log_density(share, BANDWIDTH))
            axes.plot(100 * GRID, density, style, color="black", linewidth=1, label=f"ideal: best {100 * share:.0f} %")
        for init, ranks in sets.items():
            label = f"{INIT_TITLES[init]} ({trials} trials, {len(ranks)} cells)"
            axes.plot(100 * GRID, np.exp(log_density(ranks, BANDWIDTH)), color=COLOURS[init], label=label)
        axes.set_yscale("log")
        axes.set_xlim(0, 100 * right)
        axes.set_ylim(1e-2, 1e2)
        axes.set_xlabel("Rank by validation accuracy (%), 0 is best")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("Density of ranks (uniform sampling: 1)")
    panels[0].legend(fontsize=8, loc="upper right")
    figure.suptitle(f"{title}: ranks of the initial sets, Gaussian kernels of {100 * BANDWIDTH:.0f} % of the ranks")
    save(figure, path)
