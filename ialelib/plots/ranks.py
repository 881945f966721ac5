"""The figures on statistics over all runs."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.metrics import blocks, critical_difference, groups, mean_ranks
from ialelib.plots.panels import panels
from ialelib.plots.style import shown, styles


def penalty_matrix(matrix: pd.DataFrame, datasets: int) -> Figure:
    """`metrics.penalty_matrix` as a heat map, its last row apart."""
    names = list(map(shown, matrix.columns))
    size = 1.4 + 0.85 * len(names), 2.2 + 0.55 * len(names)
    figure, ((above,), (below,)) = panels(2, 1, size, height_ratios=[len(names), 1])
    shared = {"cmap": "Blues", "vmin": 0, "annot": True, "fmt": ".2f", "cbar": False}
    sns.heatmap(matrix.drop("mean"), xticklabels=names, yticklabels=names, ax=above, **shared)
    sns.heatmap(matrix.loc[["mean"]], xticklabels=False, yticklabels=["mean"], ax=below, **shared)
    about = f"significant wins, of {datasets} data sets"
    above.set(xlabel="is beaten", ylabel="beats", title=about)
    above.tick_params(axis="x", rotation=35)
    below.tick_params(axis="y", rotation=0)
    return figure


def critical_differences(curves: pd.DataFrame) -> Figure:
    """Mean ranks of AUBC; bars join strategies that Nemenyi's test does not tell apart."""
    ranks, count = mean_ranks(curves), len(blocks(curves))
    difference = critical_difference(len(ranks), count)
    figure, ax = plt.subplots(figsize=(10, 0.9 + 0.42 * len(ranks)), layout="constrained")
    looks = styles(curves["strategy"].unique())
    for y, (name, rank) in enumerate(ranks.items()):
        ax.plot(rank, y, "o", color=looks[str(name)][0], markersize=9)
    for first, last in groups(ranks, difference):
        x, ends = ranks[last] + 0.12, [list(ranks.index).index(name) for name in (first, last)]
        ax.plot([x, x], ends, color="0.35", linewidth=3, solid_capstyle="butt")
    ax.set_yticks(range(len(ranks)), map(shown, ranks.index))
    ax.invert_yaxis()
    ax.set(xlabel="mean rank of AUBC (1 is best)", xlim=(1, len(ranks)))
    ax.set_xticks(np.arange(1, len(ranks) + 1))
    kind = "seeds" if len(curves["dataset"].unique()) == 1 else "data sets"
    ax.set_title(f"{count} {kind}; bars join what differs by less than {difference:.2f} ranks")
    sns.despine(ax=ax)
    return figure
