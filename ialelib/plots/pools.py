"""Figure of what the whole pool gives or takes: each strategy's gain from both."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.experiments.pools import SUFFIX
from ialelib.experiments.proof import MEAN
from ialelib.metrics import mean_interval
from ialelib.plots.panels import panels
from ialelib.plots.style import COLOURS, shown

APART = 0.17
"""From a strategy's row to each of its two dots."""


def gains(table: pd.DataFrame) -> Figure:
    """Mean gain in AUBC over random sampling with 95% intervals, from `experiments.proof.areas`.

    A row for each strategy, a panel for each data set and, of several, their mean. The full dot is
    from the sub-pool, the open diamond below it from the whole pool.
    """
    overall = table[(table["dataset"] == MEAN) & (table["strategy"] != "random")]
    means = overall.groupby("strategy")["gain"].mean().sort_values()
    order = [str(name) for name in means.index if not str(name).endswith(SUFFIX)]
    datasets = list(table["dataset"].unique())
    datasets = [MEAN, *datasets[:-1]] if len(datasets) > 2 else datasets[:1]
    size = 2.7 * len(datasets) + 1.5, 1.2 + 0.42 * len(order)
    figure, axes = panels(1, len(datasets), size, sharey=True, sharex=True)
    for ax, dataset in zip(axes[0], datasets, strict=True):
        _dots(ax, table[table["dataset"] == dataset], order)
        ax.set_title(dataset, fontsize="small")
    axes[0, 0].set_yticks(range(len(order)), map(shown, order))
    figure.supxlabel("AUBC minus Random's", fontsize="medium")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles[-2:], labels[-2:], loc="outside upper center", ncols=2)
    return figure


def _dots(ax: Axes, part: pd.DataFrame, order: Sequence[str]) -> None:
    grouped = part.groupby("strategy")["gain"]
    mean, margin = grouped.mean(), grouped.agg(mean_interval)
    n = part["n"].iloc[0]
    looks = (("", APART, "o", f"from the same {n}"), (SUFFIX, -APART, "D", "from the whole pool"))
    for y, name in enumerate(order):
        for suffix, up, marker, label in looks:
            key, filled = name + suffix, "full" if marker == "o" else "none"
            look: dict[str, Any] = {"color": COLOURS[name], "fillstyle": filled, "markersize": 5}
            place = mean[key], y + up
            ax.errorbar(*place, xerr=margin[key], fmt=marker, label=label, capsize=2, **look)
    ax.axvline(0, color="0.6", linewidth=1, linestyle=(0, (4, 2)))
    sns.despine(ax=ax)
