"""Stacked training: every classifier is the one that it would have been alone."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toys import same_weights

from ialelib import recipes
from ialelib.data import DataSet
from ialelib.kernels import stacked
from ialelib.kernels.stacked import fit_all
from ialelib.models import Architecture, Classifier, build
from ialelib.recipes import Recipe, TrainJob
from ialelib.training import correct_mask, fit, predict
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError

TEN = Recipe(steps=10, batch_size=16)
WARMUP = Recipe(steps=10, batch_size=16, lr=4e-3, warmup=0.3, cosine=True)
PASSES = Recipe(epochs=2, steps=1, batch_size=16)


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    """Else each small step waits for the second core, where another process wants it."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def letters(digits: DataSet) -> DataSet:
    """The digits as if of five classes."""
    return replace(digits, train_labels=digits.train_labels % 5)


def job(
    data: DataSet, name: str = "mlp", at: int = 0, how: Recipe = TEN, samples: int = 40
) -> TrainJob:
    """Training on its own images, from its own seeds."""
    some = slice(100 * at, 100 * at + samples)
    inputs, labels = data.train_inputs[some], data.train_labels[some]
    architecture = Architecture(name, int(data.train_labels.max()) + 1, data.shape)
    return TrainJob(architecture, inputs, labels, how, weights=at, seed=10 + at)


def logits(model: Classifier, data: DataSet) -> Tensor:
    return predict(model, data.test_inputs[:100])[0]


def assert_as_alone(
    found: list[Classifier], jobs: list[TrainJob], data: DataSet, atol: float = 1e-3
) -> None:
    """Up to rounding; logits spread over tenths and more, and so do the changes of other masks.

    Where a gradient is itself of rounding's size, Adam makes a step of it. One such weight can
    switch a ReLU and move the logits by 0.03 in ten steps, on one processor and not on another.
    """
    for model, work in zip(found, jobs, strict=True):
        alone = logits(fit(work), data)
        torch.testing.assert_close(logits(model, data), alone, rtol=0, atol=atol)


@pytest.mark.parametrize("how", [TEN, WARMUP, PASSES])
@pytest.mark.parametrize("name", ["toy_mlp", "mlp", "cnn"])
def test_a_stack_gives_every_job_what_it_gets_alone(
    digits: DataSet, name: str, how: Recipe
) -> None:
    jobs = [job(digits, name, at, how) for at in range(3)]
    found = fit_all(jobs, "cpu")
    assert_as_alone(found, jobs, digits)
    assert_as_alone(fit_all(jobs[::-1], "cpu"), jobs[::-1], digits)
    assert not any(module.training for model in found for module in model.modules())


