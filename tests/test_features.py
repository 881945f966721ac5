"""The generalist's features: by hand, as a batch grows, and what they must not depend on."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib import features
from ialelib.features import NAMES, STATIC, Batch, Cover, Gradients, Variance, misfit

N, L, C, D = 40, 9, 3, 6


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(turn: Tensor | None = None, scale: float = 1.0, place: float = 0.0) -> Batch:
    """Features of embeddings that are turned, scaled and moved."""
    turn = torch.eye(D) if turn is None else turn
    pool_N_D, known_L_D = (scale * numbers(m, D, seed=m) @ turn + place for m in (N, L))
    labels_L = torch.arange(L).clamp(max=C - 1)
    probs_N_C = numbers(N, C, seed=5).softmax(1)
    return Batch(probs_N_C, pool_N_D, known_L_D, labels_L, np.random.default_rng(0))


def everything(found: Batch) -> Tensor:
    return torch.cat([found.static_N_F, found.growing()], 1)


def test_of_probabilities_by_hand() -> None:
    probs_N_C = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    expected = torch.tensor([0.52, 1.02, 0.02]).log()
    torch.testing.assert_close(features.margin(probs_N_C), expected)
    torch.testing.assert_close(features.confidence(probs_N_C).exp(), torch.tensor([0.7, 1, 1 / 3]))
    torch.testing.assert_close(features.entropy(probs_N_C)[1:], torch.tensor([0.0, 1.0]))
    of_first = math.sqrt(0.3**2 + 0.2**2 + 0.1**2)
    torch.testing.assert_close(features.residual(probs_N_C)[0], torch.tensor(of_first))


def test_of_classes_by_hand() -> None:
    labels_L, predicted_N = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])
    share_N = features.class_share_labelled(labels_L, predicted_N, classes=3)
    torch.testing.assert_close(share_N, torch.tensor([2.0, 1.0, 0.0]))
    probs_N_C = torch.tensor([[0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.1, 0.3, 0.6]])
    mass_N = features.class_share_predicted(probs_N_C, predicted_N)
    torch.testing.assert_close(mass_N, torch.tensor([0.9, 1.5, 0.6]))


def test_of_labelled_neighbours_by_hand() -> None:
    distance_N_L = torch.tensor([[0.5, 0.2, 1.0], [0.9, 0.8, 0.1]])
    labels_L, predicted_N = torch.tensor([0, 1, 0]), torch.tensor([0, 2])
    nearest_N = features.labelled_distance(distance_N_L)
    torch.testing.assert_close(nearest_N, torch.tensor([0.2, 0.1]))
    own_N = features.own_class_distance(distance_N_L, labels_L, predicted_N)
    torch.testing.assert_close(own_N, torch.tensor([0.5, 2.0]))
    contradiction_N = features.contradiction(distance_N_L, labels_L, predicted_N)
    torch.testing.assert_close(contradiction_N, torch.tensor([1 / 3, 1.0]))


def test_of_places_by_hand() -> None:
    points_N_D = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    distance_N_N = features.distances(points_N_D, points_N_D)
    root = math.sqrt(2)
    expected = torch.tensor([[0, root, 2], [root, 0, root], [2, root, 0]])
    torch.testing.assert_close(distance_N_N, expected)
    assert features.unit(distance_N_N) == pytest.approx(root)
    kernel_N_N = features.kernel(distance_N_N, 1.0)
    torch.testing.assert_close(kernel_N_N[0], torch.tensor([1, math.exp(-1), math.exp(-2)]))
    isolation_N = features.isolation(distance_N_N.clone(), torch.arange(3))
    torch.testing.assert_close(isolation_N, torch.tensor([root / 2 + 1, root, root / 2 + 1]))
    density_N = features.density(kernel_N_N[:2], torch.tensor([0.0, 0.0, 1.0]))
    third = (1 + math.exp(-1) + math.exp(-2)) / 3
    assert density_N.tolist() == pytest.approx([(1 + math.exp(-1)) / 2] * 2 + [third])
    length_N = features.length(torch.tensor([[3.0, 4.0], [0.0, 15.0]]))
    torch.testing.assert_close(length_N, torch.tensor([0.5, 1.5]).log())


def test_the_shrinking_radius_is_uherdings() -> None:
    distance_L_L = torch.tensor([[0.0, 0.8, 0.9], [0.8, 0.0, 0.6], [0.9, 0.6, 0.0]])
    assert features.shrinking_radius(distance_L_L) == pytest.approx(0.6 / math.sqrt(2))
    assert features.shrinking_radius(distance_L_L / 10) == features.SMALLEST
    assert features.shrinking_radius(torch.zeros(2, 2)) == features.RADII[0]


def test_smoothed_predictions_by_hand() -> None:
    probs_N_C = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    kernel_R_N = torch.tensor([[1.0, 0.5, 0.5], [0.5, 1.0, 0.0]])
    own_N = torch.tensor([0.0, 0.0, 1.0])
    smoothed_N_C = features.smoothed(probs_N_C, kernel_R_N, torch.arange(2), own_N)
    expected = torch.tensor([[2 / 3, 1 / 3], [1 / 3, 2 / 3], [2 / 3, 1 / 3]])
    torch.testing.assert_close(smoothed_N_C, expected)
    change_N = features.smoothed_change(probs_N_C, smoothed_N_C)
    torch.testing.assert_close(change_N, torch.tensor([2 / 3, 2 / 3, 1 / 3]))


def test_cover_grows_as_if_computed_anew() -> None:
    kernel_N_N = features.kernel(torch.cdist(numbers(N, 2), numbers(N, 2)), 0.8)
    known_N = features.kernel(torch.cdist(numbers(N, 2), numbers(L, 2, seed=1)), 0.8).amax(1)
    weight_W_N = torch.stack([torch.ones(N), numbers(N).abs()])
    references = torch.tensor([3, 4, 30, 12, 9])
    own_N = torch.ones(N).index_fill(0, references, 0)
    weights = weight_W_N[:, references], weight_W_N * own_N
    found = Cover(kernel_N_N[references], known_N, *weights, references)
    for chosen in ([], [4], [4, 17], [4, 17, 8]):
        if chosen:
            found.add(chosen[-1], kernel_N_N[chosen[-1]])
        cover_N = torch.cat([known_N[:, None], kernel_N_N[:, chosen]], 1).amax(1)
        above_N_N = (kernel_N_N - cover_N[:, None]).clamp(min=0)
        gain_W_N = weights[0] @ above_N_N[references] + weights[1] * above_N_N.diagonal()
        torch.testing.assert_close(found.gain(), gain_W_N, atol=1e-5, rtol=1e-4)


def test_variance_grows_as_if_computed_anew() -> None:
    points_A_2 = numbers(N + L, 2)
    prior_A_A = features.kernel(torch.cdist(points_A_2, points_A_2), 0.8)
    here, known = torch.arange(N), list(range(N, N + L))
    references, weight_W_N = torch.tensor([3, 1, 30, 12]), numbers(2, N).abs()
    weights = weight_W_N[:, references], weight_W_N.index_fill(1, references, 0)
    found = Variance(
        *(prior_A_A[references][:, here], prior_A_A[known][:, here], prior_A_A[known][:, known]),
        *(references, *weights),
    )
    for i in (None, 30, 7, 12):
        if i is not None:
            found.add(i, prior_A_A[here, i])
            known.append(i)
        noisy_K_K = prior_A_A[known][:, known] + features.NOISE * torch.eye(len(known))
        told = prior_A_A[:, known] @ torch.linalg.solve(noisy_K_K, prior_A_A[known])
        posterior_N_N = (prior_A_A - told)[:N, :N]
        variance_N = posterior_N_N.diagonal()
        torch.testing.assert_close(found.variance_N, variance_N, atol=1e-4, rtol=0)
        squares_W_N = weights[0] @ posterior_N_N[references].square()
        squares_W_N += weights[1] * variance_N.square()
        expected = squares_W_N / (variance_N + features.NOISE)
        torch.testing.assert_close(found.gain(), expected, atol=1e-3, rtol=0)


def test_gradients_are_outer_products() -> None:
    residual_N_C, embedding_N_D = numbers(N, C), numbers(N, D, seed=1)
    found = Gradients(residual_N_C, embedding_N_D)
    found.add(3)
    found.add(11)
    outer = (residual_N_C[:, :, None] * embedding_N_D[:, None]).flatten(1)
    nearest_N = torch.cdist(outer, outer[[3, 11]]).amin(1)
    torch.testing.assert_close(found.nearest_N, nearest_N, atol=5e-3, rtol=0)


def test_every_feature_has_a_name_and_is_standardised() -> None:
    found = batch()
    found.add(2)
    all_N_F = everything(found)
    assert all_N_F.shape == (N, len(NAMES))
    assert found.static_N_F.shape[1] == len(STATIC)
    torch.testing.assert_close(all_N_F.mean(0), torch.zeros(len(NAMES)), atol=1e-5, rtol=0)
    spread_F = all_N_F.std(0, correction=0)
    torch.testing.assert_close(spread_F, torch.ones(len(NAMES)), atol=1e-3, rtol=0)


def test_before_a_batch_distances_to_it_are_equal() -> None:
    growing_N_F = batch().growing()
    assert not growing_N_F[:, :3].any()
    assert growing_N_F[:, 3:].any(0).all()


def test_scale_rotation_and_place_do_not_matter() -> None:
    turn = torch.linalg.qr(numbers(D, D)).Q
    one, other = batch(), batch(turn, scale=30.0, place=20.0)
    for i in (5, 20):
        one.add(i)
        other.add(i)
    torch.testing.assert_close(everything(one), everything(other), atol=0.02, rtol=0)


def large(seed: int, size: int = 600) -> Batch:
    """Features of many candidates, most of which are no references."""
    places, labels_L = numbers(size, D, seed=1) * 2, torch.arange(L) % C
    probs_N_C = numbers(size, C, seed=5).softmax(1)
    return Batch(probs_N_C, places, numbers(L, D), labels_L, np.random.default_rng(seed))


def test_references_are_seen_as_all_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = everything(large(0))
    monkeypatch.setattr(features, "REFERENCES", 200)
    gaps, alike = [], []
    for seed in range(8):
        some = large(seed)
        some.add(3)
        some.add(77)
        found, references = everything(some), some.variance.references
        assert len(references) == 200
        others = torch.ones(len(found)).index_fill(0, references, 0).bool()
        gaps.append(found[references].mean(0) - found[others].mean(0))
        start = everything(large(seed))[:, len(STATIC) + 3 :]
        alike.append(F.cosine_similarity(start, whole[:, len(STATIC) + 3 :], dim=0))
    assert torch.stack(gaps).mean(0).abs().max() < 0.15
    assert torch.stack(alike).min() > 0.8


def test_many_labels_cost_no_more_than_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "REFERENCES", 20)
    labels_L = torch.arange(300) % C
    known = numbers(N, C).softmax(1), numbers(N, D), numbers(300, D, seed=2)
    found = Batch(*known, labels_L, np.random.default_rng(0))
    assert len(found.variance.known_K_N) == 20
    assert everything(found).isfinite().all()


def test_one_candidate_is_enough() -> None:
    probs_1_C = torch.tensor([[0.5, 0.3, 0.2]])
    known = numbers(1, D), numbers(L, D), torch.arange(L) % C
    found = Batch(probs_1_C, *known, np.random.default_rng(0))
    assert everything(found).isfinite().all()


def test_equal_candidates_are_told_apart_by_nothing() -> None:
    labels_L = torch.arange(L) % C
    same = torch.full((N, C), 1 / C), torch.ones(N, D), torch.ones(L, D)
    found = Batch(*same, labels_L, np.random.default_rng(0))
    found.add(2)
    both = everything(found)
    assert both.isfinite().all()
    assert (both - both[:1]).abs().amax(0)[: NAMES.index("variance")].max() < 0.2


def test_misfit_is_the_share_of_labels_that_are_missed() -> None:
    logits_L_C = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.1]])
    assert misfit(logits_L_C, torch.tensor([0, 1, 1, 1])) == 0.25
