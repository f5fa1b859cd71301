"""Table and figure of what the GVAE's decoder makes of latents, AG-Net's numbers beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.common.style import new_figure, save
from experiments.searches.benchmarks import benchmark_title
from invertnas.files.io import write_text
from invertnas.spaces.records import NB101, NB201, NB301, NBNLP

METRICS = ("exact_reconstruction", "validity", "agnet_validity", "uniqueness", "novelty")
HEADS = ("Exact (%)", "Valid (%)", "Valid, AG-Net's rules (%)", "Unique (%)", "Novel (%)")
PANELS = ("validity", "uniqueness", "novelty")
# AG-Net (Lukasik et al., 2022), Table 12: its generator's validity, uniqueness and novelty in percent.
AGNET = {
    NB101.name: (71.69, 97.92, 62.30),
    NB201.name: (99.97, 73.61, 10.03),
    NB301.name: (42.27, 100.0, 100.0),
    NBNLP.name: (57.95, 100.0, 100.0),
}
AGNET_TITLE = "AG-Net, N(0, I)"
SAME_RULES = (NB101.name, NB201.name)  # where AG-Net's judgement of validity is that of the space
COLUMNS = ["space", "dim", "latents", "count", "rank", *METRICS, "agnet_cell_validity"]
FEWEST = 100
COLOURS = ("#999999", "#56B4E9", "#D55E00", "#009E73", "#FFFFFF")
HATCH = "//////"
NOTES = """\
Exact: of the held-out graphs, those decoded from their own latent without an error. Valid: of all decoded graphs, those
that are architectures of the space as they stand, on NAS-Bench-301 with both cells; nothing is repaired. Unique:
distinct ones, of the valid (AG-Net: of those valid by its rules). Novel: those the GVAE was not trained on, of the
valid (repeats counted). Rank: directions in which the latents of a prior vary. Held-out graphs: the tenth that neither
trained the GVAE nor chose its weights, on NAS-Bench-301 with one cell of each kind put together; "as shipped" is what
its description says. Unseen graphs: drawn as the training data were, of cells that are not in them, which on
NAS-Bench-NLP leaves the larger ones; NAS-Bench-101 and 201 are in the data whole. Edits: each a random neighbour, as in
local search and evolution, so these are architectures that a search looks at.
Valid, AG-Net's rules: as the code of AG-Net (Lukasik et al., 2022) judges, so AG-Net's row is to be compared in this
column. On NAS-Bench-101 and 201 the rules are those of the space. On NAS-Bench-301 the code joins the two operations of
a block, drops edges from later nodes and, of more than two inputs, all but the two with the highest scores; it rejects
a block with fewer than two, and does not look at which operation reads which input. On NAS-Bench-NLP it drops all but
three hidden states, and does not look at how many inputs an operation has, whether a node is used, or who reads x.
`experiments/agnet_rules.py` has the rules in full; where they leave something open the stricter reading is taken.
AG-Net decodes one cell of NAS-Bench-301; here both must be valid, and the share of single cells is in brackets.
AG-Net draws every node and edge from its probability; its first node is always an input and its last an output, and
there are forward edges only. The GVAE decodes to the most probable graph, where inputs and output must come out right
too, and on NAS-Bench-101 and 201 no edge may lead backward.
N(0, I) is the prior of the loss, and what AG-Net's generator was trained to make graphs from; mean + std * N(0, I) is
arch2vec's, which gives each number of the latent its own mean and standard deviation over the training graphs;
N(mean, covariance) has their covariances too; the mixture of ten Gaussians is fitted to them (Ghosh et al., 2020).
AG-Net (Table 12) trains on 90 % of NAS-Bench-101 and 201, the GVAE here on 80 %, so uniform draws would be 10 and 20 %
novel there; of 10,000 uniform draws of the 15,625 cells of NAS-Bench-201, 73.9 % are distinct."""


def with_agnet(frame: pd.DataFrame) -> pd.DataFrame:
    """The measured rows, and AG-Net's below those of each space; fractions.

    AG-Net's validity stands under its own rules, and under the strict ones where the two are the same.
    """
    parts = []
    for space, group in frame.reindex(columns=COLUMNS).groupby("space", sort=False):
        valid, unique, novel = (value / 100 for value in AGNET[str(space)])
        printed = {"agnet_validity": valid, "agnet_cell_validity": valid, "uniqueness": unique, "novelty": novel}
        if space in SAME_RULES:
            printed["validity"] = valid
        row = pd.DataFrame([{"space": space, "latents": AGNET_TITLE, "count": 10_000, **printed}])
        parts.append(pd.concat([group.astype(object), row.reindex(columns=COLUMNS).astype(object)]))
    return pd.concat(parts, ignore_index=True)


def _share(row: pd.Series[Any], name: str) -> str:
    """A share in percent; behind that by AG-Net's rules, in brackets, the share of single cells where it differs."""
    if pd.isna(row[name]):
        return ""
    cells = row["agnet_cell_validity"] if name == "agnet_validity" else np.nan
    single = "" if pd.isna(cells) or cells == row[name] else f" ({100 * cells:.2f})"
    return f"{100 * row[name]:.2f}{single}"