def test_jobs_of_different_kinds_come_back_in_order(
    digits: DataSet, letters: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [
        job(digits, "cnn", 0),
        job(digits, "mlp", 1),
        job(digits, "cnn", 2, samples=24),
        job(digits, "mlp", 3, samples=24),
        job(digits, "mlp", 4),
        job(letters, "mlp", 5),
        job(digits, "mlp", 6, WARMUP),
        job(digits, "cnn", 7),
    ]
    sizes, real = [], stacked.fit_stack

    def spy(members: list[TrainJob], device: str) -> list[Classifier]:
        sizes.append(len(members))
        return real(members, device)

    monkeypatch.setattr(stacked, "fit_stack", spy)
    assert_as_alone(fit_all(jobs, "cpu"), jobs, digits, atol=0.05)
    assert sorted(sizes) == [1, 1, 1, 1, 2, 2]


def test_nothing_to_train_gives_nothing() -> None:
    assert fit_all([], "cpu") == []


def test_jobs_have_their_own_masks_and_batches(digits: DataSet) -> None:
    first = job(digits)
    one, again, other = fit_all([first, first, replace(first, seed=99)], "cpu")
    torch.testing.assert_close(logits(one, digits), logits(again, digits), rtol=0, atol=1e-5)
    assert not torch.allclose(logits(one, digits), logits(other, digits), atol=1e-3)


@pytest.mark.parametrize(("name", "drops"), [("mlp", True), ("toy_mlp", False)])
def test_masks_differ_where_all_else_is_equal(digits: DataSet, name: str, drops: bool) -> None:
    # With all samples in each batch, their order is nothing but rounding.
    first = job(digits, name, how=Recipe(steps=3, batch_size=40))
    one, other = fit_all([first, replace(first, seed=99)], "cpu")
    assert torch.allclose(logits(one, digits), logits(other, digits), atol=1e-4) is not drops


def test_fitted_classifiers_draw_their_dropout_anew(digits: DataSet) -> None:
    for model in fit_all([job(digits), job(digits, at=1)], "cpu"):
        assert not torch.equal(logits(model.train(), digits), logits(model, digits))


def test_classifiers_of_a_stack_share_no_memory(digits: DataSet) -> None:
    one, other = fit_all([job(digits), job(digits, at=1)], "cpu")
    before = deepcopy(other)
    for value in one.state_dict().values():
        value.zero_()
    assert same_weights(other, before)


@pytest.mark.parametrize("steps", [1, 2])
def test_batch_normalisation_keeps_to_its_own_classifier(digits: DataSet, steps: int) -> None:
    # Rounding grows fast here: the sign of a vanishing gradient decides Adam's first steps.
    jobs = [job(digits, "resnet18", at, Recipe(steps=steps, batch_size=16)) for at in range(2)]
    for model, work in zip(fit_all(jobs, "cpu"), jobs, strict=True):
        alone = fit(work)
        found, expected = model.state_dict(), alone.state_dict()
        for name in (name for name in expected if "running" in name):
            torch.testing.assert_close(found[name], expected[name], rtol=0.02, atol=0.005)
        assert {int(found[n]) for n in found if "num_batches" in n} == {steps}
        close = (logits(model, digits) - logits(alone, digits)).abs().max()
        assert float(close) < 0.1 * float(logits(alone, digits).std())


@pytest.mark.parametrize("name", ["toy_mlp", "mlp"])
def test_bfloat16_learns_as_well(
    digits: DataSet, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The toy has no dropout: its weights differ only if the layers really compute in bfloat16.
    monkeypatch.setattr(recipes, "has_bfloat16", lambda *_: True)
    how = Recipe(steps=60, batch_size=32, lr=4e-3)
    jobs = [job(digits, name, at, how, samples=200) for at in range(2)]
    low = fit_all([replace(j, recipe=replace(how, precision="auto")) for j in jobs], "cpu")
    for exact, model in zip(fit_all(jobs, "cpu"), low, strict=True):
        images, labels = digits.test_inputs[:1000], digits.test_labels[:1000]
        one, other = (correct_mask(m, images, labels, how).mean() for m in (exact, model))
        assert one > 0.5
        assert abs(one - other) < 0.05
        assert not same_weights(exact, model), "bfloat16 was not used"
        assert {value.dtype for value in model.state_dict().values()} == {torch.float32}


def test_warm_starts_in_a_stack(digits: DataSet) -> None:
    starts = [fit(job(digits, at=at)) for at in (3, 4)]
    before = deepcopy(starts)
    jobs = [job(digits, at=0), job(digits, at=1), job(digits, at=2)]
    jobs[1:] = [replace(j, start=start) for j, start in zip(jobs[1:], starts, strict=True)]
    assert_as_alone(fit_all(jobs, "cpu"), jobs, digits)
    for start, was in zip(starts, before, strict=True):
        assert same_weights(start, was)
        assert not start.training


def test_an_empty_labelled_set_is_refused(digits: DataSet) -> None:
    with pytest.raises(InputError, match="without labelled samples"):
        fit_all([job(digits), job(digits, samples=0)], "cpu")


def test_a_stack_leaves_the_global_generator_alone(digits: DataSet) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    fit_all([job(digits, "cnn")], "cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not same_weights(fit_all([job(digits)], "cpu")[0], build(job(digits).architecture, 0))
