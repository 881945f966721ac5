"""Draw the picture of the method at the top of the README: one acquisition of Algorithm 1.

    python docs/method.py

It writes figures/docs/method.svg and .png. Choices, accuracies and scores are made up for the
drawing; the images are from the shipped sample of Fashion-MNIST.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ArrowStyle, Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

from ialelib.data import SAMPLES
from ialelib.plots.style import COLOURS, NAMES

FOLDER = Path(__file__).parents[1] / "figures" / "docs"
WIDTH, BOTTOM, TOP = 10.0, -0.5, 5.9  # inches, and the drawing's units
INK, QUIET, LINE, PALE, PAPER = "#1B1F24", "#57606A", "#AFB8C1", "#EEF1F4", "#FFFFFF"
POLICY = COLOURS["policy"]

LABELLED = (15, 18, 17, 24, 50, 53)
CANDIDATES = (14, 9, 12, 13, 25, 23, 43, 27, 36, 58, 22, 49)
BATCHES = {  # candidates that each expert chooses, accuracy of its temporary classifier
    "mc_dropout": ((1, 4, 9), 0.62),
    "ensemble": ((1, 4, 7), 0.86),
    "coreset": ((0, 5, 11), 0.40),
    "badge": ((2, 4, 10), 0.70),
    "confidence": ((1, 7, 9), 0.60),
    "entropy": ((3, 7, 9), 0.50),
}
BEST = "ensemble"
SCORES = (0.12, 0.92, 0.35, 0.2, 0.78, 0.12, 0.08, 0.55, 0.15, 0.68, 0.25, 0.1)
STATE = (  # what a row of Eq. 1 holds, values drawn for it, colour
    ("labelled set: mean, classes", 3, "#57606A"),
    ("embedding", 3, "#0072B2"),
    ("prediction", 2, "#009E73"),
    ("gradient", 3, "#AA4499"),
)

LEFT, PITCH, CELL = 3.86, 0.335, 0.265  # columns of candidates
RIGHT = LEFT + PITCH * (len(CANDIDATES) - 1) + CELL
NAMED = LEFT - 0.14  # where names of rows end
FIRST, ROW = 4.63, 0.285  # rows of experts, downwards
TARGET, SCORED = 2.62, 1.98
BAR = 1.25  # length of a bar for an accuracy of 1


def write(ax: Axes, x: float, y: float, text: str, **look: object) -> None:
    """Text in the picture's own style."""
    ax.text(x, y, text, **{"color": INK, "fontsize": 10, "va": "center", **look})  # type: ignore[arg-type]


def step(ax: Axes, x: float, y: float, number: int, text: str) -> None:
    """The number of a step in a disc, and what happens in it."""
    ax.add_patch(Circle((x, y), 0.125, color=INK))
    write(ax, x, y - 0.008, str(number), color=PAPER, ha="center", fontweight="bold", fontsize=9.5)
    write(ax, x + 0.2, y, text, fontweight="bold", fontsize=10.5)


def box(ax: Axes, x: float, y: float, width: float, height: float, edge: str, fill: str) -> None:
    """A rounded frame."""
    style = "round,pad=0,rounding_size=0.08"
    frame = FancyBboxPatch((x, y), width, height, style, fc=fill, ec=edge, lw=1.2, zorder=-1)
    ax.add_patch(frame)


def arrow(ax: Axes, points: list[tuple[float, float]], colour: str = INK) -> None:
    """A path of straight lines that ends in an arrow's head."""
    xs, ys = zip(*points[:-1], strict=True)
    ax.plot(xs, ys, color=colour, lw=1.3, solid_capstyle="butt", solid_joinstyle="round")
    head = ArrowStyle("-|>", head_length=5, head_width=2.8)
    end = FancyArrowPatch(
        points[-2], points[-1], arrowstyle=head, shrinkA=0, shrinkB=0, color=colour, lw=1.3
    )
    ax.add_patch(end)


def picture(ax: Axes, image: np.ndarray, x: float, y: float, size: float) -> None:
    """A sample image in a thin frame, dark on white."""
    ax.imshow(255 - image, cmap="gray", vmin=0, vmax=255, extent=(x, x + size, y, y + size))
    ax.add_patch(Rectangle((x, y), size, size, fill=False, ec=LINE, lw=0.8))


