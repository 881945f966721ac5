"""Batches chosen one sample at a time: k-centre (CoreSet) and k-means++ on gradients (BADGE).

Both are exact and keep O(N) values beside the samples. Those may be tensors, arrays or an
`np.memmap` larger than memory: they are read in chunks or by index, never copied as a whole.
"""

import numpy as np
import torch
from torch import Tensor

from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.rows import Rows, read

CHUNK = 4096  # samples at a time: float64 copies of 128 numbers each then fit a processor's cache
BLOCK = 1000  # centres at a time
AHEAD = 16  # bounds made exact at a time
FRONT = 2048  # the largest bounds, searched at each choice
LIKELY = -1


def check_offer(acq: int, offered: int) -> None:
    """Raises InputError when no sample is asked for, or more than are offered."""
    if acq < 1:
        raise InputError(f"acquisition size must be 1 or more, not {acq}")
    if acq > offered:
        raise InputError(f"acquisition size {acq} exceeds the {offered} samples offered")


@one_thread()
def k_centre(
    embedding_N_D: Rows, labelled_L_D: Rows, acq: int, rng: np.random.Generator, chunk: int = CHUNK
) -> np.ndarray:
    """Greedy k-centre: each choice is farthest from its nearest centre (Sener & Savarese 2018).

    The centres are the labelled samples and those chosen before. Distances are Euclidean, in
    float32; exactly equal ones are ties, broken at random. Returns `acq` positions, int64.

    Raises:
        InputError: more than there are samples, rows of different lengths, NaN or infinity.
    """
    check_offer(acq, len(embedding_N_D))
    lengths = {x.shape[1] for x in (embedding_N_D, labelled_L_D) if len(x)}
    if len(lengths) > 1:
        raise InputError(f"embeddings of one classifier have one length; these have {lengths}")
    gaps = _Gaps(embedding_N_D, labelled_L_D, acq, chunk)
    return np.array([gaps.add(_farthest(gaps, rng)) for _ in range(acq)], dtype=np.int64)


def _farthest(gaps: "_Gaps", rng: np.random.Generator) -> int:
    # An exact distance that no upper bound exceeds is the largest. All bounds that tie with it
    # must be exact too before one of them is drawn.
    while True:
        front = gaps.front()
        bound_F = gaps.bound_N[front]
        tied = front[bound_F == bound_F.max()]
        if (gaps.seen_N[tied] == gaps.count).all():
            return int(tied[rng.integers(len(tied))])
        gaps.refresh(tied if len(tied) > AHEAD else front[_largest(bound_F, AHEAD)])


