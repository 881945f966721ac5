"""The oracle: the best of many batches by validation loss. It cheats: it looks at true labels.

No strategy to use, but an upper line for figures: what a choice of this kind could gain.
"""

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.data import DataSet, Pool
from ialelib.experts import EXPERTS, Query, dropouts
from ialelib.models import Classifier
from ialelib.recipes import TrainJob
from ialelib.training import fit_many, predict
from ialelib.utils.seeds import stream

ORACLE = "oracle"
BATCHES = 50
HALVES = 2
VALIDATION = 1000


class Standing(Protocol):
    """What the oracle asks of a `cycle.Cycle`, as it stands at an acquisition."""

    data: DataSet
    pool: Pool
    seed: int

    @property
    def due(self) -> int:
        """Samples to choose."""

    def job(self, batch: np.ndarray) -> TrainJob:
        """Training on the labelled set and these samples, with their true labels."""

    def rng(self, name: str) -> np.random.Generator:
        """Generator of a strategy at this acquisition."""

    def query(self, model: Classifier, sub_pool: np.ndarray) -> Query:
        """What strategies see."""


def best(cycle: Standing, model: Classifier, sub_pool: np.ndarray) -> np.ndarray:
    """Positions in the sub-pool of the batch with the least loss of `scored`, ascending."""
    batches_M_acq, loss_M = scored(cycle, model, sub_pool)
    return batches_M_acq[int(loss_M.argmin())]


def scored(
    cycle: Standing, model: Classifier, sub_pool: np.ndarray, count: int = BATCHES
) -> tuple[np.ndarray, Tensor]:
    """Up to `count` different batches and the validation loss that each leads to.

    Each batch is added to the labelled set with its true labels, a classifier trained on both, and
    its cross-entropy taken on `validation`. Returns positions in the sub-pool, M x acq, ascending
    in each row, int64, and M losses, float32.
    """
    batches_M_acq = proposals(cycle, model, sub_pool, count)
    models = fit_many([cycle.job(sub_pool[batch]) for batch in batches_M_acq])
    held_out = validation(cycle, sub_pool)
    labels_V = torch.from_numpy(cycle.data.train_labels[held_out])
    inputs_V = cycle.data.train_inputs[held_out]
    losses = [F.cross_entropy(predict(trained, inputs_V)[0], labels_V) for trained in models]
    return batches_M_acq, torch.stack(losses)


def proposals(
    cycle: Standing, model: Classifier, sub_pool: np.ndarray, count: int = BATCHES
) -> np.ndarray:
    """Batches of every expert, from all of the sub-pool and from random halves, then random ones.

    The ensemble is left out, and mc_dropout where the classifier has no dropout. Returns positions
    in the sub-pool, M x acq, ascending in each row; equal batches count once, and there are fewer
    than `count` where the sub-pool has not as many.
    """
    rng, acq, n = cycle.rng(ORACLE), cycle.due, len(sub_pool)
    halves = [rng.permutation(n)[: max(acq, n // 2)] for _ in range(HALVES)]
    found: list[np.ndarray] = []
    for part in (np.arange(n), *halves):
        query = cycle.query(model, sub_pool[part])
        found += [part[EXPERTS[name](query, acq, rng)] for name in applicable(model)]
    found += [rng.permutation(n)[:acq] for _ in range(count)]
    rows = dict.fromkeys(tuple(np.sort(batch).tolist()) for batch in found)
    return np.array(list(rows)[:count], dtype=np.int64)


def applicable(model: Classifier) -> list[str]:
    """Names of the experts that propose."""
    left_out = {"random", "ensemble"} if dropouts(model) else {"random", "ensemble", "mc_dropout"}
    return [name for name in EXPERTS if name not in left_out]


def validation(cycle: Standing, sub_pool: np.ndarray) -> np.ndarray:
    """Up to 1,000 training samples, the first of one random order of each seed.

    Those of the labelled set and the sub-pool come last: they are taken only where too few others
    are left.
    """
    size = len(cycle.data.train_labels)
    order = stream(cycle.seed, ORACLE).permutation(size)
    used = np.isin(order, [*sub_pool, *cycle.pool.labelled])
    return order[np.argsort(used, kind="stable")][:VALIDATION]
