"""What notebook 19 says of its published run, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.experiments import proof
from ialelib.metrics import mean_interval

START = Path(__file__).parents[2] / "figures/cpu/19_beyond_the_paper"


@pytest.fixture(scope="module")
def areas() -> pd.DataFrame:
    """AUBC of every cycle."""
    return pd.read_csv(f"{START}_aubc.csv")


def compared(areas: pd.DataFrame, n: int) -> pd.DataFrame:
    table = proof.against(areas, "generalist")
    return table[(table["dataset"] == proof.MEAN) & (table["n"] == n)].set_index("strategy")


def test_it_is_ahead_of_every_strategy_with_large_sub_pools(areas: pd.DataFrame) -> None:
    large = compared(areas, 2000)
    assert large["seeds"].eq(50).all()
    assert large["p_holm"].max() < 0.001
    gains = areas[(areas["dataset"] == proof.MEAN) & (areas["n"] == 2000)]
    mean = gains.groupby("strategy")["gain"].mean().round(3)
    assert mean[["generalist", "uherding", "coverage", "badge"]].tolist() == [
        *(0.055, 0.051, 0.049, 0.009)
    ]
    beside = large.loc[["uherding"], ["gain", "margin"]]
    assert beside.round(4).to_numpy().tolist() == [[0.0039, 0.0017]]


def test_it_is_level_with_uherding_with_small_ones_and_ahead_of_the_others(
    areas: pd.DataFrame,
) -> None:
    small = compared(areas, 300)
    level, others = small.loc[["uherding"]], small.drop("uherding")
    assert level[["gain", "margin", "p"]].round(4).to_numpy().tolist() == [[0.0001, 0.0017, 0.8333]]
    assert others["p_holm"].max() < 0.001
    assert others.loc[["coverage", "badge"], "gain"].round(4).tolist() == [0.0056, 0.0312]


def test_part_of_the_way_to_the_oracle(areas: pd.DataFrame) -> None:
    way = proof.way_to_oracle(areas, "generalist").set_index("n")
    assert way["seeds"].tolist() == [10, 10]
    shares = way.loc[[2000], ["share", "low", "high"]]
    assert shares.round(2).to_numpy().tolist() == [[0.20, 0.04, 0.33]]
    assert way["share"].iloc[0] < 0


def test_a_second_search_from_scratch_does_not_help(areas: pd.DataFrame) -> None:
    second = pd.read_csv(START.parent / "scratch_search/19_beyond_the_paper_aubc.csv")
    key = ["dataset", "n", "seed", "strategy"]
    both = second.merge(areas, on=key, suffixes=("", "_first"))
    both["more"] = both["aubc"] - both["aubc_first"]
    policy = both["strategy"] == "generalist"
    assert both.loc[~policy, "more"].abs().max() == 0
    more = both.loc[policy & (both["dataset"] == proof.MEAN), "more"]
    assert (len(more), both["n"].unique().tolist()) == (10, [300])
    assert [round(more.mean(), 4), round(mean_interval(more), 4)] == [0.0009, 0.0030]
