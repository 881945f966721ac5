"""What notebook 20 says of its published run, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.experiments import proof
from ialelib.search import averaging

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
        "generalist": 0.029,
        "ensemble": 0.027,
        "mc_dropout": 0.027,
        "uherding": 0.027,
        "coverage": 0.026,
        "badge": 0.025,
        "confidence": 0.024,
        "policy": 0.024,
        "entropy": 0.015,
        "random": 0.0,
        "coreset": -0.008,
    }
    assert mean.idxmax() == "generalist"


def test_six_leads_are_significant(overall: pd.DataFrame) -> None:
    assert overall["seeds"].eq(20).all()
    sure = overall[overall["p_holm"] < 0.05]
    assert set(sure.index) == {"policy", "badge", "confidence", "entropy", "random", "coreset"}
    columns = ["gain", "margin", "p", "p_holm"]
    names = ["policy", "badge", "mc_dropout", "ensemble", "coverage", "uherding"]
    assert overall.loc[names, columns].round(4).to_numpy().tolist() == [
        [0.0049, 0.0019, 0.0001, 0.0008],
        [0.0041, 0.0027, 0.0083, 0.0415],
        [0.0018, 0.0017, 0.0583, 0.1748],
        [0.0017, 0.0020, 0.1769, 0.1769],
        [0.0023, 0.0018, 0.0240, 0.0958],
        [0.0017, 0.0018, 0.0759, 0.1748],
    ]
    shown = overall.loc[["confidence"], ["gain", "margin"]].round(4).to_numpy()
    assert shown.tolist() == [[0.0048, 0.0015]]
    assert (sure.drop(index="badge")["p_holm"] < 0.001).all()
    assert overall["margin"].round(3)["random"] == 0.003


def test_where_single_strategies_are_ahead(areas: pd.DataFrame) -> None:
    table = proof.against(areas, "generalist")
    single = table[table["dataset"] != proof.MEAN]
    behind = single[single["gain"] < 0].sort_values("gain")
    assert (len(single), len(behind)) == (60, 10)
    assert (behind["p_holm"] < 0.05).sum() == 1
    settings = list(zip(behind["dataset"], behind["strategy"], strict=True))
    on_clothes = [("fmnist-10k, mlp", name) for name in ("mc_dropout", "ensemble")]
    assert settings[:3] == [*on_clothes, ("kmnist-10k, mlp", "coverage")]
    shown = behind[["gain", "margin", "p", "p_holm"]].round(3).to_numpy()
    assert shown[0, :3].tolist() == [-0.007, 0.004, 0.001]
    assert round(behind["p_holm"].iloc[0], 4) == 0.0085
    assert shown[1].tolist() == [-0.007, 0.005, 0.009, 0.057]
    assert shown[2, :2].tolist() == [-0.005, 0.008]
    assert behind["gain"].iloc[3:].min() > -0.0045


def test_without_mnist_it_gains_a_little_more_than_four_others(areas: pd.DataFrame) -> None:
    clothes_and_characters = areas[areas["dataset"].str.match("fmnist|kmnist")]
    mean = clothes_and_characters.groupby("strategy")["gain"].mean().round(3)
    assert mean["generalist"] == 0.022
    assert mean[["coverage", "mc_dropout", "uherding"]].eq(0.021).all()
    assert mean["ensemble"] == 0.02


def test_on_the_sources_twenty_passes_gain_more_than_one(areas: pd.DataFrame) -> None:
    table = averaging.gains(pd.read_csv(f"{START}_passes.csv", dtype={"passes": str}))
    whole = table[table["classifier"] == "all"].set_index("passes")
    assert whole["tasks"].eq(120).all()
    columns = ["gain", "margin", "p", "p_holm"]
    shown = whole.loc[["20", "5"], columns].astype(float).round(4).to_numpy()
    assert shown.tolist() == [[0.0051, 0.0043, 0.0058, 0.0349], [0.0035, 0.0040, 0.0424, 0.1696]]
    mean = areas[(areas["dataset"] == proof.MEAN) & (areas["strategy"] == "generalist")]
    assert mean["gain"][mean["seed"] < 12].mean() == pytest.approx(0.0285, abs=5e-5)
