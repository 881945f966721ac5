"""The rank-one BAIT against plain matrix inverses."""

import numpy as np
import pytest
import torch
from torch import Tensor

from ialelib.fisher import bait, leading
from ialelib.utils.errors import InputError

RNG = np.random.default_rng


def samples(n: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    rng = RNG(seed)
    rows = rng.normal(size=(n, width)) * np.linspace(1, 3, width)
    return torch.from_numpy(rows).float(), torch.from_numpy(rng.random(n)).float()


def information(rows: Tensor, spread: Tensor) -> np.ndarray:
    """s x x^T of each sample, float64."""
    return np.einsum("n,nd,ne->nde", spread.double(), rows.double(), rows.double())


def plain(pool: np.ndarray, known: np.ndarray, acq: int) -> list[int]:
    """Forward to 2 acq, backward to acq, each trace from an inverse of its own."""
    fisher, width = pool.sum(0), pool.shape[1]
    prior = np.trace(fisher) / (len(pool) * width) * np.eye(width)

    def trace(batch: list[int]) -> float:
        return float(np.trace(np.linalg.inv(prior + known.sum(0) + pool[batch].sum(0)) @ fisher))

    batch: list[int] = []
    while len(batch) < min(2 * acq, len(pool)):
        left = [i for i in range(len(pool)) if i not in batch]
        batch.append(min(left, key=lambda i: trace([*batch, i])))
    while len(batch) > acq:
        batch.remove(min(batch, key=lambda i: trace([j for j in batch if j != i])))
    return batch


@pytest.mark.parametrize("labelled", [0, 3, 30])
@pytest.mark.parametrize("acq", [1, 5, 20])
def test_bait_is_the_plain_greedy_choice(labelled: int, acq: int) -> None:
    pool, known = samples(30, 4, seed=0), samples(labelled, 4, seed=1)
    expected = plain(information(*pool), information(*known), acq)
    assert bait(*pool, *known, acq, RNG(0)).tolist() == expected


def test_bait_does_not_depend_on_the_embeddings_scale_or_basis() -> None:
    (rows, spread), (known, known_spread) = samples(50, 4, seed=0), samples(5, 4, seed=1)
    turn = torch.linalg.qr(samples(4, 4, seed=2)[0]).Q * 100
    chosen = [
        bait(rows @ how, spread, known @ how, known_spread, 6, RNG(0)).tolist()
        for how in (torch.eye(4), turn)
    ]
    assert chosen[0] == chosen[1]


def test_wide_embeddings_are_reduced_to_their_leading_directions() -> None:
    rows = samples(300, 20, seed=0)[0] @ samples(20, 500, seed=1)[0]
    basis = leading(rows, RNG(0))
    assert basis.shape == (500, 96)
    torch.testing.assert_close(basis.T @ basis, torch.eye(96), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows @ basis @ basis.T, rows, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_bait_is_finite_for_certain_predictions_and_extreme_scales(scale: float) -> None:
    rows = scale * samples(40, 200, seed=0)[0]
    chosen = bait(rows, torch.zeros(40), rows[:2], torch.zeros(2), 10, RNG(0))
    assert len(set(chosen.tolist())) == 10
    chosen = bait(rows, torch.ones(40), rows[:2], torch.zeros(2), 10, RNG(0))
    assert len(set(chosen.tolist())) == 10


def test_bait_refuses_more_than_is_offered() -> None:
    pool = samples(40, 4, seed=0)
    with pytest.raises(InputError, match="41 exceeds the 40"):
        bait(*pool, *pool, 41, RNG(0))


@pytest.mark.parametrize("place", [0, 1])
def test_bait_refuses_nan_among_candidates_and_labelled_samples(place: int) -> None:
    sets = [samples(40, 4, seed=0), samples(5, 4, seed=1)]
    sets[place][0][2, 1] = torch.nan
    with pytest.raises(InputError, match="NaN or infinity"):
        bait(*sets[0], *sets[1], 3, RNG(0))
