"""Views of made-up source data for tests of the search."""

import numpy as np

from ialelib.data import DataSet
from ialelib.utils.seeds import stream


def view(width: int = 256, classes: int = 12, size: int = 3000) -> DataSet:
    """Overlapping clouds, one for each class."""
    rng = stream(0, "view")
    labels = rng.integers(0, classes, size)
    middle = rng.normal(size=(classes, width)) * np.exp(-np.arange(width) / 20)
    points = (rng.normal(size=(size, width)) * 0.5 + middle[labels]).astype(np.float32)
    return DataSet("view", points, labels, points[:50], labels[:50])


VIEWS = [view(), view(classes=4)]
