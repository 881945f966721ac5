"""Every figure, with one colour per strategy throughout; safe for colour-blind readers."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.data import DataSet
from ialelib.files import atomic
from ialelib.metrics import aubc_table
from ialelib.models import Classifier
from ialelib.training import correct, predict, recipe

# Okabe & Ito (2008), the yellow darkened for white paper.
COLOURS = {
    "policy": "#D55E00",
    "random": "#000000",
    "entropy": "#E69F00",
    "confidence": "#A89F00",
    "mc_dropout": "#0072B2",
    "ensemble": "#56B4E9",
    "coreset": "#009E73",
    "badge": "#CC79A7",
    "alil": "#7F7F7F",
}
DASHES = {
    "policy": "",
    "random": (4, 2),
    "entropy": (1, 1),
    "confidence": (3, 1, 1, 1),
    "mc_dropout": (5, 1),
    "ensemble": (5, 1, 1, 1),
    "coreset": (2, 1),
    "badge": (1, 1, 3, 1),
    "alil": (6, 2, 1, 2),
}
NAMES = {
    "policy": "IALE policy",
    "random": "Random",
    "entropy": "Entropy",
    "confidence": "Confidence",
    "mc_dropout": "MC-Dropout",
    "ensemble": "Ensemble",
    "coreset": "CoreSet",
    "badge": "BADGE",
    "alil": "ALIL",
}
CLASS_COLOURS = ("#0072B2", "#E69F00")

sns.set_theme(context="notebook", style="ticks", rc={"figure.dpi": 90, "legend.frameon": False})
mpl.rcParams["svg.hashsalt"] = "ialelib"


def save(figure: Figure, folder: Path, stem: str) -> None:
    """Write a figure as STEM.svg and STEM.png, the same bytes for the same figure."""
    for suffix, extra in (("svg", {"Date": None}), ("png", {"Software": None})):
        with atomic(folder / f"{stem}.{suffix}") as temporary:
            figure.savefig(temporary, metadata=extra, bbox_inches="tight", dpi=150)


def learning_curves(curves: pd.DataFrame) -> Figure:
    """Mean test accuracy over labels with 95% bootstrap intervals, a panel per set (Fig. 3)."""
    datasets = list(curves["dataset"].unique())
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(7.5 * len(datasets), 5), squeeze=False, layout="constrained"
    )
    order = [name for name in COLOURS if name in set(curves["strategy"])]
    for ax, dataset in zip(axes[0], datasets, strict=True):
        part = curves[curves["dataset"] == dataset]
        sns.lineplot(
            part,
            x="labels",
            y="accuracy",
            hue="strategy",
            style="strategy",
            hue_order=order,
            style_order=order,
            palette=COLOURS,
            dashes=DASHES,
            errorbar=("ci", 95),
            n_boot=500,
            seed=0,
            err_kws={"alpha": 0.12, "linewidth": 0},
            ax=ax,
        )
        ax.set(
            title=f"{dataset} ({part['seed'].nunique()} seeds, 95% interval)",
            xlabel="labelled samples",
            ylabel="test accuracy",
        )
        _name_legend(ax)
        sns.despine(ax=ax)
    return figure


def aubc_gains(curves: pd.DataFrame, reference: str = "random") -> Figure:
    """AUBC of each strategy minus the reference's: every seed a dot, and the mean with 95%."""
    table = aubc_table(curves)
    gains = table.sub(table[reference], axis=0).drop(columns=reference)
    long = gains.melt(ignore_index=False, value_name="gain").reset_index()
    datasets = list(long["dataset"].unique())
    figure, axes = plt.subplots(
        1,
        len(datasets),
        figsize=(6.5 * len(datasets), 0.9 + 0.45 * len(gains.columns)),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    order = gains.mean().sort_values(ascending=False).index.tolist()
    for ax, dataset in zip(axes[0], datasets, strict=True):
        part = long[long["dataset"] == dataset]
        shared = {"x": "gain", "y": "strategy", "hue": "strategy", "order": order, "ax": ax}
        sns.stripplot(part, palette=COLOURS, alpha=0.5, jitter=False, legend=False, **shared)
        sns.pointplot(part, palette=COLOURS, marker="|", markersize=14, seed=0, **shared)
        ax.axvline(0, color="0.6", linewidth=1)
        ax.set(title=dataset, xlabel=f"AUBC minus {NAMES[reference]}'s", ylabel="")
        ax.set_yticks(range(len(order)), [NAMES[name] for name in order])
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


def toy_data(data: DataSet) -> Figure:
    """The two Gaussians with the histograms of their first coordinate (Fig. 1a)."""
    figure, (above, ax) = _joint()
    _scatter(ax, data.train_inputs, data.train_labels, alpha=0.35)
    _histogram(above, data.train_inputs, data.train_labels)
    above.set_title("all data")
    return figure


def toy_strategies(data: DataSet, results: Mapping[str, tuple[Classifier, np.ndarray]]) -> Figure:
    """Labelled points, decision boundary and histogram of each strategy (Fig. 1b-d).

    `results`: for each strategy its last classifier and labelled indices (`cycle.replay`).
    """
    figure = plt.figure(figsize=(5.2 * len(results), 6.4), layout="constrained")
    parts = figure.subfigures(1, len(results), squeeze=False)
    for part, (name, (model, labelled)) in zip(parts[0], results.items(), strict=True):
        above, ax = part.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 3], "hspace": 0.05}
        )
        _boundary(ax, model, data)
        ax.scatter(*data.train_inputs.T, s=6, color="0.75", zorder=1)
        _scatter(ax, data.train_inputs[labelled], data.train_labels[labelled], edge="black")
        _histogram(above, data.train_inputs[labelled], data.train_labels[labelled])
        accuracy = correct(model, data.test_inputs, data.test_labels, recipe("toy")).mean()
        above.set_title(f"{NAMES[name]}: accuracy {100 * accuracy:.1f} %")
        _label_toy(above, ax)
    return figure


