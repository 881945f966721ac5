"""Recipes, and training that repeats bit for bit in one process or several."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ialelib import training
from ialelib.data import DataSet, balanced
from ialelib.errors import InputError
from ialelib.models import CLASSIFIERS, Architecture, Classifier, build, to_float
from ialelib.training import (
    RECIPES,
    Job,
    Recipe,
    correct,
    fit,
    fit_many,
    one_thread,
    recipe,
    with_members,
)

SHORT = Recipe(steps=3, batch_size=16, lr=4e-3, warmup=0.5, cosine=True, precision="auto")


def job(digits: DataSet, name: str = "mlp", how: Recipe = SHORT, samples: int = 40) -> Job:
    inputs, labels = digits.train_inputs[:samples], digits.train_labels[:samples]
    return Job(Architecture(name, 10, digits.shape), inputs, labels, how, weights=1, seed=2)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# Recipes


def test_paper_recipe_is_that_of_section_4() -> None:
    paper = recipe("paper")
    assert (paper.epochs, paper.steps, paper.batch_size, paper.lr) == (100, None, 64, 1e-3)
    assert {paper.rate(step, 1600) for step in range(1600)} == {1.0}
    assert paper.precision == "float32"


@pytest.mark.parametrize(("samples", "steps"), [(1, 3), (64, 3), (65, 6), (1000, 48)])
def test_length_in_epochs_counts_the_last_small_batch(samples: int, steps: int) -> None:
    assert Recipe(epochs=3, batch_size=64).length(samples) == steps


def test_length_in_steps_is_fixed() -> None:
    assert {Recipe(steps=7).length(samples) for samples in (1, 64, 1000)} == {7}


def test_rate_rises_in_warm_up_then_stays() -> None:
    rates = [Recipe(steps=50, warmup=0.2).rate(step, 50) for step in range(50)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert set(rates[10:]) == {1.0}


def test_rate_falls_to_nothing_along_a_cosine() -> None:
    rates = [Recipe(steps=200, cosine=True).rate(step, 200) for step in range(200)]
    assert rates[0] == 1.0
    assert rates[100] == pytest.approx(0.5)
    assert all(np.diff(rates) < 0)
    assert 0 < rates[-1] < 1e-3


def test_fast_recipe_warms_up_before_it_falls() -> None:
    fast = recipe("fast")
    steps = fast.length(1000)
    rates = [fast.rate(step, steps) for step in range(steps)]
    top = int(np.argmax(rates))
    assert rates[0] < 0.5 < max(rates) <= 1.0
    assert 0 < top < steps / 3
    assert all(np.diff(rates[: top + 1]) > 0)
    assert all(np.diff(rates[top:]) < 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"epochs": 1, "steps": 1},
        {"epochs": 0},
        {"steps": -1},
        {"steps": 1, "batch_size": 0},
        {"steps": 1, "lr": 0.0},
        {"steps": 1, "warmup": 1.5},
        {"steps": 1, "precision": "half"},
    ],
)
def test_recipe_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Recipe(**wrong)


def test_unknown_recipe_gives_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown recipe 'papr'; did you mean 'paper'"):
        recipe("papr")


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_of_a_name_is_the_one_listed(name: str) -> None:
    assert recipe(name) is RECIPES[name]


# One classifier


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_same_job_gives_the_same_weights(small_digits: DataSet, name: str) -> None:
    work = job(small_digits, name)
    torch.manual_seed(1)
    first = fit(work)
    torch.manual_seed(2)
    assert same_weights(first, fit(work))


def test_each_seed_matters(small_digits: DataSet) -> None:
    work = job(small_digits)
    fitted = fit(work)
    assert not same_weights(fitted, fit(replace(work, seed=3)))
    assert not same_weights(fitted, fit(replace(work, weights=3)))


def test_fit_leaves_the_global_state_alone(small_digits: DataSet) -> None:
    # Another state than an earlier fit of the same job could have left.
    torch.manual_seed(99)
    threads, generator = torch.get_num_threads(), torch.random.get_rng_state()
    fit(job(small_digits))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_thread_count_comes_back_after_an_error(request: pytest.FixtureRequest) -> None:
    @one_thread()
    def fail() -> None:
        raise KeyError(torch.get_num_threads())

    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(2)
    with pytest.raises(KeyError, match="1"):
        fail()
    assert torch.get_num_threads() == 2


def test_fitted_classifier_is_in_evaluation_mode(small_digits: DataSet) -> None:
    assert not any(module.training for module in fit(job(small_digits, "cnn")).modules())


def test_every_epoch_sees_every_image_once(
    small_digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[torch.Tensor] = []

    def spy(raw: torch.Tensor) -> torch.Tensor:
        batches.append(raw)
        return to_float(raw)

    monkeypatch.setattr(training, "to_float", spy)
    work = job(small_digits, how=Recipe(epochs=2, batch_size=16))
    fit(work)
    assert [len(batch) for batch in batches] == [16, 16, 8] * 2
    first, second = (
        [image.numpy().tobytes() for image in torch.cat(half)]
        for half in (batches[:3], batches[3:])
    )
    assert sorted(first) == sorted(second) == sorted(image.tobytes() for image in work.inputs)
    assert first != second


def test_optimiser_follows_the_recipe(
    small_digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    fit(job(small_digits))
    expected = [0.5 * (1 + math.cos(math.pi * step / 3)) for step in range(3)]
    expected[0] = 1 / 1.5
    assert rates == pytest.approx([4e-3 * rate for rate in expected])


def test_labelled_set_may_be_read_only(
    small_digits: DataSet, request: pytest.FixtureRequest
) -> None:
    # Memory-mapped pools are, and so is what joblib hands to its processes. PyTorch would warn,
    # but only once per process unless told otherwise.
    request.addfinalizer(partial(torch.set_warn_always, torch.is_warn_always_enabled()))
    torch.set_warn_always(True)
    work = job(small_digits)
    inputs, labels = work.inputs.copy(), work.labels.copy()
    inputs.flags.writeable = labels.flags.writeable = False
    assert same_weights(fit(replace(work, inputs=inputs, labels=labels)), fit(work))


def test_empty_labelled_set_is_refused(small_digits: DataSet) -> None:
    with pytest.raises(InputError, match="without labelled samples"):
        fit(job(small_digits, samples=0))


def test_fast_recipe_learns_from_a_hundred_digits(small_digits: DataSet) -> None:
    chosen = balanced(small_digits.train_labels, 100, np.random.default_rng(0))
    inputs, labels = small_digits.train_inputs[chosen], small_digits.train_labels[chosen]
    work = Job(Architecture("cnn", 10, (28, 28)), inputs, labels, recipe("fast"), 0, 0)

    def accuracy(model: Classifier) -> float:
        right = correct(model, small_digits.test_inputs, small_digits.test_labels, work.recipe)
        return float(right.mean())

    assert accuracy(fit(work)) > max(0.5, accuracy(build(work.architecture, 0).eval()) + 0.2)


# Many classifiers


def test_two_processes_give_the_same_as_one(small_digits: DataSet) -> None:
    jobs = [job(small_digits, name) for name in ("mlp", "resnet18", "cnn")]
    for model, work in zip(fit_many(jobs, processes=2), jobs, strict=True):
        assert same_weights(model, fit(work))
        assert not model.training


def test_ensemble_members_differ_in_both_seeds(small_digits: DataSet) -> None:
    work = job(small_digits)
    members = with_members(work, [5, 6])
    assert [(member.weights, member.seed) for member in members] == [(5, 5), (6, 6)]
    assert all(member.inputs is work.inputs for member in members)
    assert not same_weights(*fit_many(members))
