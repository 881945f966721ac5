"""The next batch by one call: what it finds, refuses and leaves as it was."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset
from typing_extensions import override

from ialelib import cycle, policy, state
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.inference import adapt, selection
from ialelib.inference.outputs import outputs_of
from ialelib.inference.selection import next_batch
from ialelib.models import CNN
from ialelib.training import fit
from ialelib.utils.errors import InputError

LABELLED, LABELS = np.arange(40), np.arange(40) % 10


def network(width: int = 128, classes: int = 10) -> nn.Sequential:
    torch.manual_seed(0)
    last = nn.Linear(width, classes)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.ReLU(), nn.Dropout(0.5), last)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(300, 4, 4, generator=torch.Generator().manual_seed(1))


def chosen(classifier: Any, images: Any, **changes: Any) -> np.ndarray:
    given: dict[str, Any] = {"labelled": LABELLED, "labels": LABELS, "acq": 10} | changes
    return next_batch(classifier, images, **given)


# What it chooses


def test_it_chooses_what_the_policy_makes_of_an_own_classifier(small_digits: DataSet) -> None:
    config = CycleConfig(initial=20, budget=30, acq=10, n=100)
    run = cycle.Cycle(small_digits, config, seed=3)
    model, trained = fit(run.job()), policy.load_network("mnist-cnn")
    sub_pool, labelled = run.sub_pool(), run.pool.labelled
    seen = adapt.adapted(state.observe(run.query(model, sub_pool)), trained)
    expected = sub_pool[trained.choose(seen, 10)]
    labels = small_digits.train_labels[labelled]
    found = next_batch(
        *(model, small_digits.train_inputs, labelled, labels, 10, "mnist-cnn"), seed=3
    )
    np.testing.assert_array_equal(found, expected)


def test_batch_is_of_unlabelled_candidates_and_the_same_for_a_seed(images: Tensor) -> None:
    first = chosen(network(), images)
    assert first.shape == (10,)
    assert len(np.unique(first)) == 10
    assert first.min() >= 40
    np.testing.assert_array_equal(chosen(network(), images), first)
    few = {"candidates": 50}
    other = chosen(network(), images, seed=1, **few)
    assert not np.array_equal(other, chosen(network(), images, **few))


def test_all_kinds_of_images_give_the_same_batch(images: Tensor, tmp_path: Path) -> None:
    first = chosen(network(), images)
    path = tmp_path / "pool.npy"
    np.save(path, images.numpy())
    mapped = np.load(path, mmap_mode="r")
    pairs = TensorDataset(images, torch.zeros(300))
    for kind in (images.numpy(), images.numpy().astype(">f4"), mapped, pairs):
        np.testing.assert_array_equal(chosen(network(), kind), first)
    double = chosen(network().double(), images.double())
    np.testing.assert_array_equal(double, first)
    np.testing.assert_array_equal(chosen(network(), images, batch_size=7), first)


class Counting(Dataset[Tensor]):
    """Images that note which of them are read."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    @override
    def __getitem__(self, index: int) -> Tensor:
        self.read.append(index)
        return self.images[index]


def test_candidates_may_be_a_mask(images: Tensor) -> None:
    places = np.arange(60, 200, 3)
    expected = chosen(network(), images, candidates=places)
    mask = np.isin(np.arange(300), places)
    for given in (mask, torch.from_numpy(mask), mask.tolist()):
        np.testing.assert_array_equal(chosen(network(), images, candidates=given), expected)


def test_images_that_need_a_gradient_will_do(images: Tensor) -> None:
    found = chosen(network(), images.clone().requires_grad_())
    np.testing.assert_array_equal(found, chosen(network(), images))


def test_only_candidates_and_labelled_images_are_read(images: Tensor) -> None:
    pool, candidates = Counting(images), np.array([299, 50, 70])
    found = chosen(network(), pool, candidates=candidates, acq=2)
    assert set(found) < set(candidates.tolist())
    assert sorted(pool.read) == [*range(40), 50, 70, 299]


