"""Batches with one sample from each of several clusters: TypiClust, and DropQuery's last step."""

from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from ialelib.coverage import CHUNK, directions, squared_distances
from ialelib.greedy import check_finite, check_offer
from ialelib.utils.cpu import one_thread

MOST_CLUSTERS = 500
NEIGHBOURS = 20
LLOYD_STEPS = 10


def k_means(rows_M_D: Tensor, clusters: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cluster of each row (M, int64) and centres (K x D): ten steps of Lloyd's algorithm.

    It starts from `clusters` different rows at random, and ends early where no row moves. A
    cluster that loses all its rows keeps its centre.
    """
    centre_K_D = rows_M_D[rng.choice(len(rows_M_D), clusters, replace=False)]
    label_M = _nearest(rows_M_D, centre_K_D)
    for _ in range(LLOYD_STEPS):
        count_K_1 = torch.bincount(label_M, minlength=clusters)[:, None]
        sum_K_D = torch.zeros_like(centre_K_D).index_add_(0, label_M, rows_M_D)
        centre_K_D = torch.where(count_K_1 > 0, sum_K_D / count_K_1.clamp(min=1), centre_K_D)
        before_M, label_M = label_M, _nearest(rows_M_D, centre_K_D)
        if torch.equal(label_M, before_M):
            break
    return label_M, centre_K_D


def _nearest(rows_M_D: Tensor, centre_K_D: Tensor) -> Tensor:
    norm_K = centre_K_D.square().sum(1)
    return torch.addmm(norm_K, rows_M_D, centre_K_D.T, alpha=-2).argmin(1)


@one_thread()
def typical(
    embedding_N_D: Tensor, labelled_L_D: Tensor, acq: int, rng: np.random.Generator
) -> np.ndarray:
    """The most typical candidates of the largest clusters without labels (Hacohen et al. 2022).

    min(L + acq, 500) clusters by `k_means` of candidates and labelled samples, on their
    `coverage.directions`. Clusters take turns, those with fewest labels first and the larger first
    among them; each gives the most typical candidate that is left in it (`typicality`). The
    paper's code skips clusters of five and fewer samples; here they wait for the larger ones.
    Ties are broken at random. Returns `acq` positions, int64.

    Raises:
        InputError: more than there are samples, NaN or infinity.
    """
    check_offer(acq, len(embedding_N_D))
    order_N = rng.permutation(len(embedding_N_D))  # the first of equals is a random one
    n, rows_M_D = len(order_N), torch.cat(directions(embedding_N_D[order_N], labelled_L_D))
    clusters = min(len(labelled_L_D) + acq, MOST_CLUSTERS, len(rows_M_D))
    label_M = k_means(rows_M_D, clusters, rng)[0].numpy()
    size_K, known_K = (np.bincount(some, minlength=clusters) for some in np.split(label_M, [n]))
    turns_K = np.lexsort((rng.random(clusters), -size_K, known_K))
    members = [np.flatnonzero(label_M[:n] == k) for k in turns_K[size_K[turns_K] > 0][:acq]]
    queues = [some[np.argsort(-typicality(rows_M_D[some]).numpy())] for some in members]
    chosen = [int(i) for turn in zip_longest(*queues) for i in turn if i is not None]
    return order_N[chosen[:acq]]


def typicality(rows_M_D: Tensor) -> Tensor:
    """One over the mean distance to the 20 nearest of the other rows, or to all of fewer."""
    others = min(NEIGHBOURS, len(rows_M_D) - 1)
    sums = [
        squared_distances(part, rows_M_D).sqrt_().topk(others + 1, largest=False).values.sum(1)
        for part in rows_M_D.split(CHUNK)  # a sample is the nearest to itself, at distance 0
    ]
    return others / torch.cat(sums)


@one_thread()
def central(
    embedding_N_D: Tensor, offered_K: np.ndarray, acq: int, rng: np.random.Generator
) -> np.ndarray:
    """Of the offered positions, the nearest to each of `acq` centres of `k_means`, int64.

    Raises:
        InputError: NaN or infinity.
    """
    offered_K = rng.permutation(offered_K)  # the first of equals is a random one
    rows_K_D = check_finite(embedding_N_D[offered_K])
    centre_A_D = k_means(rows_K_D, acq, rng)[1]
    distance_A_K = torch.cdist(centre_A_D, rows_K_D)
    chosen: list[int] = []
    for distance_K in distance_A_K:
        distance_K[chosen] = torch.inf
        chosen.append(int(distance_K.argmin()))
    return offered_K[chosen]
