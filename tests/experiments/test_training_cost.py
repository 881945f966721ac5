"""Recipes against 100 epochs, and rankings against each other."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import training_cost
from ialelib.experts import PAPER_EXPERTS
from ialelib.plots import training_cost as figures
from ialelib.recipes import Recipe
from ialelib.utils.errors import InputError

SHORT = {"paper": Recipe(steps=12, batch_size=16), "short": Recipe(steps=2, batch_size=16)}
MLP = CycleConfig("mlp", initial=20, budget=40, acq=10, n=30, recipe="fast")


@pytest.fixture(scope="module")
def ranked(small_digits: DataSet, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("rankings")
    return training_cost.rankings(small_digits, MLP, {"warm 2": Recipe(steps=2)}, [0], 60, folder)


def scores(**methods: list[float]) -> pd.DataFrame:
    """One acquisition with a batch for each score."""
    rows = [
        {"method": name.replace("_", " "), "batch": i, "score": score}
        for name, values in methods.items()
        for i, score in enumerate(values)
    ]
    return pd.DataFrame(rows).assign(dataset="d", seed=0, labels=20, expert="badge")


def test_accuracies_are_paired_and_resumed(small_digits: DataSet, tmp_path: Path) -> None:
    table = training_cost.accuracies(small_digits, SHORT, [40], [0, 1], tmp_path, classifier="mlp")
    again = training_cost.accuracies(small_digits, SHORT, [40], [0, 1], tmp_path, classifier="mlp")
    pd.testing.assert_frame_equal(table, again)  # the seconds, too: nothing ran again
    assert table.groupby("recipe")["steps"].first().to_dict() == {"paper": 12, "short": 2}
    # 40 labels in batches of 16, 16 and 8: four epochs, and two batches.
    assert table.groupby("recipe")["samples"].first().to_dict() == {"paper": 160, "short": 32}
    means = table.groupby("recipe")["accuracy"].mean()
    assert 0.1 < means["short"] < means["paper"]


def test_accuracies_refuse_more_labels_than_there_are(
    small_digits: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="601 labels asked for, but 'small-digits' has 600"):
        training_cost.accuracies(small_digits, SHORT, [40, 601], [0], tmp_path)


def test_gaps_are_means_of_paired_differences() -> None:
    rows = [
        ("paper", 0, 0.90, 1000),
        ("paper", 1, 0.80, 1000),
        ("short", 0, 0.91, 250),
        ("short", 1, 0.83, 250),
    ]
    table = pd.DataFrame(rows, columns=["recipe", "seed", "accuracy", "samples"])
    gaps = training_cost.gaps(table.assign(dataset="d", labels=100, steps=5)).set_index("recipe")
    assert gaps.loc["short", "gap"] == pytest.approx(0.02)
    assert gaps.loc["short", "work"] == pytest.approx(0.25)
    # Student's t with one degree of freedom: 12.706 standard errors, each 0.01.
    assert gaps.loc["short", "margin"] == pytest.approx(0.12706, abs=1e-4)
    assert gaps.loc["paper", "gap"] == 0


def test_agreement_counts_best_batches() -> None:
    first = scores(fresh_a=[0.9, 0.5, 0.1], fresh_b=[0.9, 0.5, 0.2], warm=[0.1, 0.9, 0.2])
    second = scores(fresh_a=[0.9, 0.5], fresh_b=[0.1, 0.5], warm=[0.3, 0.2]).assign(labels=30)
    table = training_cost.agreement(pd.concat([first, second])).set_index("method")
    assert table.loc["fresh", "agree"] == pytest.approx(0.5)
    assert table.loc["warm", "agree"] == pytest.approx((0 + 0.5) / 2)
    assert table.loc["warm", "difference"] == pytest.approx(-0.25)
    assert table.loc["warm", "chance"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert table.loc["fresh", "decisions"] == 2


def test_ties_count_in_part_and_gain_is_over_the_mean_batch() -> None:
    table = scores(fresh_a=[0.9, 0.9, 0.3], fresh_b=[0.8, 0.5, 0.5], warm=[0.7, 0.1, 0.1])
    found = training_cost.agreement(table).set_index("method")
    assert found.loc["fresh", "agree"] == pytest.approx(0.5)
    assert found.loc["warm", "agree"] == pytest.approx((0.5 + 1.0) / 2)
    assert found.loc["warm", "gain"] == pytest.approx(((0.9 - 0.7) + (0.8 - 0.6)) / 2)


def test_rankings_score_every_expert_in_every_way(ranked: pd.DataFrame) -> None:
    assert ranked.groupby(["labels", "method"])["expert"].agg(tuple).unique().tolist() == [
        PAPER_EXPERTS
    ]
    assert set(ranked["method"]) == {*training_cost.FRESH, "warm 2"}
    assert sorted(set(ranked["labels"])) == [20, 30]
    same = ranked.groupby(["labels", "method", "batch"])["score"].nunique()
    assert (same == 1).all()


def test_two_fresh_rankings_differ(ranked: pd.DataFrame) -> None:
    wide = ranked.pivot_table(index=["labels", "expert"], columns="method", values="score")
    assert (wide["fresh a"] != wide["fresh b"]).any()
    assert (wide["fresh a"] != wide["warm 2"]).any()


def test_figures_show_every_recipe_and_method(ranked: pd.DataFrame) -> None:
    table = pd.DataFrame(
        {
            "dataset": "d",
            "labels": 100,
            "recipe": ["paper", "paper", "short", "short"],
            "seed": [0, 1, 0, 1],
            "accuracy": [0.9, 0.8, 0.8, 0.7],
            "samples": [200, 200, 100, 100],
        }
    )
    (ax,) = figures.recipes(table).axes
    assert [text.get_text() for text in ax.texts] == ["paper", "short"]
    (ax,) = figures.agreement(training_cost.agreement(ranked)).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["two fresh rankings", "warm 2"]
