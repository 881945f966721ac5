"""The toy demo's state: what both sides share, what they show, and what is refused."""

import time
from typing import Any

import numpy as np
import pytest
import toys

from ialelib import data, policy
from ialelib.demo.session import COMPARED, EDGES_X, STRATEGIES, Demo
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError


def fresh(left: str = "random", right: str = "entropy", **values: Any) -> Demo:
    wanted = {"samples": 120, "initial": 10} | values
    return Demo([left, right], toys.policy(0), **wanted)


def test_both_sides_start_from_the_same_labels_and_classifier() -> None:
    left, right = fresh().panels
    assert np.array_equal(left.labelled, right.labelled)
    assert np.array_equal(left.probability_Y_X, right.probability_Y_X)
    assert left.labels == (10,)
    assert left.accuracy == right.accuracy
    assert not len(left.newest)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_labels_a_batch_on_each_side(strategy: str) -> None:
    demo = fresh(strategy, "confidence")
    before = list(demo.panels)
    demo.step(acq=7, n=30)
    for old, new in zip(before, demo.panels, strict=True):
        assert len(new.newest) == 7
        assert np.isin(new.newest, old.unlabelled).all()
        assert np.array_equal(new.labelled, np.union1d(old.labelled, new.newest))
        assert np.array_equal(new.unlabelled, np.setdiff1d(old.unlabelled, new.newest))
        assert new.labels == (10, 17)
        assert 0.5 < new.accuracy[1] <= 1


def test_the_same_strategy_twice_makes_the_same_choices() -> None:
    demo = fresh("badge", "badge")
    for _ in range(2):
        demo.step(5, 20)
    assert np.array_equal(demo.panels[0].labelled, demo.panels[1].labelled)


def test_a_label_by_hand_on_one_side_changes_nothing_on_the_other() -> None:
    plain, helped = fresh(), fresh()
    point = int(helped.panels[1].unlabelled[0])
    helped.label(point, side=1)
    assert helped.panels[1].newest.tolist() == [point]
    assert helped.panels[1].labels == (10, 11)
    for demo in (plain, helped):
        demo.step(5, 20)
    assert np.array_equal(plain.panels[0].labelled, helped.panels[0].labelled)


def test_the_mean_so_far_is_over_labels_as_aubc_is() -> None:
    demo = fresh()
    assert demo.panels[0].mean == demo.panels[0].accuracy[0]
    demo.step(9, 50)
    demo.label(int(demo.panels[0].unlabelled[0]), side=0)
    assert demo.by_hand == 1
    first, second, third = demo.panels[0].accuracy
    expected = (9 * (first + second) / 2 + (second + third) / 2) / 10
    assert demo.panels[0].mean == pytest.approx(expected)
    assert f"20 labels, accuracy {100 * third:.1f} %, mean so far {100 * expected:.1f} %" in (
        demo.describe()
    )


def test_the_boundary_and_the_histograms_are_of_the_labelled_points() -> None:
    demo = fresh()
    demo.step(10, 50)
    for panel in demo.panels:
        assert panel.probability_Y_X[:, 0].mean() < 0.5 < panel.probability_Y_X[:, -1].mean()
        labels = demo.data.train_labels[panel.labelled]
        assert panel.histogram_C_B.sum(1).tolist() == np.bincount(labels).tolist()
        first = demo.points_N_2[panel.labelled, 0]
        assert panel.histogram_C_B.sum(0).tolist() == np.histogram(first, EDGES_X)[0].tolist()


def test_only_the_policy_scores_points_and_it_takes_the_best_of_all_if_n_is_all() -> None:
    demo = fresh("random", "policy")
    left, right = demo.panels
    assert left.score_U is None
    assert right.score_U is not None
    best = right.unlabelled[np.argsort(-right.score_U)[:6]]
    demo.step(6, 1000)
    assert sorted(demo.panels[1].newest) == sorted(best)
    assert not demo.panels[0].shares


