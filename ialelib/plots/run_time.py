"""The figure on run times (Sec. 4.2)."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.plots.style import COLOURS, NAMES

TRAINING = "0.75"


def costs(strategies: pd.DataFrame, methods: pd.DataFrame) -> Figure:
    """Seconds per acquisition by strategy; of policy training, seconds and fits per label.

    The tables are `run_time.per_acquisition`'s and `run_time.per_label`'s.
    """
    figure, axes = plt.subplots(
        1, 3, figsize=(16, 4.4), width_ratios=(2.2, 1, 1), layout="constrained"
    )
    _acquisitions(axes[0], strategies.assign(total=strategies[list(PARTS)].sum(axis=1)))
    for ax, column, name in (
        (axes[1], "seconds", "seconds per bought label"),
        (axes[2], "classifiers", "classifiers trained per bought label"),
    ):
        bars = ax.bar(methods["method"], methods[column], width=0.5, color=_colours(methods))
        ax.bar_label(bars, fmt="%.2f")
        ax.set(title="one episode of policy training", ylabel=name)
        ax.margins(y=0.12)
    sns.despine(figure)
    return figure


PARTS = {"train_seconds": "training the classifier", "query_seconds": "querying"}


def _acquisitions(ax: Axes, table: pd.DataFrame) -> None:
    ordered = table.sort_values("total", ascending=False)
    names = [NAMES.get(name, name) for name in ordered["strategy"]]
    colours = [COLOURS[name] for name in ordered["strategy"]]
    train, query = (ordered[column].to_numpy() for column in PARTS)
    ax.barh(names, train, color=TRAINING, label=PARTS["train_seconds"])
    ax.barh(names, query, left=train, color=colours, label=f"{PARTS['query_seconds']} (coloured)")
    ax.set(title="one acquisition", xlabel="seconds (median)")
    ax.legend(loc="upper right")


def _colours(methods: pd.DataFrame) -> list[str]:
    return [COLOURS["alil" if name == "ALIL" else "policy"] for name in methods["method"]]
