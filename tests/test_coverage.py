"""Greedy cover against scikit-activeml and by hand; its radius, and the softmax's temperature."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skactiveml.pool import MaxHerding
from torch import Tensor

from ialelib import coverage
from ialelib.coverage import cover, directions, held_out_accuracy, temperature
from ialelib.utils.errors import InputError

RNG = np.random.default_rng


def scattered(n: int, width: int = 6, seed: int = 0) -> Tensor:
    return torch.from_numpy(RNG(seed).normal(size=(n, width)).astype(np.float32))


def distances(rows: Tensor) -> np.ndarray:
    """All distances between two different rows, from differences in float64."""
    points = rows.double().numpy()
    return np.array(
        [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]], dtype=float
    )


def reference(rows_N_D: Tensor, known_L_D: Tensor, radius: float, acq: int) -> list[int]:
    """What scikit-activeml's MaxHerding chooses from directions."""
    X = torch.cat([rows_N_D, known_L_D]).numpy()
    y = np.r_[np.full(len(rows_N_D), np.nan), np.zeros(len(known_L_D))]
    strategy = MaxHerding(metric_dict={"gamma": 0.5 / radius**2}, random_state=0)
    return [int(i) for i in strategy.query(X, y, batch_size=acq)]


@pytest.mark.parametrize("labelled", [0, 1, 7])
def test_cover_is_max_herding_with_our_radius(labelled: int) -> None:
    rows, known = scattered(60), scattered(labelled, seed=1)
    direction_N_D, direction_L_D = directions(rows, known)
    radius = 0.75 * float(np.median(distances(direction_N_D)))
    expected = reference(direction_N_D, direction_L_D, radius, 10)
    assert cover(rows, known, 10, RNG(0)).tolist() == expected


def test_a_shrinking_radius_is_the_smallest_distance_between_labelled_samples() -> None:
    rows, known = scattered(60), scattered(7, seed=1)
    direction_N_D, direction_L_D = directions(rows, known)
    radius = distances(direction_L_D).min() / math.sqrt(2)
    chosen = cover(rows, known, 10, RNG(0), shrinking=True).tolist()
    assert chosen == reference(direction_N_D, direction_L_D, radius, 10)
    assert chosen != cover(rows, known, 10, RNG(0)).tolist()


@pytest.mark.parametrize("known", [scattered(0), scattered(1), scattered(1).expand(3, -1)])
def test_without_two_different_labelled_samples_it_is_the_other_radius(known: Tensor) -> None:
    chosen = [cover(scattered(60), known, 10, RNG(0), shrinking=flag) for flag in (True, False)]
    assert chosen[0].tolist() == chosen[1].tolist()


def test_a_group_without_weight_is_not_covered() -> None:
    # Two groups of opposite directions; the larger is chosen from first, unless it has no weight.
    rows = torch.tensor([[1.0, 0.0]] * 6 + [[-1.0, 0.0]] * 4) + 0.01 * scattered(10, 2)
    assert cover(rows, rows[:0], 1, RNG(0))[0] < 6
    weight_N = torch.tensor([0.0] * 6 + [1.0] * 4)
    assert cover(rows, rows[:0], 1, RNG(0), weight_N)[0] >= 6


def test_embeddings_that_all_point_one_way_are_told_apart() -> None:
    rows = scattered(40)
    chosen = [cover(some, some[:2], 8, RNG(0)).tolist() for some in (rows, rows + 100)]
    assert chosen[0] == chosen[1]


def test_more_candidates_than_references_cost_no_square_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes, real = [], coverage.squared_distances

    def watched(one: Tensor, other: Tensor) -> Tensor:
        sizes.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(coverage, "squared_distances", watched)
    chosen = cover(scattered(3000), scattered(5, seed=1), 10, RNG(0))
    assert len(set(chosen.tolist())) == 10
    assert sizes == [(3000, 2000), (2000, 5), (1000, 5), *[(1000, 1)] * 10]


