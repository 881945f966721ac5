"""What notebook 19 says of its published run, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib.experiments import frozen

START = Path(__file__).parents[2] / "figures/cpu/19_beyond_the_paper"


@pytest.fixture(scope="module")
def areas() -> pd.DataFrame:
    """AUBC of every cycle."""
    path = Path(f"{START}_aubc.csv")
    if not path.exists():
        pytest.skip("the cpu profile of notebook 19 has not been run yet")
    return pd.read_csv(path)


def test_the_table_of_tests_follows_from_that_of_areas(areas: pd.DataFrame) -> None:
    published = pd.read_csv(f"{START}_tests.csv")
    found = frozen.against(areas, "generalist")
    pd.testing.assert_frame_equal(published[list(found.columns)], found)


def test_the_means_are_those_of_the_data_sets(areas: pd.DataFrame) -> None:
    single = areas[areas["dataset"] != frozen.MEAN].groupby(frozen.CYCLE[1:])["gain"].mean()
    overall = areas[areas["dataset"] == frozen.MEAN].set_index(frozen.CYCLE[1:])["gain"]
    pd.testing.assert_series_equal(overall.sort_index(), single.sort_index())
