"""Comparison of strategies: AUBC, paired tests, intervals, penalty matrix, mean ranks."""

from collections.abc import Iterable
from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range, t, ttest_rel, wilcoxon
from statsmodels.stats.multitest import multipletests

from ialelib.utils.checks import check_kind
from ialelib.utils.errors import InputError


def aubc(labels: np.ndarray, accuracy: np.ndarray) -> float:
    """Area under the budget curve by trapezoids, over its width: the mean accuracy, in [0, 1].

    >>> aubc(np.array([20, 30, 40]), np.array([0.5, 0.7, 0.7]))
    0.65
    """
    if len(labels) < 2:
        raise InputError("a learning curve needs at least two points for its AUBC")
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def mean_interval(values: pd.Series) -> float:
    """Half the 95% interval of the mean (Student's t); NaN for a single value."""
    few = len(values) < 2
    return float("nan") if few else float(t.ppf(0.975, len(values) - 1) * values.sem())


def check_curves(curves: pd.DataFrame, rise: float = 0.05, differ: bool = False) -> str:
    """How many curves these are, in words, once they have passed as a fair comparison.

    At the first size all strategies of a seed must have the same accuracy (they share split,
    labels and weights; with embeddings of several widths, of a seed and width), from the first
    size to the last the mean accuracy must rise by more than `rise`, and every label of a curve
    must be of another sample. `differ`: strategies must choose different batches.

    Raises:
        AssertionError: which of these does not hold.
    """
    unit = [name for name in ("dataset", "seed", "width") if name in curves]
    starts = curves[curves["labels"] == curves["labels"].min()].groupby(unit)
    assert starts["accuracy"].nunique().eq(1).all(), "not paired: first classifiers differ"
    ends = curves.groupby("labels")["accuracy"].mean()
    assert ends.iloc[-1] > ends.iloc[0] + rise, f"accuracy rises by no more than {rise}"
    if differ:
        assert starts["chosen"].nunique().gt(1).all(), "all strategies chose the same batch"
    columns = [name for name in ("strategy", "acq", "n") if name in curves]
    cycles = curves.groupby([*unit, *columns])
    chosen = cycles["chosen"].agg(" ".join).str.split()
    assert chosen.map(lambda batch: len(set(batch)) == len(batch)).all(), "a sample twice"
    assert chosen.map(len).eq(cycles["labels"].agg(np.ptp)).all(), "labels without a sample"
    strategies, seeds = curves["strategy"].nunique(), curves["seed"].nunique()
    return f"{strategies} strategies, {seeds} seeds, {len(curves)} rows"


def areas(curves: pd.DataFrame, unit: list[str]) -> pd.Series:
    """AUBC of every curve, named "aubc"; the columns `unit` tell curves apart."""
    ordered = curves.sort_values("labels", kind="stable")
    found = ordered.groupby(unit, sort=False)[["labels", "accuracy"]].apply(
        lambda curve: aubc(curve["labels"].to_numpy(), curve["accuracy"].to_numpy())
    )
    return found.rename("aubc")


def paired_gains(curves: pd.DataFrame, unit: list[str], paired_by: list[str]) -> pd.DataFrame:
    """AUBC of every cycle, and how much more it is than that of its random counterpart.

    The columns `unit` tell cycles apart; a cycle's counterpart has the same `paired_by`, and the
    gain is missing where there is none.
    """
    table = areas(curves, unit).reset_index()
    chance = table[table["strategy"] == "random"].set_index(paired_by)["aubc"].rename("chance")
    return table.assign(gain=table["aubc"] - table.join(chance, on=paired_by)["chance"])


