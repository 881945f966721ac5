"""The CNN's training by kernels has the gradients of torch, whatever the images."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ialelib import training
from ialelib.kernels.trainer import Steps
from ialelib.models import CNN, Architecture, Dropout, build, given_masks, to_float
from ialelib.recipes import Recipe, TrainJob
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError

SHAPES = [(28, 28), (13, 18), (32, 32, 3), (10, 10), (9, 8, 3), (7, 7), (6, 6)]


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def cnn(shape: tuple[int, ...] = (28, 28), seed: int = 0) -> CNN:
    model = build(Architecture("cnn", 10, shape), seed).train()
    assert isinstance(model, CNN)
    return model.to(memory_format=torch.channels_last)


def photographs(shape: tuple[int, ...], count: int = 5) -> np.ndarray:
    """Every byte as likely as any other."""
    return np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)


def drawings(shape: tuple[int, ...], background: int) -> np.ndarray:
    """A patch on a background, one in a corner, single pixels, and nothing at all."""
    images, (height, width) = np.full((6, *shape), background, np.uint8), shape[:2]
    some = photographs(shape, 6)
    for image, rows, columns in (
        (0, slice(height // 4, height // 2), slice(width // 3, width // 2)),
        (1, slice(height - 3, height), slice(width - 2, width)),
        (2, slice(0, 2), slice(0, 4)),
        (3, slice(height // 2, height // 2 + 1), slice(width // 2, width // 2 + 1)),
        (4, slice(0, height, 7), slice(0, width, 5)),
    ):
        images[image, rows, columns] = some[image, rows, columns]
    return images


def dropouts(model: CNN) -> list[Dropout]:
    return [model.drop, model.drop_maps]


def noise() -> np.random.SFC64:
    return np.random.SFC64(2)


def ours(model: CNN, images: np.ndarray, labels: np.ndarray) -> dict[str, Tensor]:
    """Every parameter's gradient, of one step on all images."""
    steps, generator = Steps(model, images, labels, len(images), lr=1e-3), noise()
    lanes = [drop.lanes(len(images), generator) for drop in dropouts(model)]
    steps.step(torch.arange(len(images)), lanes)
    # Adam's first mean of gradients is a tenth of the first gradient.
    gradients = CNN(model.head.out_features, images.shape[1:])
    steps.model, steps.dense[0] = gradients, steps.dense[1] * 10
    steps.weights = steps.gradients
    steps.finish()
    return dict(gradients.named_parameters())


def theirs(model: CNN, images: np.ndarray, labels: np.ndarray) -> dict[str, Tensor]:
    """The same by torch's operators."""
    generator, parameters = noise(), dict(model.named_parameters())
    masks = [drop.mask(len(images), torch.float32, generator) for drop in dropouts(model)]
    with given_masks(dropouts(model), masks):
        logits_N_C, _ = model(to_float(torch.tensor(images)))
    loss = F.cross_entropy(logits_N_C, torch.tensor(labels))
    return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


def assert_equal(model: CNN, images: np.ndarray, labels: np.ndarray | None = None) -> None:
    labels = np.arange(len(images)) * 7 % 10 if labels is None else labels
    found, expected = ours(model, images, labels), theirs(model, images, labels)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert float(gradient.abs().max()) > 0
        assert float((found[name] - gradient).detach().norm() / gradient.norm()) < 1e-5, name


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_torch(shape: tuple[int, ...]) -> None:
    assert_equal(cnn(shape), photographs(shape))


