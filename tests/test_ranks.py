"""Penalty matrix, ranks and critical differences, against values by hand and from the papers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel
from test_metrics import FAIR, GOOD, POOR, RANDOM, curves

from ialelib.metrics import (
    collected,
    critical_difference,
    friedman,
    groups,
    mean_ranks,
    penalty_matrix,
    shared,
)
from ialelib.plots import ranks as rank_plots
from ialelib.utils.errors import InputError

FOUR = {"random": RANDOM, "good": GOOD, "fair": FAIR, "poor": POOR}


def test_wins_are_paired_t_tests() -> None:
    matrix = penalty_matrix(curves(FOUR))
    for better in FOUR:
        for worse in set(FOUR) - {better}:
            a, b = np.array(FOUR[better]), np.array(FOUR[worse])
            expected = a.mean() > b.mean() and ttest_rel(a, b).pvalue < 0.05
            assert matrix.loc[better, worse] == float(expected), (better, worse)
    assert matrix.loc["good", "random"] == 1
    assert matrix.loc["poor", "random"] == 0


def test_the_last_row_is_what_a_strategy_loses_on_average() -> None:
    matrix = penalty_matrix(curves(FOUR))
    losses = matrix.drop("mean")
    assert matrix.loc["mean", "random"] == pytest.approx(losses["random"].sum() / 3)
    assert matrix.loc["mean", "good"] == 0


def test_every_data_set_counts_once() -> None:
    both = pd.concat([curves(FOUR), curves(FOUR, "fmnist")])
    pd.testing.assert_frame_equal(penalty_matrix(both), 2 * penalty_matrix(curves(FOUR)))


def test_sizes_after_1_2_4_and_8_acquisitions_are_compared() -> None:
    # Ahead after two and eight of nine acquisitions, level after one and four: half a win.
    rng = np.random.default_rng(0)
    noise = {seed: rng.normal(0, 1e-3) for seed in range(6)}
    ahead = {2, 3, 5, 6, 7, 8, 9}
    rows = [
        {
            "dataset": "d",
            "strategy": name,
            "seed": seed,
            "labels": 20 + 10 * k,
            "accuracy": 0.5 + (0.1 + noise[seed]) * (name == "a" and k in ahead),
        }
        for name in "ab"
        for seed in range(6)
        for k in range(10)
    ]
    assert penalty_matrix(pd.DataFrame(rows)).loc["a", "b"] == 0.5


def test_the_same_gain_with_every_seed_is_a_win() -> None:
    matrix = penalty_matrix(curves({"a": [0.5, 0.75, 0.625], "b": [0.25, 0.5, 0.375]}))
    assert matrix.loc["a", "b"] == 1
    assert matrix.loc["b", "a"] == 0


def test_equal_strategies_do_not_beat_each_other() -> None:
    matrix = penalty_matrix(curves({"a": RANDOM, "b": RANDOM}))
    assert (matrix == 0).all(axis=None)


def test_a_single_seed_cannot_be_tested() -> None:
    with pytest.raises(InputError, match="'mnist' has one seed"):
        penalty_matrix(curves({"a": [0.5], "b": [0.6]}))


def test_unpaired_curves_are_refused() -> None:
    table = curves({"a": RANDOM, "b": RANDOM})
    lame = table[~((table["strategy"] == "b") & (table["seed"] == 0))]
    with pytest.raises(InputError, match="not paired"):
        penalty_matrix(lame)


def test_only_strategies_that_every_data_set_has_are_ranked() -> None:
    table = pd.DataFrame({"dataset": list("aaabbbb"), "strategy": [*"xyz", *"zyx", "alil"]})
    assert shared(table)["strategy"].tolist() == list("xyzzyx")
    with pytest.raises(InputError, match=r"2 strategies in common.*'a' has only y, z"):
        shared(table[1:])


def test_each_classifier_makes_a_data_set_of_its_own() -> None:
    both = {"random": RANDOM, "badge": POOR}
    one = curves(both | {"policy": GOOD}).assign(classifier="cnn")
    other = curves(both | {"mnist-cnn": GOOD, "mnist-mlp": FAIR})
    found = collected([one, other.assign(classifier="mlp")], "mnist-cnn")
    assert list(found["dataset"].unique()) == ["mnist, cnn", "mnist, mlp"]
    assert list(shared(found)["strategy"].unique()) == ["random", "badge", "policy"]
    mean = shared(found).groupby(["dataset", "strategy"])["accuracy"].mean()
    assert mean["mnist, cnn", "policy"] == mean["mnist, mlp", "policy"] == np.mean(GOOD)


def test_the_same_run_in_two_tables_is_refused() -> None:
    one = curves(FOUR).assign(classifier="cnn")
    with pytest.raises(InputError, match="curves of 'random' on 'mnist, cnn' twice"):
        collected([one, one], "mnist-cnn")


def test_ranks_by_hand() -> None:
    ranks = mean_ranks(curves({"a": [0.5, 0.5], "b": [0.6, 0.7], "c": [0.4, 0.7]}))
    assert list(ranks.index) == ["b", "c", "a"]
    assert ranks.tolist() == [1.25, 2.25, 2.5]


def test_data_sets_are_ranked_by_their_means_whatever_the_seeds() -> None:
    one = curves({"a": [0.5, 0.9], "b": [0.6, 0.7], "c": [0.4, 0.7]}, "one")
    other = curves({"a": [0.1, 0.1], "b": [0.2, 0.2], "c": [0.3, 0.3]}, "other")
    assert mean_ranks(pd.concat([one, other])).to_dict() == {"a": 2.0, "b": 2.0, "c": 2.0}
    twice = pd.concat([other, other.assign(seed=other["seed"] + 2)])
    many = pd.concat([curves({"a": [0.5] * 4, "b": [0.6] * 4, "c": [0.4] * 4}, "one"), twice])
    few = pd.concat([curves({"a": [0.5] * 2, "b": [0.6] * 2, "c": [0.4] * 2}, "one"), other])
    assert friedman(many) == friedman(few) > 0.05


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ranks_add_up(seed: int) -> None:
    drawn = np.random.default_rng(seed).random((3, 5)).round(1)
    ranks = mean_ranks(curves(dict(zip("abc", drawn.tolist(), strict=True))))
    assert ranks.sum() == pytest.approx(6)


@pytest.mark.parametrize(
    ("strategies", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (8, 3.031), (10, 3.164)]
)
def test_critical_difference_has_the_constants_of_demsar(strategies: int, q: float) -> None:
    # Demšar (2006), Table 5a, at the level of 5%.
    expected = q * np.sqrt(strategies * (strategies + 1) / (6 * 14))
    assert critical_difference(strategies, 14) == pytest.approx(expected, rel=5e-4)


def test_friedman_tells_luck_from_difference() -> None:
    rng = np.random.default_rng(0)
    alike = {name: rng.random(12).tolist() for name in "abc"}
    assert friedman(curves(alike)) > 0.05
    alike["c"] = [accuracy + 1 for accuracy in alike["c"]]
    assert friedman(curves(alike)) < 0.001


def test_groups_are_the_largest_that_are_not_told_apart() -> None:
    ranks = pd.Series({"a": 1.0, "b": 1.5, "c": 2.4, "d": 4.0})
    assert groups(ranks, 1.0) == [("a", "b"), ("b", "c")]
    assert groups(ranks, 1.5) == [("a", "c")]
    assert groups(ranks, 0.1) == []
    assert groups(ranks, 9.0) == [("a", "d")]


def test_figures_show_every_strategy() -> None:
    table = curves({"random": RANDOM, "policy": GOOD, "badge": FAIR})
    heat = rank_plots.penalty_matrix(penalty_matrix(table), 1)
    shown = [text.get_text() for text in heat.axes[0].get_yticklabels()]
    assert shown == ["Random", "IALE policy", "BADGE"]
    ranks = rank_plots.critical_differences(table)
    shown = [text.get_text() for text in ranks.axes[0].get_yticklabels()]
    assert shown == ["IALE policy", "BADGE", "Random"]
    assert "6 seeds" in ranks.axes[0].get_title()
    three = [curves({"random": RANDOM, "policy": GOOD}, name) for name in ("a", "b", "c")]
    title = rank_plots.critical_differences(pd.concat(three)).axes[0].get_title()
    assert title.startswith("3 data sets")
    assert f"{critical_difference(2, 3):.2f}" in title
