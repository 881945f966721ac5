"""Cycles on frozen features: the same as single runs, paired, and what is left out of a policy."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch
from toys import untimed

from ialelib import cycle
from ialelib.data import DataSet
from ialelib.experiments import frozen
from ialelib.experiments.frozen import Target
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.search.tasks import only, pixels
from ialelib.utils.errors import InputError


@pytest.fixture(scope="module")
def digits_in_ten(small_digits: DataSet) -> DataSet:
    """Ten principal components of digits' pixels, as if a backbone had made them."""
    return pixels(small_digits, 10)


def run(targets: list[Target], folder: Path, oracle_seeds: Sequence[int] = ()) -> pd.DataFrame:
    names = ["random", "coverage"]
    return frozen.run(targets, 2, [30, 2000], names, [0, 1], oracle_seeds, folder, {})


# Ablations


def test_an_ablation_lacks_one_feature_alone() -> None:
    whole = torch.arange(1.0, 3 * len(NAMES) + 1).reshape(-1, 3)
    found = frozen.ablations(Generalist(whole))
    assert len(found) == len(NAMES) + 2
    differs = found["without_density"].weight_F_K != whole
    assert differs.nonzero()[:, 0].unique().tolist() == [NAMES.index("density")]
    for column, name in ((1, "age"), (2, "misfit")):
        changed = (found[f"without_{name}"].weight_F_K != whole).any(0)
        assert changed.nonzero()[:, 0].tolist() == [column]
    assert "without_misfit" not in frozen.ablations(Generalist(whole[:, :2]))


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


def test_targets_are_reduced_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(data: DataSet, dimensions: int) -> DataSet:
        assert len(data.train_labels) <= 100
        return pixels(data, dimensions)

    monkeypatch.setattr(frozen, "frozen", few)
    whole, odd = frozen.targets(["fmnist-10k"], "mnist-10k", [3], 10, 100)
    assert (whole.whole.name, whole.whole.shape, whole.drawn) == ("fmnist-10k", (10,), None)
    assert (odd.whole.name, odd.whole.classes, odd.drawn) == ("mnist-10k", 5, 3)
