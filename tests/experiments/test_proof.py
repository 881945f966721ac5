"""Whether a policy is ahead: statistics of paired cycles, against values by hand and by scipy."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from ialelib.experiments import proof
from ialelib.experiments.proof import MEAN
from ialelib.utils.errors import InputError

LOW = [0.50, 0.52, 0.48, 0.51, 0.55, 0.47]
MIDDLE = [0.53, 0.53, 0.53, 0.55, 0.61, 0.45]
HIGH = [0.60, 0.64, 0.57, 0.62, 0.68, 0.55]


def table(aubc: Mapping[str, Sequence[float]], n: int = 300, dataset: str = MEAN) -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "n": n, "strategy": name, "seed": seed, "aubc": value}
        for name, values in aubc.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def curves(gains: Mapping[str, float], dataset: str, n: int = 300) -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "n": n, "strategy": name, "seed": seed, "labels": labels}
        | {"accuracy": 0.5 + seed / 10 + gain}
        for name, gain in gains.items()
        for seed in (0, 1)
        for labels in (10, 20, 30)
    ]
    return pd.DataFrame(rows)


def test_areas_have_the_gain_over_random_and_the_mean_over_data_sets() -> None:
    parts = [curves({"random": 0, "good": 0.1}, "a"), curves({"random": 0, "good": 0.3}, "b")]
    found = proof.areas(pd.concat(parts)).set_index(["dataset", "strategy", "seed"])
    assert found.loc[("b", "good", 1), "aubc"] == pytest.approx(0.9)
    assert found.loc[("b", "good", 1), "gain"] == pytest.approx(0.3)
    assert found.loc[(MEAN, "good", 0), "aubc"] == pytest.approx(0.7)
    assert found.loc[(MEAN, "good", 0), "gain"] == pytest.approx(0.2)
    assert found.loc[(MEAN, "random", 1), "gain"] == 0


def test_a_mean_over_a_part_of_the_data_sets_is_refused() -> None:
    parts = [curves({"random": 0, "good": 0.1}, "a"), curves({"random": 0}, "b")]
    with pytest.raises(InputError, match="a part of the data sets only"):
        proof.areas(pd.concat(parts))


def test_means_are_over_seeds() -> None:
    first = proof.means(curves({"good": 0.1}, "a")).iloc[0]
    assert (first["seeds"], first["accuracy"]) == (2, pytest.approx(0.65))
    assert first["margin"] == pytest.approx(12.706 * 0.05, rel=1e-4)


def test_the_policy_is_compared_with_each_other_strategy() -> None:
    aubc = {"random": LOW, "fair": MIDDLE, "mine": HIGH, "oracle": HIGH}
    parts = [table(aubc), table(aubc, n=2000), table(aubc, dataset="a")]
    found = proof.against(pd.concat(parts), "mine")
    assert found.groupby(["dataset", "n"]).size().to_dict() == {
        ("mean", 300): 2,
        ("mean", 2000): 2,
        ("a", 300): 2,
    }
    first, *_ = found[found["strategy"] == "random"].to_dict("records")
    assert first["gain"] == pytest.approx(np.mean(np.subtract(HIGH, LOW)))
    assert first["p"] == pytest.approx(wilcoxon(HIGH, LOW).pvalue)
    # Six gains of one sign have p = 2 / 2^6: four comparisons of means, two on the data set.
    assert found.loc[found["dataset"] == MEAN, "p_holm"].tolist() == pytest.approx([4 / 32] * 4)
    assert found.loc[found["dataset"] == "a", "p_holm"].tolist() == pytest.approx([2 / 32] * 2)


def test_a_missing_seed_is_refused() -> None:
    with pytest.raises(InputError, match="some seeds lack mine"):
        proof.against(table({"random": LOW, "mine": HIGH[:5]}), "mine")
    with pytest.raises(InputError, match="some seeds lack mine"):
        proof.against(table({"random": LOW}), "mine")


def test_the_way_to_the_oracle_is_measured_from_the_best_other_strategy() -> None:
    aubc = {"random": LOW, "fair": [x + 0.02 for x in LOW], "mine": [x + 0.03 for x in LOW]}
    oracle = table({"oracle": [x + 0.06 for x in LOW[:4]]})
    (found,) = proof.way_to_oracle(pd.concat([table(aubc), oracle]), "mine").to_dict("records")
    assert (found["n"], found["seeds"], found["best"]) == (300, 4, "fair")
    assert [found[name] for name in ("gain", "oracle")] == pytest.approx([0.01, 0.04])
    assert [found[name] for name in ("share", "low", "high")] == pytest.approx([0.25] * 3)


def test_its_interval_is_wider_the_more_seeds_differ() -> None:
    aubc = {"random": LOW, "fair": [x - 0.01 for x in LOW], "mine": MIDDLE, "oracle": HIGH}
    (found,) = proof.way_to_oracle(table(aubc), "mine").to_dict("records")
    assert found["low"] < found["share"] < found["high"]
    again = proof.way_to_oracle(table(aubc), "mine").to_dict("records")
    assert again == [found]


def test_there_is_no_share_of_a_way_that_leads_back() -> None:
    aubc = {"random": LOW, "fair": HIGH, "mine": MIDDLE, "oracle": [x - 0.01 for x in HIGH]}
    (found,) = proof.way_to_oracle(table(aubc), "mine").to_dict("records")
    assert found["oracle"] < 0
    assert np.isnan([found[name] for name in ("share", "low", "high")]).all()


def test_without_an_oracle_there_is_no_way_to_it() -> None:
    with pytest.raises(InputError, match="no curves of the oracle"):
        proof.way_to_oracle(table({"random": LOW, "mine": HIGH}), "mine")
