"""What the images look like (Fig. 9)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ialelib.data import DataSet
from ialelib.plots.panels import panels

GAP = 2
"""White pixels around each image."""
GREY = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}


def samples(sets: Sequence[DataSet], classes: int = 10, columns: int = 8) -> Figure:
    """The first training images of each class, a row per class and a panel per data set (Fig. 9).

    Of more than `classes` classes the first are shown.
    """
    figure, axes = panels(1, len(sets), (4.4 * len(sets), 5.2))
    for ax, data in zip(axes[0], sets, strict=True):
        rows = min(classes, data.classes)
        ax.imshow(montage(data, rows, columns), **GREY)
        height = data.shape[0] + GAP
        ax.set(title=data.name, xticks=[], ylabel="class")
        ax.set_yticks([height * (row + 0.5) for row in range(rows)], map(str, range(rows)))
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
    return figure


def batches(
    images_N: np.ndarray, chosen: Mapping[str, np.ndarray], titles_N: Sequence[str]
) -> Figure:
    """The images of several batches, a row for each, with their titles above."""
    columns = max(map(len, chosen.values()))
    size = 1.05 * columns + 1.2, 1.5 * len(chosen)
    figure, axes = plt.subplots(len(chosen), columns, figsize=size, squeeze=False)
    for row, (name, batch) in zip(axes, chosen.items(), strict=True):
        for ax, index in zip(row, batch, strict=False):
            ax.imshow(images_N[index], **GREY)
            ax.set_title(titles_N[index], fontsize="x-small")
        for ax in row:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout()
    return figure


def montage(data: DataSet, classes: int, columns: int) -> np.ndarray:
    """One uint8 image of `classes` rows and `columns` columns; white where a class has fewer."""
    height, width, *colours = data.shape
    tiles = np.full((classes, height + GAP, columns, width + GAP, *colours), 255, np.uint8)
    inside = tiles[:, GAP // 2 : GAP // 2 + height, :, GAP // 2 : GAP // 2 + width]
    for label in range(classes):
        of_class = data.train_inputs[data.train_labels == label][:columns]
        inside[label, :, : len(of_class)] = of_class.swapaxes(0, 1)
    return tiles.reshape(classes * (height + GAP), columns * (width + GAP), *colours)
