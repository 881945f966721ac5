"""The policy in scikit-activeml's own terms."""

from typing import Any

import numpy as np
import pytest
import torch
from skactiveml.pool import SubSamplingWrapper
from skactiveml.utils import MISSING_LABEL, unlabeled_indices
from sklearn.base import clone
from torch import Tensor, nn

from ialelib import generalist
from ialelib.data import DataSet
from ialelib.experiments import own_pool
from ialelib.inference import selection
from ialelib.inference.scikit_activeml import LearnedPolicy
from ialelib.utils.errors import InputError

KNOWN = np.arange(30)


def network(width: int = 128, classes: int = 10) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(28 * 28, width), nn.ReLU(), nn.Linear(width, classes)
    )


def partly(labels: np.ndarray, known: Any = KNOWN) -> np.ndarray:
    y = np.full(len(labels), MISSING_LABEL)
    y[known] = labels[known]
    return y


@pytest.fixture
def pool(small_digits: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """200 images, of which the first 30 are labelled."""
    return small_digits.train_inputs[:200], partly(small_digits.train_labels[:200])


def query(pool: tuple[np.ndarray, np.ndarray], clf: Any = None, **changes: Any) -> Any:
    strategy = LearnedPolicy(preprocess=own_pool.to_input, random_state=0)
    return strategy.query(*pool, clf or network(), **{"batch_size": 5} | changes)


def test_it_chooses_the_same_as_next_batch(pool: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = pool
    everything = np.arange(30, 200)
    expected = selection.next_batch(
        network(),
        X,
        KNOWN,
        y[KNOWN].astype(int),
        5,
        candidates=everything,
        preprocess=own_pool.to_input,
    )
    np.testing.assert_array_equal(query(pool), expected)
    np.testing.assert_array_equal(query(pool, candidates=everything), expected)


def test_utilities_rank_what_was_not_taken(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    indices, utilities = query(pool, return_utilities=True)
    assert utilities.shape == (5, 200)
    assert np.isnan(utilities[:, KNOWN]).all()
    assert (np.isnan(utilities).sum(1) == 30 + np.arange(5)).all()
    np.testing.assert_array_equal(np.nanargmax(utilities, axis=1), indices)


def test_the_generalist_is_the_default_and_others_rank_all_at_once(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    _, greedy = query(pool, return_utilities=True)
    assert np.nanmax(np.abs(greedy[1] - greedy[0])) > 0.01
    strategy = LearnedPolicy("mnist-cnn", preprocess=own_pool.to_input, random_state=0)
    indices, ranked = strategy.query(*pool, network(), batch_size=5, return_utilities=True)
    assert np.nanmax(np.abs(ranked[1] - ranked[0])) == 0
    given = network(), pool[0], KNOWN, pool[1][KNOWN].astype(int), 5, "mnist-cnn"
    expected = selection.next_batch(
        *given, candidates=np.arange(30, 200), preprocess=own_pool.to_input
    )
    np.testing.assert_array_equal(indices, expected)


def test_utilities_of_a_large_pool_are_those_of_its_shortlist(
    pool: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generalist, "SHORTLIST", 40)
    indices, utilities = query(pool, return_utilities=True)
    assert (np.isfinite(utilities).sum(1) == 40 - np.arange(5)).all()
    np.testing.assert_array_equal(np.nanargmax(utilities, axis=1), indices)


def test_candidates_may_be_a_mask_or_samples_of_their_own(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    X, _ = pool
    places = np.array([60, 31, 150, 99, 180, 77])
    inside = query(pool, candidates=places)
    mask = np.isin(np.arange(200), places)
    np.testing.assert_array_equal(query(pool, candidates=mask), inside)
    with pytest.raises(InputError, match=r"must have 200 values, not shape \(199,\)"):
        query(pool, candidates=mask[1:])
    outside, utilities = query(pool, candidates=X[places], return_utilities=True)
    assert utilities.shape == (5, 6)
    np.testing.assert_array_equal(places[outside], inside)


def test_labelled_candidates_are_refused_as_by_other_strategies(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    with pytest.raises(ValueError, match="must not contain labeled"):
        query(pool, candidates=[29, 30, 31, 32, 33])


def test_too_large_a_batch_is_cut_with_a_warning(pool: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.warns(UserWarning, match="batch_size=3"):
        assert len(query(pool, candidates=[50, 60, 70])) == 3


def test_random_state_orders_equal_scores(pool: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = pool
    same = np.repeat(X[:1], 200, axis=0), y
    first = query(same)
    np.testing.assert_array_equal(query(same), first)
    other = LearnedPolicy(preprocess=own_pool.to_input, random_state=1)
    assert not np.array_equal(other.query(*same, network(), batch_size=5), first)


def test_it_can_be_cloned_and_sub_sampled(pool: tuple[np.ndarray, np.ndarray]) -> None:
    strategy = LearnedPolicy("mnist-cnn-class_free", preprocess=own_pool.to_input, random_state=0)
    assert clone(strategy).get_params()["policy"] == "mnist-cnn-class_free"
    some = SubSamplingWrapper(strategy, max_candidates=20, random_state=0)
    indices, utilities = some.query(*pool, clf=network(), batch_size=5, return_utilities=True)
    assert np.isfinite(utilities[0]).sum() == 20
    assert len(np.unique(indices)) == 5


def test_labels_may_have_names(small_digits: DataSet) -> None:
    X, labels = small_digits.train_inputs[:100], small_digits.train_labels[:100]
    names = [f"digit {n}" for n in range(10)]
    y = np.array([names[label] for label in labels], dtype=object)
    y[30:] = None
    strategy = LearnedPolicy(
        preprocess=own_pool.to_input, classes=names, missing_label=None, random_state=0
    )
    expected = query((X, partly(labels)))
    np.testing.assert_array_equal(strategy.query(X, y, network(), batch_size=5), expected)
    y[0] = "digit ten"
    with pytest.raises(InputError, match=r"'digit ten'.* not among the classes"):
        strategy.query(X, y, network())


@pytest.mark.parametrize("form", ["digit {}", "{}"])
def test_names_without_classes_are_refused(small_digits: DataSet, form: str) -> None:
    X, labels = small_digits.train_inputs[:100], small_digits.train_labels[:100]
    y = np.array([form.format(label) for label in labels], dtype=object)
    y[30:] = None
    strategy = LearnedPolicy(preprocess=own_pool.to_input, missing_label=None, random_state=0)
    with pytest.raises(InputError, match="no numbers must be named in `classes`"):
        strategy.query(X, y, network())


def test_numbers_beside_a_missing_label_that_is_none_need_no_classes(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    X, y = pool
    objects = np.array([None if np.isnan(label) else int(label) for label in y], dtype=object)
    strategy = LearnedPolicy(preprocess=own_pool.to_input, missing_label=None, random_state=0)
    np.testing.assert_array_equal(strategy.query(X, objects, network(), batch_size=5), query(pool))


def test_a_function_of_logits_and_embedding_will_do(pool: tuple[np.ndarray, np.ndarray]) -> None:
    model = network()

    def both(images: Tensor) -> tuple[Tensor, Tensor]:
        embedding = model[:3](images)
        return model[3](embedding), embedding

    np.testing.assert_array_equal(query(pool, both), query(pool))


@pytest.mark.parametrize(
    ("known", "change", "message"),
    [(KNOWN, 0.5, "labels must be 0 to C"), (KNOWN, -5, "0 to C")],
)
def test_bad_labels_are_refused(
    pool: tuple[np.ndarray, np.ndarray], known: Any, change: float, message: str
) -> None:
    X, y = pool
    with pytest.raises(InputError, match=message):
        query((X, partly(y + change, known)))


def test_a_whole_loop_learns(digits: DataSet) -> None:
    X, labels = digits.train_inputs[:1000], digits.train_labels[:1000]
    y, accuracies = partly(labels, np.arange(20)), []
    strategy = SubSamplingWrapper(
        LearnedPolicy(preprocess=own_pool.to_input, random_state=0),
        max_candidates=100,
        random_state=0,
    )
    for _ in range(4):
        known = np.flatnonzero(~np.isnan(y))
        clf = own_pool.train(network(), X[known], labels[known], seed=0)
        accuracies.append(own_pool.accuracy(clf, digits.test_inputs, digits.test_labels))
        batch = strategy.query(X, y, clf=clf, batch_size=20)
        assert set(batch) <= set(unlabeled_indices(y))
        y[batch] = labels[batch]
    assert accuracies[-1] > accuracies[0] + 0.1