@pytest.mark.parametrize("background", [0, 255, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_images_that_are_mostly_background(shape: tuple[int, ...], background: int) -> None:
    assert_equal(cnn(shape), drawings(shape, background))


def test_images_of_which_every_one_is_empty() -> None:
    assert_equal(cnn(), np.zeros((3, 28, 28), np.uint8))


def test_every_kind_of_background_between_two_pixels() -> None:
    images = np.zeros((49, 13, 13), np.uint8)
    for i, image in enumerate(images):
        image[i // 7, i % 7] = image[12 - i % 7, 12 - i // 7] = 200
    assert_equal(cnn((13, 13)), images)


@pytest.mark.parametrize("batch", [1, 64, 65, 130])
def test_other_sizes_of_batches(batch: int) -> None:
    assert_equal(cnn((9, 8, 3)), photographs((9, 8, 3), batch))


@pytest.mark.parametrize("p", [0.0, 0.5, 0.9])
def test_other_shares_of_dropout(p: float) -> None:
    model = cnn((9, 9))
    model.drop.p = model.drop_maps.p = p
    assert_equal(model, photographs((9, 9), 20))


def copying(model: CNN) -> CNN:
    """With convolutions whose outputs are single pixels, plus 0 or 1: no sum is rounded."""
    taps, copy = torch.zeros(32, 1, 4, 4), torch.zeros(32, 32, 2, 2)
    taps.view(32, 16)[range(32), [c % 16 for c in range(32)]] = 1
    copy[range(32), range(32), 0, 1] = 1
    model.conv1.load_state_dict({"weight": taps, "bias": torch.zeros(32)})
    model.conv2.load_state_dict({"weight": copy, "bias": torch.arange(32.0) % 2})
    return model


def test_of_equal_outputs_the_first_has_the_gradient() -> None:
    # Black and white are -1 and 3, so that there are ties of every kind and all are exact.
    model, images = copying(cnn((9, 10))), np.zeros((8, 9, 10), np.uint8)
    images[np.random.default_rng(0).random(images.shape) < 0.4] = 255
    top = model.conv2(F.relu(model.conv1(to_float(torch.tensor(images)))))
    windows = top[:, :, :4, :6].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    tied_N = (windows == windows.amax(4, keepdim=True)).sum(4).flatten()
    assert set(tied_N.tolist()) == {1, 2, 3, 4}
    assert_equal(model, images)


def test_nothing_above_zero_has_no_gradient() -> None:
    model = cnn((8, 8))
    assert model.conv2.bias is not None
    nn.init.constant_(model.conv2.bias, -1000.0)
    found = ours(model, photographs((8, 8)), np.arange(5))
    for name, gradient in found.items():
        assert bool(gradient.count_nonzero()) == (
            name in ("head.bias", "head.weight", "dense.bias")
        )


def job(shape: tuple[int, ...] = (9, 9), labels: int = 70) -> TrainJob:
    architecture = Architecture("cnn", 10, shape)
    return TrainJob(
        architecture, photographs(shape, labels), np.arange(labels) % 10, Recipe(3), 0, 0
    )


def test_weights_of_the_model_change_at_the_end_and_keep_their_layout() -> None:
    model, some = cnn((9, 9)), job()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    steps = Steps(model, some.inputs, some.labels, 64, lr=1e-3)
    steps.step(torch.arange(64), [drop.lanes(64, noise()) for drop in dropouts(model)])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    strides = [value.stride() for value in model.parameters()]
    steps.finish()
    assert [value.stride() for value in model.parameters()] == strides
    assert not any(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_same_bit_for_bit() -> None:
    first, again = (training.fit(job((28, 28))).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("classes", [2, 47])
def test_other_numbers_of_classes(classes: int) -> None:
    model = build(Architecture("cnn", classes, (12, 9)), 0).train()
    assert isinstance(model, CNN)
    assert_equal(model, photographs((12, 9)), labels=np.arange(5) % classes)


def test_images_in_other_orders_of_memory() -> None:
    plain, some = training.fit(job()).state_dict(), job()
    read_only = some.inputs.copy()
    read_only.flags.writeable = False
    for inputs in (np.asfortranarray(some.inputs), np.repeat(some.inputs, 2, 0)[::2], read_only):
        found = training.fit(replace(some, inputs=inputs)).state_dict()
        assert all(torch.equal(found[name], weights) for name, weights in plain.items())


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.bias", "dense.weight", "head.bias"])
def test_weights_that_are_no_numbers_spread_and_harm_no_memory(name: str) -> None:
    some, start = job((28, 28)), cnn()
    with torch.no_grad():
        dict(start.named_parameters())[name].view(-1)[0] = torch.nan
    model = training.fit(replace(some, start=start))
    assert bool(model.head.weight.isnan().any())


def test_a_learning_rate_that_ends_in_no_numbers_harms_no_memory() -> None:
    training.fit(replace(job((28, 28)), recipe=Recipe(steps=10, lr=1e10)))


def test_a_start_for_other_images_is_refused() -> None:
    for shape in ((32, 32), (9, 9, 3)):
        with pytest.raises(InputError, match=r"start from is not for images of \(9, 9\)"):
            training.fit(replace(job(), start=cnn(shape)))


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="whole numbers, not float64"):
        training.fit(replace(job(), labels=np.zeros(70)))
    with pytest.raises(InputError, match="70 images need as many labels, not 71"):
        training.fit(replace(job(), labels=np.zeros(71, np.int64)))
    for label in (-1, 10):
        with pytest.raises(InputError, match="between 0 and 9, not"):
            training.fit(replace(job(), labels=np.array([label] * 70)))
