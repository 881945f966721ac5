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
        "ensemble": 0.027,
        "mc_dropout": 0.027,
        "uherding": 0.026,
        "coverage": 0.026,
        "policy": 0.024,
        "confidence": 0.024,
        "badge": 0.024,
        "entropy": 0.014,
        "random": 0.0,
        "coreset": -0.007,
    }
    assert mean.idxmax() == "generalist"


def test_four_leads_are_significant(overall: pd.DataFrame) -> None:
    assert overall["seeds"].eq(12).all()
    sure = overall[overall["p_holm"] < 0.05]
    assert set(sure.index) == {"badge", "entropy", "random", "coreset"}
    columns = ["gain", "margin", "p", "p_holm"]
    shown = overall.loc[["badge", "policy", "confidence"], columns].round(4)
    assert shown.to_numpy().tolist() == [
        [0.0046, 0.0026, 0.0015, 0.0103],
        [0.0043, 0.0033, 0.0269, 0.1343],
        [0.0043, 0.0032, 0.0210, 0.1260],
    ]
    assert sure.loc[["entropy", "random", "coreset"], "p"].round(4).eq(0.0005).all()
    assert sure.loc[["entropy", "random", "coreset"], "p_holm"].round(3).eq(0.005).all()
    assert overall["margin"].round(3)["random"] == 0.003
    level = overall.loc[["ensemble", "mc_dropout", "uherding", "coverage"]]
    assert level["gain"].round(4).tolist() == [0.0014, 0.0016, 0.0018, 0.0020]
    assert (level["gain"] < level["margin"]).all()
    assert level["p_holm"].round(2).eq(0.61).all()


def test_where_single_strategies_are_ahead(areas: pd.DataFrame) -> None:
    table = proof.against(areas, "generalist")
    single = table[table["dataset"] != proof.MEAN]
    behind = single[single["gain"] < 0]
    assert (len(single), len(behind)) == (60, 6)
    assert behind["p_holm"].min() > 0.05
    most = behind.sort_values("gain").set_index(["dataset", "strategy"])
    first, second = (("kmnist-10k, mlp", "coverage"), ("kmnist-10k, cnn", "coverage"))
    assert most.index[:2].tolist() == [first, second]
    shown = most[["gain", "margin", "p", "p_holm"]].round(3).to_numpy()
    assert shown[0].tolist() == [-0.010, 0.006, 0.009, 0.074]
    assert shown[1, :2].tolist() == [-0.007, 0.009]
    assert most["gain"].iloc[2:].min() > -0.00105


def test_without_mnist_it_gains_a_little_more_than_four_others(areas: pd.DataFrame) -> None:
    clothes_and_characters = areas[areas["dataset"].str.match("fmnist|kmnist")]
    mean = clothes_and_characters.groupby("strategy")["gain"].mean().round(3)
    assert mean["generalist"] == 0.022
    assert mean[["coverage", "mc_dropout", "uherding", "ensemble"]].eq(0.021).all()
