"""What the images look like (Fig. 9)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ialelib.data import DataSet

GAP = 2
"""White pixels around each image."""


def samples(sets: Sequence[DataSet], classes: int = 10, columns: int = 8) -> Figure:
    """The first training images of each class, a row per class and a panel per data set (Fig. 9).

    Of more than `classes` classes the first are shown.
    """
    figure, axes = plt.subplots(
        1, len(sets), figsize=(4.4 * len(sets), 5.2), squeeze=False, layout="constrained"
    )
    for ax, data in zip(axes[0], sets, strict=True):
        shown = min(classes, data.classes)
        tiles = montage(data, shown, columns)
        ax.imshow(tiles, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        height = data.shape[0] + GAP
        ax.set(title=data.name, xticks=[], ylabel="class")
        ax.set_yticks([height * (row + 0.5) for row in range(shown)], map(str, range(shown)))
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
            ax.imshow(images_N[index], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
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
    size = ((height + GAP) * classes, (width + GAP) * columns, *colours)
    whole = np.full(size, 255, dtype=np.uint8)
    for row in range(classes):
        of_class = data.train_inputs[data.train_labels == row][:columns]
        top = (height + GAP) * row + GAP // 2
        for column, image in enumerate(of_class):
            left = (width + GAP) * column + GAP // 2
            whole[top : top + height, left : left + width] = image
    return whole
