"""The state encoding, Eq. 1, against hand-computed numbers and autograd."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.data import DataSet
from ialelib.experts import Query
from ialelib.models import Architecture, build
from ialelib.state import (
    CLASS_FREE,
    FULL,
    State,
    StateParts,
    blocks,
    describe,
    encode,
    observe,
    width,
    widths,
)
from ialelib.utils.errors import InputError

SWITCHES = ("labelled_mean", "label_frequency", "predicted_frequency", "embedding", "prediction")
NOTHING = StateParts(False, False, False, False, False, "none")

# Two candidates, two classes, two features: small enough to follow with a pencil.
BY_HAND = State(
    labelled_mean_D=torch.tensor([1.0, 2.0]),
    label_frequency_C=torch.tensor([0.25, 0.75]),
    predicted_frequency_C=torch.tensor([0.5, 0.5]),
    embedding_N_D=torch.tensor([[3.0, 4.0], [5.0, 6.0]]),
    logits_N_C=torch.tensor([[0.0, math.log(3)], [7.0, 7.0]]),
    head_weight_C_D=torch.tensor([[1.0, 2.0], [3.0, 6.0]]),
)


def drawn(classes: int, embedding: int, n: int = 3) -> State:
    """Random numbers of the right shapes."""
    rng = torch.Generator().manual_seed(0)
    return State(
        torch.rand(embedding, generator=rng),
        torch.rand(classes, generator=rng),
        torch.rand(classes, generator=rng),
        torch.rand(n, embedding, generator=rng),
        torch.randn(n, classes, generator=rng),
        torch.randn(classes, embedding, generator=rng),
    )


@pytest.fixture
def query(small_digits: DataSet) -> Query:
    """An untrained MLP on 12 labelled and 8 unlabelled digits."""
    model = build(Architecture("mlp", 10, (28, 28)), seed=0).eval()
    images, labels = small_digits.train_inputs, small_digits.train_labels
    return Query(model, images[12:20], images[:12], labels[:12])


def test_the_full_state_has_1566_features(query: Query) -> None:
    features = encode(observe(query))
    assert features.shape == (8, 1566)
    assert features.dtype == torch.float32
    assert width(FULL, 10, 128) == 1566


def test_every_number_of_the_full_state_by_hand() -> None:
    # Row 0: p = (.25, .75), prediction 1, p - 1[c = 1] = (.25, -.25), times (3, 4). Row 1 is a tie:
    # the first class is the pseudo-label, p - 1[c = 0] = (-.5, .5), times (5, 6).
    shared = [1.0, 2.0, 0.25, 0.75, 0.5, 0.5]
    expected = [
        [*shared, 3, 4, 0, 1, 0.75, 1, -0.75, -1],
        [*shared, 5, 6, 1, 0, -2.5, -3, 2.5, 3],
    ]
    torch.testing.assert_close(encode(BY_HAND), torch.tensor(expected))


def test_the_gradient_at_the_embedding_by_hand() -> None:
    # Row 0: .25 (1, 2) - .25 (3, 6); row 1: -.5 (1, 2) + .5 (3, 6).
    only = replace(NOTHING, gradient="embedding")
    torch.testing.assert_close(encode(BY_HAND, only), torch.tensor([[-0.5, -1.0], [1.0, 2.0]]))


@pytest.mark.parametrize("parts", [FULL, CLASS_FREE])
def test_adding_a_number_to_all_logits_of_a_sample_changes_nothing(parts: StateParts) -> None:
    state, shift_N_1 = drawn(classes=3, embedding=5), torch.tensor([[1.0], [-2.0], [4.0]])
    moved = replace(state, logits_N_C=torch.as_tensor(state.logits_N_C) + shift_N_1)
    torch.testing.assert_close(encode(moved, parts), encode(state, parts))


def pseudo_label_gradient(query: Query, at: str) -> Tensor:
    """Autograd, sample by sample: gradient of the pseudo-label loss at the head or its input."""
    head, rows = query.model.head, []
    for embedding_D in query.embedding_N_D:
        embedding_D = embedding_D.clone().requires_grad_()
        logits_C = head(embedding_D)
        loss = F.cross_entropy(logits_C, logits_C.argmax())
        where = head.weight if at == "head" else embedding_D
        rows.append(torch.autograd.grad(loss, where)[0].flatten())
    return torch.stack(rows)


def test_the_last_layer_gradient_is_autograds(query: Query) -> None:
    found = blocks(observe(query), FULL)["gradient"]
    torch.testing.assert_close(found, pseudo_label_gradient(query, "head"), rtol=1e-4, atol=1e-6)


def test_the_embedding_gradient_is_autograds(query: Query) -> None:
    found = blocks(observe(query), CLASS_FREE)["gradient"]
    expected = pseudo_label_gradient(query, "embedding")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SWITCHES)
def test_switching_a_part_off_removes_that_block_alone(name: str) -> None:
    whole = blocks(BY_HAND, FULL)
    rest = [block for part, block in whole.items() if part != name]
    switched = StateParts(**{name: False})  # type: ignore[arg-type]
    assert torch.equal(encode(BY_HAND, switched), torch.cat(rest, 1))


def test_switching_the_gradient_off_removes_that_block_alone() -> None:
    rest = encode(BY_HAND)[:, : -2 * 2]
    assert torch.equal(encode(BY_HAND, replace(FULL, gradient="none")), rest)


@pytest.mark.parametrize("name", SWITCHES)
def test_every_part_can_stand_alone(name: str) -> None:
    alone = replace(NOTHING, **{name: True})  # type: ignore[arg-type]
    assert torch.equal(encode(BY_HAND, alone), blocks(BY_HAND, FULL)[name])


@pytest.mark.parametrize("gradient", ["last_layer", "embedding", "none"])
@pytest.mark.parametrize("name", [None, *SWITCHES])
def test_widths_agree_with_the_blocks(name: str | None, gradient: str) -> None:
    parts = StateParts(**{name: False} if name else {}, gradient=gradient)  # type: ignore[arg-type]
    found = blocks(drawn(classes=3, embedding=5), parts)
    assert {part: block.shape[1] for part, block in found.items()} == widths(parts, 3, 5)
    assert list(found) == list(widths(parts, 3, 5))


def test_the_class_free_encoding_has_one_width_for_any_class_count() -> None:
    assert encode(drawn(3, 5), CLASS_FREE).shape == encode(drawn(26, 5), CLASS_FREE).shape
    assert width(CLASS_FREE, 3, 5) == width(CLASS_FREE, 26, 5) == 15
    assert CLASS_FREE.any_class_count


@pytest.mark.parametrize("name", ["label_frequency", "predicted_frequency", "prediction"])
def test_any_part_by_class_ties_the_encoding_to_a_class_count(name: str) -> None:
    assert not replace(CLASS_FREE, **{name: True}).any_class_count  # type: ignore[arg-type]
    assert not replace(CLASS_FREE, gradient="last_layer").any_class_count


def test_a_state_without_any_part_is_refused() -> None:
    with pytest.raises(InputError, match="at least one part"):
        encode(BY_HAND, NOTHING)


def test_observe_takes_the_mean_over_the_labelled_set(query: Query) -> None:
    model, images = query.model, torch.from_numpy(query.labelled_inputs_L)
    with torch.no_grad():
        embedding_L_D = model((images.float() / 255 - 0.25)[:, None] / 0.25)[1]
    found = observe(query).labelled_mean_D
    torch.testing.assert_close(found, embedding_L_D.sum(0) / 12, rtol=1e-4, atol=1e-5)


def test_observe_counts_true_and_predicted_labels(query: Query) -> None:
    state = observe(query)
    predicted = query.labelled_logits_L_C.argmax(1).numpy()
    for found, labels in (
        (state.label_frequency_C, query.labels_L),
        (state.predicted_frequency_C, predicted),
    ):
        assert found.tolist() == pytest.approx([np.mean(labels == c) for c in range(10)])
        assert float(found.sum()) == pytest.approx(1)


def test_observe_describes_the_candidates_of_the_sub_pool(query: Query) -> None:
    state = observe(query)
    assert np.array_equal(state.embedding_N_D, query.embedding_N_D)
    assert np.array_equal(state.logits_N_C, query.logits_N_C)
    assert len(state) == 8


def test_observe_takes_the_weights_of_the_soft_max_layer(query: Query) -> None:
    head = observe(query).head_weight_C_D
    assert torch.equal(head, query.model.head.weight)
    assert not head.requires_grad


def predictions(label: int = 0) -> dict[str, Tensor]:
    """What `describe` takes: two classes, embeddings of five numbers."""
    return {
        "logits_N_C": torch.ones(4, 2),
        "embedding_N_D": torch.ones(4, 5),
        "labelled_logits_L_C": torch.ones(3, 2),
        "labelled_embedding_L_D": torch.ones(3, 5),
        "labels_L": torch.full((3,), label),
    }


def test_without_the_heads_weights_there_is_no_gradient_at_the_embedding() -> None:
    state = describe(**predictions())
    assert state.head_weight_C_D.shape == (2, 5)
    assert bool(state.head_weight_C_D.isnan().all())
    assert bool(encode(state, FULL).isfinite().all())
    with pytest.raises(InputError, match="weights of the softmax layer"):
        encode(state, CLASS_FREE)


@pytest.mark.parametrize("name", list(predictions()))
def test_predictions_that_do_not_fit_together_are_refused(name: str) -> None:
    given = predictions()
    given[name] = given[name][1:]
    with pytest.raises(InputError, match="do not fit together"):
        describe(**given)


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_that_the_classifier_does_not_know_are_refused(label: int) -> None:
    with pytest.raises(InputError, match="labels must be 0 to 1"):
        describe(**predictions(label))
