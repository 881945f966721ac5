"""Acquisition functions: the heuristics that are baselines and, for DAgger, experts.

Each is a function `(query, acq, rng) -> positions`: what it may look at, how many samples to
choose, and a NumPy generator; it returns `acq` different positions in the sub-pool, int64.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from ialelib.clusters import central, typical
from ialelib.coverage import cover, directions, held_out_accuracy, temperature
from ialelib.fisher import bait as fisher_bait
from ialelib.greedy import check_offer, k_centre, k_means_pp
from ialelib.models import Classifier
from ialelib.training import predict, predict_often
from ialelib.utils.checks import check_name
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import seeded

MC_PASSES = 20
ENSEMBLE_MEMBERS = 5
DROPQUERY_PASSES = 3
DROPOUT = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout),
)


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

    @torch.inference_mode()
    def from_embedding(self, embedding_N_D: Tensor) -> Tensor:
        """Logits of the softmax layer alone for these embeddings, N x C."""
        head = self.model.head
        return head(embedding_N_D.to(head.weight.device)).cpu()

    @cached_property
    def probs_N_C(self) -> Tensor:
        """Softmax probabilities of the sub-pool."""
        return self.logits_N_C.softmax(1)

    def dropped_out(self, passes: int, rng: np.random.Generator) -> Tensor:
        """Logits of the sub-pool from passes with dropout, passes x N x C (Gal et al. 2017)."""
        with dropping(self.model, int(rng.integers(2**62))):
            return torch.stack(predict_often(self.model, self.inputs_N, passes))

    def averaged_probs(self, passes: int, rng: np.random.Generator) -> Tensor:
        """Mean softmax probabilities of several passes with dropout, N x C.

        Those of the plain pass for a single one, or where the classifier has no dropout.
        """
        if passes == 1 or not dropouts(self.model):
            return self.probs_N_C
        return self.dropped_out(passes, rng).softmax(2).mean(0)


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


def margin(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Smallest p(1) - p(2), the two most likely classes' probabilities (Scheffer et al. 2001)."""
    return top(-margins(query.probs_N_C).numpy(), acq, rng)


def margins(probs_N_C: Tensor) -> Tensor:
    """p(1) - p(2), N values."""
    first_N, second_N = probs_N_C.topk(2, dim=1).values.unbind(1)
    return first_N - second_N


def variation_ratio(votes_M_N: Tensor) -> np.ndarray:
    """1 - m/M for the m of M votes that agree with the mode, N values.

    Eq. 3 where the votes are dropout passes, Eq. 4 where they are an ensemble's members.
    """
    counts_N_C = torch.nn.functional.one_hot(votes_M_N).sum(0)
    return 1.0 - counts_N_C.amax(1).numpy() / len(votes_M_N)


def dropouts(model: nn.Module) -> list[nn.Module]:
    """The dropout layers of a classifier."""
    return [m for m in model.modules() if isinstance(m, DROPOUT) and m.p > 0]


@contextmanager
def dropping(model: nn.Module, seed: int) -> Iterator[None]:
    """Dropout switched on inside the block, with masks from that seed; all else as it is."""
    drops = dropouts(model)
    gpus = {weight.device for weight in model.parameters() if weight.device.type == "cuda"}
    fast = torch.backends.mha.get_fastpath_enabled()
    with seeded(seed, gpus):
        torch.backends.mha.set_fastpath_enabled(False)  # of transformers, without dropout
        try:
            for drop in drops:
                drop.train()
            yield
        finally:
            for drop in drops:
                drop.eval()
            torch.backends.mha.set_fastpath_enabled(fast)


def check_dropout(model: nn.Module) -> None:
    """Raises InputError for a classifier without dropout: MC-Dropout is undefined for it."""
    if not dropouts(model):
        raise InputError("mc_dropout needs a classifier with dropout; this one has none")


