"""The figures on the generalist: its search, its weights, and what it gains on frozen features."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ialelib.experiments.proof import MEAN
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.metrics import mean_interval
from ialelib.oracle import ORACLE
from ialelib.plots.panels import curve_panel, panels
from ialelib.plots.style import COLOURS, shown, styles
from ialelib.results import MOMENTS

EARLY, LATE, UNTRAINED = COLOURS["mc_dropout"], COLOURS["policy"], COLOURS["coreset"]
STAGES = {"search": "frozen features", "scratch": "also trained from scratch"}
"""What the stages of the search are called in its figure."""


def gains(table: pd.DataFrame, columns: int = 6) -> Figure:
    """Mean gain in AUBC over random sampling with 95% intervals, from `experiments.proof.areas`.

    For each size of the sub-pool a panel for each data set and, of several, their mean, up to
    `columns` in a row. Strategies are sorted by that; the grey line is the oracle, on the seeds
    that it has.
    """
    others = table[~table["strategy"].isin(["random", ORACLE])]
    overall = others[others["dataset"] == MEAN].groupby("strategy")["gain"].mean()
    order = list(overall.sort_values().index)
    datasets, sizes = (list(table[key].unique()) for key in ("dataset", "n"))
    datasets = [MEAN, *datasets[:-1]] if len(datasets) > 2 else datasets[:1]
    columns = min(columns, len(datasets))
    rows = [(n, datasets[i : i + columns]) for n in sizes for i in range(0, len(datasets), columns)]
    size = 2.7 * columns + 1.5, len(rows) * (0.9 + 0.28 * len(order))
    shared = "row" if columns == len(datasets) else True
    figure, axes = panels(len(rows), columns, size, sharey=True, sharex=shared)
    colours = styles(order)
    for row, (n, some) in zip(axes, rows, strict=True):
        for ax, dataset in zip(row, some, strict=False):
            part = table[(table["dataset"] == dataset) & (table["n"] == n)]
            _gains(ax, part, order, [colours[name][0] for name in order])
            ax.set_title(f"{dataset}, n = {n}", fontsize="small")
        row[0].set_yticks(range(len(order)), map(shown, order))
        for unused in row[len(some) :]:
            unused.remove()
    for column in axes.T:
        lowest = [ax for ax in column if ax in figure.axes][-1]
        lowest.set_xlabel("AUBC minus Random's")
        lowest.xaxis.set_major_locator(MaxNLocator(4))
        lowest.xaxis.set_tick_params(labelbottom=True)
    return figure


def _gains(ax: Axes, part: pd.DataFrame, order: Sequence[str], colours: Sequence[object]) -> None:
    grouped = part.groupby("strategy")["gain"]
    means, margins = grouped.mean(), grouped.agg(mean_interval)
    for y, (name, colour) in enumerate(zip(order, colours, strict=True)):
        ax.errorbar(
            means[name], y, xerr=margins[name], fmt="o", color=colour, markersize=5, capsize=2
        )
    if ORACLE in means:
        ax.axvline(float(means[ORACLE]), color=COLOURS[ORACLE], linewidth=1.5)
    ax.axvline(0, color="0.6", linewidth=1, linestyle=(0, (4, 2)))
    sns.despine(ax=ax)


def gain_curves(curves: pd.DataFrame, columns: int = 3) -> Figure:
    """Test accuracy minus random sampling's of the same seed over labels, a panel for each set.

    `curves` are of one size of the sub-pool. Means with 95% bootstrap intervals.
    """
    chance = curves[curves["strategy"] == "random"]
    unit = ["dataset", "seed", "labels"]
    beside = curves.join(chance.set_index(unit)["accuracy"].rename("chance"), on=unit)
    gained = beside.assign(accuracy=beside["accuracy"] - beside["chance"])
    gained = gained[gained["strategy"] != "random"]
    datasets = list(gained["dataset"].unique())
    columns = min(columns, len(datasets))
    rows = -(-len(datasets) // columns)
    figure, axes = panels(rows, columns, (5 * columns + 2, 4 * rows))
    looks = styles(gained["strategy"].unique())
    for ax, dataset in zip(axes.flat, datasets, strict=False):
        curve_panel(ax, gained[gained["dataset"] == dataset], looks)
        ax.axhline(0, color="0.6", linewidth=1, linestyle=(0, (4, 2)))
        ax.set_ylabel("test accuracy minus Random's")
    for unused in axes.flat[len(datasets) :]:
        unused.remove()
    handles, names = axes[0, 0].get_legend_handles_labels()
    for ax in axes.flat[: len(datasets)]:
        ax.get_legend().remove()
    figure.legend(handles, map(shown, names), loc="outside right center")
    return figure


def search(table: pd.DataFrame, window: int = 5) -> Figure:
    """Gain in AUBC over random sampling on the tasks of each generation of a policy search.

    A dot is the mean over tasks and candidates, the grey bar reaches from the worst candidate to
    the best, and the line is the moving mean over `window` generations. A panel for each stage:
    their tasks differ. `table` is that of `search.train_generalist`.
    """
    stages = list(table["stage"].unique())
    figure, axes = panels(1, len(stages), (9, 4), sharey=True)
    for ax, stage in zip(axes[0], stages, strict=True):
        part = table[table["stage"] == stage]
        candidates = part.groupby(["generation", "candidate"])["gain"].mean()
        found = candidates.groupby("generation").agg(["mean", "min", "max"])
        smooth = found["mean"].rolling(window, center=True, min_periods=1).mean()
        ax.vlines(found.index, found["min"], found["max"], color="0.8", linewidth=3)
        dots = {"color": LATE, "markersize": 4, "label": "mean of candidates"}
        ax.plot(found.index, found["mean"], "o", **dots)
        ax.plot(found.index, smooth, color=LATE, label=f"moving mean of {window}")
        ax.axhline(0, color="0.6", linewidth=1, linestyle=(0, (4, 2)))
        ax.set(xlabel="generation", title=STAGES.get(stage, stage))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        sns.despine(ax=ax)
    axes[0, 0].set_ylabel("AUBC minus random sampling's")
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def weights(policy: Generalist) -> Figure:
    """The weight of each feature at `MOMENTS`, as parts of a vector of length 1.

    The features are standardised over the candidates, so weights compare. Sorted by the early
    ones: full dots. Open diamonds are late; crosses are late with a classifier that is half
    trained, where the policy has weights for that.
    """
    found = [policy.weights(*state).numpy() for state in MOMENTS.values()]
    found = [weight_F / max(float(np.linalg.norm(weight_F)), 1e-12) for weight_F in found]
    order = np.argsort(found[0], kind="stable")
    figure, ax = plt.subplots(figsize=(7.5, 0.26 * len(NAMES) + 1), layout="constrained")
    y = np.arange(len(order))
    ax.hlines(y, found[0][order], found[1][order], color="0.7", linewidth=1.5, zorder=1)
    looks = [("o", EARLY), ("D", LATE), ("x", UNTRAINED)][: policy.weight_F_K.shape[1]]
    for name, weight_F, (marker, colour) in zip(MOMENTS, found, looks, strict=False):
        filled = "full" if marker == "o" else "none"
        ax.plot(weight_F[order], y, marker, color=colour, fillstyle=filled, label=name)
    ax.axvline(0, color="0.6", linewidth=1)
    ax.set_yticks(y, [NAMES[i].replace("_", " ") for i in order])
    ax.set(xlabel="weight (of standardised features, length 1)", ylim=(-0.7, len(order) - 0.3))
    ax.legend(loc="lower right")
    sns.despine(ax=ax)
    return figure
