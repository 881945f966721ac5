"""Averaging over dropout: what the generalist reads, and the comparison of numbers of passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ialelib as iale
from ialelib.cycle import Cycle, CycleConfig
from ialelib.data import DataSet, load_data
from ialelib.experiments import paired
from ialelib.experts import Query
from ialelib.features import NAMES
from ialelib.metrics import areas
from ialelib.search.averaging import RANDOM, compare_passes, gains
from ialelib.search.tasks import draw, some
from ialelib.training import fit_many
from ialelib.utils.seeds import derive, stream


def uncertain(passes: int = 1) -> iale.Generalist:
    weights = torch.zeros(len(NAMES), 2)
    weights[NAMES.index("entropy"), 0] = 1
    return iale.Generalist(weights, passes=passes)


@pytest.fixture(scope="module")
def images() -> DataSet:
    return some(load_data("mnist-10k"), 1500)


def query_of(images: DataSet, classifier: str) -> Query:
    cycle = Cycle(images, CycleConfig(classifier, budget=30, n=60, recipe="short"), seed=0)
    (model,) = fit_many([cycle.job()])
    return cycle.query(model, cycle.sub_pool())


def test_probabilities_are_the_mean_of_passes_with_dropout(images: DataSet) -> None:
    query = query_of(images, "mlp")
    logits_P_N_C = query.dropped_out(6, stream(0, "x"))
    assert not torch.equal(logits_P_N_C[0], logits_P_N_C[1])
    found = query.averaged_probs(6, stream(0, "x"))
    torch.testing.assert_close(found, torch.stack([x.softmax(1) for x in logits_P_N_C]).mean(0))
    assert torch.equal(query.averaged_probs(1, stream(0, "x")), query.probs_N_C)
    assert not any(module.training for module in query.model.modules())


def test_the_generalist_chooses_by_them(images: DataSet) -> None:
    query = query_of(images, "mlp")
    chosen = uncertain(6).select(query, 10, stream(0, "x"))
    rng = stream(0, "x")
    known = query.labelled_embedding_L_D, torch.from_numpy(query.labels_L)
    probs_N_C = query.averaged_probs(6, rng)
    expected = uncertain().choose(probs_N_C, query.embedding_N_D, *known, 10, rng)
    np.testing.assert_array_equal(chosen, expected)
    assert set(chosen) != set(uncertain().select(query, 10, stream(0, "x")))


def test_nothing_changes_without_dropout() -> None:
    query = query_of(iale.toy_gaussians(300, 200), "toy_mlp")
    one, many = (uncertain(passes).select(query, 5, stream(0, "x")) for passes in (1, 6))
    np.testing.assert_array_equal(one, many)


def test_cycles_with_other_passes_are_other_cycles(images: DataSet, tmp_path: Path) -> None:
    """But not where the classifier has no dropout, as for the probe."""

    def names(classifier: str, data: DataSet, passes: int) -> list[str]:
        config = CycleConfig(classifier, budget=30, n=50)
        policies = {"generalist": uncertain(passes)}
        tasks = paired.tasks(data, config, ["generalist"], [0], tmp_path, policies)
        return [path.name for path in tasks]

    points = iale.toy_gaussians(300, 200)
    assert names("mlp", images, 1) != names("mlp", images, 6)
    assert names("toy_mlp", points, 1) == names("toy_mlp", points, 6)


@pytest.fixture(scope="module")
def table(images: DataSet, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("passes")
    return compare_passes([images], uncertain(), [1, 4], 2, folder)


def test_every_number_of_passes_runs_the_same_tasks(images: DataSet, table: pd.DataFrame) -> None:
    assert table.groupby("passes")["task"].agg(list).tolist() == [[0, 1]] * 3
    task = draw([images], derive(0, "averaging", 1))
    for passes in (1, 4):
        curve = iale.run_cycle(task.data, task.config, uncertain(passes), task.seed)
        row = table[(table["task"] == 1) & (table["passes"] == str(passes))].iloc[0]
        assert row["aubc"] == areas(curve, ["seed"]).iloc[0]
        assert row["classifier"] == task.config.classifier


def test_gains_are_over_the_first_number_of_passes() -> None:
    part = pd.DataFrame({"task": [0, 1], "classifier": ["cnn", "mlp"]})
    areas = {RANDOM: [0.1, 0.1], "1": [0.5, 0.6], "20": [0.7, 0.7]}
    table = pd.concat([part.assign(passes=name, aubc=x) for name, x in areas.items()])
    found = gains(table).set_index(["classifier", "passes"])
    assert found.loc[("all", "20"), "gain"] == pytest.approx(0.15)
    assert found.loc[("mlp", "20"), "gain"] == pytest.approx(0.1)
    assert found.loc[("all", RANDOM), "gain"] == pytest.approx(-0.45)
    assert found.loc[("all", "20"), "tasks"] == 2


def test_other_passes_are_computed_anew(images: DataSet, tmp_path: Path) -> None:
    compare_passes([images], uncertain(), [1], 1, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    compare_passes([images], replace(uncertain(), passes=3), [3], 1, tmp_path)
    assert len({path.name for path in tmp_path.iterdir()} - before) == 1
