"""What a policy gains with classifiers of several embedding widths, from `own_pool`'s curves."""

import pandas as pd
from scipy.stats import t

from ialelib.metrics import aubc


def gains(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC minus that of random sampling with the same classifier and seed.

    Columns: dataset, width, strategy (the rule), seed, aubc, gain.
    """
    unit = ["dataset", "width", "seed"]
    areas = curves.groupby([*unit, "strategy"], sort=False)[["labels", "accuracy"]].apply(
        lambda curve: aubc(curve["labels"].to_numpy(), curve["accuracy"].to_numpy())
    )
    table = areas.rename("aubc").reset_index()
    chance = table["strategy"] == "random"
    both = table[~chance].merge(table[chance], on=unit, suffixes=("", "_random"))
    gain = both["aubc"] - both["aubc_random"]
    return both[[*unit, "strategy", "aubc"]].assign(gain=gain)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `gains` over seeds: dataset, width, strategy, seeds, gain and margin.

    `margin` is half the 95% interval of the mean gain (Student's t), missing for a single seed.
    """
    grouped = table.groupby(["dataset", "width", "strategy"], sort=False)["gain"]
    found = grouped.agg(seeds="count", gain="mean", margin="sem").reset_index()
    found["margin"] *= t.ppf(0.975, (found["seeds"] - 1).where(found["seeds"] > 1))
    return found