def cells(ax: Axes, y: float, strengths: list[float], colour: str) -> None:
    """A row over all candidates, as dark as each one's strength in [0, 1]."""
    for column, strength in enumerate(strengths):
        corner = (LEFT + PITCH * column, y - 0.1)
        ax.add_patch(Rectangle(corner, CELL, 0.2, fc=PALE, ec="none"))
        ax.add_patch(Rectangle(corner, CELL, 0.2, fc=colour, ec="none", alpha=strength))


def classifier(ax: Axes, images: np.ndarray) -> None:
    """Step 1: the labelled set and the classifier trained on it."""
    step(ax, 0.42, 5.55, 1, "Train the classifier")
    box(ax, 0.3, 4.12, 2.1, 1.12, LINE, PAPER)
    for place, index in enumerate(LABELLED):
        picture(ax, images[index], 0.43 + 0.31 * place, 4.53, 0.28)
    write(ax, 1.35, 5.04, "labelled set $D_{lab}$", ha="center")
    write(ax, 1.35, 4.31, "images with labels", ha="center", color=QUIET, fontsize=9.5)
    arrow(ax, [(1.35, 4.12), (1.35, 3.42)])
    box(ax, 0.55, 2.86, 1.6, 0.56, INK, PALE)
    write(ax, 1.35, 3.14, "classifier $M$", ha="center", fontsize=11)
    arrow(ax, [(2.15, 3.14), (2.56, 3.14), (2.56, 3.92), (2.8, 3.92)])
    arrow(ax, [(0.75, 2.86), (0.75, 0.58), (1.85, 0.58)])


def experts(ax: Axes, images: np.ndarray) -> None:
    """Steps 2 to 4: the sub-pool, each expert's batch, and the accuracy that it leads to."""
    step(ax, LEFT - 1.11, 5.55, 2, "Draw a sub-pool $D_{sub}$: $n$ candidates without labels")
    for column, index in enumerate(CANDIDATES):
        picture(ax, images[index], LEFT + PITCH * column, 4.97, CELL)
    step(ax, 2.75, 5.16, 3, "Experts")
    write(ax, 2.95, 4.95, "propose", fontsize=10.5, fontweight="bold")
    step(ax, RIGHT + 0.36, 5.55, 4, "Best expert")
    write(ax, RIGHT + 0.24, 5.25, "temporary classifiers,", color=QUIET, fontsize=9.5)
    write(ax, RIGHT + 0.24, 5.05, "each with one batch more:", color=QUIET, fontsize=9.5)
    write(ax, RIGHT + 0.24, 4.85, "validation accuracy", color=QUIET, fontsize=9.5)
    for row, (name, (batch, accuracy)) in enumerate(BATCHES.items()):
        y = FIRST - ROW * row
        best = name == BEST
        write(ax, NAMED, y, NAMES[name], ha="right", fontweight="bold" if best else "normal")
        cells(ax, y, [float(column in batch) for column in range(len(CANDIDATES))], COLOURS[name])
        ax.add_patch(Rectangle((RIGHT + 0.24, y - 0.075), BAR * accuracy, 0.15, fc=COLOURS[name]))
        if best:
            write(ax, RIGHT + 0.3 + BAR * accuracy, y, "$e^*$", fontsize=12)


