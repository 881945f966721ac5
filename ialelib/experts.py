"""Acquisition functions: the heuristics that are baselines and, for DAgger, experts.

Each is a function `(query, acq, rng) -> positions`: what it may look at, how many samples to
choose, and a NumPy generator; it returns `acq` different positions in the sub-pool, int64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ialelib.greedy import check_offer, k_centre, k_means_pp
from ialelib.models import Classifier
from ialelib.training import predict, predict_often
from ialelib.utils.errors import InputError, unknown

MC_PASSES = 20
ENSEMBLE_MEMBERS = 5


@dataclass
class Query:
    """What a strategy sees at one acquisition: the classifier, D_sub (N inputs) and D_lab (L).

    `members` are further classifiers trained on D_lab from other weights, for the ensemble.
    Predictions are made once, when first asked for.
    """

    model: Classifier
    inputs_N: np.ndarray
    labelled_inputs_L: np.ndarray
    labels_L: np.ndarray
    members: Sequence[Classifier] = field(default_factory=tuple)

    @cached_property
    def _sub_pool(self) -> tuple[Tensor, Tensor]:
        return predict(self.model, self.inputs_N)

    @cached_property
    def _labelled(self) -> tuple[Tensor, Tensor]:
        return predict(self.model, self.labelled_inputs_L)

    @property
    def logits_N_C(self) -> Tensor:
        """Logits of the sub-pool."""
        return self._sub_pool[0]

    @property
    def embedding_N_D(self) -> Tensor:
        """Embeddings of the sub-pool."""
        return self._sub_pool[1]

    @property
    def labelled_logits_L_C(self) -> Tensor:
        """Logits of the labelled set."""
        return self._labelled[0]

    @property
    def labelled_embedding_L_D(self) -> Tensor:
        """Embeddings of the labelled set."""
        return self._labelled[1]

    @cached_property
    def probs_N_C(self) -> Tensor:
        """Softmax probabilities of the sub-pool."""
        return self.logits_N_C.softmax(1)


Expert = Callable[[Query, int, np.random.Generator], np.ndarray]


def top(score_N: np.ndarray, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the `acq` highest scores, ties broken at random.

    Raises:
        InputError: more than there are samples.
    """
    check_offer(acq, len(score_N))
    return np.lexsort((rng.random(len(score_N)), -score_N))[:acq]


def random(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform choice without replacement (A.1.1, 1)."""
    return top(np.zeros(len(query.inputs_N)), acq, rng)


def entropy(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Largest entropy of the predicted distribution (Wang & Shang 2014; A.1.1, 7)."""
    log_probs_N_C = query.logits_N_C.log_softmax(1)
    entropy_N = -(log_probs_N_C.exp() * log_probs_N_C).sum(1)
    return top(entropy_N.numpy(), acq, rng)


def confidence(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Lowest probability of the most likely class (Wang & Shang 2014; A.1.1, 6)."""
    return top(-query.probs_N_C.amax(1).numpy(), acq, rng)


def variation_ratio(votes_M_N: Tensor) -> np.ndarray:
    """1 - m/M for the m of M votes that agree with the mode, N values.

    Eq. 3 where the votes are dropout passes, Eq. 4 where they are an ensemble's members.
    """
    counts_N_C = torch.nn.functional.one_hot(votes_M_N).sum(0)
    return 1.0 - counts_N_C.amax(1).numpy() / len(votes_M_N)


def dropouts(model: nn.Module) -> list[nn.Dropout]:
    """The dropout layers of a classifier.

    Raises:
        InputError: it has none, so MC-Dropout is undefined for it.
    """
    drops = [m for m in model.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    if not drops:
        raise InputError("mc_dropout needs a classifier with dropout; this one has none")
    return drops


def mc_dropout(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Largest variation ratio of 20 passes with dropout (Gal et al. 2017; A.1.1, 2; Eq. 3).

    Raises:
        InputError: the classifier has no dropout.
    """
    drops = dropouts(query.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        try:
            for drop in drops:
                drop.train()
            logits = predict_often(query.model, query.inputs_N, MC_PASSES)
        finally:
            for drop in drops:
                drop.eval()
    return top(variation_ratio(torch.stack(logits).argmax(2)), acq, rng)


def ensemble(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Largest variation ratio of 5 classifiers (Beluch et al. 2018; A.1.1, 3; Eq. 4).

    The current classifier is the first of them; `Cycle.member_jobs` trains the others.

    Raises:
        InputError: the query has no further members.
    """
    if not query.members:
        raise InputError("ensemble needs further classifiers in `query.members`; there are none")
    logits = [query.logits_N_C, *(predict(m, query.inputs_N)[0] for m in query.members)]
    return top(variation_ratio(torch.stack(logits).argmax(2)), acq, rng)


def coreset(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`greedy.k_centre` from the labelled set, on embeddings (Sener & Savarese 2018; A.1.1, 4)."""
    return k_centre(query.embedding_N_D, query.labelled_embedding_L_D, acq, rng)


def badge(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`greedy.k_means_pp` on last-layer gradient embeddings (Ash et al. 2020, Alg. 1; A.1.1, 5)."""
    return k_means_pp(residuals(query.probs_N_C), query.embedding_N_D, acq, rng)


def residuals(probs_N_C: Tensor) -> Tensor:
    """p - 1[c = argmax p], N x C: the gradient of the pseudo-label loss at the logits."""
    residual_N_C = probs_N_C.clone()
    residual_N_C[torch.arange(len(probs_N_C)), probs_N_C.argmax(1)] -= 1.0
    return residual_N_C


EXPERTS: dict[str, Expert] = {
    "random": random,
    "entropy": entropy,
    "confidence": confidence,
    "mc_dropout": mc_dropout,
    "ensemble": ensemble,
    "coreset": coreset,
    "badge": badge,
}
PAPER_EXPERTS = ("mc_dropout", "ensemble", "coreset", "badge", "confidence", "entropy")


def check(names: Sequence[str]) -> None:
    """Raises InputError for a name that is not an expert's."""
    for name in names:
        if name not in EXPERTS:
            raise unknown("expert", name, EXPERTS)
