"""Cycles on a user's own labels: what they say where there is a difference, none, or too little."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from toys import rewritten

from ialelib import plots
from ialelib.data import DataSet
from ialelib.experiments.rehearsal import Rehearsal, pays_between, rehearse
from ialelib.experts import Query
from ialelib.metrics import check_curves
from ialelib.utils import cache
from ialelib.utils.errors import InputError


@pytest.fixture(scope="module")
def pool(digits: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """Digits on their first 20 principal components, and their labels."""
    pixels = digits.train_inputs.reshape(len(digits.train_inputs), -1) / 255
    pixels = pixels - pixels.mean(0)
    axes = np.linalg.eigh(pixels.T @ pixels)[1][:, -20:]
    return (pixels @ axes).astype(np.float32), digits.train_labels


@pytest.fixture(scope="module")
def clear(pool: tuple[np.ndarray, np.ndarray]) -> Rehearsal:
    """Of 300 labels, where coverage gains much."""
    embeddings, labels = pool
    labelled = np.arange(100, 400)
    return rehearse(embeddings, labelled, labels[labelled], ["coverage"], seeds=10)


def like_random(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(query.inputs_N))[:acq]


def worst(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """All from one corner, predicted with certainty."""
    return np.argsort(-query.probs_N_C[:, 0].numpy())[:acq]


# What it says


def test_a_strategy_that_pays_is_named_with_its_gain_and_from_when_on(clear: Rehearsal) -> None:
    row = clear.tests.set_index("strategy").loc["coverage"]
    assert row["p_holm"] < 0.05
    assert row["gain"] > 0.01
    start = pays_between(clear.gains, "coverage")
    assert start is not None
    assert str(clear).startswith(f"coverage pays on these data, from {start[0]} ")
    assert f"{100 * row['gain']:.1f} points above that of random sampling" in str(clear)
    assert str(clear).endswith("over 10 seeds).")


def test_cycles_are_paired_from_one_label_a_class_to_half_of_the_pool(clear: Rehearsal) -> None:
    assert check_curves(clear.curves) == "2 strategies, 10 seeds, 200 rows"
    grids = clear.curves.groupby(["strategy", "seed"])["labels"].agg(tuple)
    assert set(grids) == {tuple(range(10, 101, 10))}
    first = clear.gains[clear.gains["labels"] == 10]
    assert (first["gain"] == 0).all()
    wide = clear.curves.pivot_table("accuracy", ["labels", "seed"], "strategy")
    mean = (wide["coverage"] - wide["random"]).groupby("labels").mean()
    np.testing.assert_allclose(clear.gains["gain"], mean)


def test_without_a_difference_it_says_so(pool: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = pool
    found = rehearse(embeddings, np.arange(120), labels[:120], [like_random], seeds=6)
    assert found.tests["p_holm"].dropna().gt(0.05).all()
    assert str(found).startswith("Not enough labels to tell: no strategy differs significantly")
    assert "that of like_random" in str(found)


def test_a_strategy_that_costs_leaves_random_sampling_as_the_best(
    pool: tuple[np.ndarray, np.ndarray],
) -> None:
    embeddings, labels = pool
    found = rehearse(embeddings, np.arange(300), labels[:300], [worst], seeds=8)
    assert str(found).startswith("Random sampling pays most on these data")
    assert "worst is" in str(found)


def test_with_too_few_labels_nothing_is_run(
    pool: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "run_groups", None)
    embeddings, labels = pool
    found = rehearse(embeddings, np.arange(99), labels[:99])
    assert str(found) == (
        "Not enough labels to tell: a rehearsal with 10 classes needs 100 labels, and there are "
        "99. Label more samples at random."
    )
    assert found.curves.empty
    with pytest.raises(InputError, match=r"nothing to draw\. Not enough labels to tell"):
        plots.rehearsed(found)


@pytest.mark.parametrize(
    ("gains", "span"),
    [
        ([0, 1, 3, 3, 3], (30, 50)),
        ([0, 3, 3, 1, 3], (20, 30)),
        ([0, 3, 1, 3, 3], (40, 50)),
        ([0, 1, 1, -3, 1], None),
    ],
)
def test_a_strategy_pays_where_its_interval_stays_above_0(
    gains: list[int], span: tuple[int, int] | None
) -> None:
    labels = [10, 20, 30, 40, 50]
    table = pd.DataFrame({"labels": labels, "strategy": "one", "gain": gains, "margin": 2.0})
    assert pays_between(table, "one") == span


# How it is run


def test_the_same_call_gives_the_same_and_resumes(
    pool: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    embeddings, labels = pool
    given = np.arange(120), labels[:120], ["margin"]
    once = rehearse(embeddings, *given, seeds=2, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    for path in tmp_path.iterdir():
        rewritten(path, "rehearsal", "read back")
    again = rehearse(torch.from_numpy(embeddings), *given, seeds=2, folder=str(tmp_path))
    assert set(again.curves["dataset"]) == {"read back"}
    pd.testing.assert_frame_equal(again.gains, once.gains)


def test_whole_numbers_of_numpy_and_tensors_with_gradients_will_do(
    pool: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    embeddings, labels = pool
    given = np.arange(120), labels[:120], ["margin"]
    once = rehearse(embeddings, *given, acq=5, seeds=2, folder=tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    tensor = torch.from_numpy(embeddings).requires_grad_()
    numbers: dict[str, Any] = {"acq": np.int64(5), "seeds": np.int64(2)}
    again = rehearse(tensor, *given, **numbers, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    pd.testing.assert_frame_equal(again.gains, once.gains)


def test_images_and_their_classifier_will_do(digits: DataSet) -> None:
    known = np.arange(100, 200), digits.train_labels[100:200]
    found = rehearse(digits.train_inputs, *known, ["margin"], acq=11, seeds=2, classifier="mlp")
    assert set(found.curves["classifier"]) == {"mlp"}
    assert sorted(set(found.curves["labels"])) == [10, 21, 32]


def test_classes_without_a_label_do_not_count(pool: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = pool
    labelled = np.flatnonzero(np.isin(labels, [3, 7]))[:60]
    found = rehearse(embeddings, labelled, labels[labelled], ["margin"], seeds=2)
    assert found.curves["labels"].min() == 2


def test_curves_and_gains_are_drawn(clear: Rehearsal) -> None:
    left, right = plots.rehearsed(clear).axes
    assert left.get_ylabel() == "test accuracy"
    random, coverage = right.lines
    assert set(random.get_ydata()) == {0}
    np.testing.assert_allclose(coverage.get_ydata(), clear.gains["gain"])
    assert right.get_ylabel() == "accuracy minus random sampling's"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.arange(199)}, "200 labelled indices, but 199 labels"),
        ({"labels": np.zeros(200, int)}, "all labels are of one class"),
        ({"labelled": np.arange(200) + 7900}, "indices are 0 to 7999"),
        ({"seeds": 1}, "seeds must be 2 or more"),
        ({"acq": 100}, "acq must be 1 to 57, as a rehearsal with 200 labels"),
        ({"acq": 0}, "not 0"),
        ({"acq": True}, "not True"),
        ({"seeds": True}, "seeds must be 2 or more, to be compared, not True"),
        ({"seeds": 2.0}, "not 2.0"),
        ({"embeddings": np.zeros((8000, 5), np.longdouble)}, "torch has no .* convert the values"),
        ({"embeddings": np.zeros((8000, 5), int)}, r"each of these is torch.int64 of shape \(5,\)"),
        ({"embeddings": np.zeros((8000, 9, 9))}, r"torch.float64 of shape \(9, 9\); convert them"),
        ({"embeddings": np.zeros((8000, 3, 9, 9), np.uint8)}, r"uint8 of shape \(3, 9, 9\)"),
        ({"embeddings": np.zeros((8000, 9, 9), np.uint8)}, "'probe' needs embeddings"),
        ({"strategies": ["random"]}, "name one to be compared with random sampling"),
        ({"strategies": ["margins"]}, "unknown strategy 'margins'; did you mean 'margin'"),
        ({"classifier": "cnn"}, "classifier 'cnn' needs images"),
        ({"recipe": "fats"}, "unknown recipe"),
        ({"embeddings": np.full((8000, 5), np.nan)}, "embeddings hold NaN"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    pool: tuple[np.ndarray, np.ndarray],
    changes: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "run_groups", None)
    embeddings, labels = pool
    given = {"embeddings": embeddings, "labelled": np.arange(200), "labels": labels[:200]}
    with pytest.raises(InputError, match=message):
        rehearse(**given | changes)