def aubc_table(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC of every cycle: a row for each dataset and seed, a column for each strategy.

    Strategies come in the order of their first appearance.

    Raises:
        InputError: curves that are not paired: seeds that a strategy lacks, other numbers of
            labels, or two curves of one strategy and seed.
    """
    unit = ["dataset", "strategy", "seed"]
    check_kind("curves", curves, pd.DataFrame)
    if curves.duplicated([*unit, "labels"]).any():
        raise InputError("not paired: several curves of the same data set, strategy and seed")
    grids = curves.sort_values("labels", kind="stable").groupby(unit)["labels"].agg(tuple)
    if any(len(set(same)) > 1 for _, same in grids.groupby("dataset")):
        raise InputError("not paired: curves over different numbers of labels")
    wide = (
        areas(curves, ["dataset", "seed", "strategy"])
        .sort_index()
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


def paired_tests(curves: pd.DataFrame, reference: str = "random") -> pd.DataFrame:
    """Every strategy's AUBC against the reference's, paired by seed.

    Columns: dataset, strategy, seeds, aubc (mean), gain (mean of the paired differences),
    p (Wilcoxon signed rank, two-sided), p_holm (corrected over the strategies of a data set).
    For the reference itself the last three are 0 and missing.
    """
    tables = []
    for dataset, table in aubc_table(curves).groupby(level="dataset"):
        if reference not in table:
            raise InputError(f"no curves of the reference {reference!r}")
        rows = gains_over(table, reference).drop(columns="margin")
        rows.insert(0, "dataset", dataset)
        tables.append(rows.assign(p_holm=holm(rows["p"])))
    return pd.concat(tables, ignore_index=True)


def gains_over(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every column of a table of AUBCs against the reference's, paired by row.

    Columns: strategy, seeds, aubc (mean), gain (mean of the paired differences), margin (half its
    95% interval), p (Wilcoxon signed rank, two-sided); p is missing for the reference itself.
    """
    gains = table.sub(table[reference], axis=0)
    p = {name: wilcoxon(gain).pvalue if gain.any() else 1.0 for name, gain in gains.items()}
    return pd.DataFrame(
        {
            "strategy": table.columns,
            "seeds": len(table),
            "aubc": table.mean().to_numpy(),
            "gain": gains.mean().to_numpy(),
            "margin": gains.apply(mean_interval).to_numpy(),
            "p": [p[name] if name != reference else float("nan") for name in table.columns],
        }
    )


def holm(p: pd.Series) -> pd.Series:
    """p values corrected for their number by Holm's method; missing ones stay missing."""
    known = p.dropna()
    corrected = multipletests(known, method="holm")[1] if len(known) else []
    return pd.Series(corrected, known.index, dtype=float).reindex(p.index)


def collected(tables: Iterable[pd.DataFrame], policy: str) -> pd.DataFrame:
    """Learning curves of several tables in one, each classifier counted as a data set of its own.

    Datasets are called "mnist, cnn". Tables that compare several policies name each of them;
    there the one of that name is "policy", as elsewhere, and the others are left out by `shared`.

    Raises:
        InputError: curves of the same data set, classifier, strategy and seed twice, also where
            one table has both names of the policy.
    """
    curves = pd.concat(tables, ignore_index=True)
    named = curves.assign(
        strategy=curves["strategy"].replace(policy, "policy"),
        dataset=curves["dataset"] + ", " + curves["classifier"],
    )
    twice = named[named.duplicated(["dataset", "strategy", "seed", "labels"])]
    if len(twice):
        dataset, strategy = twice[["dataset", "strategy"]].iloc[0]
        raise InputError(f"the tables have curves of {strategy!r} on {dataset!r} twice")
    return named


def shared(curves: pd.DataFrame) -> pd.DataFrame:
    """Only the strategies that every data set has, as ranks and penalties compare all with all.

    Raises:
        InputError: fewer than three of them, which is too few for Friedman's test.
    """
    of_each = {name: set(part["strategy"]) for name, part in curves.groupby("dataset")}
    common = set.intersection(*of_each.values())
    if len(common) < 3:
        fewest = min(of_each, key=lambda name: len(of_each[name]))
        raise InputError(
            f"the data sets have {len(common)} strategies in common, and three are needed; "
            f"{fewest!r} has only {', '.join(sorted(of_each[fewest]))}"
        )
    return curves[curves["strategy"].isin(common)].reset_index(drop=True)


def penalty_matrix(curves: pd.DataFrame, level: float = 0.05) -> pd.DataFrame:
    """How often the strategy of a row beats that of a column (Ash et al. 2020, Sec. 4).

    On each data set the accuracies after 1, 2, 4, 8, ... acquisitions are compared by two-sided
    t-tests, paired by seed; every win adds one over the number of comparisons. So a cell
    is at most the number of data sets. The last row, "mean", is the mean of each column over the
    other strategies: the lower, the less often beaten.

    Raises:
        InputError: curves that are not paired, or of a single seed.
    """
    aubc_table(curves)  # refuses what is not paired
    strategies = list(curves["strategy"].unique())
    wins = pd.DataFrame(0.0, index=strategies, columns=strategies)
    for dataset, part in curves.groupby("dataset"):
        if part["seed"].nunique() < 2:
            raise InputError(f"{dataset!r} has one seed; a paired test needs two or more")
        sizes = np.sort(part["labels"].unique())
        doubled = sizes[2 ** np.arange(int(np.log2(len(sizes) - 1)) + 1)]
        for size in doubled:
            accuracy = part[part["labels"] == size].pivot_table(
                index="seed", columns="strategy", values="accuracy"
            )
            for better, worse in permutations(strategies, 2):
                wins.loc[better, worse] += _beats(accuracy[better], accuracy[worse], level) / len(
                    doubled
                )
    wins.loc["mean"] = wins.sum() / (len(strategies) - 1)
    return wins


def _beats(a: pd.Series, b: pd.Series, level: float) -> bool:
    gain = (a - b).to_numpy()
    if np.ptp(gain) == 0:  # no spread to test against: the same gain with every seed
        return bool(gain[0] > 0)
    return bool(gain.mean() > 0 and ttest_rel(a, b).pvalue < level)


def blocks(curves: pd.DataFrame) -> pd.DataFrame:
    """What ranks are independent in: each data set's mean AUBC over its seeds (Demšar 2006).

    Seeds on one data set share its samples, and would count the same evidence many times. Of a
    single data set there is nothing else: then a row is a seed. A column for each strategy.
    """
    table = aubc_table(curves)
    of_each = table.groupby(level="dataset", sort=False).mean()
    return table if len(of_each) == 1 else of_each


def mean_ranks(curves: pd.DataFrame) -> pd.Series:
    """Mean rank of each strategy's AUBC, 1 the best, over `blocks`; best first."""
    return blocks(curves).rank(axis=1, ascending=False).mean().sort_values()


def friedman(curves: pd.DataFrame) -> float:
    """p-value of the hypothesis that all strategies rank equally (Demšar 2006, Sec. 3.2.2)."""
    return float(friedmanchisquare(*blocks(curves).to_numpy().T).pvalue)


def critical_difference(strategies: int, runs: int, level: float = 0.05) -> float:
    """Smallest difference of mean ranks that is significant by Nemenyi's test.

    Demšar (2006), Sec. 3.2.2. `runs` are taken as independent: the number of `blocks`.

    >>> round(critical_difference(5, 30), 3)
    1.114
    """
    q = studentized_range.ppf(1 - level, strategies, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(strategies * (strategies + 1) / (6 * runs)))


def groups(ranks: pd.Series, difference: float) -> list[tuple[str, str]]:
    """First and last strategy of each largest set whose ranks differ by less than that."""
    found: list[tuple[str, str]] = []
    for first, rank in ranks.items():
        last = ranks.index[ranks < rank + difference][-1]
        if last != first and (not found or found[-1][1] != last):
            found.append((str(first), str(last)))
    return found
