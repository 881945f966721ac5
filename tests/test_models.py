"""Classifiers: shapes, structure as in the paper, and weights that depend on a seed alone."""

from typing import TypeVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ialelib.models import CLASSIFIERS, Architecture, build, to_float
from ialelib.utils.errors import InputError

Layer = TypeVar("Layer", bound=nn.Module)
IMAGES = [(28, 28), (28, 28, 3), (32, 32, 3)]
OF_IMAGES = [name for name in CLASSIFIERS if name != "probe"]
CASES = [(name, shape) for name in OF_IMAGES for shape in IMAGES]
CASES += [("toy_mlp", (2,)), ("mlp", (2,))]


def raw_batch(shape: tuple[int, ...], size: int = 3) -> torch.Tensor:
    """Images or points as the data sets hold them."""
    generator = torch.Generator().manual_seed(1)
    if shape == (2,):
        return torch.randn(size, 2, generator=generator)
    return torch.randint(0, 256, (size, *shape), dtype=torch.uint8, generator=generator)


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("classes", [2, 10, 26])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_logits_are_the_head_of_the_embedding(
    name: str, shape: tuple[int, ...], classes: int
) -> None:
    model = build(Architecture(name, classes, shape), seed=0).eval()
    with torch.no_grad():
        logits_N_C, embedding_N_D = model(to_float(raw_batch(shape)))
        expected = embedding_N_D @ model.head.weight.T + model.head.bias
    assert logits_N_C.shape == (3, classes)
    assert embedding_N_D.shape == (3, 16 if name == "toy_mlp" else 128)
    torch.testing.assert_close(logits_N_C, expected)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_embedding_differs_between_inputs(name: str) -> None:
    model = build(Architecture(name, 10, (28, 28)), seed=0).eval()
    with torch.no_grad():
        embedding_N_D = model(to_float(raw_batch((28, 28))))[1]
    assert not torch.allclose(embedding_N_D[0], embedding_N_D[1])


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet18"])
def test_dropout_is_active_in_training_mode(name: str) -> None:
    model = build(Architecture(name, 10, (28, 28)), seed=0).eval()
    inputs = to_float(raw_batch((28, 28)))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.no_grad():
        first, second = model(inputs)[0], model(inputs)[0]
    assert not torch.equal(first, second)


# Weights


@pytest.mark.parametrize("name", OF_IMAGES)
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    architecture = Architecture(name, 10, (28, 28))
    torch.manual_seed(1)
    first = build(architecture, seed=5)
    torch.manual_seed(2)
    again, other = build(architecture, seed=5), build(architecture, seed=6)
    assert same_weights(first, again)
    assert not same_weights(first, other)


@pytest.mark.parametrize("name", OF_IMAGES)
def test_building_leaves_the_global_generator_alone(name: str) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    build(Architecture(name, 10, (28, 28)), seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)


# Structure


def of_type(model: nn.Module, kind: type[Layer]) -> list[Layer]:
    return [module for module in model.modules() if isinstance(module, kind)]


@pytest.mark.parametrize(("name", "width"), [("toy_mlp", 16), ("mlp", 128)])
def test_mlps_have_two_hidden_layers(name: str, width: int) -> None:
    layers = of_type(build(Architecture(name, 10, (28, 28)), seed=0), nn.Linear)
    sizes = sorted((layer.in_features, layer.out_features) for layer in layers)
    assert sizes == sorted([(784, width), (width, width), (width, 10)])


def test_cnn_has_the_layers_of_section_4_1() -> None:
    model = build(Architecture("cnn", 10, (28, 28)), seed=0)
    convolutions = of_type(model, nn.Conv2d)
    described = [(c.in_channels, c.out_channels, c.kernel_size) for c in convolutions]
    assert described == [(1, 32, (4, 4)), (32, 32, (2, 2))]
    assert sorted(drop.p for drop in of_type(model, nn.Dropout)) == [0.25, 0.5]
    dense = sorted((d.in_features, d.out_features) for d in of_type(model, nn.Linear))
    assert dense == [(128, 10), (32 * 12 * 12, 128)]


