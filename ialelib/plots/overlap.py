"""The figures on overlap (Figs. 4, 10, 11)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.plots.panels import INTERVAL, panels, title
from ialelib.plots.style import COLOURS, NAMES

PARTS = {
    "uncertainty": ("only MC-Dropout, Ensemble", COLOURS["mc_dropout"]),
    "soft-max": ("only Confidence, Entropy", COLOURS["entropy"]),
    "diversity": ("only CoreSet, BADGE", COLOURS["coreset"]),
    "any": ("any expert", COLOURS["policy"]),
    **{expert: (NAMES[expert], COLOURS[expert]) for expert in NAMES},
}
"""Name and colour of each part of a batch."""


def shares(shares: pd.DataFrame, parts: Sequence[str]) -> Figure:
    """Shares of the policy's batch over labels: means as dots, and second-order polynomials.

    A panel per data set. The polynomials are fitted to each seed; shown are their mean and its
    95% bootstrap interval. The dashed line is a random batch's mean share of the first part.
    """
    datasets = shares["dataset"].nunique()
    figure, axes = panels(1, datasets, (7.5 * datasets, 5.4))
    for ax, (_, of_set) in zip(axes[0], shares.groupby("dataset", sort=False), strict=True):
        policy = of_set[of_set["batch"] == "policy"]
        for part in parts:
            _part(ax, policy[policy["part"] == part], *PARTS[part])
        random = of_set[(of_set["batch"] == "random") & (of_set["part"] == parts[0])]
        name = f"a random batch and {PARTS[parts[0]][0]}"
        ax.axhline(random["share"].mean(), color=COLOURS["random"], linestyle="--", label=name)
        about = {"xlabel": "labelled samples", "ylabel": "share of the policy's batch, %"}
        ax.set(title=title(of_set), ylim=(0, 100), **about)
        ax.get_legend().remove()
        sns.despine(ax=ax)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2 * datasets)
    return figure


def _part(ax: Axes, table: pd.DataFrame, name: str, colour: str) -> None:
    means = table.groupby("labels")["share"].mean()
    ax.scatter(means.index, means, s=14, alpha=0.6, color=colour, linewidths=0, clip_on=False)
    fits = pd.concat([_polynomial(of_seed) for _, of_seed in table.groupby("seed")])
    line = {"color": colour, "label": name, "linewidth": 2}
    band = {"err_kws": {"alpha": 0.15, "linewidth": 0}}
    sns.lineplot(fits, x="labels", y="share", ax=ax, **INTERVAL, **line, **band)


def _polynomial(table: pd.DataFrame) -> pd.DataFrame:
    """The values of the best parabola (of a line or a constant, for too few points)."""
    degree = min(2, table["labels"].nunique() - 1)
    fitted = np.polynomial.Polynomial.fit(table["labels"], table["share"], degree)
    return table.assign(share=fitted(table["labels"].to_numpy()))
