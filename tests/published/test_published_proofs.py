"""The tables of notebooks 19 and 20 belong together: tests and means follow from the areas."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.experiments import proof

FOLDER = Path(__file__).parents[2] / "figures/cpu"


@pytest.fixture(params=["19_beyond_the_paper", "20_from_scratch"])
def tables(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    """AUBC of every cycle, and the published tests."""
    start = FOLDER / request.param
    return pd.read_csv(f"{start}_aubc.csv"), pd.read_csv(f"{start}_tests.csv")


def test_the_table_of_tests_follows_from_that_of_areas(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    areas, published = tables
    found = proof.against(areas, "generalist")
    pd.testing.assert_frame_equal(published[list(found.columns)], found)


def test_the_means_are_those_of_the_data_sets(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    areas, _ = tables
    single = areas[areas["dataset"] != proof.MEAN].groupby(proof.CYCLE[1:])["gain"].mean()
    overall = areas[areas["dataset"] == proof.MEAN].set_index(proof.CYCLE[1:])["gain"]
    pd.testing.assert_series_equal(overall.sort_index(), single.sort_index())
