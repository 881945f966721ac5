"""The figure on run times (Sec. 4.2)."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.plots.panels import panels
from ialelib.plots.style import COLOURS, shown, styles

TRAINING = "0.75"


def costs(strategies: pd.DataFrame, methods: pd.DataFrame) -> Figure:
    """Seconds per acquisition by strategy; of policy training, seconds and fits per label.

    The tables are `run_time.per_acquisition`'s and `run_time.per_label`'s.
    """
    figure, ((left, *others),) = panels(1, 3, (16, 4.4), width_ratios=(2.2, 1, 1))
    total = strategies["train_seconds"] + strategies["query_seconds"]
    ordered = strategies.assign(total=total).sort_values("total", ascending=False)
    names, train = list(map(shown, ordered["strategy"])), ordered["train_seconds"]
    looks = styles(ordered["strategy"])
    colours = [looks[name][0] for name in ordered["strategy"]]
    left.barh(names, train, color=TRAINING, label="training the classifier")
    querying = "querying (coloured)"
    left.barh(names, ordered["query_seconds"], left=train, color=colours, label=querying)
    left.set(title="one acquisition", xlabel="seconds (median)")
    left.legend(loc="upper right")
    colours = [COLOURS["alil" if name == "ALIL" else "policy"] for name in methods["method"]]
    units = {"seconds": "seconds", "classifiers": "classifiers trained"}
    for ax, (column, unit) in zip(others, units.items(), strict=True):
        bars = ax.bar(methods["method"], methods[column], width=0.5, color=colours)
        ax.bar_label(bars, fmt="%.2f")
        ax.set(title="one episode of policy training", ylabel=f"{unit} per acquired label")
        ax.margins(y=0.12)
    sns.despine(figure)
    return figure
