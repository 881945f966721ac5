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


def test_the_table_of_tests_follows_from_that_of_areas(areas: pd.DataFrame) -> None:
    published = pd.read_csv(f"{START}_tests.csv")
    found = proof.against(areas, "generalist")
    pd.testing.assert_frame_equal(published[list(found.columns)], found)


def test_every_setting_counts_once(areas: pd.DataFrame) -> None:
    single = areas[areas["dataset"] != proof.MEAN]
    assert single["dataset"].nunique() == 6
    pd.testing.assert_series_equal(
        areas[areas["dataset"] == proof.MEAN].set_index(proof.CYCLE[1:])["gain"].sort_index(),
        single.groupby(proof.CYCLE[1:])["gain"].mean().sort_index(),
    )
