"""Cycles on frozen features, and their statistics, against values by hand and by scipy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import wilcoxon
from toys import untimed

from ialelib import cycle
from ialelib.data import DataSet
from ialelib.experiments import frozen
from ialelib.experiments.frozen import MEAN, Target
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.search.tasks import only, pixels
from ialelib.utils.errors import InputError

LOW = [0.50, 0.52, 0.48, 0.51, 0.55, 0.47]
MIDDLE = [0.53, 0.53, 0.53, 0.55, 0.61, 0.45]
HIGH = [0.60, 0.64, 0.57, 0.62, 0.68, 0.55]


@pytest.fixture(scope="module")
def digits_in_ten(small_digits: DataSet) -> DataSet:
    """Ten principal components of digits' pixels, as if a backbone had made them."""
    return pixels(small_digits, 10)


def table(aubc: Mapping[str, Sequence[float]], n: int = 300, dataset: str = MEAN) -> pd.DataFrame:
    rows = [
        {"dataset": dataset, "n": n, "strategy": name, "seed": seed, "aubc": value}
        for name, values in aubc.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def run(targets: list[Target], folder: Path, oracle_seeds: Sequence[int] = ()) -> pd.DataFrame:
    names = ["random", "coverage"]
    return frozen.run(targets, 2, [30, 2000], names, [0, 1], oracle_seeds, folder, {})


# Ablations


def test_an_ablation_lacks_one_feature_alone() -> None:
    whole = torch.arange(1.0, 2 * len(NAMES) + 1).reshape(-1, 2)
    found = frozen.ablations(Generalist(whole))
    assert len(found) == len(NAMES) + 1
    differs = found["without_density"].weight_F_2 != whole
    assert differs.nonzero()[:, 0].unique().tolist() == [NAMES.index("density")]
    constant = found["without_age"].weight_F_2
    assert not constant[:, 1].any()
    assert torch.equal(constant[:, 0], whole[:, 0])


# Cycles


def test_each_cycle_is_the_single_run_on_the_seeds_own_classes(
    digits_in_ten: DataSet, tmp_path: Path
) -> None:
    some = Target(digits_in_ten, 4)
    found = run([Target(digits_in_ten), some], tmp_path)
    part = found[found["dataset"].str.contains("odd4") & (found["n"] == 30)]
    data = some.data(1)
    assert (data.classes, data.name) == (4, "small-digits-odd4")
    config = frozen.cycle_config(data, 2, 30)
    assert (config.initial, config.acq, config.budget, config.n) == (4, 4, 12, 30)
    single = cycle.run_cycle(data, config, "coverage", 1)
    mine = part[(part["strategy"] == "coverage") & (part["seed"] == 1)]
    pd.testing.assert_frame_equal(untimed(mine).drop(columns="n"), untimed(single))
    assert len(found) == 2 * 2 * 2 * 2 * 3


def test_every_seed_draws_classes_of_its_own_always_the_same(digits_in_ten: DataSet) -> None:
    some = Target(digits_in_ten, 4)
    assert some.data(0).fingerprint == some.data(0).fingerprint
    assert len({some.data(seed).fingerprint for seed in range(4)}) > 1
    assert Target(digits_in_ten).data(0) is digits_in_ten


def test_where_a_pool_is_smaller_than_n_all_of_it_is_offered(digits_in_ten: DataSet) -> None:
    assert frozen.cycle_config(digits_in_ten, 2, 2000).n == len(digits_in_ten.train_labels) - 30


def test_the_oracle_runs_with_its_own_seeds_only(digits_in_ten: DataSet, tmp_path: Path) -> None:
    found = run([Target(only(digits_in_ten, [0, 1, 2]))], tmp_path, oracle_seeds=[1])
    assert set(found.loc[found["strategy"] == "oracle", "seed"]) == {1}
    assert set(found.loc[found["strategy"] == "random", "seed"]) == {0, 1}


def test_more_classes_than_there_are_are_refused() -> None:
    with pytest.raises(InputError, match="has 5 odd classes; draw no more"):
        frozen.targets([], "mnist-10k", [6], 10, 100)


def test_the_probe_has_no_ensemble(digits_in_ten: DataSet) -> None:
    config = frozen.cycle_config(digits_in_ten, 2, 30)
    with pytest.raises(InputError, match="leave 'ensemble' out or take another classifier"):
        cycle.check(digits_in_ten, config, ["ensemble"], {})


# Statistics


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
    found = frozen.areas(pd.concat(parts)).set_index(["dataset", "strategy", "seed"])
    assert found.loc[("b", "good", 1), "aubc"] == pytest.approx(0.9)
    assert found.loc[("b", "good", 1), "gain"] == pytest.approx(0.3)
    assert found.loc[(MEAN, "good", 0), "aubc"] == pytest.approx(0.7)
    assert found.loc[(MEAN, "good", 0), "gain"] == pytest.approx(0.2)
    assert found.loc[(MEAN, "random", 1), "gain"] == 0


def test_a_mean_over_a_part_of_the_data_sets_is_refused() -> None:
    parts = [curves({"random": 0, "good": 0.1}, "a"), curves({"random": 0}, "b")]
    with pytest.raises(InputError, match="a part of the data sets only"):
        frozen.areas(pd.concat(parts))


def test_means_are_over_seeds() -> None:
    first = frozen.means(curves({"good": 0.1}, "a")).iloc[0]
    assert (first["seeds"], first["accuracy"]) == (2, pytest.approx(0.65))
    assert first["margin"] == pytest.approx(12.706 * 0.05, rel=1e-4)


def test_the_policy_is_compared_with_each_other_strategy() -> None:
    aubc = {"random": LOW, "fair": MIDDLE, "mine": HIGH, "oracle": HIGH}
    parts = [table(aubc), table(aubc, n=2000), table(aubc, dataset="a")]
    found = frozen.against(pd.concat(parts), "mine")
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
        frozen.against(table({"random": LOW, "mine": HIGH[:5]}), "mine")
    with pytest.raises(InputError, match="some seeds lack mine"):
        frozen.against(table({"random": LOW}), "mine")


def test_the_way_to_the_oracle_is_measured_from_the_best_other_strategy() -> None:
    aubc = {"random": LOW, "fair": [x + 0.02 for x in LOW], "mine": [x + 0.03 for x in LOW]}
    oracle = table({"oracle": [x + 0.06 for x in LOW[:4]]})
    (found,) = frozen.way_to_oracle(pd.concat([table(aubc), oracle]), "mine").to_dict("records")
    assert (found["n"], found["seeds"], found["best"]) == (300, 4, "fair")
    assert [found[name] for name in ("gain", "oracle")] == pytest.approx([0.01, 0.04])
    assert [found[name] for name in ("share", "low", "high")] == pytest.approx([0.25] * 3)


def test_its_interval_is_wider_the_more_seeds_differ() -> None:
    aubc = {"random": LOW, "fair": [x - 0.01 for x in LOW], "mine": MIDDLE, "oracle": HIGH}
    (found,) = frozen.way_to_oracle(table(aubc), "mine").to_dict("records")
    assert found["low"] < found["share"] < found["high"]
    again = frozen.way_to_oracle(table(aubc), "mine").to_dict("records")
    assert again == [found]


def test_without_an_oracle_there_is_no_way_to_it() -> None:
    with pytest.raises(InputError, match="no curves of the oracle"):
        frozen.way_to_oracle(table({"random": LOW, "mine": HIGH}), "mine")


def test_targets_are_reduced_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(data: DataSet, dimensions: int) -> DataSet:
        assert len(data.train_labels) <= 100
        return pixels(data, dimensions)

    monkeypatch.setattr(frozen, "frozen", few)
    whole, odd = frozen.targets(["fmnist-10k"], "mnist-10k", [3], 10, 100)
    assert (whole.whole.name, whole.whole.shape, whole.drawn) == ("fmnist-10k", (10,), None)
    assert (odd.whole.name, odd.whole.classes, odd.drawn) == ("mnist-10k", 5, 3)