def test_random_candidates_are_ten_times_the_batch_or_all_that_are_left(images: Tensor) -> None:
    pool, named = Counting(images), {"policy": "mnist-cnn"}
    chosen(network(), pool, acq=3, **named)
    assert len(pool.read) == 40 + 30
    pool.read.clear()
    chosen(network(), pool, acq=100, **named)
    assert len(pool.read) == 300
    pool.read.clear()
    chosen(network(), pool, acq=3, candidates=100)
    assert len(pool.read) == 140


def test_the_generalist_asks_about_up_to_2000_images(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Counting(images)
    chosen(network(), pool, acq=3)
    assert len(pool.read) == 300
    monkeypatch.setattr(selection, "CANDIDATES", 60)
    pool.read.clear()
    chosen(network(), pool, acq=3)
    assert len(pool.read) == 40 + 60
    pool.read.clear()
    chosen(network(), pool, acq=8)
    assert len(pool.read) == 40 + 80


def test_a_strategy_asks_a_classifier_about_as_many(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "CANDIDATES", 60)
    pool = Counting(images)
    found = chosen(network(), pool, acq=3, policy="uherding")
    assert len(pool.read) == 40 + 60
    assert set(found) < set(pool.read) - set(LABELLED)


def test_best_candidate_comes_first(images: Tensor) -> None:
    everything = np.arange(40, 300)
    order = chosen(network(), images, candidates=everything, acq=260)
    np.testing.assert_array_equal(
        chosen(network(), images, candidates=everything[::-1], acq=5), order[:5]
    )


def test_the_generalist_is_the_default_for_any_class_count_and_width(images: Tensor) -> None:
    shipped = policy.load_policy(policy.GENERALIST)
    for classes, width in ((10, 128), (7, 128), (10, 16), (2, 1000)):
        given = network(width, classes), images
        labels = LABELS % classes
        expected = chosen(*given, labels=labels, policy=shipped)
        np.testing.assert_array_equal(chosen(*given, labels=labels), expected)


def test_other_policies_are_for_the_classes_that_they_learned(images: Tensor) -> None:
    ten = chosen(network(), images, policy=policy.load_policy("mnist-cnn"))
    np.testing.assert_array_equal(chosen(network(), images, policy="mnist-cnn"), ten)
    with pytest.raises(InputError, match="for 10 classes, the classifier has 7"):
        chosen(network(classes=7), images, policy="mnist-cnn", labels=LABELS % 7)


def test_a_function_of_logits_and_embedding_will_do(images: Tensor) -> None:
    model = network().eval()

    def both(batch: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            embedding = model[:3](batch)
            return model[4](embedding), embedding

    np.testing.assert_array_equal(chosen(both, images), chosen(model, images))


def test_preprocess_makes_the_input(images: Tensor) -> None:
    whole = (images * 255).to(torch.uint8)
    scaled = chosen(network(), whole.float() / 255)
    found = chosen(network(), whole, preprocess=lambda batch: batch.float() / 255)
    np.testing.assert_array_equal(found, scaled)


# What the hook finds


def test_embedding_is_what_the_head_reads(images: Tensor) -> None:
    model = network().eval()
    seen = outputs_of(model, [images[:100], images[100:]])
    with torch.no_grad():
        torch.testing.assert_close(seen.embedding_N_D, model[:3](images))
        torch.testing.assert_close(seen.logits_N_C, model(images))
        assert seen.head_weight_C_D is not None
        torch.testing.assert_close(seen.head_weight_C_D, model[4].weight)


def test_own_classifiers_are_seen_as_their_own_output(small_digits: DataSet) -> None:
    model = CNN(10, (28, 28)).eval()
    raw = torch.from_numpy(small_digits.train_inputs[:5])
    inputs = selection.prepared(raw, model, None)
    seen = outputs_of(model, [inputs])
    logits_N_C, embedding_N_D = model(inputs)
    torch.testing.assert_close(seen.logits_N_C, logits_N_C.detach())
    torch.testing.assert_close(seen.embedding_N_D, embedding_N_D.detach())


class Wrapped(nn.Module):
    """A network whose output is changed."""

    def __init__(self, change: Callable[[Tensor], Any], inner: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = inner or network()
        self.change = change

    @override
    def forward(self, inputs: Tensor) -> Any:
        return self.change(self.inner(inputs))


@pytest.mark.parametrize("number", [torch.float32, torch.float64, torch.bfloat16])
def test_log_softmax_after_the_head_changes_nothing(images: Tensor, number: torch.dtype) -> None:
    after = Wrapped(lambda logits: logits.log_softmax(1)).to(number)
    seen = outputs_of(after, [images])
    torch.testing.assert_close(
        seen.embedding_N_D, network().eval()[:3](images).detach(), atol=0.02, rtol=0.02
    )
    assert seen.logits_N_C.dtype == torch.float32
    assert len(chosen(after, images)) == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logits: logits.softmax(1), "gives probabilities"),
        (lambda logits: logits * 2, "are not the output of an nn.Linear layer; name the layer"),
        (lambda logits: logits[:, :1], "gives one logit"),
        (lambda logits: logits[:, None], r"must give N x C logits for N = 40, not \(40, 1, 10\)"),
        (lambda logits: {"a": logits}, "not a dict without `logits`"),
        (lambda logits: (logits.sum(), [logits]), "not tuple"),
        (lambda logits: (None, logits[:, :1]), "gives one logit"),
        (lambda logits: logits / 0, "logits hold NaN"),
    ],
)
def test_output_that_is_no_logits_is_refused(
    images: Tensor, change: Callable[[Tensor], Any], message: str
) -> None:
    layer = None if "NaN" not in message else "inner.4"
    with pytest.raises(InputError, match=message):
        chosen(Wrapped(change), images, layer=layer)


