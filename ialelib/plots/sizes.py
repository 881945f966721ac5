"""The figures on acquisition sizes and sub-pools (Figs. 8b, 8c, 16)."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ialelib.plots.style import COLOURS, DASHES, NAMES, styles

CHANCE = COLOURS["random"]


def learning_curves(curves: pd.DataFrame, acq: int, n: int) -> Figure:
    """Mean accuracy over labels with 95% bootstrap intervals, a panel for each comparison.

    The policy by acquisition size, then by sub-pool, then beside the baselines at those sizes at
    which more than the policy and random sampling ran. All lines of a panel have the same seeds.
    `acq` and `n` are the sizes that the policy was trained with.
    """
    policy = curves[curves["strategy"] == "policy"]
    by_acq = policy[(policy["acq"] != acq) | (policy["n"] == n)]
    by_n = policy[policy["acq"] == acq]
    chance = curves[(curves["strategy"] == "random") & (curves["acq"] == acq)]
    parts = [
        pd.concat([part, chance])
        for part in (by_acq, by_n)
        if len(part[["acq", "n"]].drop_duplicates()) > 1
    ]
    others = curves[~curves["strategy"].isin(["policy", "random"])]
    baselines = list(others[["acq", "n"]].drop_duplicates().itertuples(index=False, name=None))
    count = len(parts) + len(baselines)
    figure, axes = plt.subplots(
        1, count, figsize=(7 * count, 5), squeeze=False, layout="constrained"
    )
    for ax, part in zip(axes[0], map(_paired, parts), strict=False):
        _by_size(ax, part, n)
        _finish(ax, part, "the policy")
    for ax, (batch, sub_pool) in zip(axes[0, len(parts) :], baselines, strict=True):
        same = (curves["n"] == sub_pool) | (curves["strategy"] == "random")
        part = _paired(curves[(curves["acq"] == batch) & same])
        _by_strategy(ax, part)
        _finish(ax, part, f"acq {batch}, n {sub_pool}")
    return figure


def _paired(part: pd.DataFrame) -> pd.DataFrame:
    """The seeds that every line has; with others beside them, lines would differ by luck."""
    seeds = part.groupby(["strategy", "acq", "n"])["seed"].unique()
    return part[part["seed"].isin(set.intersection(*map(set, seeds)))]


def gains(table: pd.DataFrame, n: int) -> Figure:
    """Gain in AUBC over random sampling at each size: every seed a dot, the mean with 95%.

    `table` is `by_size.aubc`'s; `n` the sub-pool that the policy was trained with.
    """
    policy = table[table["strategy"] == "policy"].sort_values(["acq", "n"])
    pairs = zip(policy["acq"], policy["n"], strict=True)
    named = policy.assign(size=[_name(batch, sub_pool, n) for batch, sub_pool in pairs])
    order = list(named["size"].unique())
    figure, ax = plt.subplots(figsize=(8, 0.9 + 0.36 * len(order)), layout="constrained")
    shared = {"x": "gain", "y": "size", "order": order, "color": COLOURS["policy"], "ax": ax}
    sns.stripplot(named, alpha=0.5, jitter=False, **shared)
    sns.pointplot(named, marker="|", markersize=14, linestyle="none", seed=0, **shared)
    ax.axvline(0, color="0.6", linewidth=1)
    ax.set(
        title=f"the policy ({_seeds(policy)}, 95% bootstrap intervals)",
        xlabel="AUBC minus random sampling's at the same acq",
        ylabel="",
    )
    sns.despine(ax=ax)
    return figure


def _by_size(ax: Axes, part: pd.DataFrame, n: int) -> None:
    policy = part[part["strategy"] == "policy"]
    pairs = sorted(policy[["acq", "n"]].drop_duplicates().itertuples(index=False, name=None))
    # The palette's pale end is left out: it cannot be seen on white.
    colours = sns.color_palette("viridis", len(pairs) + 1)
    for (acq, sub_pool), colour in zip(pairs, colours, strict=False):
        line = policy[(policy["acq"] == acq) & (policy["n"] == sub_pool)]
        _line(ax, line, _name(acq, sub_pool, n), colour)
    chance = part[part["strategy"] == "random"]
    _line(ax, chance, f"Random, acq {chance['acq'].iloc[0]}", CHANCE, DASHES["random"])


def _by_strategy(ax: Axes, part: pd.DataFrame) -> None:
    for name, (colour, dashes) in styles(part["strategy"].unique()).items():
        _line(ax, part[part["strategy"] == name], NAMES.get(name, name), colour, dashes)


def _line(ax: Axes, part: pd.DataFrame, name: str, colour: Any, dashes: Any = "") -> None:
    shared = {"x": "labels", "y": "accuracy", "errorbar": ("ci", 95), "seed": 0, "ax": ax}
    line = {"dashes": dashes} if dashes else {}
    sns.lineplot(part, color=colour, label=name, err_kws={"alpha": 0.12}, **shared, **line)


def _finish(ax: Axes, part: pd.DataFrame, title: str) -> None:
    about = f"{part['dataset'].iloc[0]}: {title} ({_seeds(part)}, 95% intervals)"
    ax.set(title=about, xlabel="labelled samples", ylabel="mean test accuracy")
    ax.legend(loc="lower right", fontsize="small", ncols=1 + (len(ax.lines) > 9))
    sns.despine(ax=ax)


def _name(acq: int, n: int, usual: int) -> str:
    return f"acq {acq}" if n == usual else f"acq {acq}, n {n}"


def _seeds(part: pd.DataFrame) -> str:
    counts = part.groupby(["strategy", "acq", "n"])["seed"].nunique()
    low, high = counts.min(), counts.max()
    return f"{low} to {high} seeds" if low < high else "1 seed" if high == 1 else f"{high} seeds"
