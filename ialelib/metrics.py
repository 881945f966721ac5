"""Numbers that compare strategies: AUBC, and paired tests with Holm's correction."""

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from ialelib.errors import InputError


def aubc(labels: np.ndarray, accuracy: np.ndarray) -> float:
    """Area under the budget curve by trapezoids, over its width: the mean accuracy, in [0, 1].

    >>> aubc(np.array([20, 30, 40]), np.array([0.5, 0.7, 0.7]))
    0.65
    """
    if len(labels) < 2:
        raise InputError("a learning curve needs at least two points for its AUBC")
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def aubc_table(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC of every cycle: a row for each dataset and seed, a column for each strategy.

    Strategies come in the order of their first appearance.

    Raises:
        InputError: curves that are not paired: seeds that a strategy lacks, other numbers of
            labels, or two curves of one strategy and seed.
    """
    unit = ["dataset", "strategy", "seed"]
    if curves.duplicated([*unit, "labels"]).any():
        raise InputError("not paired: several curves of the same data set, strategy and seed")
    ordered = curves.sort_values("labels", kind="stable")
    grids = ordered.groupby(unit)["labels"].agg(tuple)
    if any(len(set(same)) > 1 for _, same in grids.groupby("dataset")):
        raise InputError("not paired: curves over different numbers of labels")
    areas = ordered.groupby(["dataset", "seed", "strategy"])[["labels", "accuracy"]].apply(
        lambda curve: aubc(curve["labels"].to_numpy(), curve["accuracy"].to_numpy())
    )
    wide = (
        areas.rename("aubc")
        .reset_index()
        .pivot_table(index=["dataset", "seed"], columns="strategy", values="aubc", sort=False)
    )
    table = wide[list(curves["strategy"].unique())]
    if table.isna().any(axis=None):
        lacking = table.columns[table.isna().any()].tolist()
        raise InputError(f"not paired: some seeds lack {', '.join(lacking)}")
    return table


def median_filtered(curves: pd.DataFrame, window: int) -> pd.DataFrame:
    """The curves with each accuracy replaced by the median of `window` acquisitions around it.

    As in Figs. 6, 7b, 14 and 15. At the ends the window is cut, so no point is lost.
    """
    ordered = curves.sort_values("labels", kind="stable")
    grouped = ordered.groupby(["dataset", "strategy", "seed"])["accuracy"]
    smooth = grouped.transform(lambda y: y.rolling(window, center=True, min_periods=1).median())
    return curves.assign(accuracy=smooth)


def compare(curves: pd.DataFrame, reference: str = "random") -> pd.DataFrame:
    """Every strategy's AUBC against the reference's, paired by seed.

    Columns: dataset, strategy, seeds, aubc (mean), gain (mean of the paired differences),
    p (Wilcoxon signed rank, two-sided), p_holm (corrected over the strategies of a data set).
    For the reference itself the last three are 0 and missing.
    """
    tables = []
    for dataset, table in aubc_table(curves).groupby(level="dataset"):
        if reference not in table:
            raise InputError(f"no curves of the reference {reference!r}")
        gains = table.sub(table[reference], axis=0)
        others = [name for name in table.columns if name != reference]
        p = {name: wilcoxon(gains[name]).pvalue if gains[name].any() else 1.0 for name in others}
        holm = multipletests(list(p.values()), method="holm")[1] if p else []
        rows = pd.DataFrame(
            {
                "dataset": dataset,
                "strategy": table.columns,
                "seeds": len(table),
                "aubc": table.mean().to_numpy(),
                "gain": gains.mean().to_numpy(),
            }
        )
        rows["p"] = rows["strategy"].map(p)
        rows["p_holm"] = rows["strategy"].map(dict(zip(others, holm, strict=True)))
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)
