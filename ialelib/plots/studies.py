"""Figures of 05 to 07, 10 and 13: median-filtered curves, gains by width, schedules."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.dagger import DaggerConfig
from ialelib.metrics import median_filtered
from ialelib.plots.curves import learning_curves
from ialelib.plots.panels import curve_panel, one_legend, panels, seeds_and_mean, title
from ialelib.plots.style import POLICY_COLOURS, styles


def filtered_curves(curves: pd.DataFrame, window: int, enlarge: bool = False) -> Figure:
    """Learning curves as they are and median-filtered, side by side; a row per data set.

    As in Figs. 12, 14 and 15. `enlarge` adds the second half of the filtered curves in full
    height (Fig. 14c). A window of 1 filters nothing: then it is `plots.learning_curves`.
    """
    if window == 1:
        return learning_curves(curves)
    smooth = median_filtered(curves, window)
    views = [(curves, "raw"), (smooth, f"median of {window}")]
    views += [(smooth, "enlarged")] if enlarge else []
    datasets = list(curves["dataset"].unique())
    size = 6 * len(views) + 1.5, 5 * len(datasets)
    figure, axes = panels(len(datasets), len(views), size)
    looks = styles(curves["strategy"].unique())
    for row, dataset in zip(axes, datasets, strict=True):
        for ax, (view, name) in zip(row, views, strict=True):
            curve_panel(ax, view[view["dataset"] == dataset], looks)
            ax.set_title(f"{ax.get_title()}, {name}", fontsize="medium")
        one_legend(row)
        row[1].sharey(row[0])
        if enlarge:
            _enlarge(row[2], smooth[smooth["dataset"] == dataset])
    return figure


def _enlarge(ax: Axes, curves: pd.DataFrame) -> None:
    """Limits that show the second half of the mean curves, with a tenth of their range around."""
    half = (curves["labels"].min() + curves["labels"].max()) / 2
    late = curves[curves["labels"] >= half]
    means = late.groupby(["strategy", "labels"])["accuracy"].mean()
    margin = 0.1 * (means.max() - means.min()) + 1e-3
    ax.set_xlim(late["labels"].min(), late["labels"].max())
    ax.set_ylim(means.min() - margin, means.max() + margin)


def width_gains(gains: pd.DataFrame) -> Figure:
    """AUBC over random sampling by embedding width: every seed a dot, and the mean with 95%.

    `gains` is a table of `own_pool.gains`; a colour for each rule that adapts the widths.
    """
    figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    rules = list(gains["strategy"].unique())
    several = len(rules) > 1
    seeds_and_mean(
        gains.assign(width=gains["width"].astype(str)),
        dots={"dodge": several, "alpha": 0.3},
        means={
            "dodge": 0.4 if several else False,
            "linestyle": "none",
            "markers": ["o", "s", "^"][: len(rules)],
        },
        x="width",
        y="gain",
        hue="strategy",
        order=[str(width) for width in sorted(gains["width"].unique())],
        hue_order=rules,
        palette=dict(zip(rules, POLICY_COLOURS, strict=False)),
        ax=ax,
    )
    ax.set(
        title=title(gains),
        xlabel="dimensions D of the classifier's embedding",
        ylabel="AUBC minus Random's",
    )
    ax.legend(title="adapted by", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def schedules(dagger_configs: Mapping[str, DaggerConfig], episodes: int = 30) -> Figure:
    """Probability of following the best expert in each episode, by a policy's name (A.2.1).

    Large dots are the episodes that the policy was trained with; small ones go on to `episodes`.
    """
    figure, ax = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for name, (colour, dashes) in styles(dagger_configs).items():
        config = dagger_configs[name]
        x = np.arange(1, max(episodes, config.episodes) + 1)
        chances = [config.expert_probability(int(episode)) for episode in x]
        ax.plot(x, chances, color=colour, linewidth=1, dashes=dashes or (None, None))
        areas = np.where(x <= config.episodes, 50, 8)
        ax.scatter(x, chances, areas, color=colour, label=name, zorder=3)
    ax.set(xlabel="episode", ylabel="probability of following the best expert", ylim=(0, 1.05))
    ax.legend(title="policy, trained in the large episodes")
    sns.despine(ax=ax)
    return figure