def imitation(ax: Axes) -> None:
    """Step 5: the state of each candidate goes through the policy, whose scores meet the target."""
    step(ax, 1.1, 2.3, 5, "Imitate it")
    lines = ("for each candidate, the", "state (Eq. 1) goes in, a", "score comes out; fitted")
    for row, line in enumerate((*lines, "after every episode")):
        write(ax, 0.97, 2.02 - 0.2 * row, line, color=QUIET, fontsize=9.5)
    everyone = range(len(CANDIDATES))
    cells(ax, TARGET, [float(column in BATCHES[BEST][0]) for column in everyone], COLOURS[BEST])
    write(ax, NAMED, TARGET, "target $t$", ha="right", fontweight="bold")
    middle = (LEFT + RIGHT) / 2
    write(ax, middle, (TARGET + SCORED) / 2, "loss: binary cross-entropy (Eq. 2)", ha="center")
    for end in (TARGET - 0.12, SCORED + 0.12):
        for x in (middle - 1.5, middle + 1.5):
            arrow(ax, [(x, (TARGET + SCORED) / 2), (x, end)], QUIET)
    cells(ax, SCORED, list(SCORES), POLICY)
    write(ax, NAMED, SCORED, "scores $\\rho$", ha="right", fontweight="bold")
    box(ax, LEFT - 0.05, 1.34, RIGHT - LEFT + 0.1, 0.32, POLICY, "#FBEDE3")
    write(ax, middle, 1.495, "policy $\\pi$, applied to each candidate by itself", ha="center")
    arrow(ax, [(middle, 1.66), (middle, SCORED - 0.11)])
    rng = np.random.default_rng(3)
    write(ax, 1.94, 0.58, "state $s$", fontweight="bold")
    arrow(ax, [(middle, 1.08), (middle, 1.34)])
    y = 1.06
    for name, count, colour in STATE:
        write(ax, NAMED, y - 0.041 * count, name, ha="right", color=colour, fontsize=9.5)
        shared = rng.uniform(0.25, 0.9, count)
        for column in everyone:
            values = shared if colour == QUIET else rng.uniform(0.15, 0.95, count)
            for place, value in enumerate(values):
                corner = (LEFT + PITCH * column, y - 0.085 * (place + 1))
                ax.add_patch(Rectangle(corner, CELL, 0.075, fc=colour, ec="none", alpha=value))
        y -= 0.085 * count + 0.03


def label(ax: Axes) -> None:
    """Step 6: a coin decides whose batch is labelled, and all starts again."""
    coin, winner = 8.85, FIRST - ROW * list(BATCHES).index(BEST)
    arrow(ax, [(9.5, winner), (9.74, winner), (9.74, TARGET), (RIGHT + 0.06, TARGET)])
    arrow(ax, [(coin, TARGET), (coin, SCORED + 0.19)])
    arrow(ax, [(RIGHT + 0.06, SCORED), (coin - 0.19, SCORED)], POLICY)
    ax.add_patch(Circle((coin, SCORED), 0.18, fc=PALE, ec=INK, lw=1.3))
    write(ax, coin, SCORED, "$p$", ha="center", fontsize=11)
    write(ax, coin + 0.26, SCORED, "coin", color=QUIET, fontsize=9.5)
    arrow(ax, [(coin, SCORED - 0.18), (coin, 1.6)])
    box(ax, RIGHT + 0.16, 0.55, 9.82 - RIGHT - 0.16, 1.05, LINE, PAPER)
    step(ax, RIGHT + 0.38, 1.36, 6, "Label a batch")
    write(ax, RIGHT + 0.26, 1.04, "from the best expert", color=QUIET, fontsize=9.5)
    write(ax, RIGHT + 0.26, 0.82, "or from the policy", color=QUIET, fontsize=9.5)
    arrow(ax, [(coin, 0.55), (coin, -0.2), (0.17, -0.2), (0.17, 4.68), (0.3, 4.68)])
    words = "add it to the labelled set and repeat, until the budget $B$ is spent"
    write(ax, 5.0, -0.2, words, ha="center", bbox={"fc": PAPER, "ec": "none", "pad": 3})


def draw() -> Figure:
    """The whole picture."""
    with np.load(SAMPLES / "fmnist-10k.npz") as arrays:
        images = arrays["train_images"][:60]
    figure = Figure(figsize=(WIDTH, TOP - BOTTOM))
    ax = figure.add_axes((0, 0, 1, 1))
    classifier(ax, images)
    experts(ax, images)
    imitation(ax)
    label(ax)
    # imshow has set limits and ratio of its own.
    ax.set(xlim=(0, WIDTH), ylim=(BOTTOM, TOP), aspect="auto")
    ax.axis("off")
    box(ax, 0.05, BOTTOM + 0.05, WIDTH - 0.1, TOP - BOTTOM - 0.1, LINE, PAPER)
    ax.patches[-1].set_zorder(-2)
    return figure


def main() -> None:
    """Write the picture, the same bytes at each call."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    figure = draw()
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        figure.savefig(FOLDER / f"method.{suffix}", metadata=metadata, dpi=200, transparent=True)


if __name__ == "__main__":
    main()
