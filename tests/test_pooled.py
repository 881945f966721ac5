"""The CNN's own backward pass in bfloat16: equal to torch's, and used where it should be."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from ialelib.cpu import one_thread
from ialelib.models import CNN, Architecture, build

SHAPES = [(28, 28), (13, 18), (32, 32, 3), (9, 8, 3), (7, 7)]


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    with one_thread():
        yield


def cnn(shape: tuple[int, ...] = (28, 28), channels_last: bool = True) -> CNN:
    """In training mode, with a fixed mask of the first dropout and none of the second."""
    model = build(Architecture("cnn", 10, shape), seed=0).train()
    assert isinstance(model, CNN)
    model.drop.p = 0.0
    mask = torch.rand(5, model.drop_maps.features, generator=torch.Generator().manual_seed(2))
    model.drop_maps.given = (mask > 0.25) / 0.75
    return model.to(memory_format=torch.channels_last) if channels_last else model


def images(shape: tuple[int, ...] = (28, 28), batch: int = 5) -> Tensor:
    size = batch, shape[2] if len(shape) == 3 else 1, *shape[:2]
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def plain(model: CNN, inputs: Tensor) -> Tensor:
    """The embedding by torch's operators."""
    maps = F.relu(F.max_pool2d(model.conv2(F.relu(model.conv1(inputs))), 2))
    return F.relu(model.dense(model.drop_maps(maps.permute(0, 2, 3, 1).flatten(1))))


def half(model: CNN, inputs: Tensor) -> Tensor:
    """The embedding in bfloat16, as training computes it."""
    with torch.autocast("cpu", torch.bfloat16):
        return model.embed(inputs)


def gradients(model: CNN, embedding_N_D: Tensor) -> dict[str, Tensor]:
    """Of every parameter, for a loss that depends on all embeddings."""
    weights = torch.linspace(-1, 2, embedding_N_D.numel()).view_as(embedding_N_D)
    every = dict(model.named_parameters())
    wanted = {name: value for name, value in every.items() if not name.startswith("head")}
    found = torch.autograd.grad((embedding_N_D.float() * weights).sum(), list(wanted.values()))
    return dict(zip(wanted, found, strict=True))


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    ours, theirs = ours.detach(), theirs.detach()
    assert float(theirs.abs().max()) > 0
    assert float((ours - theirs).norm() / theirs.norm()) < 0.02


def assert_as_plain(model: CNN, inputs: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = model.embed(inputs), plain(model, inputs)
    assert "_Features" in names(ours)
    assert "_Features" not in names(theirs)
    assert_near(ours, theirs)
    found, expected = gradients(model, ours), gradients(model, theirs)
    for name, gradient in expected.items():
        assert_near(found[name], gradient)


def names(result: Tensor) -> str:
    """The operations that led to a result."""
    todo, found = [result.grad_fn], ""
    while todo:
        if (node := todo.pop()) is not None:
            found += node.name()
            todo += [before for before, _ in node.next_functions]
    return found


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_torch(shape: tuple[int, ...], channels_last: bool) -> None:
    assert_as_plain(cnn(shape, channels_last), images(shape))


def test_a_batch_of_one() -> None:
    model = cnn()
    model.drop_maps.given = torch.ones(1, 1)
    assert_as_plain(model, images(batch=1))


def test_images_that_are_mostly_black() -> None:
    inputs = torch.full((5, 1, 28, 28), -1.0)
    inputs[:3, :, 5:12, 9:20] = images()[:3, :, 5:12, 9:20]
    assert_as_plain(cnn(), inputs)


def test_a_gradient_of_zero_everywhere() -> None:
    model = cnn()
    (half(model, images()) * 0).sum().backward()
    for value in (*model.conv1.parameters(), *model.conv2.parameters()):
        assert value.grad is not None
        assert int(value.grad.count_nonzero()) == 0


def test_numbers_that_are_none_show() -> None:
    assert bool(half(cnn(), torch.full((5, 1, 28, 28), torch.nan)).isnan().all())


def test_the_same_bit_for_bit() -> None:
    model = cnn()
    first, again = (gradients(model, half(model, images())) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


# Where it is used


def test_evaluation_and_float32_use_the_operators_of_torch() -> None:
    model = cnn()
    assert "_Features" in names(half(model, images()))
    assert "_Features" not in names(model.embed(images()))
    assert "_Features" not in names(half(model.eval(), images()))


def test_with_gradients_of_the_images_torch_computes() -> None:
    model, inputs = cnn(), images()
    with torch.no_grad():
        assert half(model, inputs).shape == (5, 128)
    assert "_Features" not in names(half(model, inputs.clone().requires_grad_()))


def test_what_does_not_fit_gets_the_error_of_torch() -> None:
    for shape, pixels in (((28, 28), (1, 3, 28, 28)), ((28, 28, 3), (1, 1, 28, 28))):
        with pytest.raises(RuntimeError, match=f"to have {3 if len(shape) == 3 else 1} channels"):
            half(cnn(shape), torch.zeros(pixels))
    with pytest.raises(RuntimeError, match="too small"):
        half(cnn((7, 7)), torch.zeros(1, 1, 5, 7))


def test_an_empty_batch_has_gradients_of_zero() -> None:
    model = cnn()
    model.drop_maps.p = 0.0
    half(model, images(batch=0)).sum().backward()
    gradient = model.dense.weight.grad
    assert gradient is not None
    assert int(gradient.count_nonzero()) == 0


def test_parameters_with_gaps_in_memory() -> None:
    model = cnn()
    model.conv1.bias = nn.Parameter(torch.linspace(-1, 1, 64)[::2])
    assert_as_plain(model, images())


def test_a_stack_uses_the_operators_of_torch() -> None:
    models, inputs = [cnn(), cnn()], images()
    parameters, buffers = stack_module_state(list(models))

    def embedding(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return functional_call(models[0], (parameters, buffers), (inputs,))[1]

    stacked = vmap(embedding)(parameters, buffers)
    assert "_Features" not in names(stacked)
    assert_near(stacked[1].float(), half(models[1], inputs).float())
