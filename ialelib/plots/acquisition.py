"""One acquisition of Algorithm 1: the experts' batches, and a row of the state (Eq. 1)."""

import numpy as np
from matplotlib.figure import Figure

from ialelib.dagger import Acquisition
from ialelib.data import DataSet
from ialelib.plots import images
from ialelib.plots.panels import panels
from ialelib.plots.style import COLOURS, shown
from ialelib.state import State, StateParts, blocks
from ialelib.utils.errors import InputError

PART_NAMES = {
    "labelled_mean": "mean embedding of the labelled set",
    "label_frequency": "class frequencies of its labels",
    "predicted_frequency": "class frequencies of its predictions",
    "embedding": "embedding of the candidate",
    "prediction": "predicted class of the candidate",
}
GRADIENTS = {
    "last_layer": "gradient of the last layer, a row per class",
    "embedding": "gradient at the embedding",
}


def batches(data: DataSet, step: Acquisition) -> Figure:
    """Each expert's batch as pictures with their classes, and its score; the best is framed.

    Raises:
        InputError: a data set of points.
    """
    if len(data.shape) < 2:
        raise InputError(f"{data.name!r} has points, not images; see plots.toy for its figures")
    score = {name: f"validation {100 * value:.1f} %" for name, value in step.scores.items()}
    score[step.winner] += "\nbest expert"
    named = {f"{shown(name)}\n{score[name]}": batch for name, batch in step.batches.items()}
    figure = images.batches(data.train_inputs, named, [str(c) for c in data.train_labels])
    rows = np.array(figure.axes).reshape(len(named), -1)
    best = rows[list(step.batches).index(step.winner)]
    best[0].yaxis.label.set(color=COLOURS["policy"], weight="bold")
    for ax in best[: len(step.batches[step.winner])]:
        ax.spines[:].set(visible=True, color=COLOURS["policy"], linewidth=2)
    return figure


def state_row(state: State, parts: StateParts, candidate: int) -> Figure:
    """The policy's input for one candidate: its parts as strips, in the order of Eq. 1.

    Colours of a strip range from minus (blue) to plus (red) its largest absolute value.
    """
    found = blocks(state.rows(candidate, candidate + 1), parts)
    strips = {name: block.numpy() for name, block in found.items()}
    width = sum(strip.size for strip in strips.values())
    classes = state.logits_N_C.shape[1]
    if parts.gradient == "last_layer":
        strips["gradient"] = strips["gradient"].reshape(classes, -1)
    heights = [max(1, 0.35 * len(strip)) for strip in strips.values()]
    size = 9, 0.75 * sum(heights) + 0.3
    figure, axes = panels(len(strips), 1, size, height_ratios=heights)
    names = PART_NAMES | {"gradient": GRADIENTS.get(parts.gradient, "")}
    for ax, (name, strip) in zip(axes[:, 0], strips.items(), strict=True):
        limit = np.abs(strip).max()
        colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        ax.imshow(strip, aspect="auto", interpolation="nearest", **colours)
        span = f"{strip.min():.2g} to {strip.max():.2g}"
        about = f"{names[name]}: {strip.size:,} values, {span}"
        ax.set_title(about, loc="left", fontsize="small")
        ax.set(yticks=[], xticks=range(classes) if strip.shape[1] == classes else [])
    figure.suptitle(f"state of candidate {candidate}: {width:,} values", fontsize="medium")
    return figure
