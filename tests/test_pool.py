"""The pool's mask, its random sub-pools, and the balanced initial labels."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ialelib.data import DataSet, Pool, balanced
from ialelib.utils.errors import InputError


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([5, 1], "already labelled"),
        ([6, 6], "an index twice"),
        ([3], "not in the pool"),
        ([10], r"a batch holds \[10\]"),
        ([-1], r"a batch holds \[-1\]"),
    ],
)
def test_pool_refuses_a_wrong_batch_and_stays_as_it_was(batch: list[int], message: str) -> None:
    pool = Pool(10, excluded=np.array([3, 4]))
    pool.label(np.array([1, 2]))
    with pytest.raises(InputError, match=message):
        pool.label(np.array(batch))
    assert pool.labelled.tolist() == [1, 2]
    assert pool.unlabelled.tolist() == [0, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("batch", [np.array([False, True]), np.array([1.5])])
def test_pool_takes_indices_only(batch: np.ndarray) -> None:
    # A mask read as the numbers 0 and 1 would label the wrong samples without a word.
    pool = Pool(2)
    with pytest.raises(InputError):
        pool.label(batch)
    assert pool.unlabelled.tolist() == [0, 1]


BATCHES = st.lists(st.lists(st.integers(-2, 13), max_size=4), max_size=8)


@given(size=st.integers(1, 12), hidden=st.sets(st.integers(0, 11)), batches=BATCHES)
def test_labelled_unlabelled_and_excluded_partition_the_samples(
    size: int, hidden: set[int], batches: list[list[int]]
) -> None:
    excluded = {index for index in hidden if index < size}
    pool = Pool(size, np.array(sorted(excluded), dtype=int))
    labelled: set[int] = set()
    for batch in batches:
        free = set(range(size)) - excluded - labelled
        if len(set(batch)) == len(batch) and set(batch) <= free:
            pool.label(np.array(batch))
            labelled |= set(batch)
        else:
            with pytest.raises(InputError):
                pool.label(np.array(batch))
        assert pool.labelled.tolist() == sorted(labelled)
        assert pool.unlabelled.tolist() == sorted(set(range(size)) - excluded - labelled)


def test_validation_samples_are_in_neither_set() -> None:
    pool = Pool(6, excluded=np.array([1, 4]))
    assert pool.unlabelled.tolist() == [0, 2, 3, 5]
    assert pool.labelled.tolist() == []


# Sub-pools


def test_sub_pool_holds_unlabelled_samples_once_each() -> None:
    pool = Pool(200, excluded=np.arange(50))
    pool.label(np.arange(50, 120))
    chosen = pool.sample(80, np.random.default_rng(0))
    assert sorted(chosen) == list(range(120, 200))


def test_every_order_of_a_sub_pool_is_equally_likely() -> None:
    pool = Pool(4, excluded=np.array([2]))
    rng = np.random.default_rng(0)
    drawn = [tuple(pool.sample(3, rng).tolist()) for _ in range(3000)]
    counts = [drawn.count(order) for order in permutations([0, 1, 3])]
    assert sum(counts) == 3000
    # 500 each; five standard deviations of a binomial are 102.
    assert max(abs(count - 500) for count in counts) < 102


def test_drawing_a_sub_pool_labels_nothing() -> None:
    pool = Pool(10)
    pool.sample(5, np.random.default_rng(0))
    assert len(pool.unlabelled) == 10


def test_sub_pool_larger_than_the_pool_is_refused() -> None:
    pool = Pool(10, excluded=np.arange(4))
    with pytest.raises(InputError, match="sub-pool of 7 was asked for, but only 6 are left"):
        pool.sample(7, np.random.default_rng(0))


def test_pools_that_differ_in_few_labels_share_their_sub_pool() -> None:
    first, second = Pool(1000), Pool(1000)
    first.label(np.arange(0, 20))
    second.label(np.arange(980, 1000))
    samples = [set(pool.sample(100, np.random.default_rng(5))) for pool in (first, second)]
    # Only samples that one of them has labelled, and those that fill their places, may differ.
    assert len(samples[0] & samples[1]) >= 90


# Initial labels


def test_twenty_balanced_labels_are_two_of_each_class(digits: DataSet) -> None:
    chosen = balanced(digits.train_labels, 20, np.random.default_rng(0))
    assert len(set(chosen)) == 20
    assert np.bincount(digits.train_labels[chosen]).tolist() == [2] * 10


@pytest.mark.parametrize("size", [1, 9, 13, 25, 99])
def test_uneven_sizes_differ_by_at_most_one(digits: DataSet, size: int) -> None:
    chosen = balanced(digits.train_labels, size, np.random.default_rng(0))
    counts = np.bincount(digits.train_labels[chosen], minlength=10)
    assert counts.sum() == size
    assert counts.max() - counts.min() <= 1


def test_classes_too_small_for_their_share_are_taken_whole() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 50)
    chosen = balanced(labels, 31, np.random.default_rng(0))
    assert np.bincount(labels[chosen]).tolist() == [14, 3, 14]


def test_balanced_choice_depends_on_its_seed_alone(digits: DataSet) -> None:
    first, again, other = (
        balanced(digits.train_labels, 20, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.tolist() == again.tolist()
    assert set(first) != set(other)


def test_more_initial_labels_than_samples_are_refused() -> None:
    with pytest.raises(InputError, match="6 initial labels asked for, but the set has 5"):
        balanced(np.zeros(5, np.int64), 6, np.random.default_rng(0))