def mc_dropout(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Largest variation ratio of 20 passes with dropout (Gal et al. 2017; A.1.1, 2; Eq. 3).

    Raises:
        InputError: the classifier has no dropout.
    """
    check_dropout(query.model)
    logits = query.dropped_out(MC_PASSES, rng)
    return top(variation_ratio(logits.argmax(2)), acq, rng)


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


def typiclust(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`clusters.typical`: the typical sample of each large new cluster (Hacohen et al. 2022)."""
    return typical(query.embedding_N_D, query.labelled_embedding_L_D, acq, rng)


def coverage(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`coverage.cover`: greedy gain of a kernel's cover, unweighted (MaxHerding, Bae et al. 2024).

    ProbCover (Yehuda et al. 2022) is the same with a ball for a kernel.
    """
    return cover(query.embedding_N_D, query.labelled_embedding_L_D, acq, rng)


@one_thread()
def uherding(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`coverage.cover` weighted by 1 - margin, its radius shrinking (UHerding, Bae et al. 2025).

    The paper takes the temperature of the softmax with the least calibration error on parts of the
    labelled set, held out from classifiers that it trains for that. Here no classifier is trained:
    `coverage.temperature` fits the candidates' confidence to `coverage.held_out_accuracy`.
    """
    known = query.embedding_N_D, query.labelled_embedding_L_D
    classes = query.logits_N_C.shape[1]
    accuracy = held_out_accuracy(directions(*known)[1], torch.tensor(query.labels_L), classes)
    probs_N_C = (query.logits_N_C / temperature(query.logits_N_C, accuracy)).softmax(1)
    return cover(*known, acq, rng, 1.0 - margins(probs_N_C), shrinking=True)


@one_thread()
def dropquery(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """Centres of the samples whose prediction dropout changes (DropQuery, Gupte et al. 2024).

    Three passes drop .75 of the embedding, the softmax layer's input. Those that change their class
    in more than half of the passes, or the `acq` that change most often if these are fewer, are
    clustered by their embeddings, and the nearest to each centre chosen (`clusters.central`).
    """
    shape = query.embedding_N_D.shape
    check_offer(acq, shape[0])
    changes_N = np.zeros(shape[0], dtype=np.int64)
    for _ in range(DROPQUERY_PASSES):
        kept_N_D = torch.from_numpy(rng.integers(4, size=shape, dtype=np.uint8) == 0)
        logits_N_C = query.from_embedding(query.embedding_N_D * kept_N_D * 4.0)
        changes_N += (logits_N_C.argmax(1) != query.logits_N_C.argmax(1)).numpy()
    unsure_K = np.flatnonzero(2 * changes_N > DROPQUERY_PASSES)
    offered_K = unsure_K if len(unsure_K) >= acq else top(changes_N, acq, rng)
    return central(query.embedding_N_D, offered_K, acq, rng)


def bait(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    """`fisher.bait`: the batch of most information about the pool, rank one (Ash et al. 2021)."""
    known = query.labelled_embedding_L_D, spread(query.labelled_logits_L_C.softmax(1))
    return fisher_bait(query.embedding_N_D, spread(query.probs_N_C), *known, acq, rng)


def spread(probs_N_C: Tensor) -> Tensor:
    """1 - sum_c p_c^2, N values: the trace of diag(p) - p p^T."""
    return (1.0 - probs_N_C.square().sum(1)).clamp(min=0.0)  # rounding may make it negative


EXPERTS: dict[str, Expert] = {
    "random": random,
    "entropy": entropy,
    "confidence": confidence,
    "mc_dropout": mc_dropout,
    "ensemble": ensemble,
    "coreset": coreset,
    "badge": badge,
    "margin": margin,
    "typiclust": typiclust,
    "coverage": coverage,
    "uherding": uherding,
    "dropquery": dropquery,
    "bait": bait,
}
PAPER_EXPERTS = ("mc_dropout", "ensemble", "coreset", "badge", "confidence", "entropy")


def check(names: Sequence[str]) -> None:
    """Raises InputError for a name that is not an expert's."""
    for name in names:
        check_name("expert", name, EXPERTS)
