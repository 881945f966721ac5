"""The CNN's own backward pass: equal to torch's operators, and used where it should be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from ialelib import pooled
from ialelib.cpu import one_thread
from ialelib.models import CNN, Architecture, Dropout, build

ROOT = Path(__file__).parents[1]
SHAPES = [(28, 28), (13, 18), (32, 32, 3), (9, 8, 3), (7, 7)]
KERNELS = {torch.float32: "_Hidden", torch.bfloat16: "_Features"}
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 0.02}


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


def images(shape: tuple[int, ...], batch: int = 5) -> Tensor:
    size = batch, shape[2] if len(shape) == 3 else 1, *shape[:2]
    return torch.randn(size, generator=torch.Generator().manual_seed(1))


def plain(model: CNN, inputs: Tensor) -> Tensor:
    """The embedding by torch's operators."""
    maps = F.relu(F.max_pool2d(model.conv2(F.relu(model.conv1(inputs))), 2))
    return F.relu(model.dense(model.drop_maps(maps.permute(0, 2, 3, 1).flatten(1))))


def gradients(model: CNN, embedding_N_D: Tensor) -> dict[str, Tensor]:
    """Of every parameter, for a loss that depends on all embeddings."""
    weights = torch.linspace(-1, 2, embedding_N_D.numel()).view_as(embedding_N_D)
    every = dict(model.named_parameters())
    wanted = {name: value for name, value in every.items() if not name.startswith("head")}
    found = torch.autograd.grad((embedding_N_D.float() * weights).sum(), list(wanted.values()))
    return dict(zip(wanted, found, strict=True))


