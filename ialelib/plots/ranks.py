"""The figures on statistics over all runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.metrics import critical_difference, groups, mean_ranks
from ialelib.plots.style import NAMES, styles


def penalty_matrix(matrix: pd.DataFrame, datasets: int) -> Figure:
    """`ranks.penalty_matrix` as a heat map, its last row apart."""
    names = [NAMES.get(name, name) for name in matrix.columns]
    figure, (above, below) = plt.subplots(
        2,
        1,
        figsize=(1.4 + 0.85 * len(names), 2.2 + 0.55 * len(names)),
        height_ratios=[len(names), 1],
        layout="constrained",
    )
    shared = {"cmap": "Blues", "vmin": 0, "annot": True, "fmt": ".2f", "cbar": False}
    sns.heatmap(matrix.drop("mean"), xticklabels=names, yticklabels=names, ax=above, **shared)
    sns.heatmap(matrix.loc[["mean"]], xticklabels=False, yticklabels=["mean"], ax=below, **shared)
    above.set(
        xlabel="is beaten", ylabel="beats", title=f"significant wins, of {datasets} data sets"
    )
    above.tick_params(axis="x", rotation=35)
    below.tick_params(axis="y", rotation=0)
    return figure


def critical_differences(curves: pd.DataFrame) -> Figure:
    """Mean ranks of AUBC; bars join strategies that Nemenyi's test does not tell apart."""
    ranks, runs = mean_ranks(curves), len(curves.groupby(["dataset", "seed"]))
    difference = critical_difference(len(ranks), runs)
    figure, ax = plt.subplots(figsize=(10, 0.9 + 0.42 * len(ranks)), layout="constrained")
    y = dict(zip(ranks.index, range(len(ranks)), strict=True))
    looks = styles(curves["strategy"].unique())
    for name, rank in ranks.items():
        ax.plot(rank, y[name], "o", color=looks[str(name)][0], markersize=9)
    for first, last in groups(ranks, difference):
        x = ranks[last] + 0.12
        ax.plot([x, x], [y[first], y[last]], color="0.35", linewidth=3, solid_capstyle="butt")
    ax.set_yticks(list(y.values()), [NAMES.get(str(name), str(name)) for name in y])
    ax.invert_yaxis()
    ax.set(xlabel="mean rank of AUBC (1 is best)", xlim=(1, len(ranks)))
    ax.set_xticks(np.arange(1, len(ranks) + 1))
    ax.set_title(f"{runs} runs; bars join what differs by less than {difference:.2f} ranks")
    sns.despine(ax=ax)
    return figure
