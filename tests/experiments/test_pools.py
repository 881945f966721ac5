"""Strategies from the sub-pool and from the whole pool: each is the single run of its kind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import TINY, TOY, chosen, policy, untimed

from ialelib import cycle
from ialelib.dagger import train_policy
from ialelib.data import DataSet, Pool
from ialelib.experiments import pools
from ialelib.experts import margins
from ialelib.training import fit_many
from ialelib.utils.errors import InputError


def run(toy: DataSet, folder: Path) -> pd.DataFrame:
    return pools.run([toy], TOY, ["random", "margin", "coreset"], [0, 1], folder, policies={})


def test_each_curve_is_the_single_run_from_its_pool(toy: DataSet, tmp_path: Path) -> None:
    found = run(toy, tmp_path)
    whole = ["margin, whole pool", "coreset, whole pool"]
    assert sorted(found["strategy"].unique()) == sorted(["random", "margin", "coreset", *whole])
    assert found["n"].unique().tolist() == [TOY.n]
    for name, config in (("margin", TOY), (whole[0], replace(TOY, n=None))):
        part = found[(found["strategy"] == name) & (found["seed"] == 1)]
        single = cycle.run_cycle(toy, config, "margin", 1).assign(n=TOY.n, strategy=name)
        pd.testing.assert_frame_equal(untimed(part), untimed(single))


def test_the_whole_pool_is_all_that_is_not_labelled() -> None:
    pool = Pool(50, excluded=np.arange(10))
    pool.label(np.array([20, 30]))
    sampled = pool.sample(None, np.random.default_rng(0))
    assert np.sort(sampled).tolist() == pool.unlabelled.tolist()
    np.testing.assert_array_equal(sampled[:7], pool.sample(7, np.random.default_rng(0)))


def test_a_strategy_finds_the_best_of_the_whole_pool(toy: DataSet) -> None:
    """Of all samples: those whose margins, by the first classifier, are the smallest."""
    config = replace(TOY, n=None, budget=30)
    first = cycle.Cycle(toy, config, seed=0)
    (model,) = fit_many([first.job()])
    query = first.query(model, first.pool.unlabelled)
    smallest = np.argsort(margins(query.probs_N_C).numpy())
    best = first.pool.unlabelled[smallest[: TOY.acq]]
    assert set(chosen(cycle.run_cycle(toy, config, "margin", 0))) == set(best.tolist())


def test_labels_may_be_spent_to_the_last_sample(toy: DataSet) -> None:
    config = replace(TOY, n=None, acq=140, budget=len(toy.train_labels))
    assert len(chosen(cycle.run_cycle(toy, config, "random", 0))) == config.budget - config.initial
    with pytest.raises(InputError, match="'toy' has 300"):
        cycle.run_cycle(toy, replace(config, budget=config.budget + 1), "random", 0)


def test_a_policy_is_not_trained_from_the_whole_pool(toy: DataSet) -> None:
    config = replace(TINY, cycle=replace(TINY.cycle, n=None))
    with pytest.raises(InputError, match="learns from sub-pools of one size"):
        train_policy(toy, config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": replace(TOY, n=None)}, "give the size n of the sub-pools"),
        ({"strategies": []}, "one data set, one strategy and one seed at least"),
        ({"data": []}, "one data set, one strategy and one seed at least"),
        ({"seeds": []}, "one data set, one strategy and one seed at least"),
        ({"seeds": [0, 0]}, "a seed stands twice"),
        ({"seeds": [1.5]}, "a seed must be a whole number"),
        ({"strategies": ["random", "random"]}, "the same name: random, random"),
        ({"strategies": ["random", "nonsense"]}, "unknown strategy 'nonsense'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_run(
    toy: DataSet, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"data": toy, "config": TOY, "strategies": ["random"], "seeds": [0]}
    with pytest.raises(InputError, match=message):
        pools.run(**given | changes, folder=tmp_path, policies={})
    assert not list(tmp_path.iterdir())


def test_policies_may_be_given_as_objects(toy: DataSet, tmp_path: Path) -> None:
    found = pools.run(toy, TOY, ["random", policy(0)], [0], tmp_path, {})
    assert set(found["strategy"]) == {"random", "policy", "policy, whole pool"}