def to_markdown(frame: pd.DataFrame) -> str:
    """A section per space, a row per kind of latents, in percent."""
    lines = ["# Ability of the decoder", ""]
    for space, group in frame.groupby("space", sort=False):
        lines += [f"## {benchmark_title(str(space))} ({group['dim'].dropna().iloc[0]} latent numbers)", ""]
        lines += ["| " + " | ".join(["Latents of", "Count", "Rank", *HEADS]) + " |"]
        lines += ["|---|" + "---:|" * (2 + len(HEADS))]
        for _, row in group.iterrows():
            numbers = ["" if pd.isna(row[name]) else f"{int(row[name]):,}" for name in ("count", "rank")]
            shares = [_share(row, name) for name in METRICS]
            lines.append("| " + " | ".join([str(row["latents"]), *numbers, *shares]) + " |")
        lines.append("")
    return "\n".join([*lines, NOTES, ""])


def _bars(axes: Any, metric: str, rows: pd.DataFrame, places: np.ndarray, width: float, colour: str) -> None:
    """The bars of one kind of latents; those of validity go on, hatched, to the share by AG-Net's rules.

    Args:
        axes: of matplotlib.
        metric: one of `PANELS`.
        rows: one per group.
        places: middle of the bar in each group.
        width: of a bar.
        colour: of its filling.
    """
    style = {"width": width, "edgecolor": "black", "linewidth": 0.6}
    solid, lenient = (100 * rows[name].astype(float) for name in (metric, "agnet_validity"))
    if metric == "validity":
        hatched = lenient.where(lenient > solid.fillna(0)).to_numpy()
        axes.bar(places, hatched, color="white" if colour == COLOURS[-1] else f"{colour}55", hatch=HATCH, **style)
    else:
        solid = solid.where(rows["count"] * rows["validity"].fillna(rows["agnet_validity"]) >= FEWEST)
    axes.bar(places, solid.to_numpy(), color=colour, **style)


def plot(path: Path, frame: pd.DataFrame) -> None:
    """A panel per share, a group of bars per space: the priors in colour, AG-Net's numbers in white.

    Of fewer than `FEWEST` valid graphs only the validity is shown.
    """
    from matplotlib.patches import Patch

    generated = frame[frame["rank"].notna() | (frame["latents"] == AGNET_TITLE)]
    spaces, titles = list(generated["space"].unique()), list(generated["latents"].unique())
    titles.append(titles.pop(titles.index(AGNET_TITLE)))
    figure, panels = new_figure((12.0, 3.6), columns=len(PANELS))
    width, colours = 0.84 / len(titles), [*COLOURS[: len(titles) - 1], COLOURS[-1]]
    for metric, axes in zip(PANELS, panels):
        for index, (title, colour) in enumerate(zip(titles, colours)):
            rows = generated[generated["latents"] == title].set_index("space").reindex(spaces)
            places = np.arange(len(spaces)) + (index - (len(titles) - 1) / 2) * width
            _bars(axes, metric, rows, places, 0.9 * width, colour)
        axes.set_xticks(range(len(spaces)), [benchmark_title(space).removeprefix("NAS-Bench-") for space in spaces])
        axes.set_xlim(-0.5, len(spaces) - 0.5)
        axes.set_xlabel("NAS-Bench")
        axes.set_ylabel(f"{metric.capitalize()} (%)")
        axes.set_ylim(0, 105)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    filled = [Patch(facecolor=colour, edgecolor="black", label=title) for title, colour in zip(titles, colours)]
    hatched = Patch(facecolor="white", edgecolor="black", hatch=HATCH, label="valid by AG-Net's rules")
    figure.legend(handles=[*filled, hatched], loc="outside lower center", ncols=len(filled) + 1, fontsize=8)
    figure.suptitle(f"Graphs decoded from samples of a prior (uniqueness, novelty: where at least {FEWEST} are valid)")
    save(figure, path)


def write_report(out: Path, measured: pd.DataFrame) -> str:
    """Write `ability.csv`, `ability.md` and `figures/ability.png`; returns the Markdown."""
    frame = with_agnet(measured)
    text = to_markdown(frame)
    write_text(out / "ability.csv", frame.to_csv(index=False, float_format="%.6g"))
    write_text(out / "ability.md", text)
    plot(out / "figures" / "ability.png", frame)
    return text
