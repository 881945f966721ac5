"""What scikit-activeml's own tests ask of every pool query strategy; it does not ship them."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skactiveml.utils import unlabeled_indices
from sklearn.base import clone
from sklearn.naive_bayes import GaussianNB
from torch import nn

from ialelib.data import DataSet
from ialelib.experiments import own_pool
from ialelib.inference.scikit_activeml import LearnedPolicy
from ialelib.utils.errors import InputError

LABELLED, SIZE = 20, 40
POLICIES = "auto", "mnist-cnn", "mnist-cnn-class_free"


class Anything:
    """An object that fits nowhere."""


def network(classes: int = 10) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, classes))


@pytest.fixture
def given(small_digits: DataSet) -> dict[str, Any]:
    """40 images, of which the first 20 are labelled, and a classifier."""
    y = small_digits.train_labels[:SIZE].astype(float)
    y[LABELLED:] = np.nan
    return {"X": small_digits.train_inputs[:SIZE], "y": y, "clf": network()}


def strategy(**parameters: Any) -> LearnedPolicy:
    given: dict[str, Any] = {"preprocess": own_pool.to_input, "random_state": 0}
    return LearnedPolicy(**given | parameters)


def test_parameters_are_kept_as_they_are_until_a_query() -> None:
    for name in inspect.signature(LearnedPolicy).parameters:
        value: Any = Anything()
        assert getattr(LearnedPolicy(**{name: value}), name) is value


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("random_state", np.nan, ValueError),
        ("random_state", "state", ValueError),
        ("missing_label", Anything, TypeError),
        ("policy", "nonsense", InputError),
        ("policy", Anything(), InputError),
        ("layer", "nonsense", InputError),
        ("layer", Anything(), InputError),
        ("preprocess", "nonsense", TypeError),
        ("preprocess", Anything(), TypeError),
        ("passes", 0, InputError),
        ("passes", "nonsense", InputError),
        ("passes", 2, InputError),
        ("classes", Anything(), TypeError),
        ("classes", "0123456789", TypeError),
        ("classes", [0, 1, 1, 2], InputError),
    ],
)
def test_wrong_parameters_are_refused(
    given: dict[str, Any], name: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        strategy(**{name: value}).query(**given)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("X", "string", (ValueError, TypeError)),
        ("X", Anything, (ValueError, TypeError)),
        ("X", np.zeros((2 * SIZE, 28, 28), np.uint8), ValueError),
        ("y", np.nan, TypeError),
        ("y", Anything, TypeError),
        ("y", np.zeros((2, SIZE)), ValueError),
        ("candidates", np.nan, ValueError),
        ("candidates", Anything, TypeError),
        ("clf", np.nan, TypeError),
        ("clf", "state", TypeError),
        ("clf", Anything(), TypeError),
        ("clf", GaussianNB(), TypeError),
        ("batch_size", 0, ValueError),
        ("batch_size", 1.2, TypeError),
        ("return_utilities", "string", TypeError),
        ("return_utilities", Anything, TypeError),
    ],
)
def test_wrong_arguments_are_refused(
    given: dict[str, Any], name: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        strategy().query(**given | {name: value})


@pytest.mark.parametrize(
    ("missing", "classes", "kind"),
    [
        (np.nan, [1.0, 2.0], float),
        (0, [1, 2], int),
        (None, [1, 2], object),
        (None, ["A", "B"], object),
        ("", ["A", "B"], str),
    ],
)
def test_labels_and_missing_ones_of_any_kind(
    given: dict[str, Any], missing: Any, classes: list[Any], kind: Any
) -> None:
    y = np.full(SIZE, missing, dtype=kind)
    y[:2] = classes
    query = given | {"y": y, "clf": network(2)}
    assert len(strategy(missing_label=missing, classes=classes).query(**query)) == 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("labelled", [0, 1, SIZE - 1])
def test_any_number_of_labels_will_do(
    given: dict[str, Any], policy: str, labelled: int, small_digits: DataSet
) -> None:
    given["y"][:] = small_digits.train_labels[:SIZE]
    given["y"][labelled:] = np.nan
    chosen = strategy(policy=policy).query(**given)
    assert chosen.shape == (1,)
    assert chosen[0] >= labelled


def test_the_first_batch_is_random_while_nothing_is_labelled(given: dict[str, Any]) -> None:
    given["y"][:] = np.nan
    batches = [strategy(random_state=s).query(**given, batch_size=5) for s in range(3)]
    assert len({tuple(batch) for batch in batches}) == 3
    _, utilities = strategy().query(**given, candidates=[3, 4, 5], return_utilities=True)
    assert_array_equal(np.flatnonzero(np.isfinite(utilities[0])), [3, 4, 5])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_query_asked_again_gives_the_same(given: dict[str, Any], policy: str) -> None:
    once = strategy(policy=policy, random_state=np.random.RandomState(0))
    (first, rated), (second, again) = (once.query(**given, return_utilities=True) for _ in range(2))
    assert_array_equal(first, second)
    assert_array_equal(rated, again)
    assert_array_equal(clone(once).query(**given), first)


@pytest.mark.parametrize("policy", POLICIES)
def test_batches_of_any_size(given: dict[str, Any], policy: str) -> None:
    rest = SIZE - LABELLED
    chosen, utilities = strategy(policy=policy).query(**given, batch_size=5, return_utilities=True)
    assert len(set(chosen)) == 5
    assert utilities.shape == (5, SIZE)
    assert np.isnan(utilities[0]).sum() == LABELLED
    with pytest.warns(UserWarning, match="batch_size"):
        assert len(strategy(policy=policy).query(**given, batch_size=rest + 1)) == rest


@pytest.mark.parametrize("policy", POLICIES)
def test_candidates_in_every_form_have_the_same_utilities(
    given: dict[str, Any], policy: str
) -> None:
    asked = strategy(policy=policy)
    free = unlabeled_indices(given["y"])

    def utilities(candidates: Any) -> np.ndarray:
        found: np.ndarray = asked.query(**given, candidates=candidates, return_utilities=True)[1]
        return found

    everything = utilities(None)
    assert_allclose(utilities(free), everything)
    assert_allclose(utilities(given["X"][free])[0], everything[0][free])
    assert_array_equal(np.flatnonzero(np.isfinite(utilities(free[:1])[0])), free[:1])


def test_a_query_leaves_the_classifier_as_it_was(given: dict[str, Any]) -> None:
    clf = given["clf"].train()
    before = {name: value.clone() for name, value in clf.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strategy().query(**given)
    assert clf.training
    assert not any(module._forward_hooks for module in clf.modules())
    for name, value in clf.state_dict().items():
        assert_array_equal(value.numpy(), before[name].numpy())
