"""Learning curves, gains in AUBC, and a policy's training (Fig. 3)."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.metrics import aubc_table
from ialelib.plots.panels import TICK, curve_panel, one_legend, panels, seeds_and_mean
from ialelib.plots.style import COLOURS, shown, styles

NOT_EXPERTS = ["episode", "loss", "acted", "seconds", "params", "commit", "core"]
"""Columns of a history that hold other numbers than an expert's share of wins."""


def learning_curves(curves: pd.DataFrame) -> Figure:
    """Mean test accuracy over labels with 95% bootstrap intervals, a panel per set (Fig. 3)."""
    datasets = curves["dataset"].nunique()
    figure, axes = panels(1, datasets, (7.5 * datasets + 1.5, 5))
    looks = styles(curves["strategy"].unique())
    for ax, (_, part) in zip(axes[0], curves.groupby("dataset", sort=False), strict=True):
        curve_panel(ax, part, looks)
    one_legend(axes[0])
    return figure


def aubc_gains(curves: pd.DataFrame, reference: str = "random") -> Figure:
    """AUBC of each strategy minus the reference's: every seed a dot, and the mean with 95%.

    Three data sets stand in a row.
    """
    table = aubc_table(curves)
    gains = table.sub(table[reference], axis=0).drop(columns=reference)
    long = gains.melt(ignore_index=False, value_name="gain").reset_index()
    datasets = long["dataset"].nunique()
    columns, rows = min(3, datasets), -(-datasets // 3)
    size = 6.5 * columns, rows * (0.9 + 0.45 * len(gains.columns))
    figure, axes = panels(rows, columns, size, sharey=True)
    order = gains.mean().sort_values(ascending=False).index.tolist()
    colours = {name: colour for name, (colour, _) in styles(table.columns).items()}
    for unused in axes.flat[datasets:]:
        unused.remove()
    for ax, (dataset, part) in zip(axes.flat, long.groupby("dataset", sort=False), strict=False):
        shared = {"hue": "strategy", "palette": colours, "order": order, "ax": ax}
        seeds_and_mean(part, TICK, x="gain", y="strategy", **shared)
        ax.set(title=dataset, xlabel=f"AUBC minus {shown(reference)}'s", ylabel="")
        ax.set_yticks(range(len(order)), map(shown, order))
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    return figure


def policy_training(history: pd.DataFrame) -> Figure:
    """The policy's loss after each episode, and how often each expert won (Sec. 4.2)."""
    figure, ((left, right),) = panels(1, 2, (13, 4.2))
    left.plot(history["episode"], history["loss"], marker="o", color=COLOURS["policy"])
    left.set(xlabel="episode", ylabel="loss (Eq. 2, weighted)", ylim=(0, None))
    bottom = np.zeros(len(history))
    experts = history.select_dtypes("float").columns.difference(NOT_EXPERTS, sort=False)
    for name, (colour, _) in styles(experts).items():
        share = 100 * history[name].to_numpy()
        right.bar(history["episode"], share, bottom=bottom, color=colour, label=shown(name))
        bottom += share
    right.set(xlabel="episode", ylabel="acquisitions won, %", ylim=(0, 100))
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    for ax in (left, right):
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    sns.despine(figure)
    return figure
