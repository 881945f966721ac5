"""What a rehearsal on a user's own labels shows."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.experiments.rehearsal import Rehearsal
from ialelib.plots.panels import curve_panel, one_legend, panels
from ialelib.plots.style import styles
from ialelib.utils.errors import InputError


def rehearsed(found: Rehearsal) -> Figure:
    """Learning curves, and how far each strategy is above random sampling, with 95% intervals.

    Raises:
        InputError: a rehearsal that had too few labels to be run.
    """
    if found.curves.empty:
        raise InputError(f"there is nothing to draw. {found}")
    figure, (axes,) = panels(1, 2, (13.5, 5))
    looks = styles(found.curves["strategy"].unique())
    curve_panel(axes[0], found.curves, looks)
    chance = found.gains.assign(strategy="random", gain=0.0, margin=0.0)
    for strategy, one in pd.concat([chance, found.gains]).groupby("strategy", sort=False):
        colour, dashes = looks[str(strategy)]
        line = {"color": colour, "dashes": dashes or (None, None), "label": strategy}
        axes[1].plot(one["labels"], one["gain"], **line)
        between = one["gain"] - one["margin"], one["gain"] + one["margin"]
        axes[1].fill_between(one["labels"], *between, color=colour, alpha=0.12, linewidth=0)
    axes[1].set(xlabel="labelled samples", ylabel="accuracy minus random sampling's")
    sns.despine(ax=axes[1])
    one_legend(axes)
    return figure
