"""Policy search: it improves, resumes bit for bit, and does not depend on the processes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from source_views import VIEWS

import ialelib as iale
from ialelib.features import NAMES
from ialelib.metrics import areas
from ialelib.search.evolution import (
    SearchConfig,
    evaluate,
    gains_over_random,
    mean_aubc,
    search_policy,
    task_seeds,
)
from ialelib.search.tasks import draw

TINY = SearchConfig(generations=3, candidates=4, tasks=2, averaged=2)
START = iale.Generalist(torch.ones(len(NAMES), 2))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, iale.Generalist]:
    folder = tmp_path_factory.mktemp("search")
    return folder, search_policy(VIEWS, TINY, START, folder)[0]


def test_all_candidates_of_a_generation_run_the_same_tasks(
    searched: tuple[Path, iale.Generalist],
) -> None:
    policy, table = search_policy(VIEWS, TINY, START, searched[0])
    assert policy.fingerprint() == searched[1].fingerprint()
    assert len(table) == TINY.generations * TINY.candidates * TINY.tasks
    assert table.groupby(["generation", "task"])["candidate"].nunique().eq(TINY.candidates).all()
    assert table["aubc"].between(0, 1).all()


def test_resumes_bit_for_bit_in_several_processes(
    searched: tuple[Path, iale.Generalist], tmp_path: Path
) -> None:
    for kept in sorted(searched[0].iterdir())[::2]:
        (tmp_path / kept.name).write_bytes(kept.read_bytes())
    again = search_policy(VIEWS, TINY, START, tmp_path, processes=2)[0]
    assert again.fingerprint() == searched[1].fingerprint()


def test_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    config = SearchConfig(generations=1, candidates=4, tasks=1)
    search_policy(VIEWS, config, START, tmp_path)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002


def test_the_better_policy_has_the_larger_area(tmp_path: Path) -> None:
    weights = torch.zeros(len(NAMES), 2)
    weights[NAMES.index("cover_wide"), 0] = 1
    policies = [iale.Generalist(weights), iale.Generalist(-weights)]
    table = evaluate(VIEWS, range(6), policies, tmp_path)
    good, bad = mean_aubc(table)
    assert good > bad + 0.01


def test_gains_are_over_random_sampling_on_the_same_task(
    searched: tuple[Path, iale.Generalist],
) -> None:
    folder = searched[0]
    _, table = search_policy(VIEWS, TINY, START, folder)
    row = gains_over_random(table, VIEWS, TINY, folder).iloc[-1]
    task = draw(VIEWS, task_seeds(TINY, TINY.generations - 1)[-1])
    nothing = iale.Generalist(torch.zeros(len(NAMES), 2))
    chance = areas(iale.run_cycle(task.data, task.config, nothing, task.seed), ["seed"]).iloc[0]
    assert row["gain"] == pytest.approx(row["aubc"] - chance)


def test_the_aubc_of_a_candidate_is_its_mean_over_the_tasks() -> None:
    table = pd.DataFrame({"candidate": [0, 0, 1, 1], "aubc": [0.1, 0.3, 0.5, 0.7]})
    np.testing.assert_allclose(mean_aubc(table), [0.2, 0.6])
