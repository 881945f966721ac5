"""The generalist: a policy for any classifier, width, number of classes and pool."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ialelib.experts import Query
from ialelib.features import NAMES, STATIC, Batch
from ialelib.greedy import check_offer
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError

TIES = 1e-6
"""Largest random number that is added to a score."""


@dataclass(frozen=True, eq=False)
class Generalist:
    """Scores of single candidates, linear in their features: w_f + v_f log(L / C) for feature f.

    `weight_F_2` holds w and v in the order of `features.NAMES`; only their ratios count. `about`
    says how they were found.

    Raises:
        InputError: another number of weights, or some that are not finite.
    """

    weight_F_2: Tensor
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.weight_F_2.shape != (len(NAMES), 2) or not self.weight_F_2.isfinite().all():
            raise InputError(
                f"the generalist needs finite weights, {len(NAMES)} x 2, not of shape "
                f"{tuple(self.weight_F_2.shape)}"
            )

    def check(self, classes: int, embedding: int) -> None:
        """Any number of classes and any width will do."""

    def select(self, query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        """`choose` with an expert's signature."""
        known = query.embedding_N_D, query.labelled_embedding_L_D
        return self.choose(query.probs_N_C, *known, torch.from_numpy(query.labels_L), acq, rng)

    @one_thread()
    @torch.inference_mode()
    def choose(
        self,
        probs_N_C: Tensor,
        embedding_N_D: Tensor,
        labelled_embedding_L_D: Tensor,
        labels_L: Tensor,
        acq: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """`acq` positions: the best candidate given the batch so far, one after the other.

        Raises:
            InputError: more than there are candidates.
        """
        check_offer(acq, len(probs_N_C))
        batch = Batch(probs_N_C, embedding_N_D, labelled_embedding_L_D, labels_L, rng)
        weight_F = self.weights(len(labels_L) / probs_N_C.shape[1])
        score_N = batch.static_N_F @ weight_F[: len(STATIC)]
        score_N += TIES * torch.from_numpy(rng.random(len(score_N))).float()
        chosen: list[int] = []
        while True:
            now_N = score_N + batch.growing() @ weight_F[len(STATIC) :]
            now_N[chosen] = -torch.inf
            chosen.append(int(now_N.argmax()))
            if len(chosen) == acq:
                return np.array(chosen, dtype=np.int64)
            batch.add(chosen[-1])

    def weights(self, labels_per_class: float) -> Tensor:
        """The weight of every feature at a number of labels per class, F."""
        return self.weight_F_2 @ torch.tensor([1.0, math.log(labels_per_class)])

    def fingerprint(self) -> str:
        """12 hexadecimal digits that change with any weight and with the features."""
        digest = hashlib.sha256(repr(NAMES).encode())
        digest.update(self.weight_F_2.numpy().tobytes())
        return digest.hexdigest()[:12]