def assert_near(ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    ours, theirs = ours.detach(), theirs.detach()
    assert float(theirs.abs().max()) > 0
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance


def assert_as_plain(model: CNN, inputs: Tensor, dtype: torch.dtype = torch.float32) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        ours, theirs = model.embed(inputs), plain(model, inputs)
    assert KERNELS[dtype] in names(ours)
    assert KERNELS[dtype] not in names(theirs)
    assert_near(ours, theirs, TOLERANCE[dtype])
    found, expected = gradients(model, ours), gradients(model, theirs)
    for name, gradient in expected.items():
        assert_near(found[name], gradient, TOLERANCE[dtype])


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


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_under_bfloat16(shape: tuple[int, ...]) -> None:
    assert_as_plain(cnn(shape), images(shape), torch.bfloat16)


@pytest.mark.parametrize("batch", [64, 65, 130])
def test_as_many_samples_as_a_word_has_bits_and_more(batch: int) -> None:
    model = cnn((9, 8, 3))
    model.drop_maps.given = torch.linspace(0, 1, batch)[:, None].round() * 2
    assert_as_plain(model, images((9, 8, 3), batch))


@pytest.mark.parametrize("by_input", [True, False])
def test_either_order_of_the_dense_weights(by_input: bool) -> None:
    model = cnn()
    model.lay_out(by_input)
    assert model.dense.weight.stride() == ((1, 128) if by_input else (4608, 1))
    assert_as_plain(model, images((28, 28)))
    model.embed(images((28, 28))).sum().backward()
    assert model.dense.weight.grad is not None
    assert model.dense.weight.grad.stride() == model.dense.weight.stride()


def test_a_batch_of_one() -> None:
    model = cnn()
    model.drop_maps.given = torch.ones(1, 1)
    assert_as_plain(model, images((28, 28), batch=1))


def test_without_dropout() -> None:
    model = cnn()
    model.drop_maps.p = 0.0
    assert_as_plain(model, images((28, 28)))


def direct(images: Tensor, layers: list[nn.Conv2d], ours: bool) -> tuple[Tensor, ...]:
    """Result of the fused operation, or of torch's, and its gradients; small whole numbers."""
    first, second = layers
    maps = F.relu(F.max_pool2d(second(F.relu(first(images))), 2))
    features = maps.permute(0, 2, 3, 1).flatten(1)
    dense, drop = nn.Linear(features.shape[1], 128), Dropout(0.0, features.shape[1])
    dense.load_state_dict({"weight": whole(dense.weight.shape), "bias": torch.zeros(128)})
    result = pooled.hidden(images, drop, first, second, dense) if ours else dense(features)
    parameters = [*first.parameters(), *second.parameters(), dense.weight]
    return result, *torch.autograd.grad((result * whole(result.shape)).sum(), parameters)


def whole(shape: torch.Size) -> Tensor:
    """Numbers from -2 to 2."""
    return torch.randint(-2, 3, shape, generator=torch.Generator().manual_seed(3)).float()


def copying(bias: Tensor) -> list[nn.Conv2d]:
    """Convolutions whose outputs are single pixels, plus the second's bias: no sum is rounded."""
    first, second = nn.Conv2d(1, 32, 4), nn.Conv2d(32, 32, 2)
    taps, copy = torch.zeros(32, 1, 4, 4), torch.zeros(32, 32, 2, 2)
    taps.view(32, 16)[range(32), [c % 16 for c in range(32)]] = 1
    copy[range(32), range(32), 0, 1] = 1
    first.load_state_dict({"weight": taps, "bias": torch.zeros(32)})
    second.load_state_dict({"weight": copy, "bias": bias})
    return [first, second]


def test_of_equal_outputs_the_first_has_the_gradient() -> None:
    # Small whole numbers, so that there are ties of every kind and all sums are exact.
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(-1, 2, (4, 1, 9, 10), generator=rng).float()
    first, second = copying(torch.randint(0, 2, (32,), generator=rng).float())
    top = second(F.relu(first(pixels)))[:, :, :4, :6].unfold(2, 2, 2).unfold(3, 2, 2)
    tied_N = (top.flatten(4) == top.flatten(4).amax(4, keepdim=True)).sum(4).flatten()
    assert set(tied_N.tolist()) == {1, 2, 3, 4}
    for ours, theirs in zip(
        direct(pixels, [first, second], True), direct(pixels, [first, second], False), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_nothing_above_zero_has_no_gradient() -> None:
    for value in direct(torch.ones(2, 1, 8, 8), copying(torch.full((32,), -1000.0)), True):
        assert int(value.count_nonzero()) == 0


def test_a_gradient_of_zero_everywhere() -> None:
    model = cnn()
    (model.embed(images((28, 28))) * 0).sum().backward()
    for value in (*model.conv1.parameters(), *model.conv2.parameters()):
        assert value.grad is not None
        assert int(value.grad.count_nonzero()) == 0


def test_numbers_that_are_none_show() -> None:
    result, *_ = direct(torch.full((1, 1, 8, 8), torch.nan), copying(torch.zeros(32)), True)
    assert bool(result.isnan().all())


def test_the_same_bit_for_bit() -> None:
    model, inputs = cnn(), images((28, 28))
    first = gradients(model, model.embed(inputs))
    again = gradients(model, model.embed(inputs))
    assert all(torch.equal(first[name], again[name]) for name in first)


# Where it is used


def test_evaluation_and_prediction_use_the_operators_of_torch() -> None:
    model, inputs = cnn(), images((28, 28))
    assert "_Hidden" in names(model.embed(inputs))
    assert "_Hidden" not in names(model.eval().embed(inputs))


def test_without_gradients_and_in_other_numbers_torch_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pooled, "hidden", None)
    model, inputs = cnn(), images((28, 28))
    with torch.no_grad():
        assert model.embed(inputs).shape == (5, 128)
    assert "_Hidden" not in names(model.embed(inputs.clone().requires_grad_()))
    assert model.double().embed(inputs.double()).dtype == torch.float64


def test_what_does_not_fit_gets_the_error_of_torch() -> None:
    for shape, pixels in (((28, 28), (1, 3, 28, 28)), ((28, 28, 3), (1, 1, 28, 28))):
        with pytest.raises(RuntimeError, match=f"to have {3 if len(shape) == 3 else 1} channels"):
            cnn(shape).embed(torch.zeros(pixels))
    with pytest.raises(RuntimeError, match="too small"):
        cnn((7, 7)).embed(torch.zeros(1, 1, 5, 7))


def test_an_empty_batch_has_gradients_of_zero() -> None:
    model = cnn()
    model.drop_maps.p = 0.0
    model.embed(images((28, 28), batch=0)).sum().backward()
    gradient = model.dense.weight.grad
    assert gradient is not None
    assert int(gradient.count_nonzero()) == 0


def test_parameters_with_gaps_in_memory() -> None:
    model = cnn()
    model.conv1.bias = nn.Parameter(torch.linspace(-1, 1, 64)[::2])
    assert_as_plain(model, images((28, 28)))


def test_a_stack_uses_the_operators_of_torch() -> None:
    models, inputs = [cnn(), cnn()], images((28, 28))
    parameters, buffers = stack_module_state(list(models))

    def embedding(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(models[0], (parameters, buffers), (inputs,))[1]

    stacked = vmap(embedding)(parameters, buffers)
    assert "_Hidden" not in names(stacked)
    torch.testing.assert_close(stacked[1], models[1].embed(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("user", "used"),
    [
        ("kernels", "vectors"),
        ("backward_kernels", "kernels"),
        ("backward_kernels", "vectors"),
        ("dense_kernels", "kernels"),
        ("dense_kernels", "vectors"),
    ],
)
def test_kernels_name_the_files_that_they_were_compiled_with(user: str, used: str) -> None:
    # Numba looks at the file of a kernel alone: this line makes it change with the other.
    checksum = sha256((ROOT / f"ialelib/{used}.py").read_bytes()).hexdigest()[:16]
    text = (ROOT / f"ialelib/{user}.py").read_text()
    assert f"\n# {used}.py {checksum}\n" in text, f"write it into ialelib/{user}.py"


SCRIPT = """
import sys, torch
from ialelib.models import Architecture, build
model, inputs = build(Architecture("cnn", 10, (28, 28)), 0), torch.zeros(2, 1, 28, 28)
model.eval()(inputs)
assert "numba" not in sys.modules, "prediction needs no compiler"
model.train()(inputs)[0].sum().backward()
from ialelib import backward_kernels, dense_kernels, kernels
used = kernels.forward, backward_kernels.backward, dense_kernels.dense, dense_kernels.dense_backward
print(*(sum(f.stats.cache_hits.values()) for f in used))
"""


def test_kernels_are_compiled_once_for_all_processes(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    ]
    assert runs == [["0"] * 4, ["1"] * 4]
