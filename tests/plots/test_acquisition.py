"""One acquisition of Algorithm 1 as pictures: batches, scores, the winner, the policy's input."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from ialelib.data import DataSet
from ialelib.plots import acquisition
from ialelib.plots.style import COLOURS
from ialelib.state import CLASS_FREE, FULL, State, StateParts, encode
from ialelib.utils.errors import InputError


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def step() -> Any:
    batches = {"entropy": np.array([5, 3]), "coreset": np.array([8, 1]), "mine": np.array([2, 3])}
    scores = {"entropy": 0.5, "coreset": 0.625, "mine": 0.62}
    return SimpleNamespace(batches=batches, scores=scores, winner="coreset")


def state(n: int = 4, classes: int = 3, width: int = 5) -> State:
    torch.manual_seed(0)
    return State(
        labelled_mean_D=torch.randn(width),
        label_frequency_C=torch.full((classes,), 1 / classes),
        predicted_frequency_C=torch.eye(classes)[0],
        embedding_N_D=torch.randn(n, width),
        logits_N_C=torch.randn(n, classes),
        head_weight_C_D=torch.randn(classes, width),
    )


def test_each_expert_has_a_row_of_its_pictures_with_their_classes(small_digits: DataSet) -> None:
    axes = acquisition.batches(small_digits, step()).axes
    drawn = [ax.get_images()[0].get_array() for ax in axes]
    for image, index in zip(drawn, [5, 3, 8, 1, 2, 3], strict=True):
        np.testing.assert_array_equal(image, small_digits.train_inputs[index])
    classes = small_digits.train_labels[[5, 3, 8, 1, 2, 3]]
    assert [ax.get_title() for ax in axes] == list(map(str, classes))
    assert [ax.get_ylabel() for ax in axes[::2]] == [
        "Entropy\nvalidation 50.0 %",
        "CoreSet\nvalidation 62.5 %\nbest expert",
        "mine\nvalidation 62.0 %",
    ]


def test_only_the_winners_pictures_are_framed(small_digits: DataSet) -> None:
    axes = acquisition.batches(small_digits, step()).axes
    framed = [ax.spines["left"].get_visible() for ax in axes]
    assert framed == [False, False, True, True, False, False]
    colours = [ax.yaxis.label.get_color() for ax in axes[::2]]
    assert [colour == COLOURS["policy"] for colour in colours] == [False, True, False]


def test_points_have_no_pictures(toy: DataSet) -> None:
    with pytest.raises(InputError, match="'toy' has points, not images"):
        acquisition.batches(toy, step())


@pytest.mark.parametrize("parts", [FULL, CLASS_FREE, StateParts(gradient="none")])
def test_the_strips_are_the_candidates_row_of_the_state(parts: StateParts) -> None:
    figure = acquisition.state_row(state(), parts, candidate=2)
    strips = [np.asarray(ax.get_images()[0].get_array()) for ax in figure.axes]
    row = encode(state(), parts)[2].numpy()
    np.testing.assert_allclose(np.concatenate([strip.ravel() for strip in strips]), row)
    assert figure.get_suptitle() == f"state of candidate 2: {len(row)} values"
    for ax, strip in zip(figure.axes, strips, strict=True):
        assert f": {strip.size} values, " in ax.get_title(loc="left")


def test_the_gradient_of_the_last_layer_has_a_row_per_class() -> None:
    last = acquisition.state_row(state(), FULL, 0).axes[-1]
    assert np.asarray(last.get_images()[0].get_array()).shape == (3, 5)
    assert last.get_title(loc="left").startswith("gradient of the last layer, a row per class: 15")
