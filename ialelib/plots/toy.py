"""The figures on two Gaussians in the plane (Fig. 1)."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ialelib.data import DataSet
from ialelib.models import Classifier
from ialelib.plots.style import shown
from ialelib.recipes import recipe
from ialelib.training import correct_mask, predict

CLASS_COLOURS = ("#0072B2", "#E69F00")


def toy_data(data: DataSet) -> Figure:
    """The two Gaussians with the histograms of their first coordinate (Fig. 1a)."""
    figure = plt.figure(figsize=(5.2, 6.4), layout="constrained")
    above, ax = _pair(figure)
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
        above, ax = _pair(part)
        points, labels = data.train_inputs[labelled], data.train_labels[labelled]
        _boundary(ax, model)
        ax.scatter(data.train_inputs[:, 0], data.train_inputs[:, 1], s=6, color="0.75", zorder=1)
        _scatter(ax, points, labels, edgecolors="black")
        _histogram(above, points, labels)
        accuracy = correct_mask(model, data.test_inputs, data.test_labels, recipe("toy")).mean()
        above.set_title(f"{shown(name)}: accuracy {100 * accuracy:.1f} %")
    return figure


def _pair(place: Figure | SubFigure) -> tuple[Axes, Axes]:
    """Axes of a histogram, and below them those of the plane."""
    heights = {"height_ratios": [1, 3], "hspace": 0.05}
    above, ax = place.subplots(2, 1, sharex=True, gridspec_kw=heights)
    ax.set(xlabel="feature 1", ylabel="feature 2", xlim=(-5, 5), ylim=(-4.2, 4.2))
    above.set(ylabel="samples")
    for axes in (above, ax):
        sns.despine(ax=axes)
    return above, ax


def _scatter(ax: Axes, points: np.ndarray, labels: np.ndarray, **look: Any) -> None:
    shared = {"s": 22, "linewidths": 0.5, "zorder": 2, "alpha": 1.0, "edgecolors": "none", **look}
    for label, (colour, marker) in enumerate(zip(CLASS_COLOURS, "os", strict=True)):
        x, y = points[labels == label].T
        ax.scatter(x, y, marker=marker, color=colour, **shared)


def _histogram(ax: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    bins = np.linspace(-5, 5, 41).tolist()
    for label, colour in enumerate(CLASS_COLOURS):
        first = points[labels == label, 0]
        ax.hist(first, bins=bins, color=colour, alpha=0.6, label=f"class {label}")
    ax.legend(loc="upper left", fontsize="small")


def _boundary(ax: Axes, model: Classifier) -> None:
    x, y = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-4.2, 4.2, 201))
    grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    probability = predict(model, grid)[0].softmax(1)[:, 1].numpy().reshape(x.shape)
    ax.contour(x, y, probability, levels=[0.5], colors="black", linewidths=1.5, zorder=3)
    tints: dict[str, Any] = {"colors": list(CLASS_COLOURS), "alpha": 0.08, "zorder": 0}
    ax.contourf(x, y, probability, levels=[0, 0.5, 1], **tints)
