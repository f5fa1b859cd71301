"""Table and figure of what the GVAE's decoder makes of latents, AG-Net's numbers beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from experiments.benchmarks import benchmark_title
from experiments.plots import new_figure, save
from invertnas.io import write_text

METRICS = ("exact_reconstruction", "validity", "uniqueness", "novelty")
GENERATED = METRICS[1:]
# AG-Net (Lukasik et al., 2022), Table 12: its generator's validity, uniqueness and novelty in percent.
AGNET = {
    "nasbench101": (71.69, 97.92, 62.30),
    "nasbench201": (99.97, 73.61, 10.03),
    "nasbench301": (42.27, 100.0, 100.0),
    "nasbench_nlp": (57.95, 100.0, 100.0),
}
AGNET_TITLE = "AG-Net, N(0, I)"
COLUMNS = ["space", "dim", "latents", "count", "rank", *METRICS]
FEWEST = 100
COLOURS = ("#999999", "#56B4E9", "#D55E00", "#FFFFFF")
NOTES = """\
Exact: of the held-out graphs, those decoded from their own latent without an error. Valid: of all decoded graphs.
Unique: distinct ones, of the valid. Novel: those the GVAE was not trained on, of the valid (repeats counted). Rank:
directions in which the latents of a prior vary. Held-out graphs: the tenth that neither trained the GVAE nor chose its
weights, on NAS-Bench-301 with one cell of each kind put together; "as shipped" is what its description says. Unseen
graphs: drawn as the training data were, of cells that are not in them, which on NAS-Bench-NLP leaves the larger ones;
NAS-Bench-101 and 201 are in the data whole.
N(0, I) is the prior of the loss, and AG-Net's protocol; mean + std * N(0, I) is arch2vec's, which gives each number of
the latent its own mean and standard deviation over the training graphs; N(mean, covariance) has their covariances too.
AG-Net (Lukasik et al., 2022, Table 12) trains on 90 % of NAS-Bench-101 and 201, the GVAE here on 80 %, so uniform draws
would be 10 and 20 % novel there; of 10,000 uniform draws of the 15,625 cells of NAS-Bench-201, 73.9 % are distinct. On
NAS-Bench-301 AG-Net decodes one cell, here both must be valid; and its code drops surplus inputs of a block there, and
surplus hidden states on NAS-Bench-NLP, before it judges. Here nothing is repaired."""


def with_agnet(frame: pd.DataFrame) -> pd.DataFrame:
    """The measured rows, and AG-Net's below those of each space; fractions."""
    parts = []
    for space, group in frame.reindex(columns=COLUMNS).groupby("space", sort=False):
        printed = dict(zip(GENERATED, (value / 100 for value in AGNET[str(space)])))
        row = pd.DataFrame([{"space": space, "latents": AGNET_TITLE, "count": 10_000, **printed}])
        parts.append(pd.concat([group.astype(object), row.reindex(columns=COLUMNS).astype(object)]))
    return pd.concat(parts, ignore_index=True)


def to_markdown(frame: pd.DataFrame) -> str:
    """A section per space, a row per kind of latents, in percent."""
    lines = ["# Ability of the decoder", ""]
    for space, group in frame.groupby("space", sort=False):
        lines += [f"## {benchmark_title(str(space))} ({group['dim'].dropna().iloc[0]} latent numbers)", ""]
        lines += ["| Latents of | Count | Rank | Exact (%) | Valid (%) | Unique (%) | Novel (%) |"]
        lines += ["|---|" + "---:|" * 6]
        for _, row in group.iterrows():
            numbers = ["" if pd.isna(row[name]) else f"{int(row[name]):,}" for name in ("count", "rank")]
            shares = ["" if pd.isna(row[name]) else f"{100 * row[name]:.2f}" for name in METRICS]
            lines.append("| " + " | ".join([str(row["latents"]), *numbers, *shares]) + " |")
        lines.append("")
    return "\n".join([*lines, NOTES, ""])


def plot(path: Path, frame: pd.DataFrame) -> None:
    """A panel per share, a group of bars per space: the three priors, and AG-Net's number as an open bar.

    Shares of fewer than `FEWEST` valid graphs are left out.
    """
    generated = frame[frame["rank"].notna() | (frame["latents"] == AGNET_TITLE)]
    spaces, titles = list(generated["space"].unique()), list(generated["latents"].unique())
    titles.append(titles.pop(titles.index(AGNET_TITLE)))
    figure, panels = new_figure((11.0, 3.4), columns=len(GENERATED))
    width = 0.8 / len(titles)
    for metric, axes in zip(GENERATED, panels):
        for index, title in enumerate(titles):
            rows = generated[generated["latents"] == title].set_index("space").reindex(spaces)
            enough = (metric == "validity") | (rows["count"] * rows["validity"] >= FEWEST)
            heights = 100 * rows[metric].where(enough).astype(float).to_numpy()
            places = np.arange(len(spaces)) + (index - (len(titles) - 1) / 2) * width
            axes.bar(places, heights, 0.9 * width, color=COLOURS[index], edgecolor="black", linewidth=0.6, label=title)
        axes.set_xticks(range(len(spaces)), [benchmark_title(space).removeprefix("NAS-Bench-") for space in spaces])
        axes.set_xlim(-0.5, len(spaces) - 0.5)
        axes.set_xlabel("NAS-Bench")
        axes.set_ylabel(f"{metric.capitalize()} (%)")
        axes.set_ylim(0, 105)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(titles), fontsize=8)
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
