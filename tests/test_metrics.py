"""AUBC and the paired comparison, against values computed by hand and scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from ialelib.metrics import aubc, aubc_table, median_filtered, paired_tests
from ialelib.utils.errors import InputError

LABELS = (20, 30, 40)


def curves(accuracy: dict[str, list[float]], dataset: str = "mnist") -> pd.DataFrame:
    """Flat learning curves, one for each strategy and seed, so that the AUBC is the accuracy."""
    rows = [
        {"dataset": dataset, "strategy": name, "seed": seed, "labels": labels, "accuracy": value}
        for name, values in accuracy.items()
        for seed, value in enumerate(values)
        for labels in LABELS
    ]
    return pd.DataFrame(rows)


RANDOM = [0.50, 0.52, 0.48, 0.51, 0.55, 0.47]
# Gains over random: all six positive; five of six; three of six.
GOOD = [0.60, 0.64, 0.57, 0.62, 0.68, 0.55]
FAIR = [0.53, 0.53, 0.53, 0.55, 0.61, 0.45]
POOR = [0.44, 0.57, 0.45, 0.55, 0.54, 0.49]


def row(table: pd.DataFrame, strategy: str) -> dict[str, float]:
    (found,) = table[table["strategy"] == strategy].to_dict("records")
    return {str(name): value for name, value in found.items()}


def test_aubc_by_hand() -> None:
    # (10 * 0.6 + 20 * 0.8) / 30
    assert aubc(np.array([20, 30, 50]), np.array([0.5, 0.7, 0.9])) == pytest.approx(22 / 30)


def test_a_constant_curve_has_its_accuracy_for_area() -> None:
    assert aubc(np.array([20, 30, 45]), np.full(3, 0.7)) == pytest.approx(0.7)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=2, max_size=9))
def test_aubc_is_the_mean_height_of_the_broken_line(steps: list[tuple[int, float]]) -> None:
    labels, accuracy = np.cumsum([s for s, _ in steps]), np.array([a for _, a in steps])
    # The midpoint rule is exact on every unit of a line that bends at whole numbers only.
    middles = np.interp(np.arange(labels[0], labels[-1]) + 0.5, labels, accuracy)
    assert aubc(labels, accuracy) == pytest.approx(middles.mean())
    assert accuracy.min() - 1e-9 <= aubc(labels, accuracy) <= accuracy.max() + 1e-9


def test_a_single_point_has_no_area() -> None:
    with pytest.raises(InputError, match="two points"):
        aubc(np.array([20]), np.array([0.5]))


def test_the_table_has_a_row_a_seed_and_a_column_a_strategy() -> None:
    table = aubc_table(curves({"random": [0.1, 0.2], "badge": [0.3, 0.4]}))
    assert table.columns.tolist() == ["random", "badge"]
    assert table.loc["mnist"].to_numpy().ravel().tolist() == pytest.approx([0.1, 0.3, 0.2, 0.4])


def test_rows_of_a_curve_may_come_in_any_order() -> None:
    ordered = curves({"random": RANDOM}).assign(accuracy=np.linspace(0, 1, 18))
    shuffled = ordered.sample(frac=1, random_state=0)
    assert aubc_table(shuffled)["random"].tolist() == aubc_table(ordered)["random"].tolist()


def test_means_and_gains_over_the_reference() -> None:
    found = row(paired_tests(curves({"random": RANDOM, "badge": GOOD})), "badge")
    assert found["seeds"] == 6
    assert found["aubc"] == pytest.approx(np.mean(GOOD))
    assert found["gain"] == pytest.approx(np.mean(GOOD) - np.mean(RANDOM))


@pytest.mark.parametrize("strategy", ["good", "fair", "poor"])
def test_p_is_the_two_sided_signed_rank_test(strategy: str) -> None:
    values = {"good": GOOD, "fair": FAIR, "poor": POOR}[strategy]
    found = row(paired_tests(curves({"random": RANDOM, strategy: values})), strategy)
    assert found["p"] == pytest.approx(wilcoxon(values, RANDOM).pvalue)


def test_p_by_hand() -> None:
    # All 6 differences point one way: 2 of the 2^6 patterns of signs are as extreme.
    found = row(paired_tests(curves({"random": RANDOM, "good": GOOD})), "good")
    assert found["p"] == pytest.approx(2 / 64)


def test_holm_by_hand() -> None:
    accuracy = {"random": RANDOM, "good": GOOD, "fair": FAIR, "poor": POOR}
    table = paired_tests(curves(accuracy))
    low, middle, high = sorted((row(table, name)["p"], name) for name in ("good", "fair", "poor"))
    corrected = [3 * low[0], max(3 * low[0], 2 * middle[0])]
    corrected.append(max(corrected[1], high[0]))
    for (_, name), expected in zip((low, middle, high), corrected, strict=True):
        assert row(table, name)["p_holm"] == pytest.approx(min(1.0, expected))


def test_each_data_set_is_corrected_by_itself() -> None:
    both = pd.concat([curves({"random": RANDOM, "good": GOOD}, name) for name in ("a", "b")])
    table = paired_tests(both)
    assert table["dataset"].tolist() == ["a", "a", "b", "b"]
    assert table["p_holm"].dropna().tolist() == pytest.approx([2 / 64, 2 / 64])


def test_the_reference_has_no_gain_and_no_p() -> None:
    found = row(paired_tests(curves({"random": RANDOM, "good": GOOD})), "random")
    assert found["gain"] == 0
    assert np.isnan(found["p"])
    assert np.isnan(found["p_holm"])


def test_the_reference_may_stand_alone() -> None:
    assert paired_tests(curves({"random": RANDOM}))["p"].isna().all()


def test_any_strategy_can_be_the_reference() -> None:
    found = row(paired_tests(curves({"random": RANDOM, "good": GOOD}), reference="good"), "random")
    assert found["gain"] == pytest.approx(np.mean(RANDOM) - np.mean(GOOD))


def test_identical_curves_are_no_evidence() -> None:
    found = row(paired_tests(curves({"random": RANDOM, "twin": RANDOM})), "twin")
    assert (found["gain"], found["p"], found["p_holm"]) == (0, 1, 1)


def test_partly_identical_curves_are_compared_without_a_warning() -> None:
    half = [*RANDOM[:3], *GOOD[3:]]
    found = row(paired_tests(curves({"random": RANDOM, "half": half})), "half")
    assert 0.1 < found["p"] <= 1


def test_unpaired_seeds_are_refused() -> None:
    with pytest.raises(InputError, match="not paired: some seeds lack badge"):
        paired_tests(curves({"random": RANDOM, "badge": GOOD[:-1]}))


def test_a_missing_reference_is_named() -> None:
    with pytest.raises(InputError, match="no curves of the reference 'random'"):
        paired_tests(curves({"badge": GOOD}))


def test_curves_over_different_budgets_are_refused() -> None:
    # Their areas are means over different stretches of labels: a gain would mean nothing.
    both = curves({"random": RANDOM, "badge": GOOD})
    cut = both[(both["strategy"] == "random") | (both["labels"] < 40)]
    with pytest.raises(InputError, match="not paired"):
        paired_tests(cut)


def test_two_curves_of_one_strategy_and_seed_are_refused() -> None:
    # As when the tables of two classifiers are put together: they must not become one curve.
    both = curves({"random": RANDOM, "badge": GOOD})
    with pytest.raises(InputError, match="not paired"):
        paired_tests(pd.concat([both, both]))


def test_median_filter_takes_each_curve_alone_and_keeps_its_ends() -> None:
    spike = [0.5, 0.5, 0.9, 0.6, 0.6]
    one = pd.DataFrame({"labels": [10, 20, 30, 40, 50], "accuracy": spike})
    table = pd.concat([one.assign(strategy=s, seed=0, dataset="x") for s in ("a", "b")])
    table.loc[table["strategy"] == "b", "accuracy"] = 0.1
    shuffled = table.sample(frac=1, random_state=0, ignore_index=True)
    found = median_filtered(shuffled, 3).sort_values(["strategy", "labels"])
    a, b = (part["accuracy"].tolist() for _, part in found.groupby("strategy"))
    assert a == [0.5, 0.5, 0.6, 0.6, 0.6]
    assert b == [0.1] * 5
    pd.testing.assert_frame_equal(median_filtered(shuffled, 1), shuffled)
