"""The gains of a search over random sampling on its own tasks."""

from pathlib import Path

import pytest

from ialelib.cycle import run_cycle
from ialelib.data import DataSet
from ialelib.features import NAMES
from ialelib.metrics import areas
from ialelib.search.evolution import (
    SearchConfig,
    adding_up,
    gains_over_random,
    search_policy,
    task_seeds,
)
from ialelib.search.tasks import draw, pixels

TINY = SearchConfig(generations=2, candidates=2, tasks=1, averaged=1)


def test_gains_are_over_random_sampling_on_the_same_task(
    small_digits: DataSet, tmp_path: Path
) -> None:
    views = [pixels(small_digits, 200)]
    _, table = search_policy(views, TINY, adding_up(["cover_wide"]), tmp_path)
    found = gains_over_random(table, views, TINY, tmp_path)
    assert len(found) == 4
    row = found.iloc[-1]
    (seed,) = task_seeds(TINY, 1)
    task = draw(views, seed)
    chance = areas(run_cycle(task.data, task.config, adding_up([]), task.seed), ["seed"]).iloc[0]
    assert row["gain"] == pytest.approx(row["aubc"] - chance)


def test_a_policy_that_adds_up_nothing_has_no_weight() -> None:
    assert adding_up([]).weight_F_2.count_nonzero() == 0
    assert adding_up(["margin"]).weight_F_2.nonzero().tolist() == [[NAMES.index("margin"), 0]]
