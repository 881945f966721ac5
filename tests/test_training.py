"""Training that repeats bit for bit in one process or several, afresh or from a warm start."""

import math
import resource
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from toys import same_weights

from ialelib import training
from ialelib.data import DataSet, balanced
from ialelib.kernels import stacked
from ialelib.models import CLASSIFIERS, Architecture, Classifier, Dropout, Noise, build, to_float
from ialelib.recipes import Recipe, TrainJob, recipe
from ialelib.training import correct_mask, fit, fit_many, predict, with_members
from ialelib.utils.adam import Adam
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.machine import device

SHORT = Recipe(steps=3, batch_size=16, lr=4e-3, warmup=0.5, cosine=True, precision="auto")


def job(digits: DataSet, name: str = "mlp", how: Recipe = SHORT, samples: int = 40) -> TrainJob:
    inputs, labels = digits.train_inputs[:samples], digits.train_labels[:samples]
    if name == "probe":
        inputs = inputs.reshape(samples, -1).astype(np.float32)
    architecture = Architecture(name, 10, inputs.shape[1:])
    return TrainJob(architecture, inputs, labels, how, weights=1, seed=2)


# One classifier


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is asked to")
def test_memory_is_kept_from_step_to_step(small_digits: DataSet) -> None:
    # By default every step of this size asks for a thousand or more pages of 4 kB anew.
    work = job(small_digits, "cnn", Recipe(steps=20, batch_size=64), samples=64)
    fit(work)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fit(work)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 20 * 200


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


@pytest.mark.parametrize(("name", "features"), [("cnn", (128, 32 * 12 * 12)), ("mlp", (128, 128))])
def test_every_step_has_random_bits_for_every_dropout(
    small_digits: DataSet,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    features: tuple[int, ...],
) -> None:
    drawn: list[tuple[int, ...]] = []
    real = Dropout.lanes

    def spy(self: Dropout, batch: int, generator: Noise | None = None) -> torch.Tensor:
        assert generator is not None
        drawn.append((batch, self.features))
        return real(self, batch, generator)

    monkeypatch.setattr(Dropout, "lanes", spy)
    fit(job(small_digits, name))
    assert drawn == [(batch, n) for batch in (16, 16, 8) for n in features]


@pytest.mark.parametrize(("name", "drops"), [("mlp", True), ("toy_mlp", False)])
def test_seed_decides_what_is_dropped(small_digits: DataSet, name: str, drops: bool) -> None:
    # With all samples in each batch, their order is nothing but rounding.
    work = job(small_digits, name, Recipe(steps=3, batch_size=40))
    one, other = (predict(fit(replace(work, seed=s)), work.inputs)[0] for s in (1, 2))
    assert torch.allclose(one, other, atol=1e-4) is not drops


def test_fitted_classifier_draws_its_dropout_anew(small_digits: DataSet) -> None:
    model = fit(job(small_digits, "cnn")).train()
    one, other = (predict(model, small_digits.test_inputs[:20])[0] for _ in range(2))
    assert not torch.equal(one, other)


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

    class Spy(Adam):
        def step(self, rate: float = 1.0) -> None:
            rates.append(self.lr * rate)
            super().step(rate)

    monkeypatch.setattr(training, "Adam", Spy)
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
    work = TrainJob(Architecture("cnn", 10, (28, 28)), inputs, labels, recipe("fast"), 0, 0)

    def accuracy(model: Classifier) -> float:
        right = correct_mask(model, small_digits.test_inputs, small_digits.test_labels, work.recipe)
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


# Where


@pytest.mark.parametrize("name", [None, "", "cpu"])
def test_training_is_on_the_cpu_unless_asked_otherwise(
    name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IALE_DEVICE", raising=False)
    if name is not None:
        monkeypatch.setenv("IALE_DEVICE", name)
    assert device() == "cpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [("gpu", "IALE_DEVICE must be cpu or cuda, not 'gpu'"), ("cuda", "torch finds no GPU")],
)
def test_device_that_is_not_there_is_refused(
    name: str, message: str, small_digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("IALE_DEVICE", name)
    with pytest.raises(InputError, match=message):
        fit_many([job(small_digits)])


def test_gpu_trains_stacks(small_digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("IALE_DEVICE", "cuda")
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(stacked, "fit_all", lambda *given: asked.append(given))
    jobs = [job(small_digits), job(small_digits, "cnn")]
    fit_many(jobs, processes=2)
    assert asked == [(jobs, "cuda")]
