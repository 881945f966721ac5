"""The probe: a known library's minimum, any scale, and many labelled sets at once."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import ialelib as iale
from ialelib import probe, training
from ialelib.models import Architecture
from ialelib.recipes import Recipe, TrainJob
from ialelib.utils.errors import InputError

C = 4


def labelled(sets: int, size: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Labelled sets of four overlapping clouds, away from the origin; every class is there."""
    coin = torch.Generator().manual_seed(seed)
    labels_M_L = torch.arange(size).repeat(sets, 1) % C
    middle_C_D = torch.randn(C, width, generator=coin)
    noise_M_L_D = torch.randn(sets, size, width, generator=coin)
    return middle_C_D[labels_M_L] + 2 * noise_M_L_D + 5, labels_M_L


@pytest.mark.parametrize(("size", "width"), [(12, 30), (90, 6)])
def test_finds_the_minimum_that_scikit_learn_finds(size: int, width: int) -> None:
    x_M_L_D, labels_M_L = labelled(1, size, width)
    (weight_1_C_D, bias_1_C) = probe.solve(x_M_L_D, labels_M_L, C)
    centred_L_D = x_M_L_D[0] - x_M_L_D[0].mean(0)
    scale = centred_L_D.square().sum(1).mean().sqrt()
    inputs_L_D = F.pad(centred_L_D / scale, (0, 1), value=probe.BIAS).numpy()
    known = LogisticRegression(C=1 / probe.PENALTY, fit_intercept=False, tol=1e-8, max_iter=10_000)
    known.fit(inputs_L_D, labels_M_L[0].numpy())
    expected = known.predict_proba(inputs_L_D)
    found = (x_M_L_D[0] @ weight_1_C_D[0].T + bias_1_C[0]).softmax(1).numpy()
    assert np.abs(found - expected).max() < 5e-3


@pytest.mark.parametrize(("size", "width"), [(12, 30), (90, 6)])
def test_many_sets_are_as_one_by_one(size: int, width: int) -> None:
    x_M_L_D, labels_M_L = labelled(5, size, width)
    together = probe.solve(x_M_L_D, labels_M_L, C)
    for m in range(5):
        alone = probe.solve(x_M_L_D[m : m + 1], labels_M_L[m : m + 1], C)
        torch.testing.assert_close(
            alone.weight_M_C_D[0], together.weight_M_C_D[m], atol=3e-3, rtol=0
        )


def test_scale_and_place_of_embeddings_do_not_matter() -> None:
    x_M_L_D, labels_M_L = labelled(1, 40, 8)
    near, far = probe.solve(x_M_L_D, labels_M_L, C), probe.solve(64 * x_M_L_D - 300, labels_M_L, C)
    logits_L_C = x_M_L_D[0] @ near.weight_M_C_D[0].T + near.bias_M_C[0]
    moved_L_C = (64 * x_M_L_D[0] - 300) @ far.weight_M_C_D[0].T + far.bias_M_C[0]
    torch.testing.assert_close(logits_L_C, moved_L_C, atol=2e-2, rtol=0)


def test_equal_embeddings_give_the_share_of_each_class() -> None:
    labels_M_L = torch.tensor([[0, 0, 0, 1]])
    heads = probe.solve(torch.ones(1, 4, 3), labels_M_L, 2)
    assert heads.weight_M_C_D.abs().max() < 1e-6
    assert heads.bias_M_C[0, 0] > heads.bias_M_C[0, 1]


def job(inputs: np.ndarray, labels: np.ndarray, seed: int = 0) -> TrainJob:
    shape = inputs.shape[1:]
    return TrainJob(Architecture("probe", C, shape), inputs, labels, Recipe(steps=1), seed, seed)


def test_is_a_classifier_like_the_others() -> None:
    x_M_L_D, labels_M_L = labelled(3, 24, 10)
    jobs = [job(x.numpy(), y.numpy()) for x, y in zip(x_M_L_D, labels_M_L, strict=True)]
    models = iale.fit_many(jobs)
    assert iale.fit(jobs[0]).state_dict().keys() == models[0].state_dict().keys()
    for model, one in zip(models, jobs, strict=True):
        logits_L_C, embedding_L_D = iale.predict(model, one.inputs)
        assert (logits_L_C.argmax(1).numpy() == one.labels).mean() > 0.9
        np.testing.assert_array_equal(embedding_L_D.numpy(), one.inputs)


def test_stacks_are_no_larger_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    x_M_L_D, labels_M_L = labelled(5, 24, 10)
    jobs = [job(x.numpy(), y.numpy()) for x, y in zip(x_M_L_D, labels_M_L, strict=True)]
    together, sizes, solve = iale.fit_many(jobs), [], probe.solve

    def watched(x_M_L_D: Tensor, labels_M_L: Tensor, classes: int) -> probe.Heads:
        sizes.append(len(x_M_L_D))
        return solve(x_M_L_D, labels_M_L, classes)

    monkeypatch.setattr(probe, "solve", watched)
    monkeypatch.setattr(training, "STACKED", 2 * 24 * 10)
    for one, other in zip(iale.fit_many(jobs), together, strict=True):
        torch.testing.assert_close(one.head.weight, other.head.weight, atol=3e-3, rtol=0)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("size", [3, 40, 1000])
def test_the_bound_of_the_largest_eigenvalue_is_no_larger_than_said(size: int) -> None:
    flat, clouds = F.normalize(torch.eye(size) - 1 / size), labelled(1, size, 8)[0][0]
    for x_L_D in (flat, F.normalize(clouds - clouds.mean(0))):
        gram = F.pad(x_L_D, (0, 1), value=probe.BIAS)
        gram = gram @ gram.T
        largest = float(torch.linalg.eigvalsh(gram.double())[-1])
        bound = float(probe._largest(gram[None]))
        assert 1 - 1e-3 < bound / largest < size ** (1 / 32) + 1e-3


def test_has_no_noise_and_no_seed() -> None:
    x_M_L_D, labels_M_L = labelled(1, 24, 10)
    one, other = (iale.fit(job(x_M_L_D[0].numpy(), labels_M_L[0].numpy(), seed)) for seed in (1, 2))
    torch.testing.assert_close(one.head.weight, other.head.weight, atol=0, rtol=0)


def test_sets_of_different_sizes_are_trained_too() -> None:
    x_M_L_D, labels_M_L = labelled(1, 24, 10)
    jobs = [job(x_M_L_D[0, :k].numpy(), labels_M_L[0, :k].numpy()) for k in (12, 24)]
    assert [
        len(iale.predict(model, one.inputs)[0])
        for model, one in zip(iale.fit_many(jobs), jobs, strict=True)
    ] == [12, 24]


def test_nothing_labelled_is_refused() -> None:
    with pytest.raises(InputError, match="labelled"):
        iale.fit(job(np.empty((0, 3), np.float32), np.empty(0, np.int64)))
