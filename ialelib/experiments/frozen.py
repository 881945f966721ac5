"""The generalist on frozen features: paired cycles on a backbone's embeddings, with the probe."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ialelib import metrics
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet, load_data
from ialelib.experiments import paired
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.oracle import ORACLE
from ialelib.policy import AnyPolicy
from ialelib.search.tasks import frozen, only, some
from ialelib.utils import cache
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import stream

CYCLE = ["dataset", "n", "strategy", "seed"]
MEAN = "mean"
"""What the mean over all targets is called where data sets are named."""
RESAMPLES = 10_000


@dataclass(frozen=True)
class Target:
    """Embeddings that cycles run on: all classes, or as many of them as `drawn`, at random."""

    whole: DataSet
    drawn: int | None = None

    def data(self, seed: int) -> DataSet:
        """What the cycles of a seed run on; every seed draws classes of its own."""
        if self.drawn is None:
            return self.whole
        order = stream(seed, "classes").permutation(self.whole.classes)
        part = only(self.whole, sorted(order[: self.drawn].tolist()))
        return replace(part, name=f"{self.whole.name}-odd{self.drawn}")


def targets(
    names: Iterable[str],
    unseen: str | None,
    drawn: Iterable[int],
    dimensions: int,
    samples: int,
) -> list[Target]:
    """Data sets of these names, and random odd classes of `unseen`, so many for each of `drawn`.

    The generalist learns from even classes. Embeddings are those of `search.frozen`, of `samples`
    training images, stratified by class, and all test images.

    Raises:
        InputError: more classes to draw than there are odd ones.
    """
    found = [Target(frozen(some(load_data(name), samples), dimensions)) for name in names]
    if unseen:
        data = load_data(unseen)
        odd = range(1, data.classes, 2)
        if max(drawn := list(drawn), default=0) > len(odd):
            raise InputError(f"{unseen!r} has {len(odd)} odd classes; draw no more, not {drawn}")
        whole = frozen(some(only(data, odd), samples), dimensions)
        found += [Target(whole, count) for count in drawn]
    return found


def cycle_config(data: DataSet, acquisitions: int, n: int) -> CycleConfig:
    """One label of each class to begin with, then C at a time; n candidates, or all there are."""
    classes = data.classes
    budget = classes * (1 + acquisitions)
    most = max(classes, len(data.train_labels) - budget)
    return CycleConfig("probe", classes, budget, classes, min(n, most))


def run(
    chosen: Sequence[Target],
    acquisitions: int,
    sizes: Sequence[int],
    strategies: Sequence[str],
    seeds: Sequence[int],
    oracle_seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
) -> pd.DataFrame:
    """Learning curves as of `paired.compare`, for sub-pools of several sizes in a column n.

    The oracle, which costs as much as 20 others, runs with `oracle_seeds` only. A target with fewer
    candidates than n offers all that it has.

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    groups: list[cache.Group] = []
    for target in chosen:
        for seed in sorted({*seeds, *oracle_seeds}):
            data = target.data(seed)
            names = [*strategies] * (seed in seeds) + [ORACLE] * (seed in oracle_seeds)
            for n in sizes:
                config = cycle_config(data, acquisitions, n)
                tasks = paired.tasks(data, config, names, [seed], folder, policies)
                groups.append((tasks, {"n": n}))
    return cache.run_groups(groups, processes, "cycles")


def ablations(policy: Generalist) -> dict[str, Generalist]:
    """The policy without each of its features, and without what changes with the labels."""
    found = {}
    for place, name in enumerate(NAMES):
        weight_F_2 = policy.weight_F_2.clone()
        weight_F_2[place] = 0
        found[f"without_{name}"] = Generalist(weight_F_2)
    constant = policy.weight_F_2 * torch.tensor([1.0, 0.0])
    return found | {"without_age": Generalist(constant)}


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC of every cycle, and its gain over random sampling: dataset, n, strategy, seed, ...

    Beside each data set stands the mean over all, for every seed.

    Raises:
        InputError: a strategy and seed that ran on some of the data sets only.
    """
    places = {name: place for place, name in enumerate(curves["dataset"].unique())}
    table = metrics.paired_gains(curves, CYCLE, ["dataset", "n", "seed"])
    table = table.sort_values("dataset", key=lambda names: names.map(places), kind="stable")
    sets_of_each = table.groupby(CYCLE[1:]).size()
    if sets_of_each.min() < sets_of_each.max():
        raise InputError("not paired: some cycles ran on a part of the data sets only; run all")
    means = table.groupby(CYCLE[1:], sort=False)[["aubc", "gain"]].mean().reset_index()
    return pd.concat([table, means.assign(dataset=MEAN)], ignore_index=True)


def means(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean accuracy after each acquisition: dataset, n, strategy, labels, seeds, accuracy, margin.

    `margin` is half its 95% interval (Student's t).
    """
    grouped = curves.groupby(["dataset", "n", "strategy", "labels"], sort=False)
    return grouped.agg(
        seeds=("seed", "nunique"),
        accuracy=("accuracy", "mean"),
        margin=("accuracy", metrics.mean_interval),
    ).reset_index()


