"""Recipes, and jobs that depend on nothing but what they hold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ialelib import recipes
from ialelib.data import DataSet
from ialelib.models import Architecture
from ialelib.recipes import RECIPES, Recipe, TrainJob, autocast, batches, number_type, recipe
from ialelib.utils.errors import InputError

CPU = torch.device("cpu")


def test_paper_recipe_is_that_of_section_4() -> None:
    paper = recipe("paper")
    assert (paper.epochs, paper.steps, paper.batch_size, paper.lr) == (100, 0, 64, 1e-3)
    assert {paper.rate(step, 1600) for step in range(1600)} == {1.0}
    assert paper.precision == "auto"


@pytest.mark.parametrize(("samples", "steps"), [(1, 3), (64, 3), (65, 6), (1000, 48)])
def test_length_in_epochs_counts_the_last_small_batch(samples: int, steps: int) -> None:
    assert Recipe(epochs=3, batch_size=64).length(samples) == steps


def test_length_in_steps_is_fixed() -> None:
    assert {Recipe(steps=7).length(samples) for samples in (1, 64, 1000)} == {7}


@pytest.mark.parametrize(("samples", "steps"), [(1, 10), (64, 10), (65, 13), (1000, 55)])
def test_epochs_and_steps_add_up(samples: int, steps: int) -> None:
    assert Recipe(epochs=3, steps=7, batch_size=64).length(samples) == steps


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


@pytest.mark.parametrize("samples", [20, 300, 1000])
def test_warm_recipe_is_shorter_than_the_fast_one(samples: int) -> None:
    assert recipe("warm").length(samples) < recipe("fast").length(samples)


def test_fast_recipe_is_shorter_than_the_papers() -> None:
    assert recipe("fast").length(1000) < recipe("paper").length(1000)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"epochs": 0},
        {"epochs": 0, "steps": 0},
        {"steps": -1},
        {"epochs": 3, "steps": -1},
        {"epochs": -1, "steps": 3},
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


# Numbers


@pytest.mark.parametrize("able", [True, False])
def test_auto_computes_in_bfloat16_where_the_processor_can(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "has_bfloat16", lambda *_: able)
    auto, exact = Recipe(steps=1, precision="auto"), Recipe(steps=1)
    assert number_type(auto) == (torch.bfloat16 if able else torch.float32)
    assert number_type(exact) == torch.float32
    for how in (auto, exact):
        with autocast(how):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == number_type(how)


# Jobs


@pytest.fixture
def job(small_digits: DataSet) -> TrainJob:
    inputs, labels = small_digits.train_inputs[:40], small_digits.train_labels[:40]
    return TrainJob(Architecture("mlp", 10, (28, 28)), inputs, labels, Recipe(steps=3), 1, 2)


def draws(job: TrainJob) -> list[list[float]]:
    order, noise = job.generators(CPU)
    assert isinstance(noise, np.random.BitGenerator)
    return [torch.rand(5, generator=order).tolist(), noise.random_raw(5).tolist()]


def test_order_and_dropout_depend_on_the_seed_alone(job: TrainJob) -> None:
    order, dropout = draws(job)
    assert draws(job) == draws(replace(job, weights=7)) == [order, dropout]
    other = draws(replace(job, seed=3))
    assert order != other[0]
    assert dropout != other[1]


def test_batches_are_epochs_in_random_order_with_the_last_one_cut() -> None:
    found = list(batches(40, 16, 5, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in found] == [16, 16, 8, 16, 16]
    epoch = torch.cat(found[:3]).tolist()
    assert sorted(epoch) == list(range(40)) != epoch
    later = torch.cat(found[3:]).tolist()
    assert len(set(later)) == 32
    assert later != epoch[:32]


def test_fresh_classifier_is_ready_for_training(job: TrainJob) -> None:
    assert all(module.training for module in job.fresh().modules())


def test_empty_labelled_set_is_refused(job: TrainJob) -> None:
    with pytest.raises(InputError, match="without labelled samples"):
        replace(job, labels=job.labels[:0]).fresh()
