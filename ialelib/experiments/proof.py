"""Is a policy ahead of every single strategy? Paired areas, tests, and the way to the oracle."""

import numpy as np
import pandas as pd

from ialelib import metrics
from ialelib.oracle import ORACLE
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import stream

CYCLE = ["dataset", "n", "strategy", "seed"]
MEAN = "mean"
"""What the mean over all data sets is called where they are named."""
RESAMPLES = 10_000


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
    low, high (95% bootstrap interval over seeds; the best is found anew in every sample). There is
    no share, NaN, where the oracle is not ahead of the best, and no interval where it is not so in
    every sample.

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
        share = lead / most if most > 0 else np.nan
        rows.append(found | {"share": share, "low": low, "high": high})
    return pd.DataFrame(rows)


def _shares(wide: pd.DataFrame, policy: str) -> np.ndarray:
    """The share in each of many samples of the seeds, drawn with replacement."""
    seeds = stream(0, "bootstrap").integers(len(wide), size=(RESAMPLES, len(wide)))
    names = [policy, ORACLE, *wide.columns.difference([policy, ORACLE])]
    mean_B_S = wide[names].to_numpy()[seeds].mean(1)
    best_B = mean_B_S[:, 2:].max(1)
    way_B = mean_B_S[:, 1] - best_B
    return (mean_B_S[:, 0] - best_B) / np.where(way_B > 0, way_B, np.nan)
