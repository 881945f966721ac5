"""Dropout by bit operations: as random as it must be, and where the paper puts it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.models import CNN, MLP, Architecture, Dropout, Noise, build, to_float

SHARES = [0.25, 0.5, 0.1]
NUMBERS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def mask(
    p: float, batch: int, features: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Tensor:
    return Dropout(p, features).mask(batch, dtype, np.random.SFC64(seed))


def largest_correlation(kept: np.ndarray) -> float:
    """Between any two of the rows."""
    return float(np.abs(np.corrcoef(kept) - np.eye(len(kept))).max())


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("p", SHARES)
def test_kept_share_is_one_minus_p_in_every_column(p: float, dtype: torch.dtype) -> None:
    # Four columns share a random word; each must be right, not just their mean.
    kept_F = (mask(p, 40_000, 9, dtype=dtype) > 0).double().mean(0)
    five_sigma = 5 * (p * (1 - p) / 40_000) ** 0.5
    assert float((kept_F - (1 - p)).abs().max()) < five_sigma
    assert abs(float(kept_F.mean()) - (1 - p)) < five_sigma / 3


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("p", SHARES)
def test_kept_numbers_grow_by_exactly_one_over_1_minus_p(p: float, dtype: torch.dtype) -> None:
    found = mask(p, 100, 7, dtype=dtype)
    assert found.dtype == dtype
    grown = torch.tensor(1 / (1 - p), dtype=dtype)
    assert found.unique().tolist() == [0.0, float(grown)]


@pytest.mark.parametrize("p", SHARES)
def test_features_and_rows_are_independent(p: float) -> None:
    bound = 5.5 / 20_000**0.5
    assert largest_correlation((mask(p, 20_000, 9) > 0).numpy().T) < bound
    assert largest_correlation((mask(p, 9, 20_000) > 0).numpy()) < bound


@pytest.mark.parametrize("generator", [np.random.SFC64(0), torch.Generator().manual_seed(0)])
@pytest.mark.parametrize("p", SHARES)
def test_steps_are_independent(p: float, generator: Noise) -> None:
    drop = Dropout(p, 125)
    steps = [drop.mask(160, torch.float32, generator).flatten() > 0 for _ in range(6)]
    assert largest_correlation(torch.stack(steps).numpy()) < 5.5 / 20_000**0.5


@pytest.mark.parametrize(("batch", "features"), [(0, 3), (1, 1), (1, 3), (3, 7), (5, 5), (2, 130)])
@pytest.mark.parametrize("dtype", NUMBERS)
def test_any_size_has_a_mask(batch: int, features: int, dtype: torch.dtype) -> None:
    found = mask(0.5, batch, features, dtype=dtype)
    assert (found.shape, found.dtype) == ((batch, features), dtype)
    assert set(found.flatten().tolist()) <= {0.0, 2.0}


def test_the_same_generator_gives_the_same_mask_in_any_numbers() -> None:
    torch.manual_seed(1)
    before, first = torch.get_rng_state(), mask(0.25, 50, 7, seed=3)
    assert torch.equal(before, torch.get_rng_state()), "a generator was given"
    torch.manual_seed(2)
    assert torch.equal(first, mask(0.25, 50, 7, seed=3))
    assert not torch.equal(first, mask(0.25, 50, 7, seed=4))
    assert torch.equal(first > 0, mask(0.25, 50, 7, seed=3, dtype=torch.bfloat16) > 0)


def test_without_a_generator_the_global_one_is_used_and_moved() -> None:
    drop, ones = Dropout(0.5, 40).train(), torch.ones(5, 40)
    torch.manual_seed(1)
    first, second = drop(ones), drop(ones)
    torch.manual_seed(1)
    assert torch.equal(first, drop(ones))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("p", "training"), [(0.5, False), (0.0, True)])
def test_nothing_is_dropped_in_evaluation_or_at_p_0(p: float, training: bool) -> None:
    drop, numbers = Dropout(p, 7).train(training), torch.rand(3, 7)
    assert torch.equal(drop(numbers), numbers)
    drop.given = torch.zeros(3, 7)
    assert torch.equal(drop(numbers), numbers)


def test_a_given_mask_is_used_and_gradients_flow_through_it() -> None:
    drop, numbers = Dropout(0.5, 7).train(), torch.rand(3, 7, requires_grad=True)
    drop.given = torch.arange(21.0).view(3, 7)
    out = drop(numbers)
    assert torch.equal(out, numbers * drop.given)
    out.sum().backward()
    assert numbers.grad is not None
    assert torch.equal(numbers.grad, drop.given)


def test_gradients_flow_through_a_fresh_mask() -> None:
    numbers = torch.ones(50, 7, requires_grad=True)
    out = Dropout(0.25, 7).train()(numbers)
    out.sum().backward()
    assert numbers.grad is not None
    assert torch.equal(numbers.grad, out)
    assert 0 < int((out == 0).sum()) < 350 / 2


@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_keep_their_type(dtype: torch.dtype) -> None:
    assert Dropout(0.5, 8).train()(torch.ones(2, 8, dtype=dtype)).dtype == dtype


# Where it is


def layers(name: str) -> list[Dropout]:
    model = build(Architecture(name, 10, (28, 28)), seed=0)
    return [module for module in model.modules() if isinstance(module, Dropout)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("toy_mlp", [(0.0, 16)]),
        ("mlp", [(0.25, 128), (0.25, 128)]),
        ("cnn", [(0.25, 32 * 12 * 12), (0.5, 128)]),
        ("resnet18", [(0.25, 128)]),
    ],
)
def test_dropout_is_as_the_paper_says(name: str, expected: list[tuple[float, int]]) -> None:
    assert sorted((drop.p, drop.features) for drop in layers(name)) == expected


def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return to_float(torch.randint(0, 256, (3, 28, 28), dtype=torch.uint8, generator=generator))


def test_mlp_drops_after_each_hidden_layer() -> None:
    model = build(Architecture("mlp", 10, (28, 28)), seed=0).train()
    assert isinstance(model, MLP)
    model.drop_hidden.given, model.drop.given = mask(0.25, 3, 128), mask(0.25, 3, 128, seed=1)
    logits_N_C, embedding_N_D = model(images())
    hidden = F.relu(model.hidden(images().flatten(1))) * model.drop_hidden.given
    expected = F.relu(model.last(hidden))
    torch.testing.assert_close(embedding_N_D, expected)
    torch.testing.assert_close(logits_N_C, model.head(expected * model.drop.given))


def test_cnn_drops_after_pooling_and_after_the_dense_layer() -> None:
    model = build(Architecture("cnn", 10, (28, 28)), seed=0).train()
    assert isinstance(model, CNN)
    model.drop_maps.given, model.drop.given = mask(0.25, 3, 4608), mask(0.5, 3, 128)
    logits_N_C, embedding_N_D = model(images())
    maps = F.max_pool2d(F.relu(model.conv2(F.relu(model.conv1(images())))), 2)
    dropped = maps.permute(0, 2, 3, 1).flatten(1) * model.drop_maps.given
    expected = F.relu(model.dense(dropped))
    torch.testing.assert_close(embedding_N_D, expected)
    torch.testing.assert_close(logits_N_C, model.head(expected * model.drop.given))


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3), (13, 18), (9, 8, 3)])
@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet18"])
def test_masks_fit_images_of_any_size(name: str, shape: tuple[int, ...]) -> None:
    model = build(Architecture(name, 10, shape), seed=0).train()
    raw = torch.zeros((3, *shape), dtype=torch.uint8)
    assert model(to_float(raw))[0].shape == (3, 10)
