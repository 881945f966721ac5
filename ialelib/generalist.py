"""The generalist: a policy for any classifier, width, number of classes and pool."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ialelib.experts import Query, margins
from ialelib.features import NAMES, STATIC, Batch, misfit
from ialelib.greedy import check_finite, check_offer
from ialelib.utils.checks import check_count
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.rows import Rows, read

TIES = 1e-6
"""Largest random number that is added to a score."""
SHORTLIST = 4000
"""Candidates that all features are computed of; of more, so many are taken (`shortlist`)."""
SHAPES = (len(NAMES), 2), (len(NAMES), 3)
CHUNK = 10_000
"""Candidates whose probabilities are in memory at a time."""


@dataclass(frozen=True, eq=False)
class Generalist:
    """Scores of single candidates, linear in their features.

    Feature f weighs w_f + v_f log(L / C) + u_f m for the classifier's `misfit` m. `weight_F_K`
    holds w, v and, if K is 3, u in the order of `features.NAMES`. `about` says how they were found.
    In a cycle it reads the mean probabilities of so many `passes` of a classifier with dropout (Gal
    et al. 2017); a single one is without dropout. `inference.next_batch` has a number of its own.

    Raises:
        InputError: another number of weights, or some that are not finite; less than one pass.
    """

    weight_F_K: Tensor
    about: dict[str, Any] = field(default_factory=dict)
    passes: int = 1

    def __post_init__(self) -> None:
        shape = tuple(self.weight_F_K.shape)
        if shape not in SHAPES or not self.weight_F_K.isfinite().all():
            raise InputError(
                f"the generalist needs finite weights, {len(NAMES)} x 2 or 3, not of shape {shape}"
            )
        check_count("passes", self.passes)
        object.__setattr__(self, "passes", int(self.passes))

    def check(self, classes: int, embedding: int) -> None:
        """Any number of classes and any width will do."""

    def select(self, query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        """`choose` with an expert's signature."""
        labels_L = torch.from_numpy(query.labels_L)
        known = query.embedding_N_D, query.labelled_embedding_L_D, labels_L
        missed = misfit(query.labelled_logits_L_C, labels_L)
        probs_N_C = query.averaged_probs(self.passes, rng)
        return self.choose(probs_N_C, *known, acq, rng, missed)

    def choose(
        self,
        probs_N_C: Rows,
        embedding_N_D: Rows,
        labelled_embedding_L_D: Tensor,
        labels_L: Tensor,
        acq: int,
        rng: np.random.Generator,
        misfit: float = 0.0,
    ) -> np.ndarray:
        """`acq` positions: the best candidate given the batch so far, one after the other.

        From more than `SHORTLIST` candidates, which may lie in mapped files, those of `shortlist`.
        `misfit` is `features.misfit`, of a classifier that is right on all its labels by default.

        Raises:
            InputError: more than there are candidates.
        """
        check_offer(acq, len(probs_N_C))
        some_S = shortlist(partial(read, probs_N_C), len(probs_N_C), acq, rng)
        offered = read(probs_N_C, some_S), read(embedding_N_D, some_S)
        chosen_A, _ = self.pick(*offered, labelled_embedding_L_D, labels_L, acq, rng, misfit)
        return some_S[chosen_A]

    @one_thread()
    @torch.inference_mode()
    def pick(
        self,
        probs_N_C: Tensor,
        embedding_N_D: Tensor,
        labelled_embedding_L_D: Tensor,
        labels_L: Tensor,
        acq: int,
        rng: np.random.Generator,
        misfit: float = 0.0,
    ) -> tuple[np.ndarray, Tensor]:
        """`choose` from all of these candidates: positions, and everyone's scores at each, A x N.

        The scores of candidates that were chosen before are NaN.

        Raises:
            InputError: NaN or infinity, one class only, or labels beyond the classes.
        """
        for values in (probs_N_C, embedding_N_D, labelled_embedding_L_D):
            check_finite(values)
        if not labels_L.max() < probs_N_C.shape[1] > 1:
            raise InputError(
                f"the generalist needs probabilities of 2 classes or more, and of every label; "
                f"they have {probs_N_C.shape[1]} columns, and labels reach {labels_L.max()}"
            )
        batch = Batch(probs_N_C, embedding_N_D, labelled_embedding_L_D, labels_L, rng)
        weight_F = self.weights(len(labels_L) / probs_N_C.shape[1], misfit)
        score_N = batch.static_N_F @ weight_F[: len(STATIC)]
        score_N += TIES * torch.from_numpy(rng.random(len(score_N))).float()
        chosen: list[int] = []
        score_A_N = torch.empty(acq, len(score_N))
        for now_N in score_A_N:
            if chosen:
                batch.add(chosen[-1])
            now_N.copy_(score_N + batch.growing() @ weight_F[len(STATIC) :])
            now_N[chosen] = torch.nan
            if now_N.isnan().sum() > len(chosen):
                raise InputError("the embeddings hold values too large or too small to compare")
            chosen.append(int(now_N.nan_to_num(-torch.inf).argmax()))
        return np.array(chosen, dtype=np.int64), score_A_N

    def weights(self, labels_per_class: float, misfit: float = 0.0) -> Tensor:
        """The weight of every feature at a number of labels per class and a misfit, F."""
        state_K = torch.tensor([1.0, math.log(labels_per_class), misfit])
        return self.weight_F_K @ state_K[: self.weight_F_K.shape[1]]

    def fingerprint(self) -> str:
        """12 hexadecimal digits that change with any weight and with the features."""
        digest = hashlib.sha256(repr(NAMES).encode())
        digest.update(self.weight_F_K.numpy().tobytes())
        return digest.hexdigest()[:12]


@one_thread()
@torch.inference_mode()
def shortlist(
    probs_of: Callable[[slice], Tensor], n: int, acq: int, rng: np.random.Generator
) -> np.ndarray:
    """Positions of the candidates to look at, ascending: time and memory stay linear in N.

    All of up to `SHORTLIST`, or twice the batch where that is more. Of more candidates, half of
    that number are those with the smallest margin, and the others are drawn from the rest at
    random. `probs_of` reads the probabilities of some, N x C.
    """
    size = max(SHORTLIST, 2 * acq)
    if n <= size:
        return np.arange(n)
    margin_N = np.empty(n, np.float32)
    for start in range(0, n, CHUNK):
        piece = slice(start, start + CHUNK)
        margin_N[piece] = margins(probs_of(piece))
    smallest, rest = np.split(np.argpartition(margin_N, size // 2), [size // 2])
    return np.sort(np.concatenate([smallest, rng.choice(rest, size - size // 2, replace=False)]))
