"""What several figures share: rows of panels, learning curves, and every seed beside the mean."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.plots.style import Look, shown

Options = Mapping[str, Any]
TICK: Options = {"marker": "|", "markersize": 14}
"""The mark of a mean among horizontal dots."""
INTERVAL: dict[str, Any] = {"errorbar": ("ci", 95), "n_boot": 500, "seed": 0}
"""Mean and 95% bootstrap interval, always the same."""


def panels(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of `size` inches and its axes, rows x columns."""
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)


def curve_panel(
    ax: Axes, curves: pd.DataFrame, looks: Mapping[str, Look], by: str = "strategy"
) -> None:
    """The learning curves of one data set, a line for each value of `by`.

    `looks` has the colour and dashes of each line, in their order (`styles`). See `one_legend`.
    """
    sns.lineplot(
        curves,
        x="labels",
        y="accuracy",
        hue=by,
        style=by,
        hue_order=list(looks),
        style_order=list(looks),
        palette={name: colour for name, (colour, _) in looks.items()},
        dashes={name: dashes for name, (_, dashes) in looks.items()},
        err_kws={"alpha": 0.12, "linewidth": 0},
        ax=ax,
        **INTERVAL,
    )
    ax.set(title=title(curves), xlabel="labelled samples", ylabel="test accuracy")
    sns.despine(ax=ax)


def title(table: pd.DataFrame) -> str:
    """Data set and seeds of a panel of means."""
    return f"{table['dataset'].iloc[0]} ({table['seed'].nunique()} seeds, 95% interval)"


def one_legend(axes: Sequence[Axes]) -> None:
    """One legend for a row of `curve_panel`s with the same `styles`, beside the last of them."""
    for legend in filter(None, [ax.get_legend() for ax in axes]):
        legend.remove()
    handles, names = axes[-1].get_legend_handles_labels()
    axes[-1].legend(handles, map(shown, names), loc="upper left", bbox_to_anchor=(1.02, 1))


def seeds_and_mean(
    table: pd.DataFrame, means: Options, dots: Options | None = None, **both: Any
) -> None:
    """Every seed a dot, and the mean with its 95% bootstrap interval, beside a line at a gain of 0.

    `means` and `dots` are options of seaborn's `pointplot` and `stripplot`, `both` of either.
    """
    sns.stripplot(table, **{"alpha": 0.5, "jitter": False, "legend": False, **both, **(dots or {})})
    sns.pointplot(table, **{"errorbar": ("ci", 95), "seed": 0, **both, **means})
    line = both["ax"].axvline if both["x"] == "gain" else both["ax"].axhline
    line(0, color="0.6", linewidth=1)
    sns.despine(ax=both["ax"])