class Heads(nn.Module):
    """Several linear layers on one embedding; `change` makes the output of all of them."""

    def __init__(self, change: Callable[[Tensor, Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.body, self.head = network()[:3], network()[4]
        self.projection, self.change = nn.Linear(128, 32), change

    @override
    def forward(self, inputs: Tensor) -> Any:
        embedding_N_D = self.body(inputs)
        return self.change(self.head(embedding_N_D), self.projection(embedding_N_D), embedding_N_D)


class Named(NamedTuple):
    """Logits that have a name, but not the first place."""

    features: Tensor
    logits: Tensor


@pytest.mark.parametrize(
    "change",
    [
        lambda logits, other, embedding: {"hidden": other, "logits": logits},
        lambda logits, other, embedding: OrderedDict(loss=None, logits=logits),
        lambda logits, other, embedding: SimpleNamespace(logits=logits, hidden=other),
        lambda logits, other, embedding: Named(other, logits),
        lambda logits, other, embedding: (logits.sum(), logits),
        lambda logits, other, embedding: [logits],
        lambda logits, other, embedding: (other[:, :, None], logits, (other, other)),
        lambda logits, other, embedding: (other[:, :1], logits),
        lambda logits, other, embedding: {"logits": (logits,)},
    ],
)
def test_logits_are_found_by_name_or_where_nothing_else_can_be_meant(
    images: Tensor, change: Callable[..., Any]
) -> None:
    seen = outputs_of(Heads(change), [images[:7], images[7:]])
    expected = outputs_of(network(), [images])
    torch.testing.assert_close(seen.logits_N_C, expected.logits_N_C)
    torch.testing.assert_close(seen.embedding_N_D, expected.embedding_N_D)


@pytest.mark.parametrize(
    "change",
    [
        lambda logits, other, embedding: (other, logits),
        lambda logits, other, embedding: [logits, other],
        lambda logits, other, embedding: (embedding, logits),
        lambda logits, other, embedding: (SimpleNamespace(logits=logits), other),
        lambda logits, other, embedding: {"logits": (logits, other)},
    ],
)
@pytest.mark.parametrize("layer", [None, "head"])
def test_several_tensors_that_may_be_the_logits_are_refused(
    images: Tensor, change: Callable[..., Any], layer: str | None
) -> None:
    with pytest.raises(InputError, match=r"2 tensors that may be its logits, .*a dict that has"):
        chosen(Heads(change), images, layer=layer)


def test_layer_names_the_head_where_it_cannot_be_found(images: Tensor) -> None:
    head = nn.Conv2d(128, 10, 1)
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, 128), nn.ReLU(), nn.Unflatten(1, (128, 1, 1)))
    model = nn.Sequential(*body, head, nn.Flatten())
    with pytest.raises(InputError, match="are not the output of an nn"):
        chosen(model, images)
    seen = outputs_of(model, [images], layer="4")
    torch.testing.assert_close(seen.embedding_N_D, body[:3](images).detach())
    assert seen.head_weight_C_D is not None
    torch.testing.assert_close(seen.head_weight_C_D, head.weight.detach()[:, :, 0, 0])
    assert len(chosen(model, images, layer="4")) == 10


def test_a_layer_that_is_not_there_or_runs_twice_is_refused(images: Tensor) -> None:
    with pytest.raises(InputError, match="no layer 'head'; its layers: 0, 1, 2, 3, 4"):
        chosen(network(), images, layer="head")
    with pytest.raises(InputError, match=r"no nn\.Linear layer; name the layer"):
        chosen(nn.Sequential(nn.Flatten(), nn.ReLU()), images)
    inner = network()
    twice = Wrapped(lambda logits: logits + 0 * inner(images[: len(logits)]), inner)
    with pytest.raises(InputError, match="ran several times"):
        chosen(twice, images)


def test_other_widths_are_fitted_and_narrow_ones_refused(images: Tensor) -> None:
    wide = network(200)
    named = {"policy": "mnist-cnn"}
    found = chosen(wide, images, **named)
    assert len(np.unique(found)) == 10
    assert not np.array_equal(chosen(wide, images, rule="signs", **named), found)
    with pytest.raises(InputError, match="embeddings of 16 dimensions are not adapted"):
        chosen(network(16), images, **named)


def test_a_head_without_known_weights_is_refused_by_the_class_free_policy(images: Tensor) -> None:
    with pytest.raises(InputError, match="weights of the softmax layer"):
        chosen(
            lambda batch: (batch.flatten(1)[:, :7], batch.flatten(1).repeat(1, 8)),
            images,
            labels=LABELS % 7,
            policy="mnist-cnn-class_free",
        )


# What it leaves as it was


@pytest.mark.parametrize("fails", [False, True])
def test_mode_gradients_and_hooks_are_as_before(images: Tensor, fails: bool) -> None:
    model = network()
    model.train()
    model[1].eval()
    weight = next(model.parameters())
    weight.grad = torch.ones_like(weight)
    before = torch.random.get_rng_state()
    if fails:
        with pytest.raises(RuntimeError):
            chosen(model, images[:, :2])
    else:
        chosen(model, images)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.is_grad_enabled()


# Bad input


class NeverRun(nn.Module):
    """A classifier that must not be asked."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        raise AssertionError("the classifier ran")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": LABELS - 1}, "labels must be 0 or more, not -1"),
        ({"labels": (LABELS - 1).astype(np.uint64)}, "labels must be 0 or more, not -1"),
        ({"labels": np.array(list("abcdefghij"))[LABELS]}, r"not <U1 .*; number names by numpy"),
        ({"labels": LABELS > 4}, r"not bool of shape \(40,\); number names by numpy"),
        ({"labels": LABELS[:, None]}, r"one dimension, not int64 of shape \(40, 1\)"),
        ({"labels": LABELS[:-1]}, "40 labelled indices, but 39 labels"),
        ({"labels": LABELS + 0.5}, "labels must be whole numbers"),
        ({"labelled": [], "labels": []}, "nothing is labelled"),
        ({"labelled": LABELLED + 280}, r"labelled holds \[300, .*0 to 299"),
        ({"labelled": LABELLED - 1}, r"labelled holds \[-1\]"),
        ({"labelled": LABELLED // 2}, "labelled holds an index twice"),
        ({"labelled": LABELLED[:, None]}, r"one dimension, not int64 of shape \(40, 1\)"),
        ({"acq": 0}, "acq must be 1 to the 260 unlabelled samples, not 0"),
        ({"acq": True}, "acq must be 1 to the 260 unlabelled samples, not True"),
        ({"acq": "5"}, "acq must be 1 to the 260 unlabelled samples, not '5'"),
        ({"seed": True}, "seed must be a whole number from 0, not True"),
        ({"seed": -1}, "seed must be a whole number from 0, not -1"),
        ({"policy": None}, "policy must be a name, a file or a policy, not None"),
        ({"acq": 261}, "acq must be 1 to the 260 unlabelled samples, not 261"),
        ({"candidates": 9}, r"10 \(acq\) to 260 \(unlabelled\) samples, not 9"),
        ({"candidates": 261}, "not 261"),
        ({"candidates": True}, "not True"),
        ({"candidates": np.ones(299, bool)}, r"must have 300 values, not shape \(299,\)"),
        ({"candidates": np.ones(300, bool)}, "labelled already"),
        ({"candidates": 50.5}, "not 50.5"),
        ({"candidates": [50, 51]}, "acq is 10, but there are 2 candidates"),
        ({"candidates": np.arange(39, 60)}, r"labelled already: \[39\]"),
        ({"candidates": [50] * 10}, "candidates holds an index twice"),
        ({"candidates": np.arange(290, 310)}, "0 to 299"),
        ({"policy": "mnist-cmn"}, "did you mean 'mnist-cnn'"),
        (
            {"policy": "uherdin"},
            "did you mean 'uherding'. Accepted: badge, .*mnist-cnn, .*uherding",
        ),
        ({"policy": "oracle"}, "the oracle knows the true labels"),
        ({"policy": "ensemble"}, r"'ensemble' asks .*iale.run_cycle.*: random, .*uherding, bait"),
        ({"rule": "poll"}, "unknown rule 'poll'; did you mean 'pool'"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"batch_size": 2.5}, "batch_size must be a whole number from 1, not 2.5"),
        ({"batch_size": True}, "batch_size must be a whole number from 1, not True"),
    ],
)
def test_bad_input_is_refused_before_the_classifier_runs(
    images: Tensor, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        chosen(NeverRun(), images, **changes)


def test_bad_images_are_refused_before_the_classifier_runs(images: Tensor) -> None:
    with pytest.raises(InputError, match="images are uint8: say in `preprocess`"):
        chosen(NeverRun(), (images * 255).to(torch.uint8))
    with pytest.raises(InputError, match="a tensor with a row for each image"):
        chosen(NeverRun(), images, preprocess=lambda batch: batch[:3])
    with pytest.raises(InputError, match="gives str, not a tensor"):
        chosen(NeverRun(), ["a"] * 300)
    for strange in (3, iter([images])):
        with pytest.raises(InputError, match="images must"):
            chosen(NeverRun(), strange)


@pytest.mark.parametrize(
    ("labels", "largest"),
    [
        (LABELS + 1, 10),
        (3 * LABELS, 27),
        (np.where(LABELS == 0, 10**9, LABELS), 10**9),
        ((LABELS - 1).astype(np.uint8), 255),
    ],
)
def test_a_label_that_the_classifier_does_not_know_is_refused(
    images: Tensor, labels: np.ndarray, largest: int
) -> None:
    said = f"labels reach {largest}, but the classifier has 10 classes: number them 0 to 9, in the"
    with pytest.raises(InputError, match=said):
        chosen(network(), images, labels=labels)
    predicted: Any = {"embeddings": torch.rand(300, 8), "logits": torch.randn(300, 10)}
    with pytest.raises(InputError, match=said):
        next_batch(labelled=LABELLED, labels=labels, **predicted)


def test_nan_in_an_image_is_said(images: Tensor) -> None:
    images[5] = torch.nan
    with pytest.raises(InputError, match="logits hold NaN or infinite"):
        chosen(network(), images)


def test_layer_is_for_modules_only(images: Tensor) -> None:
    with pytest.raises(InputError, match="a torch module or a function, not int"):
        chosen(3, images)
    with pytest.raises(InputError, match="not of a function"):
        chosen(lambda batch: batch, images, layer="head")
    with pytest.raises(InputError, match="must return"):
        chosen(lambda batch: batch, images)


def test_state_is_that_of_the_classifier(images: Tensor) -> None:
    model = network().eval()
    seen, known = outputs_of(model, [images[40:]]), outputs_of(model, [images[:40]])
    found = selection.state_of(seen, known, LABELS)
    features = state.encode(found)
    assert features.shape == (260, state.width(state.FULL, 10, 128))
    torch.testing.assert_close(found.labelled_mean_D, model[:3](images[:40]).mean(0).detach())
