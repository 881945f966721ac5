"""What notebook 20 says of its published run, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.experiments import proof

START = Path(__file__).parents[2] / "figures/cpu/20_from_scratch"


@pytest.fixture(scope="module")
def areas() -> pd.DataFrame:
    """AUBC of every cycle."""
    return pd.read_csv(f"{START}_aubc.csv")


@pytest.fixture(scope="module")
def overall(areas: pd.DataFrame) -> pd.DataFrame:
    """The generalist against each strategy, on the mean over all settings."""
    table = proof.against(areas, "generalist")
    return table[table["dataset"] == proof.MEAN].set_index("strategy")


def test_there_are_six_settings(areas: pd.DataFrame) -> None:
    assert areas.loc[areas["dataset"] != proof.MEAN, "dataset"].nunique() == 6


def test_its_mean_gain_is_the_largest(areas: pd.DataFrame) -> None:
    mean = areas[areas["dataset"] == proof.MEAN].groupby("strategy")["gain"].mean()
    assert mean.sort_values(ascending=False).round(3).to_dict() == {
        "generalist": 0.028,
        "coverage": 0.027,
        "mc_dropout": 0.025,
        "ensemble": 0.025,
        "uherding": 0.025,
        "confidence": 0.023,
        "policy": 0.023,
        "badge": 0.022,
        "entropy": 0.013,
        "random": 0.0,
        "coreset": -0.009,
    }
    assert mean.idxmax() == "generalist"


def test_four_leads_exceed_their_intervals_and_none_is_significant(overall: pd.DataFrame) -> None:
    assert overall["seeds"].eq(4).all()
    assert overall["p"].min() == 0.125
    assert overall["p_holm"].eq(1).all()
    apart = overall[overall["gain"] > overall["margin"]]
    assert set(apart.index) == {"coreset", "entropy", "random", "confidence"}
    shown = overall.loc[["coreset", "random", "entropy"], ["gain", "margin"]]
    assert shown.round(3).to_numpy().tolist() == [[0.037, 0.014], [0.028, 0.005], [0.015, 0.005]]
    closest = overall.loc[["confidence", "coverage"], ["gain", "margin"]]
    assert closest.round(4).to_numpy().tolist() == [[0.0050, 0.0046], [0.0009, 0.0096]]


def test_where_single_strategies_are_ahead(areas: pd.DataFrame) -> None:
    table = proof.against(areas, "generalist")
    single = table[table["dataset"] != proof.MEAN]
    behind = single[single["gain"] < 0]
    assert (len(single), len(behind)) == (60, 12)
    assert (behind["gain"].abs() < behind["margin"]).all()
    counts = behind["dataset"].value_counts()
    assert counts[["kmnist-10k, mlp", "mnist-10k, cnn"]].tolist() == [6, 4]
    there = behind[behind["dataset"] == "kmnist-10k, mlp"].set_index("strategy")
    shown = there.loc[["coverage", "uherding", "mc_dropout"], ["gain", "margin"]]
    assert shown.round(3).to_numpy().tolist() == [[-0.010, 0.013], [-0.008, 0.030], [-0.007, 0.018]]


def test_without_mnist_it_gains_as_much_as_coverage(areas: pd.DataFrame) -> None:
    clothes_and_characters = areas[areas["dataset"].str.match("fmnist|kmnist")]
    mean = clothes_and_characters.groupby("strategy")["gain"].mean().round(3)
    assert mean[["generalist", "coverage"]].tolist() == [0.023, 0.022]
