"""The figures on acquisition sizes and sub-pools (Figs. 8b, 8c, 16)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.plots.panels import TICK, curve_panel, seeds_and_mean
from ialelib.plots.style import COLOURS, DASHES, Look, shown, styles

Panel = tuple[str, pd.DataFrame, dict[str, Look]]
"""Title, curves with a column "line", and the look of each line."""


def overview(curves: pd.DataFrame, table: pd.DataFrame, acq: int, n: int) -> Figure:
    """`gains` and the panels of `learning_curves` in two columns, the gains first.

    The baselines have one place, which their sizes share.
    """
    cells = [*([panel] for panel in _by_size(curves, acq, n)), _baselines(curves)]
    figure, axes = _grid([1, *filter(None, map(len, cells))])
    _gains(axes[0][0], table, n)
    _draw(axes[1:], cells)
    return figure


def learning_curves(curves: pd.DataFrame, acq: int, n: int) -> Figure:
    """Mean accuracy over labels with 95% bootstrap intervals, a panel for each comparison.

    The policy by acquisition size, then by sub-pool, then beside the baselines at those sizes at
    which more than the policy and random sampling ran. All lines of a panel have the same seeds.
    `acq` and `n` are the sizes that the policy was trained with.
    """
    cells = [[panel] for panel in _by_size(curves, acq, n) + _baselines(curves)]
    figure, axes = _grid([1] * len(cells))
    _draw(axes, cells)
    return figure


def gains(table: pd.DataFrame, n: int) -> Figure:
    """Gain in AUBC over random sampling at each size: every seed a dot, the mean with 95%.

    `table` is `batch_sizes.aubc`'s; `n` the sub-pool that the policy was trained with.
    """
    sizes = table[table["strategy"] == "policy"][["acq", "n"]].drop_duplicates()
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.36 * len(sizes)), layout="constrained")
    _gains(ax, table, n)
    return figure


def _grid(cells: Sequence[int]) -> tuple[Figure, list[Sequence[Axes]]]:
    """A page-wide figure of cells in two columns, and the axes that stand in each cell."""
    columns, rows = min(2, len(cells)), -(-len(cells) // 2)
    figure = plt.figure(figsize=(6 * columns, 4.5 * rows), layout="constrained")
    places = zip(figure.subfigures(rows, columns, squeeze=False).flat, cells, strict=False)
    return figure, [part.subplots(1, n, sharey=True, squeeze=False)[0] for part, n in places]


def _by_size(curves: pd.DataFrame, acq: int, n: int) -> list[Panel]:
    policy = _named(curves, n)
    chance = curves[(curves["strategy"] == "random") & (curves["acq"] == acq)]
    by_acq = policy[(policy["acq"] != acq) | (policy["n"] == n)]
    found: list[Panel] = []
    for part in (by_acq, policy[policy["acq"] == acq]):
        lines = list(part["line"].unique())
        if len(lines) > 1:
            # The palette's pale end is left out: it cannot be seen on white.
            colours = sns.color_palette("viridis", len(lines) + 1)
            looks: dict[str, Look] = {
                line: (colour, "") for line, colour in zip(lines, colours, strict=False)
            }
            looks[f"Random, acq {acq}"] = COLOURS["random"], DASHES["random"]
            beside = pd.concat([part, chance.assign(line=f"Random, acq {acq}")])
            found.append(("the policy", _paired(beside), looks))
    return found


def _baselines(curves: pd.DataFrame) -> list[Panel]:
    others = curves[~curves["strategy"].isin(["policy", "random"])]
    found: list[Panel] = []
    for acq, n in others[["acq", "n"]].drop_duplicates().itertuples(index=False):
        same = (curves["n"] == n) | (curves["strategy"] == "random")
        part = _paired(curves[(curves["acq"] == acq) & same])
        looks = {shown(name): look for name, look in styles(part["strategy"].unique()).items()}
        named = part.assign(line=part["strategy"].map(shown))
        found.append((f"acq {acq}, n {n}", named, looks))
    return found


def _paired(part: pd.DataFrame) -> pd.DataFrame:
    """The seeds that every line has; with others beside them, lines would differ by chance."""
    seeds = part.groupby(["strategy", "acq", "n"])["seed"].unique()
    return part[part["seed"].isin(set.intersection(*map(set, seeds)))]


def _draw(axes: Sequence[Sequence[Axes]], cells: Sequence[Sequence[Panel]]) -> None:
    for row, cell in zip(axes, cells, strict=False):
        for ax, (name, part, looks) in zip(row, cell, strict=True):
            curve_panel(ax, part, looks, by="line")
            gap = "\n" if len(cell) > 1 else " "
            about = f"{part['dataset'].iloc[0]}: {name}{gap}({_seeds(part)}, 95% intervals)"
            ax.set_title(about, fontsize="medium")
            ax.legend(loc="lower right", fontsize="small", ncols=1 + (len(looks) > 9))
            ax.label_outer()


def _gains(ax: Axes, table: pd.DataFrame, n: int) -> None:
    policy = _named(table, n)
    places: dict[str, Any] = {"x": "gain", "y": "line", "color": COLOURS["policy"], "ax": ax}
    order = list(policy["line"].unique())
    seeds_and_mean(policy, means={"linestyle": "none", **TICK}, order=order, **places)
    ax.set(
        title=f"the policy ({_seeds(policy)}, 95% bootstrap intervals)",
        xlabel="AUBC minus random sampling's at the same acq",
        ylabel="",
    )


def _named(table: pd.DataFrame, usual: int) -> pd.DataFrame:
    """The policy's rows by size, which a column "line" names."""
    policy = table[table["strategy"] == "policy"].sort_values(["acq", "n"], kind="stable")
    pairs = zip(policy["acq"], policy["n"], strict=True)
    return policy.assign(line=[f"acq {acq}{f', n {n}' * (n != usual)}" for acq, n in pairs])


def _seeds(part: pd.DataFrame) -> str:
    counts = part.groupby(["strategy", "acq", "n"])["seed"].nunique()
    low, high = counts.min(), counts.max()
    return f"{low} to {high} seeds" if low < high else "1 seed" if high == 1 else f"{high} seeds"