def _joint() -> tuple[Figure, Sequence[Axes]]:
    figure, axes = plt.subplots(
        2,
        1,
        sharex=True,
        figsize=(5.2, 6.4),
        layout="constrained",
        gridspec_kw={"height_ratios": [1, 3], "hspace": 0.05},
    )
    _label_toy(*axes)
    return figure, axes


def _label_toy(above: Axes, ax: Axes) -> None:
    ax.set(xlabel="feature 1", ylabel="feature 2", xlim=(-5, 5), ylim=(-4.2, 4.2))
    above.set(ylabel="samples")
    for axis in (above, ax):
        sns.despine(ax=axis)


def _scatter(
    ax: Axes, points: np.ndarray, labels: np.ndarray, alpha: float = 1.0, edge: str = "none"
) -> None:
    for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, "os", strict=True)):
        chosen = points[labels == label]
        ax.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=22,
            marker=marker,
            color=colour,
            alpha=alpha,
            edgecolors=edge,
            linewidths=0.5,
            zorder=2,
        )


def _histogram(ax: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    for label, colour in enumerate(CLASS_COLOURS):
        chosen = points[labels == label, 0]
        bins = np.linspace(-5, 5, 41).tolist()
        ax.hist(chosen, bins=bins, color=colour, alpha=0.6, label=f"class {label}")
    ax.legend(loc="upper left", fontsize="small")


def _boundary(ax: Axes, model: Classifier, data: DataSet) -> None:
    x, y = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-4.2, 4.2, 201))
    grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    probability = predict(model, grid)[0].softmax(1)[:, 1].numpy().reshape(x.shape)
    ax.contour(x, y, probability, levels=[0.5], colors="black", linewidths=1.5, zorder=3)
    ax.contourf(
        x, y, probability, levels=[0, 0.5, 1], colors=list(CLASS_COLOURS), alpha=0.08, zorder=0
    )


def _name_legend(ax: Axes) -> None:
    handles, names = ax.get_legend_handles_labels()
    ax.legend(handles, [NAMES.get(name, name) for name in names], loc="lower right")
