"""Learning curves, gains in AUBC, and a policy's training (Fig. 3)."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.metrics import aubc_table
from ialelib.plots.style import COLOURS, NAMES, styles


def learning_curves(curves: pd.DataFrame) -> Figure:
    """Mean test accuracy over labels with 95% bootstrap intervals, a panel per set (Fig. 3)."""
    datasets = list(curves["dataset"].unique())
    figure, axes = plt.subplots(
        1,
        len(datasets),
        figsize=(7.5 * len(datasets) + 1.5, 5),
        squeeze=False,
        layout="constrained",
    )
    looks = styles(curves["strategy"].unique())
    for ax, dataset in zip(axes[0], datasets, strict=True):
        curve_panel(ax, curves[curves["dataset"] == dataset], looks)
    one_legend(axes[0])
    return figure


def curve_panel(ax: Axes, curves: pd.DataFrame, looks: dict[str, tuple[str, Any]]) -> None:
    """The learning curves of one data set; `looks` are `styles`. See `one_legend`."""
    sns.lineplot(
        curves,
        x="labels",
        y="accuracy",
        hue="strategy",
        style="strategy",
        hue_order=list(looks),
        style_order=list(looks),
        palette={name: colour for name, (colour, _) in looks.items()},
        dashes={name: dashes for name, (_, dashes) in looks.items()},
        errorbar=("ci", 95),
        n_boot=500,
        seed=0,
        err_kws={"alpha": 0.12, "linewidth": 0},
        ax=ax,
    )
    ax.set(
        title=f"{curves['dataset'].iloc[0]} ({curves['seed'].nunique()} seeds, 95% interval)",
        xlabel="labelled samples",
        ylabel="test accuracy",
    )
    sns.despine(ax=ax)


def one_legend(panels: Sequence[Axes]) -> None:
    """One legend for a row of `curve_panel`s with the same `styles`, beside the last of them."""
    for legend in filter(None, [ax.get_legend() for ax in panels]):
        legend.remove()
    handles, names = panels[-1].get_legend_handles_labels()
    shown = [NAMES.get(name, name) for name in names]
    panels[-1].legend(handles, shown, loc="upper left", bbox_to_anchor=(1.02, 1))


def aubc_gains(curves: pd.DataFrame, reference: str = "random") -> Figure:
    """AUBC of each strategy minus the reference's: every seed a dot, and the mean with 95%.

    Three data sets stand in a row.
    """
    table = aubc_table(curves)
    gains = table.sub(table[reference], axis=0).drop(columns=reference)
    long = gains.melt(ignore_index=False, value_name="gain").reset_index()
    datasets = list(long["dataset"].unique())
    columns, rows = min(3, len(datasets)), -(-len(datasets) // 3)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(6.5 * columns, rows * (0.9 + 0.45 * len(gains.columns))),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    order = gains.mean().sort_values(ascending=False).index.tolist()
    colours = {name: colour for name, (colour, _) in styles(table.columns).items()}
    for unused in axes.flat[len(datasets) :]:
        unused.remove()
    for ax, dataset in zip(axes.flat[: len(datasets)], datasets, strict=True):
        part = long[long["dataset"] == dataset]
        shared = {"x": "gain", "y": "strategy", "hue": "strategy", "order": order, "ax": ax}
        sns.stripplot(part, palette=colours, alpha=0.5, jitter=False, legend=False, **shared)
        sns.pointplot(part, palette=colours, marker="|", markersize=14, seed=0, **shared)
        ax.axvline(0, color="0.6", linewidth=1)
        ax.set(title=dataset, xlabel=f"AUBC minus {NAMES.get(reference, reference)}'s", ylabel="")
        ax.set_yticks(range(len(order)), [NAMES.get(name, name) for name in order])
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
        sns.despine(ax=ax)
    return figure


def policy_training(history: pd.DataFrame) -> Figure:
    """The policy's loss after each episode, and how often each expert won (Sec. 4.2)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    left.plot(history["episode"], history["loss"], marker="o", color=COLOURS["policy"])
    left.set(xlabel="episode", ylabel="loss (Eq. 2, weighted)", ylim=(0, None))
    experts = [name for name in COLOURS if name in history]
    bottom = np.zeros(len(history))
    for name in experts:
        share = 100 * history[name].to_numpy()
        right.bar(history["episode"], share, bottom=bottom, color=COLOURS[name], label=NAMES[name])
        bottom += share
    right.set(xlabel="episode", ylabel="acquisitions won, %", ylim=(0, 100))
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    for ax in (left, right):
        ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    sns.despine(figure)
    return figure