def against(table: pd.DataFrame, policy: str) -> pd.DataFrame:
    """The policy against every other strategy but the oracle, paired by seed, from `areas`.

    Columns: dataset, n, strategy, seeds, gain (the policy's AUBC minus that one's), margin (half
    the 95% interval), p (Wilcoxon signed rank, two-sided), p_holm. Holm's correction is over the
    strategies of a data set and n; for the mean over data sets over those of every n.

    Raises:
        InputError: seeds that a strategy lacks, or no such policy.
    """
    parts = []
    for _, part in table[table["strategy"] != ORACLE].groupby(["dataset", "n"], sort=False):
        rows = metrics.gains_over(by_strategy(part, policy), policy)
        rows = rows[rows["strategy"] != policy]
        about = {name: part[name].iloc[0] for name in ("dataset", "n")}
        parts.append(rows.assign(**about, gain=-rows["gain"], p_holm=metrics.holm(rows["p"])))
    found = pd.concat(parts, ignore_index=True)
    overall = found["dataset"] == MEAN
    found.loc[overall, "p_holm"] = metrics.holm(found.loc[overall, "p"])
    return found[["dataset", "n", "strategy", "seeds", "gain", "margin", "p", "p_holm"]]


def by_strategy(table: pd.DataFrame, policy: str) -> pd.DataFrame:
    """AUBC of one data set and n: a row for each seed, a column for each strategy."""
    wide = table.pivot_table(index="seed", columns="strategy", values="aubc")
    lacking = [*wide.columns[wide.isna().any()], *{policy}.difference(wide.columns)]
    if lacking:
        raise InputError(f"not paired: some seeds lack {', '.join(lacking)}; run all of them")
    return wide[list(table["strategy"].unique())]


def way_to_oracle(table: pd.DataFrame, policy: str) -> pd.DataFrame:
    """How much of the way from the best other strategy to the oracle the policy goes, for each n.

    Of mean AUBC over data sets and the seeds that the oracle has: (policy - best) / (oracle -
    best). Columns: n, seeds, best (the name), gain (policy - best), oracle (oracle - best), share,
    low, high (95% bootstrap interval over seeds; the best is found anew in every sample).

    Raises:
        InputError: seeds of the oracle that a strategy lacks, or no oracle at all.
    """
    rows = []
    for n, part in table[table["dataset"] == MEAN].groupby("n"):
        seeds = part.loc[part["strategy"] == ORACLE, "seed"]
        if seeds.empty:
            raise InputError("no curves of the oracle; name seeds for it")
        wide = by_strategy(part[part["seed"].isin(seeds)], policy)
        best = str(wide.drop(columns=[policy, ORACLE]).mean().idxmax())
        mean = wide.mean()
        low, high = np.quantile(_shares(wide, policy), [0.025, 0.975])
        lead, most = mean[policy] - mean[best], mean[ORACLE] - mean[best]
        found = {"n": n, "seeds": len(wide), "best": best, "gain": lead, "oracle": most}
        rows.append(found | {"share": lead / most, "low": low, "high": high})
    return pd.DataFrame(rows)


def _shares(wide: pd.DataFrame, policy: str) -> np.ndarray:
    """The share in each of many samples of the seeds, drawn with replacement."""
    seeds = stream(0, "bootstrap").integers(len(wide), size=(RESAMPLES, len(wide)))
    names = [policy, ORACLE, *wide.columns.difference([policy, ORACLE])]
    mean_B_S = wide[names].to_numpy()[seeds].mean(1)
    best_B = mean_B_S[:, 2:].max(1)
    return (mean_B_S[:, 0] - best_B) / (mean_B_S[:, 1] - best_B)
