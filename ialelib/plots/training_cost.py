"""The figures on cheaper training."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ialelib.metrics import mean_interval
from ialelib.plots.panels import panels
from ialelib.plots.style import COLOURS

FAST, PAPER, CHANCE = COLOURS["policy"], COLOURS["mc_dropout"], COLOURS["random"]


def recipes(accuracies: pd.DataFrame, tolerance: float = 0.005) -> Figure:
    """Mean test accuracy over training samples with 95% intervals, a panel for each set and size.

    The grey band is the accuracy of 100 epochs, give or take the tolerance.
    """
    datasets, sizes = (list(accuracies[key].unique()) for key in ("dataset", "labels"))
    seeds = accuracies["seed"].nunique()
    figure, axes = panels(len(datasets), len(sizes), (4.6 * len(sizes), 3.9 * len(datasets)))
    for row, dataset in zip(axes, datasets, strict=True):
        for ax, size in zip(row, sizes, strict=True):
            mask = (accuracies["dataset"] == dataset) & (accuracies["labels"] == size)
            _recipes(ax, accuracies[mask], tolerance)
            ax.set_title(f"{dataset}, {size} labels ({seeds} seeds, 95% intervals)", fontsize=11)
        row[0].set_ylabel("test accuracy")
    for ax in axes[-1]:
        ax.set_xlabel("samples seen in training")
    return figure


def _recipes(ax: Axes, part: pd.DataFrame, tolerance: float) -> None:
    paper = part.loc[part["recipe"] == "paper", "accuracy"].mean()
    ax.axhspan(paper - tolerance, paper + tolerance, color="0.9", zorder=0)
    for name, group in part.groupby("recipe", sort=False):
        colour = PAPER if str(name).startswith("paper") else FAST
        x, y = group["samples"].mean(), group["accuracy"].mean()
        margin = mean_interval(group["accuracy"])
        ax.errorbar(x, y, margin, fmt="o", color=colour, capsize=3)
        place = (5, -13 if name == "fast" else 5)
        ax.annotate(str(name), (x, y), place, textcoords="offset points", fontsize=9)
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.25, y=0.15)
    sns.despine(ax=ax)


def agreement(table: pd.DataFrame) -> Figure:
    """Share of acquisitions with the same best batch as a fresh ranking, with 95% intervals.

    Intervals are those of the paired difference to two fresh rankings, whose agreement the full
    line marks; the dashed line marks a random choice.
    """
    figure, ax = plt.subplots(figsize=(7, 0.6 * len(table) + 1.5), layout="constrained")
    fresh = table.loc[table["method"] == "fresh", "agree"].item()
    for y, row in enumerate(table.to_dict("records")):
        colour, margin = PAPER if row["method"] == "fresh" else FAST, (row["high"] - row["low"]) / 2
        ax.errorbar(row["agree"], y, xerr=margin or None, fmt="o", color=colour, capsize=3)
    ax.axvline(fresh, color=PAPER, linewidth=1)
    ax.axvline(table["chance"].iloc[0], color=CHANCE, linestyle=(0, (4, 2)), linewidth=1)
    ax.set_yticks(range(len(table)), table["method"].replace("fresh", "two fresh rankings"))
    ax.invert_yaxis()
    ax.set_title(f"{table['decisions'].iloc[0]} acquisitions, 95% intervals", fontsize=11)
    ax.set_xlabel("share with the same best batch as a fresh ranking (dashed: random choice)")
    sns.despine(ax=ax)
    return figure
