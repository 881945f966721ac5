"""The next batch from embeddings, in memory and in files, with and without predictions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ialelib import generalist
from ialelib.experts import EXPERTS, Query
from ialelib.inference import selection
from ialelib.inference.selection import next_batch
from ialelib.models import Probe
from ialelib.policy import GENERALIST, load_policy
from ialelib.probe import solve
from ialelib.training import predict
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import stream

N, D, C = 300, 20, 4
LABELLED, LABELS = np.arange(30), np.arange(30) % C


@pytest.fixture
def pool() -> np.ndarray:
    """Embeddings around a centre for each class, N x D, in turn."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((C, D))
    return (centres[np.arange(N) % C] + rng.standard_normal((N, D))).astype(np.float32)


@pytest.fixture
def logits(pool: np.ndarray) -> np.ndarray:
    head = np.random.default_rng(1).standard_normal((D, C)).astype(np.float32)
    return pool @ head


def chosen(embeddings: Any, **changes: Any) -> np.ndarray:
    given: dict[str, Any] = {"labelled": LABELLED, "labels": LABELS, "acq": 5} | changes
    return next_batch(embeddings=embeddings, **given)


# What it chooses


@pytest.mark.parametrize("name", selection.STRATEGIES)
def test_a_strategy_by_name_chooses_as_in_a_cycle(name: str) -> None:
    rng = np.random.default_rng(0)
    model = Probe(C, (D,)).eval()
    head = rng.integers(-8, 9, (C, D + 1)) / 8  # exact in float32, in whatever order they are added
    weights = {"weight": torch.from_numpy(head[:, 1:]), "bias": torch.from_numpy(head[:, 0])}
    model.head.load_state_dict(weights)
    pool, offered = rng.integers(-8, 9, (N, D)).astype(np.float32) / 8, np.arange(250, 60, -1)
    query = Query(model, pool[offered], pool[LABELLED], LABELS)
    expected = offered[EXPERTS[name](query, 5, stream(3, "ties", 30))]
    logits = predict(model, pool)[0]
    found = chosen(pool, logits=logits, policy=name, candidates=offered, seed=3)
    np.testing.assert_array_equal(found, expected)


def test_a_strategy_chooses_from_random_candidates(
    pool: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "CANDIDATES", 60)
    np.testing.assert_array_equal(
        chosen(pool, policy="coverage"), chosen(pool, policy="coverage", candidates=60)
    )


def test_embeddings_and_logits_give_what_their_classifier_gives(
    pool: np.ndarray, logits: np.ndarray
) -> None:
    found = chosen(pool, logits=logits)
    assert len(np.unique(found)) == 5
    assert found.min() >= 30

    def both(batch: Tensor) -> tuple[Tensor, Tensor]:
        places = [np.flatnonzero((pool == row.numpy()).all(1))[0] for row in batch]
        return torch.from_numpy(logits[places]), batch

    np.testing.assert_array_equal(next_batch(both, pool, LABELLED, LABELS, 5), found)


def test_all_kinds_of_arrays_give_the_same_batch(
    pool: np.ndarray, logits: np.ndarray, tmp_path: Path
) -> None:
    first = chosen(pool, logits=logits)
    mapped = []
    for name, rows in {"pool": pool, "logits": logits}.items():
        np.save(tmp_path / f"{name}.npy", rows)
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    tensors = torch.from_numpy(pool), torch.from_numpy(logits)
    swapped = pool.astype(">f4"), logits.astype(">f4")
    for one, other in (mapped, tensors, swapped):
        np.testing.assert_array_equal(chosen(one, logits=other), first)
    half = pool.astype(np.float16)
    np.testing.assert_array_equal(chosen(half), chosen(torch.from_numpy(half)))


def test_probabilities_are_as_good_as_logits(pool: np.ndarray, logits: np.ndarray) -> None:
    probs = torch.from_numpy(logits).softmax(1)
    np.testing.assert_array_equal(chosen(pool, probabilities=probs), chosen(pool, logits=logits))


def test_without_predictions_a_probe_of_the_labelled_embeddings_makes_them(
    pool: np.ndarray,
) -> None:
    heads = solve(torch.from_numpy(pool[:30])[None], torch.from_numpy(LABELS)[None], C)
    probe = Probe(C, (D,))
    probe.head.weight, probe.head.bias = (nn.Parameter(part[0].clone()) for part in heads)
    logits = probe(torch.from_numpy(pool))[0].detach()
    found = chosen(pool)
    np.testing.assert_array_equal(found, chosen(pool, logits=logits))
    np.testing.assert_array_equal(found, next_batch(probe, pool, LABELLED, LABELS, 5))


