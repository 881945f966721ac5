"""Prediction in bounded batches: the same numbers as one forward pass over everything."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ialelib import training
from ialelib.data import DataSet
from ialelib.models import CLASSIFIERS, MLP, Architecture, Classifier, build, to_float
from ialelib.recipes import Recipe
from ialelib.training import KEPT, correct_mask, predict, predict_often


@pytest.fixture(params=[name for name in CLASSIFIERS if name != "probe"])  # takes no images
def model(request: pytest.FixtureRequest) -> Classifier:
    return build(Architecture(request.param, 10, (28, 28)), seed=0).eval()


def mlp() -> Classifier:
    return build(Architecture("mlp", 10, (28, 28)), seed=0).eval()


@pytest.mark.parametrize("batch", [7, 60, 250])
def test_prediction_is_one_forward_pass(
    model: Classifier, small_digits: DataSet, batch: int
) -> None:
    inputs = small_digits.test_inputs[:60]
    with torch.no_grad():
        expected = model(to_float(torch.tensor(inputs)))
    for result, wanted in zip(predict(model, inputs, batch), expected, strict=True):
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("batch", "sizes"), [(25, [25, 25, 10]), (60, [60]), (100, [60])])
def test_classifier_never_gets_more_than_a_batch(
    small_digits: DataSet, batch: int, sizes: list[int]
) -> None:
    model, seen = mlp(), []

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(len(inputs[0]))

    model.register_forward_pre_hook(watch)
    predict(model, small_digits.test_inputs[:60], batch)
    assert seen == sizes


def test_usual_batch_is_bounded(digits: DataSet) -> None:
    model, seen = mlp(), []

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(len(inputs[0]))

    model.register_forward_pre_hook(watch)
    predict(model, digits.test_inputs)
    assert sum(seen) == 2000
    assert max(seen) <= 256


@pytest.mark.parametrize("training", [True, False])
def test_mode_of_the_classifier_is_kept(small_digits: DataSet, training: bool) -> None:
    model = mlp().train(training)
    first, second = (predict(model, small_digits.test_inputs[:20])[0] for _ in range(2))
    assert model.training is training
    # Dropout draws anew in training mode, as MC-Dropout needs it.
    assert torch.equal(first, second) is not training


def test_lower_precision_still_returns_float32(small_digits: DataSet) -> None:
    model, inputs = mlp(), small_digits.test_inputs[:60]
    auto = predict(model, inputs, recipe=Recipe(steps=1, precision="auto"))
    exact = predict(model, inputs)
    for low, full in zip(auto, exact, strict=True):
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, full, rtol=0.05, atol=0.05)


def test_no_inputs_give_empty_results(small_digits: DataSet) -> None:
    logits_N_C, embedding_N_D = predict(mlp(), small_digits.test_inputs[:0])
    assert (logits_N_C.shape, embedding_N_D.shape) == ((0, 10), (0, 128))


def test_prediction_leaves_the_global_state_alone(small_digits: DataSet) -> None:
    model = mlp()
    torch.manual_seed(99)
    threads, generator = torch.get_num_threads(), torch.random.get_rng_state()
    predict(model, small_digits.test_inputs[:20])
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_correct_marks_the_inputs_that_are_right(small_digits: DataSet) -> None:
    model, inputs = mlp(), small_digits.test_inputs[:60]
    labels = predict(model, inputs)[0].argmax(1).numpy().copy()
    labels[::3] = (labels[::3] + 1) % 10
    right = correct_mask(model, inputs, labels, Recipe(steps=1))
    np.testing.assert_array_equal(right, np.arange(60) % 3 != 0)


@pytest.mark.parametrize("kept", [KEPT, 60 * 32])
def test_passes_with_dropout_are_those_of_prediction_one_after_the_other(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "KEPT", kept - 1)
    inputs, passes = np.random.default_rng(0).integers(0, 256, (60, 6, 6), np.uint8), 3
    for name in ("cnn", "mlp"):
        model = build(Architecture(name, 10, (6, 6)), seed=0).eval()
        for drop in model.drops:
            drop.train()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            expected = [predict(model, inputs, 25)[0] for _ in range(passes)]
            torch.manual_seed(1)
            found = predict_often(model, inputs, passes, 25)
        assert len(found) == passes
        assert not torch.equal(found[0], found[1])
        for ours, plain in zip(found, expected, strict=True):
            assert torch.equal(ours, plain)


def test_passes_compute_once_what_comes_before_dropout() -> None:
    model, seen = mlp(), []
    assert isinstance(model, MLP)
    model.hidden.register_forward_hook(lambda *_: seen.append("hidden"))
    model.last.register_forward_hook(lambda *_: seen.append("last"))
    predict_often(model, np.zeros((10, 28, 28), np.uint8), 4)
    assert seen == ["hidden", *["last"] * 4]


def test_passes_over_nothing_are_empty() -> None:
    passes = predict_often(mlp(), np.zeros((0, 28, 28), np.uint8), 2)
    assert [tuple(logits.shape) for logits in passes] == [(0, 10), (0, 10)]
