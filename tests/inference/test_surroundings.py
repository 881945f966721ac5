"""Nothing around a call changes its answer: compilers, torch's defaults, other threads."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

import ialelib as iale
from ialelib.cycle import CycleConfig, run_cycle
from ialelib.data import DataSet
from ialelib.inference.outputs import outputs_of
from ialelib.models import MLP
from ialelib.utils.cpu import float32_on_cpu
from ialelib.utils.errors import InputError

LABELLED, LABELS = np.arange(40), np.arange(40) % 10
IMAGES = torch.rand(300, 4, 4, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)
    )


def chosen(classifier: Any, images: Any = IMAGES, **changes: Any) -> np.ndarray:
    return iale.next_batch(classifier, images, LABELLED, LABELS, 10, **changes)


# Compiled classifiers


class Inside(nn.Module):
    """A module with a compiled one in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.compile(network(), backend="eager")

    @override
    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)


def whole() -> Any:
    return torch.compile(network(), backend="eager")


def in_place() -> nn.Module:
    net = network()
    net.compile(backend="eager")
    return net


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("compiled", [whole, in_place, Inside])
def test_compiled_classifiers_work_in_every_round(compiled: Callable[[], nn.Module]) -> None:
    net, plain = compiled(), network()
    for added in (0.0, 0.5, -1.0):
        for one in (net, plain):
            parameters = list(one.parameters())
            with torch.no_grad():
                parameters[0][:9] += added
                one.eval()(IMAGES)  # as in measuring the accuracy
            one.train()
        np.testing.assert_array_equal(chosen(net), chosen(plain))
        assert all(module.training for module in net.modules())


@pytest.mark.usefixtures("_fresh_compiler")
def test_a_compiled_classifier_stays_compiled() -> None:
    graphs = []

    def backend(module: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        graphs.append(module)
        return module.forward

    net: Any = torch.compile(network().eval(), backend=backend)
    net(IMAGES)
    chosen(net)
    chosen(net, layer="4")  # by its name in the original
    net(IMAGES)
    assert len(graphs) == 1


@pytest.mark.usefixtures("_fresh_compiler")
def test_own_classifiers_may_be_compiled() -> None:
    torch.manual_seed(0)
    own = MLP(10, (4, 4))
    raw = (IMAGES * 255).to(torch.uint8)
    compiled: Any = torch.compile(own, backend="eager")
    np.testing.assert_array_equal(chosen(compiled, raw), chosen(own, raw))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_classifiers_that_hide_their_layers_are_refused_with_a_remedy() -> None:
    traced: Any = torch.jit.trace(network().eval(), IMAGES[:2])
    exported = torch.export.export(network().eval(), (IMAGES[:2],)).module()
    for hidden in (traced, exported):
        with pytest.raises(InputError, match=r"traced, scripted or exported give the original"):
            chosen(hidden)
    with pytest.raises(InputError, match=r"did not run: .* exported give the original"):
        chosen(traced, layer="4")


# torch's defaults


@pytest.fixture(params=[torch.float64, torch.bfloat16, "meta"])
def other_default(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Sets another default; "meta" stands for a GPU, as values there cannot be used on the CPU."""
    device = request.param == "meta"

    def change() -> None:
        if device:
            torch.set_default_device("meta")
        else:
            torch.set_default_dtype(request.param)

    yield change
    assert (torch.get_default_device().type == "meta") is device
    assert torch.get_default_dtype() == (torch.float32 if device else request.param)
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


POLICIES = ["auto", "mnist-cnn", "mnist-cnn-class_free", "coverage", "uherding", "badge", "bait"]


@pytest.mark.parametrize("policy", [*POLICIES, "coreset", "typiclust"])
def test_defaults_of_torch_change_no_batch(other_default: Callable[[], None], policy: str) -> None:
    net = network()
    embeddings = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)

    def all_ways() -> list[np.ndarray]:
        found = [chosen(net, policy=policy)]
        if not policy.startswith("mnist"):
            given: Any = {"labelled": LABELLED, "labels": LABELS, "policy": policy}
            found.append(iale.next_batch(embeddings=embeddings, **given))
        return found

    before = all_ways()
    other_default()
    np.testing.assert_array_equal(all_ways(), before)


class Asking(nn.Linear):
    """A classifier that makes tensors of its own, as it was trained to."""

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        assert torch.get_default_dtype() == torch.float64
        return super().forward(inputs + torch.zeros(self.in_features))


def test_the_classifier_runs_with_the_users_defaults() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        found = chosen(Asking(16, 10), IMAGES.flatten(1).double())
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(found) == 10


def test_defaults_of_torch_change_no_strategy_of_scikit_activeml(
    other_default: Callable[[], None],
) -> None:
    y = np.full(300, np.nan)
    y[LABELLED] = LABELS
    net = network()

    def utilities() -> np.ndarray:
        strategies = [iale.inference.LearnedPolicy(p, random_state=0) for p in POLICIES[:3]]
        given = {"batch_size": 3, "return_utilities": True}
        return np.stack([s.query(IMAGES.numpy(), y, net, **given)[1] for s in strategies])

    before = utilities()
    other_default()
    np.testing.assert_array_equal(utilities(), before)


@pytest.mark.parametrize(("classifier", "strategy"), [("mlp", "mc_dropout"), ("cnn", "generalist")])
def test_defaults_of_torch_change_no_cycle(
    small_digits: DataSet, other_default: Callable[[], None], classifier: str, strategy: str
) -> None:
    config = CycleConfig(classifier, initial=20, budget=40, acq=20, n=100)
    columns = ["labels", "accuracy", "chosen"]
    before = run_cycle(small_digits, config, strategy, 0)[columns]
    other_default()
    assert run_cycle(small_digits, config, strategy, 0)[columns].equals(before)


def test_defaults_of_torch_change_no_embedding_by_a_backbone(
    other_default: Callable[[], None],
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 16, 3), dtype=np.uint8)
    before = iale.inference.extract(images)
    other_default()
    np.testing.assert_array_equal(iale.inference.extract(images), before)


@float32_on_cpu()
def stopped() -> None:
    assert torch.ones(1).dtype == torch.float32
    raise InputError("stopped")


def test_defaults_are_restored_after_an_error() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(InputError, match="stopped"):
            stopped()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


# Threads


def test_threads_that_share_a_classifier_get_what_one_alone_gets() -> None:
    net, pool = network().train(), IMAGES.repeat(5, 1, 1)
    batches = pool.split(8)
    alone = outputs_of(net, [pool]).logits_N_C
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: outputs_of(net, batches).logits_N_C, range(8)))
    for logits_N_C in found:
        torch.testing.assert_close(logits_N_C, alone)
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks for module in net.modules())