def test_cnn_computes_what_its_layers_say() -> None:
    model = build(Architecture("cnn", 10, (28, 28)), seed=0).eval()
    first, second = of_type(model, nn.Conv2d)
    dense = next(d for d in of_type(model, nn.Linear) if d.out_features == 128)
    inputs = to_float(raw_batch((28, 28)))
    # In the order of the paper: each convolution with its ReLU, then the pooling.
    maps = F.max_pool2d(F.relu(second(F.relu(first(inputs)))), 2)
    # Flattened as the maps lie in memory: by row, column, channel.
    expected = F.relu(dense(maps.permute(0, 2, 3, 1).flatten(1)))
    torch.testing.assert_close(model(inputs)[1], expected)


def convolutions_of_resnet() -> list[nn.Conv2d]:
    """Without the 1x1 shortcuts, which the 18 of the name does not count."""
    model = build(Architecture("resnet18", 10, (32, 32, 3)), seed=0)
    return [layer for layer in of_type(model, nn.Conv2d) if layer.kernel_size != (1, 1)]


def test_resnet18_has_eighteen_weighted_layers() -> None:
    model = build(Architecture("resnet18", 10, (32, 32, 3)), seed=0)
    assert len(convolutions_of_resnet()) + len(of_type(model, nn.Linear)) == 18


def test_resnet18_widths_double_from_16_to_128() -> None:
    widths = [layer.out_channels for layer in convolutions_of_resnet()]
    assert widths == [16] * 5 + [32] * 4 + [64] * 4 + [128] * 4


def test_resnet18_halves_the_maps_with_each_new_width() -> None:
    layers = convolutions_of_resnet()
    strided = [(layer.in_channels, layer.out_channels) for layer in layers if layer.stride[0] == 2]
    assert strided == [(16, 32), (32, 64), (64, 128)]


# Inputs


def test_grey_images_become_one_channel_between_minus_1_and_3() -> None:
    images = torch.tensor([[[0, 255], [51, 204]]], dtype=torch.uint8)
    expected = torch.tensor([[[[-1.0, 3.0], [-0.2, 2.2]]]])
    torch.testing.assert_close(to_float(images), expected)


def test_colour_images_become_channels_first() -> None:
    images = raw_batch((5, 4, 3))
    inputs = to_float(images)
    assert inputs.shape == (3, 3, 5, 4)
    expected = (images[1, 2, 3].numpy() / 255 - 0.25) / 0.25
    np.testing.assert_allclose(inputs[1, :, 2, 3], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3)])
def test_images_lie_channels_last_in_memory(shape: tuple[int, ...]) -> None:
    inputs = to_float(raw_batch(shape))
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_scaling_leaves_the_images_as_they_are() -> None:
    images = raw_batch((28, 28))
    before = images.clone()
    to_float(images)
    assert torch.equal(images, before)


def test_points_pass_unchanged() -> None:
    points = raw_batch((2,))
    assert torch.equal(to_float(points), points)


def test_embeddings_of_half_precision_become_float32() -> None:
    half = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).half()
    assert to_float(half).dtype == torch.float32
    assert torch.equal(to_float(half), half.float())


# Errors


def test_unknown_classifier_gives_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown classifier 'resnet'; did you mean 'resnet18'"):
        Architecture("resnet", 10, (28, 28))


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
def test_convolutions_on_points_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"classifier '{name}' needs images"):
        Architecture(name, 2, (2,))


@pytest.mark.parametrize("shape", [(5, 28), (28, 5), (5, 5, 3)])
def test_images_too_small_for_the_cnn_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="'cnn' needs images of 6x6 or more"):
        Architecture("cnn", 10, shape)
    assert Architecture("cnn", 10, (6, 6)).shape == (6, 6)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3)])
def test_the_probe_refuses_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="'probe' needs embeddings; make them with inference"):
        Architecture("probe", 10, shape)