def test_a_probe_knows_the_classes_with_a_label_only(pool: np.ndarray) -> None:
    sparse = np.array([3, 10**6, 7, 10**9])[LABELS]
    np.testing.assert_array_equal(chosen(pool, labels=sparse), chosen(pool))


def test_tensors_that_need_a_gradient_will_do(pool: np.ndarray, logits: np.ndarray) -> None:
    tensors = (torch.from_numpy(rows).requires_grad_() for rows in (pool, logits))
    embeddings, predicted = tensors
    expected = chosen(pool, logits=logits)
    np.testing.assert_array_equal(chosen(embeddings, logits=predicted), expected)


def test_a_large_pool_is_shortlisted_as_by_the_generalist_itself(
    pool: np.ndarray, logits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = chosen(pool, logits=logits)
    monkeypatch.setattr(generalist, "SHORTLIST", 60)
    monkeypatch.setattr(generalist, "CHUNK", 50)
    found = chosen(pool, logits=logits)
    assert not np.array_equal(found, whole)
    known = torch.from_numpy(pool[:30]), torch.from_numpy(LABELS)
    given = torch.from_numpy(logits[30:]).softmax(1), pool[30:], *known, 5
    trained = load_policy(GENERALIST)
    assert isinstance(trained, generalist.Generalist)
    expected = trained.choose(*given, stream(0, "ties", 30))
    np.testing.assert_array_equal(found, 30 + expected)


def test_other_policies_choose_from_embeddings_too(pool: np.ndarray) -> None:
    wide = np.tile(pool, (1, 5))
    named = {"policy": "mnist-cnn-class_free"}
    assert len(np.unique(chosen(wide, **named))) == 5
    with pytest.raises(InputError, match="weights of the softmax layer"):
        chosen(wide, logits=np.tile(np.arange(4.0), (N, 1)), **named)


# Bad input


def given(**changes: Any) -> dict[str, Any]:
    return changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (given(classifier=nn.Linear(2, 2)), "give embeddings, or a classifier and images, not"),
        (given(images=np.zeros((N, 4, 4))), "give embeddings, or a classifier and images, not"),
        (given(embeddings=None), "give a classifier and images, or embeddings"),
        (given(embeddings=None, images=np.zeros(3)), "give a classifier and images, or emb"),
        (given(embeddings=[[1.0]]), "embeddings must be an array or a tensor .* not list"),
        (given(embeddings=np.zeros((N, 4, 4))), r"not float64 of shape \(300, 4, 4\)"),
        (given(embeddings=np.zeros((N, 4), np.uint8)), r"not uint8 of shape \(300, 4\)"),
        (given(embeddings=torch.zeros(N, 4).int()), r"not torch.int32 of shape \(300, 4\)"),
        (given(logits=np.zeros((N - 1, C))), "300 embeddings, but 299 rows of logits"),
        (given(probabilities=np.zeros((N, 1))), "a column for each class, two or more"),
        (
            given(logits=np.zeros((N, C)), probabilities=np.zeros((N, C))),
            "logits or probabilities, not both",
        ),
        (given(probabilities=np.full((N, C), 0.3)), "sum to 1 in each row; give logits"),
        (given(probabilities=np.eye(C)[np.arange(N) % C] * 2 - 0.25), "sum to 1 in each row"),
        (given(logits=np.full((N, C), 0.25)), "are probabilities; give them as `probabilities`"),
        (given(logits=np.full((N, C), np.nan)), "logits hold NaN or infinite values"),
        (given(logits=np.zeros((N, 3)) - 1), "labels reach 3, but the classifier has 3 classes"),
        (given(labels=np.ones(30, int)), "all labels are of one class"),
        (given(labelled=[], labels=[]), "nothing is labelled"),
        (given(layer="head"), "go with a classifier; embeddings need none"),
        (given(preprocess=torch.Tensor.float), "go with a classifier; embeddings need none"),
        (given(embeddings=np.zeros((N, 4), np.longdouble)), "torch has no .* convert the values"),
        (given(acq=271), "acq must be 1 to the 270 unlabelled samples, not 271"),
    ],
)
def test_bad_input_is_refused(pool: np.ndarray, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(**{"embeddings": pool} | changes)


@pytest.mark.parametrize("place", [3, 200])
def test_nan_in_an_embedding_is_refused(pool: np.ndarray, place: int) -> None:
    pool[place, 2] = np.nan
    with pytest.raises(InputError, match="embeddings hold NaN or infinite values"):
        chosen(pool)


def test_logits_without_embeddings_are_refused() -> None:
    with pytest.raises(InputError, match="logits and probabilities go with embeddings"):
        next_batch(nn.Linear(2, 2), np.zeros((N, 2)), LABELLED, LABELS, logits=np.zeros((N, C)))