def _largest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Positions of that many largest numbers, or of all, in ascending order."""
    kth = max(len(numbers) - count, 0)
    return np.sort(np.argpartition(numbers, kth)[kth:])


class _Gaps:
    """Upper bounds on N samples' distances to their nearest centre, made exact on demand.

    They only shrink as centres are added, so an old one is an upper bound. `seen_N` counts the
    chosen centres that a bound takes into account; LIKELY marks one that is the distance to some
    labelled sample, most likely the nearest.
    """

    def __init__(self, embedding_N_D: Rows, labelled_L_D: Rows, acq: int, chunk: int) -> None:
        self.embedding_N_D, self.labelled_L_D, self.chunk = embedding_N_D, labelled_L_D, chunk
        self.chosen_K_D, self.count = torch.empty(acq, embedding_N_D.shape[1]), 0
        self.bound_N = np.full(len(embedding_N_D), np.inf, dtype=np.float32)
        self.seen_N = np.full(len(embedding_N_D), LIKELY)
        self.front_F, self.beyond = np.empty(0, dtype=np.int64), np.inf
        for part in _parts(len(embedding_N_D), chunk):
            rows_B_D = check_finite(read(embedding_N_D, part))
            for block in _parts(len(labelled_L_D), BLOCK):
                centres_K_D = check_finite(read(labelled_L_D, block))
                bound_B = _likely_gaps(rows_B_D, centres_K_D).numpy()
                self.bound_N[part] = np.minimum(self.bound_N[part], bound_B)

    def front(self) -> np.ndarray:
        """Positions, ascending, of some of the largest bounds, all that tie with the largest too.

        As bounds only shrink, these stay the largest for as long as one exceeds `beyond`, the
        largest of the others when they were found.
        """
        if not self._leads():
            self.front_F = _largest(self.bound_N, FRONT)
            self.beyond = np.delete(self.bound_N, self.front_F).max(initial=-np.inf)
        return self.front_F if self._leads() else np.flatnonzero(self.bound_N == self.beyond)

    def _leads(self) -> bool:
        return bool(self.bound_N[self.front_F].max(initial=-np.inf) > self.beyond)

    def refresh(self, positions: np.ndarray) -> None:
        """Make the bounds of these positions exact, comparing none with a centre twice."""
        positions = positions[self.seen_N[positions] < self.count]
        for seen in np.unique(self.seen_N[positions]):
            behind = positions[self.seen_N[positions] == seen]
            for part in _parts(len(behind), self.chunk):
                self._compare(behind[part], int(seen))

    def _compare(self, positions: np.ndarray, seen: int) -> None:
        rows_B_D = read(self.embedding_N_D, positions)
        gap_B = torch.from_numpy(self.bound_N[positions])
        if seen == LIKELY:
            gap_B = _shrink(gap_B, rows_B_D, self.labelled_L_D)
        gap_B = _shrink(gap_B, rows_B_D, self.chosen_K_D[max(seen, 0) : self.count])
        self.bound_N[positions], self.seen_N[positions] = gap_B.numpy(), self.count

    def add(self, position: int) -> int:
        """Make this sample a centre, never again the farthest; returns it."""
        self.chosen_K_D[self.count] = read(self.embedding_N_D, slice(position, position + 1))[0]
        self.count += 1
        self.bound_N[position] = -1.0
        return position


def _likely_gaps(rows_B_D: Tensor, centres_K_D: Tensor) -> Tensor:
    # A matrix product is many times faster than differences but rounds more, so it only points to
    # a centre. A common offset is subtracted first: it would swamp the differences.
    shifted_K_D = centres_K_D - centres_K_D[0]
    norm_K, shifted_B_D = shifted_K_D.square().sum(1), rows_B_D - centres_K_D[0]
    nearest_B = torch.addmm(norm_K, shifted_B_D, shifted_K_D.T, alpha=-2).argmin(1)
    return _distances(rows_B_D[:, None], centres_K_D[nearest_B][:, None])[:, 0, 0]


def _shrink(gap_B: Tensor, rows_B_D: Tensor, centres_K_D: Rows) -> Tensor:
    for block in _parts(len(centres_K_D), BLOCK):
        gap_B = torch.minimum(gap_B, _distances(rows_B_D, read(centres_K_D, block)).amin(1))
    return gap_B


def _distances(a_N_D: Tensor, b_K_D: Tensor) -> Tensor:
    # The default, by a matrix product, loses the small distances of points far from the origin.
    return torch.cdist(a_N_D, b_K_D, compute_mode="donot_use_mm_for_euclid_dist")


@one_thread()
def k_means_pp(
    residual_N_C: Rows, embedding_N_D: Rows, acq: int, rng: np.random.Generator, chunk: int = CHUNK
) -> np.ndarray:
    """k-means++ seeding on last-layer gradient embeddings (Ash et al. 2020, Alg. 1).

    The gradient embedding of sample i is the outer product of its residual a_i = p_i - 1[y = y_i]
    and its embedding h_i, so <g_i, g_j> = <a_i, a_j><h_i, h_j>: distances need C + D values a
    sample, never C*D. The first centre has the largest gradient, as in the authors' code; each next
    one is drawn in proportion to its squared distance to the nearest centre, in float64, and costs
    one pass over all residuals and some of the embeddings. Returns `acq` positions, int64.

    Raises:
        InputError: more than there are samples, different numbers of rows, NaN or infinity.
    """
    rows, n = len(residual_N_C), len(embedding_N_D)
    if rows != n:
        raise InputError(f"{rows} residuals do not match {n} embeddings: every sample needs both")
    check_offer(acq, n)
    gradients = _Gradients(residual_N_C, embedding_N_D, chunk)
    largest = np.lexsort((rng.random(n), -gradients.norm_N))
    chosen = largest[:1].tolist()
    while len(chosen) < acq:
        gradients.add(chosen[-1])
        chosen.append(_draw(gradients.nearest_N, chosen, rng))
    return np.array(chosen, dtype=np.int64)


class _Gradients:
    """Squared norms of N gradients, and their squared distances to the nearest centre so far."""

    def __init__(self, residual_N_C: Rows, embedding_N_D: Rows, chunk: int) -> None:
        self.parts = _parts(len(embedding_N_D), chunk)
        self.sources = [residual_N_C, embedding_N_D]
        if len(self.parts) == 1:  # one chunk holds all: convert it once, not for every centre
            self.sources = [read(rows, self.parts[0], torch.float64) for rows in self.sources]
        self.length_N, self.norm_N = np.empty((2, len(embedding_N_D)))
        for part in self.parts:
            a_B_C, h_B_D = (read(rows, part, torch.float64) for rows in self.sources)
            length_B = check_finite(h_B_D.norm(dim=1))
            self.length_N[part] = length_B.numpy()
            self.norm_N[part] = check_finite((a_B_C.norm(dim=1) * length_B).square()).numpy()
        self.nearest_N = np.full_like(self.norm_N, np.inf)

    def add(self, i: int) -> None:
        """Make sample i a centre.

        The residuals bound every distance from below, as <h_i, h_j> is at most |h_i||h_j|: only
        the embeddings of samples that may have come nearer are read.
        """
        a_1_C, h_1_D = (read(rows, slice(i, i + 1), torch.float64) for rows in self.sources)
        residual_N_C, embedding_N_D = self.sources
        for part in self.parts:
            inner_B = (read(residual_N_C, part, torch.float64) @ a_1_C[0]).numpy()
            most_B = np.abs(inner_B) * (self.length_N[part] * self.length_N[i])
            apart_B = self.norm_N[part] + self.norm_N[i]
            near_K = np.flatnonzero(apart_B - 2 * most_B < self.nearest_N[part])
            h_K_D = read(embedding_N_D, part.start + near_K, torch.float64)
            distance_K = apart_B[near_K] - 2 * inner_B[near_K] * (h_K_D @ h_1_D[0]).numpy()
            nearest_B = self.nearest_N[part]
            nearest_B[near_K] = np.clip(distance_K, 0.0, nearest_B[near_K])
        self.nearest_N[i] = 0.0


def _draw(weight_N: np.ndarray, chosen: list[int], rng: np.random.Generator) -> int:
    """One position in proportion to its weight; when none is left, any one not yet chosen."""
    if weight_N.sum() <= 0:
        weight_N = np.ones(len(weight_N))
        weight_N[chosen] = 0.0
    return int(rng.choice(len(weight_N), p=weight_N / weight_N.sum()))


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def check_finite(numbers: Tensor) -> Tensor:
    """The numbers as they are; raises InputError for NaN or infinity."""
    if not numbers.isfinite().all():
        raise InputError("embeddings and residuals must be finite; these hold NaN or infinity")
    return numbers
