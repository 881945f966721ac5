"""Typed parameters of 09, 14 and 15."""

from typing import Any

import pytest
from test_base import CYCLES

from ialelib.params.comparing import Sizes
from ialelib.params.learning import AlilTraining, RunTime
from ialelib.utils.errors import InputError

SIZES: dict[str, Any] = CYCLES | {
    "dataset": "mnist-10k",
    "policy": "mnist-cnn",
    "sizes": [[2, 50], [10, 50], [10, 10]],
    "few_below": 5,
    "few_seeds": [1],
    "baseline_sizes": [[10, 50]],
    "baseline_seeds": [2],
    "strategies": ["random", "entropy"],
}
RUN_TIME: dict[str, Any] = CYCLES | {
    "dataset": "mnist-10k",
    "policy": "mnist-cnn",
    "experts": ["entropy", "coreset"],
    "training_budget": 30,
    "episodes": 1,
    "validation": 100,
    "ranking": "warm",
}


def test_random_runs_once_for_each_acquisition_size_and_baselines_where_named() -> None:
    plan = Sizes.checked(SIZES).plan()
    assert [tuple(size) for size in plan] == [
        (2, 50, ["policy", "random"], [1]),
        (10, 50, ["policy", "random"], [1, 2]),
        (10, 10, ["policy"], [1, 2]),
        (10, 50, ["entropy"], [2]),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": []}, "different pairs"),
        ({"sizes": [[10, 50], [10, 50]]}, "different pairs"),
        ({"sizes": [[10, 50, 2]]}, "different pairs"),
        ({"sizes": [[2, 50]], "baseline_sizes": []}, "own acq of 10"),
        ({"sizes": [[10, 50], [20, 10]]}, "acquisition size 20 exceeds the sub-pool"),
        ({"baseline_sizes": [[3, 50]]}, r"\[3, 50\], which is not among"),
        ({"baseline_seeds": [7]}, "among the seeds of the policy"),
        ({"strategies": ["entrpy"]}, "did you mean 'entropy'"),
        ({"policy": "mnist-cmn"}, "mnist-cmn"),
    ],
)
def test_sizes_that_cannot_run_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sizes.checked(SIZES | change)


def test_both_methods_train_to_the_same_number_of_labels() -> None:
    iale, alil = RunTime.checked(RUN_TIME).dagger_configs().values()
    assert (iale.cycle.acq, iale.cycle.n, iale.cycle.budget) == (10, 50, 30)
    assert (alil.cycle.acq, alil.cycle.n, alil.cycle.budget) == (1, 10, 30)
    assert iale.experts == ("entropy", "coreset")
    assert alil.tries_each_candidate
    assert {m.ranking for m in (iale, alil)} == {"warm"}
    assert {m.validation for m in (iale, alil)} == {100}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"processes": 2}, "processes must be 1"),
        ({"strategies": ["policy", "entropy"]}, "random and policy"),
        ({"training_budget": 25}, "leaves no acquisition"),
        ({"experts": ["entrpy"]}, "did you mean 'entropy'"),
    ],
)
def test_times_that_mean_nothing_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunTime.checked(RUN_TIME | change)


def test_alil_has_sizes_of_its_own() -> None:
    own = {"dataset": "mnist-10k", "episodes": 2, "validation": 100, "ranking": "warm", "seed": 3}
    values = CYCLES | own | {"strategies": ["random"], "save_policy": "new"}
    found = AlilTraining.checked(values)
    config = found.dagger_config()
    assert (config.cycle.acq, config.cycle.n, config.seed) == (1, 10, 3)
    assert found.cycle_config().acq == 10
    assert "new" in found.makes()
    with pytest.raises(InputError, match="has 8000"):
        AlilTraining.checked(values | {"budget": 9000})
