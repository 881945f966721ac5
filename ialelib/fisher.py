"""Batches that carry the information that the whole pool needs: BAIT in rank-one form."""

import numpy as np
import torch
from torch import Tensor

from ialelib.greedy import check_finite, check_offer
from ialelib.utils.cpu import one_thread

WIDTH = 96
OVER_SAMPLE = 2
TINY = 1e-9


@one_thread()
def bait(
    embedding_N_D: Tensor,
    spread_N: Tensor,
    labelled_L_D: Tensor,
    labelled_spread_L: Tensor,
    acq: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Greedy minimum of tr(A^-1 F), forward and backward (Ash et al. 2021, Alg. 1).

    F is the Fisher information of all candidates, A that of the labelled set, of the batch and of
    a prior. The paper's blocks of C x D numbers a sample are too dear for many small queries. Here
    a sample's information is of rank one, s x x^T: x is its embedding, s = 1 - sum_c p_c^2 the
    trace of diag(p) - p p^T, so that all classes share one matrix. x is reduced to the `WIDTH`
    leading directions of the candidates; the prior is one average candidate's information, spread
    evenly over them. 2 acq samples are added one by one, then all but acq taken back, by rank-one
    updates (Sherman & Morrison). In float64. Ties are broken at random. Returns positions, int64.

    Raises:
        InputError: more than there are samples, NaN or infinity.
    """
    check_offer(acq, len(embedding_N_D))
    order_N = rng.permutation(len(embedding_N_D))  # the first of equals is a random one
    basis_D_W = leading(check_finite(embedding_N_D), rng)
    root_N_W = (embedding_N_D @ basis_D_W * spread_N.sqrt()[:, None])[order_N].double()
    known_L_W = check_finite(labelled_L_D) @ basis_D_W
    root_L_W = (known_L_W * labelled_spread_L.sqrt()[:, None]).double()
    root_N_W, solved_N_W = _whitened(root_N_W, root_L_W)
    chosen: list[int] = []
    for _ in range(min(OVER_SAMPLE * acq, len(order_N))):
        gain_N = solved_N_W.square().sum(1) / (1 + (solved_N_W * root_N_W).sum(1))
        gain_N[chosen] = -torch.inf
        chosen.append(int(gain_N.argmax()))
        solved_N_W = _updated(solved_N_W, root_N_W, chosen[-1], 1)
    while len(chosen) > acq:
        solved_K_W, root_K_W = solved_N_W[chosen], root_N_W[chosen]
        loss_K = solved_K_W.square().sum(1) / (1 - (solved_K_W * root_K_W).sum(1))
        solved_N_W = _updated(solved_N_W, root_N_W, chosen.pop(int(loss_K.argmin())), -1)
    return order_N[chosen]


def leading(rows_N_D: Tensor, rng: np.random.Generator) -> Tensor:
    """An orthonormal basis of about the `WIDTH` leading principal directions, D x W.

    By two rounds of subspace iteration from random directions (Halko et al. 2011, Alg. 4.4); all
    D directions where they are no more.
    """
    width = rows_N_D.shape[1]
    if width <= WIDTH:
        return torch.eye(width)
    basis_D_W = torch.from_numpy(rng.standard_normal((width, WIDTH), dtype=np.float32))
    for _ in range(2):
        basis_D_W = torch.linalg.qr(rows_N_D.T @ (rows_N_D @ basis_D_W)).Q
    return basis_D_W


def _whitened(root_N_W: Tensor, root_L_W: Tensor) -> tuple[Tensor, Tensor]:
    """The roots v, and A^-1 v, in coordinates in which F = I: there tr(A^-1 F) is tr(A^-1)."""
    pool_W_W, eye = root_N_W.T @ root_N_W, torch.eye(root_N_W.shape[1], dtype=root_N_W.dtype)
    prior = pool_W_W.trace() / (len(root_N_W) * len(eye)) + TINY
    pool_W_W += TINY * (pool_W_W.trace() + 1.0) * eye
    factor_W_W = torch.linalg.cholesky(pool_W_W)
    known_W_W = torch.linalg.cholesky(root_L_W.T @ root_L_W + prior * eye)
    solved_N_W = torch.cholesky_solve(root_N_W.T, known_W_W).T @ factor_W_W
    return torch.linalg.solve_triangular(factor_W_W, root_N_W.T, upper=False).T, solved_N_W


def _updated(solved_N_W: Tensor, root_N_W: Tensor, i: int, sign: int) -> Tensor:
    """A^-1 v for all roots, once that of sample i is added to A (1) or taken back (-1)."""
    step_N = solved_N_W @ root_N_W[i]
    return solved_N_W - torch.outer(step_N, solved_N_W[i] / (sign + step_N[i]))