@pytest.mark.parametrize("weighted", [False, True])
def test_candidates_beyond_the_references_count_in_their_own_gain(
    monkeypatch: pytest.MonkeyPatch, weighted: bool
) -> None:
    monkeypatch.setattr(coverage, "REFERENCES", 25)
    rows, known = scattered(60), scattered(4, seed=1)
    weight_N = torch.linspace(0.1, 2, 60) if weighted else torch.ones(60)
    direction_N_D, direction_L_D = directions(rows, known)
    order = RNG(0).permutation(60)
    first = direction_N_D[order[:25]]
    factor = -0.5 / (0.75 * float(np.median(distances(first)))) ** 2
    kernel_N_N = (factor * torch.cdist(direction_N_D, direction_N_D).square()).exp().numpy()
    covered = (factor * torch.cdist(direction_N_D, direction_L_D).square()).exp().amax(1).numpy()
    expected: list[int] = []
    for _ in range(10):
        gains = []
        for i in range(60):
            counted = {*order[:25].tolist(), i}
            gains.append(
                sum(float(weight_N[j]) * max(0, kernel_N_N[i, j] - covered[j]) for j in counted)
            )
        expected.append(max(set(range(60)) - set(expected), key=gains.__getitem__))
        covered = np.maximum(covered, kernel_N_N[expected[-1]])
    given = weight_N if weighted else None
    assert cover(rows, known, 10, RNG(0), given).tolist() == expected


def test_references_are_about_as_many_among_the_chosen_as_among_the_candidates() -> None:
    rng, references = RNG(0), RNG(1).permutation(4000)[:2000]
    rows_N_D = 2 * rng.normal(size=(20, 16))[rng.integers(20, size=4000)]
    rows_N_D += rng.normal(size=(4000, 16))
    rows = torch.from_numpy(rows_N_D.astype(np.float32))
    chosen = cover(rows, rows[:20], 100, RNG(1))
    assert np.isin(chosen, references).mean() == pytest.approx(0.5, abs=0.15)


def test_cover_refuses_more_than_is_offered() -> None:
    with pytest.raises(InputError, match="41 exceeds the 40"):
        cover(scattered(40), scattered(2), 41, RNG(0))


@pytest.mark.parametrize("accuracy", [0.5, 0.7])
def test_the_temperature_makes_confidence_equal_accuracy(accuracy: float) -> None:
    logits = 4 * scattered(200, 5)
    scaled = (logits / temperature(logits, accuracy)).softmax(1).amax(1).mean()
    assert float(scaled) == pytest.approx(accuracy, abs=2e-3)


@pytest.mark.parametrize(("accuracy", "bound"), [(0.0, 10.0), (1.0, 1.0)])
def test_the_temperature_stays_within_its_bounds(accuracy: float, bound: float) -> None:
    assert temperature(4 * scattered(200, 5), accuracy) == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize("classes", [3, 5])
def test_held_out_accuracy_is_that_of_a_plain_loop(classes: int) -> None:
    labels = torch.tensor([0, 1, 2] * 5 + [0, 0])
    rows = F.normalize(torch.eye(6)[labels] + 0.8 * scattered(17), dim=1)
    hits = []
    for i in range(17):
        others = torch.arange(17) != i
        means = [rows[others & (labels == c)].mean(0) for c in range(3)]
        gaps = [float((rows[i] - mean).norm()) for mean in means]
        hits.append(int(np.argmin(gaps)) == int(labels[i]))
    assert 0.3 < np.mean(hits) < 1
    assert held_out_accuracy(rows, labels, classes) == pytest.approx(np.mean(hits))


def test_single_samples_of_a_class_are_missed() -> None:
    assert held_out_accuracy(torch.eye(3), torch.tensor([0, 1, 2]), 3) == 0
    assert held_out_accuracy(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), 3) == 0
