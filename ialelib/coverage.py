"""Batches that cover the candidates: greedy gains of a Gaussian kernel (MaxHerding, UHerding).

Embeddings count by their direction alone. Costs grow with N times `REFERENCES`, never N x N.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.greedy import check_finite, check_offer
from ialelib.utils.cpu import one_thread

REFERENCES = 2000
MEDIAN_OF = 500
CHUNK = 256
RADIUS = 0.75
SAME = 1e-6  # squared distance of unit vectors that is no more than float32's rounding
HOTTEST = 10.0


def directions(embedding_N_D: Tensor, labelled_L_D: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets less their common mean, at unit length: N x D and L x D.

    Embeddings after ReLU have positive values only; without centring all of them point one way.

    Raises:
        InputError: NaN or infinity.
    """
    both = check_finite(torch.cat([embedding_N_D, labelled_L_D]))
    both = F.normalize(both - both.mean(0), dim=1)
    return both[: len(embedding_N_D)], both[len(embedding_N_D) :]


def squared_distances(a_N_D: Tensor, b_K_D: Tensor) -> Tensor:
    """|a|^2 + |b|^2 - 2<a, b>, N x K, for vectors of about unit length; 0 below `SAME`."""
    norm_N_1, norm_K = a_N_D.square().sum(1, keepdim=True), b_K_D.square().sum(1)
    square_N_K = torch.addmm(norm_K, a_N_D, b_K_D.T, alpha=-2).add_(norm_N_1)
    return torch.threshold_(square_N_K, SAME, 0.0)


@one_thread()
def cover(
    embedding_N_D: Tensor,
    labelled_L_D: Tensor,
    acq: int,
    rng: np.random.Generator,
    weight_N: Tensor | None = None,
    shrinking: bool = False,
) -> np.ndarray:
    """Greedy maximum of the candidates' mean cover (Bae et al. 2024, Alg. 1; 2025, Alg. 1).

    The cover of candidate j is c_j = max k(x, x_j) over the labelled and the chosen samples x,
    k(x, y) = exp(-|x - y|^2 / 2r^2) on `directions`. The next choice has the largest gain,
    sum_j w_j max(0, k(x_i, x_j) - c_j); w is 1 without `weight_N`. The radius r is .75 times the
    median distance between candidates. Where it is `shrinking`, it is the smallest distance
    between two labelled samples over sqrt(2), so that k = exp(-|x - y|^2 / d^2) as in the code of
    Bae et al. 2025, and the former where there are no two different ones.

    Where there are more than `REFERENCES` candidates, so many random ones count as j, and each of
    the others in its own gain, as those do in theirs. Ties are broken at random. Returns `acq`
    positions, int64.

    Raises:
        InputError: more than there are samples, NaN or infinity.
    """
    check_offer(acq, len(embedding_N_D))
    order_N = rng.permutation(len(embedding_N_D))  # the first of equal gains is a random one
    rows_N_D, labelled_L_D = directions(embedding_N_D[order_N], labelled_L_D)
    seen_R_D, other_E_D = rows_N_D[:REFERENCES], rows_N_D[REFERENCES:]
    square_N_R = squared_distances(rows_N_D, seen_R_D)
    radius = labelled_radius(labelled_L_D) if shrinking else None
    factor = -0.5 / (radius or median_radius(square_N_R)) ** 2
    cover_R, cover_E = (_covers(part, labelled_L_D, factor) for part in (seen_R_D, other_E_D))
    kernel_N_R = square_N_R.mul_(factor).exp_()
    weight_N = torch.ones(len(rows_N_D)) if weight_N is None else weight_N[order_N]
    weight_R, weight_E = weight_N[:REFERENCES], weight_N[REFERENCES:]
    chosen: list[int] = []
    for _ in range(acq):
        gains = [F.relu_(part - cover_R) @ weight_R for part in kernel_N_R.split(CHUNK)]
        gain_N = torch.cat(gains)
        gain_N[REFERENCES:] += weight_E * (1 - cover_E)
        gain_N[chosen] = -1.0
        chosen.append(int(gain_N.argmax()))
        cover_R = torch.maximum(cover_R, kernel_N_R[chosen[-1]])
        cover_E = torch.maximum(cover_E, _covers(other_E_D, rows_N_D[chosen[-1:]], factor))
    return order_N[chosen]


def _covers(rows_N_D: Tensor, centre_K_D: Tensor, factor: float) -> Tensor:
    """The largest kernel with any of the centres, N; 0 without centres."""
    square_N_K = squared_distances(rows_N_D, centre_K_D)
    return F.pad(square_N_K, (0, 1), value=math.inf).amin(1).mul_(factor).exp_()


def median_radius(square_N_R: Tensor) -> float:
    """.75 times the median distance between candidates, from squared ones; 1 if that is 0.

    The first R of the N candidates are those of the columns, in random order; no more than 500 of
    them count.
    """
    first, second = np.triu_indices(min(square_N_R.shape[1], MEDIAN_OF), 1)
    square_P = square_N_R[first, second]
    middle = float(square_P.median()) if len(square_P) else 0.0
    return RADIUS * math.sqrt(middle) or 1.0


def labelled_radius(direction_L_D: Tensor) -> float | None:
    """The smallest distance between two labelled samples over sqrt(2); None without two."""
    square_L_L = squared_distances(direction_L_D, direction_L_D)
    apart = square_L_L[square_L_L > 0]
    return math.sqrt(float(apart.min()) / 2) if len(apart) else None


def temperature(logits_N_C: Tensor, accuracy: float) -> float:
    """The temperature, 1 to `HOTTEST`, at which the mean of max_c p_c is nearest to an accuracy.

    A simple form of temperature scaling (Guo et al. 2017): confidence is to equal accuracy on the
    whole, and never grows.
    """
    gap_N_C = logits_N_C - logits_N_C.amax(1, keepdim=True)
    low, high = 1.0, HOTTEST
    for _ in range(10):
        middle = math.sqrt(low * high)
        confident = (gap_N_C / middle).exp().sum(1).reciprocal().mean() > accuracy
        low, high = (middle, high) if confident else (low, middle)
    return low


def held_out_accuracy(direction_L_D: Tensor, labels_L: Tensor, classes: int) -> float:
    """Share of the labelled samples in whose class is the nearest mean of the others, 0 to 1.

    Each is left out of the mean of its own class. A class with a single sample is always missed.
    """
    member_L_C = F.one_hot(labels_L, classes).to(direction_L_D)
    count_C, sum_C_D = member_L_C.sum(0), member_L_C.T @ direction_L_D
    mean_C_D = sum_C_D / count_C.clamp(min=1)[:, None]
    score_L_C = direction_L_D @ mean_C_D.T - mean_C_D.square().sum(1) / 2
    score_L_C[:, count_C == 0] = -math.inf
    own_L_D = sum_C_D[labels_L] - direction_L_D
    own_L_D = own_L_D / (count_C[labels_L] - 1).clamp(min=1)[:, None]
    own_L = (direction_L_D * own_L_D).sum(1) - own_L_D.square().sum(1) / 2
    score_L_C.scatter_(1, labels_L[:, None], -math.inf)
    hit_L = (own_L > score_L_C.amax(1)) & (count_C[labels_L] > 1)
    return float(hit_L.float().mean()) if len(hit_L) else 0.0