def test_shares_are_of_the_policys_newest_batch() -> None:
    demo = fresh("entropy", "policy")
    assert not demo.panels[1].shares
    demo.step(6, 1000)
    entropy, chosen = (panel.newest for panel in demo.panels)
    shares = demo.panels[1].shares
    assert set(shares) == {*COMPARED, "any"}
    assert shares["entropy"] == pytest.approx(100 * np.isin(chosen, entropy).mean())
    assert max(shares[name] for name in COMPARED) <= shares["any"] <= 100
    demo.label(int(demo.panels[1].unlabelled[0]), side=1)
    assert not demo.panels[1].shares


def test_with_all_points_as_its_batch_the_policy_agrees_with_everyone() -> None:
    demo = fresh("random", "policy")
    demo.step(110, 1000)
    assert set(demo.panels[1].shares.values()) == {100.0}
    assert len(demo.panels[1].unlabelled) == 0
    with pytest.raises(InputError, match="the pool is exhausted"):
        demo.step(1, 10)


def test_the_words_say_what_is_shown() -> None:
    demo = fresh("random", "policy")
    demo.step(10, 40)
    left, right = demo.panels
    text = demo.describe()
    assert text.startswith("Step 1. Left panel, Random: 20 labels, accuracy ")
    assert f"{100 * left.accuracy[-1]:.1f} %" in text
    assert "Right panel, IALE policy: 20 labels" in text
    assert f"CoreSet {right.shares['coreset']:.0f} %" in text
    assert "Best possible accuracy: 90.0 %" in text
    assert "right labelled" in demo.where(int(right.newest[0]))
    assert "right unlabelled with score 0." in demo.where(int(right.unlabelled[0]))
    assert demo.where(120) == "There is no point 120."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"overlap": 0.0}, "overlap must lie above 0 and below 1, not 0"),
        ({"overlap": 1.0}, "overlap must lie above 0 and below 1, not 1"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"samples": 5}, "10 initial labels"),
        ({"initial": 1}, "at least 2"),
        ({"right": "entrpy"}, "did you mean 'entropy'"),
    ],
)
def test_what_cannot_be_shown_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fresh(**values)


@pytest.mark.parametrize(
    ("acq", "n", "message"),
    [
        (0, 50, "1 or more, not 0"),
        (10, 5, "exceeds the sub-pool of n = 5"),
        (111, 500, "exceeds the pool: 110 unlabelled points"),
    ],
)
def test_a_batch_that_cannot_be_chosen_changes_nothing(acq: int, n: int, message: str) -> None:
    demo = fresh()
    before = list(demo.panels)
    with pytest.raises(InputError, match=message):
        demo.step(acq, n)
    assert all(new is old for new, old in zip(demo.panels, before, strict=True))


@pytest.mark.parametrize("point", [-1, 120, None])
def test_a_point_that_cannot_be_labelled_is_refused(point: int | None) -> None:
    demo = fresh()
    taken = int(demo.panels[0].labelled[0])
    with pytest.raises(InputError, match="no point" if point is not None else "labelled already"):
        demo.label(taken if point is None else point, side=0)
    assert demo.panels[0].labels == (10,)


def test_a_policy_for_another_classifier_is_refused() -> None:
    with pytest.raises(InputError, match="embeddings of 128 dimensions, the classifier's have 16"):
        Demo(["random", "policy"], policy.load_network("mnist-cnn"))


def test_the_shipped_policy_was_trained_on_other_points_whatever_the_seed() -> None:
    assert policy.load_network("toy").about["dataset"] == "toy"
    trained_on = data.toy_gaussians(2000, 2000, overlap=0.2, seed=1)
    shown = fresh(seed=1, samples=2000)
    assert len(np.intersect1d(shown.points_N_2[:, 0], trained_on.train_inputs[:, 0])) < 20


@one_thread()
def test_a_step_takes_less_than_300_ms_of_processor_time() -> None:
    demo = Demo(["badge", "policy"], policy.load_network("toy"))
    demo.step(10, 200)
    spent = []
    for _ in range(5):
        started = time.process_time()
        demo.step(10, 200)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.3
