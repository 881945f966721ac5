"""Imitation of the oracle (Algorithm 1 with its 50 batches as experts): where the search starts."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from torch import Tensor

from ialelib.cycle import Cycle
from ialelib.data import DataSet
from ialelib.experts import EXPERTS, Query
from ialelib.features import NAMES, Batch
from ialelib.generalist import Generalist
from ialelib.models import Classifier
from ialelib.oracle import scored
from ialelib.search.tasks import draw
from ialelib.training import fit_many
from ialelib.utils import cache
from ialelib.utils.cpu import one_thread
from ialelib.utils.seeds import derive, stream

ACTORS = "random", "margin", "badge", "coverage"
"""Who chooses in the first round, where there is no policy yet."""
COLUMNS = [f"{name}_{part}" for name in NAMES for part in ("constant", "age")]


@dataclass(frozen=True)
class ImitationConfig:
    """How a policy imitates the oracle (Sec. 3.3; DAgger, Ross et al. 2011).

    In every round `tasks` cycles are run, by the policy of the round before; at `moments` of their
    acquisitions the oracle scores `batches`. After each round the policy is fitted to all of them,
    with a penalty `ridge` on its squared weights.
    """

    rounds: int = 3
    tasks: int = 24
    moments: int = 4
    batches: int = 50
    ridge: float = 1e-3
    seed: int = 0


def imitate(
    data: Sequence[DataSet], config: ImitationConfig, folder: Path, processes: int = 1
) -> tuple[Generalist, pd.DataFrame]:
    """The policy of the last round, and the examples; resumable, bit for bit.

    Columns of the examples: round, task, moment, labels, loss (the oracle's, of a batch), and the
    means of the features over the batch (`COLUMNS`).
    """
    policy: Generalist | None = None
    tables = []
    for number in range(config.rounds):
        about = {
            "data": [view.fingerprint for view in data],
            "policy": policy.fingerprint() if policy else ACTORS,
            "moments": config.moments,
            "batches": config.batches,
        }
        tasks = {}
        for t in range(config.tasks):
            seed = derive(config.seed, "imitation", number, t)
            path = cache.table_file(folder, f"examples-{seed}", about)
            tasks[path] = partial(examples, data, seed, policy, config)
        table = cache.run(tasks, processes, f"imitation, round {number + 1}")
        tables.append(table.assign(round=number))
        together = pd.concat(tables, ignore_index=True)
        policy = fit(together, config.ridge)
    assert policy is not None
    return policy, together


def examples(
    data: Sequence[DataSet], seed: int, policy: Generalist | None, config: ImitationConfig
) -> pd.DataFrame:
    """What the oracle says of the batches of one cycle: a row for each batch, as in `imitate`."""
    task, rng = draw(data, seed), stream(seed, "imitation")
    cycle = Cycle(task.data, task.config, task.seed)
    first, acq = task.config.initial, task.config.acq
    moments = rng.permutation(-(-(task.config.budget - first) // acq))[: config.moments]
    actor = policy.select if policy else EXPERTS[ACTORS[rng.integers(len(ACTORS))]]

    def acquire(_: Classifier | None) -> tuple[pd.DataFrame | None, np.ndarray, None]:
        (model,) = fit_many([cycle.job()])
        sub_pool = cycle.sub_pool()
        query, table = cycle.query(model, sub_pool), None
        moment = (cycle.labels - first) // acq
        if moment in moments:
            batches_M_acq, loss_M = scored(cycle, model, sub_pool, config.batches)
            table = pd.DataFrame(described(query, batches_M_acq, rng).numpy(), columns=COLUMNS)
            where = {"task": seed, "moment": moment, "labels": cycle.labels}
            table = table.assign(loss=loss_M.numpy(), **where)
        return table, sub_pool[actor(query, cycle.due, rng)], None

    # `concat` leaves out the None of moments that are not scored.
    return pd.concat(cycle.acquisitions(acquire), ignore_index=True)


@one_thread()
@torch.inference_mode()
def described(query: Query, batches_M_acq: np.ndarray, rng: np.random.Generator) -> Tensor:
    """Mean features of batches, M x 2F: of each sample given those before it, and times log(L/C).

    A policy's score for a batch is their product with its weights. The order of a batch is random.
    """
    labels_L = torch.from_numpy(query.labels_L)
    known = query.embedding_N_D, query.labelled_embedding_L_D, labels_L
    start = Batch(query.probs_N_C, *known, rng)
    rows = []
    for positions in batches_M_acq:
        batch, total_F = copy.deepcopy(start), torch.zeros(len(NAMES))
        for i in rng.permutation(positions).tolist():
            total_F += torch.cat([batch.static_N_F[i], batch.growing()[i]])
            batch.add(i)
        rows.append(total_F / len(positions))
    mean_M_F = torch.stack(rows)
    age = float(np.log(len(labels_L) / start.classes))
    return torch.stack([mean_M_F, age * mean_M_F], 2).flatten(1)


def fit(table: pd.DataFrame, ridge: float) -> Generalist:
    """The weights that rank batches best (ListNet, Cao et al. 2007).

    The cross-entropy between softmax(-loss / s) and softmax(score) over the batches of a moment,
    for the standard deviation s of their losses; its mean over all moments.
    """
    moments = []
    for _, rows in table.groupby(["task", "moment"], sort=False):
        loss_M = torch.tensor(rows["loss"].to_numpy())
        target_M = (-(loss_M - loss_M.mean()) / loss_M.std(correction=0).clamp(min=1e-6)).softmax(0)
        moments.append((torch.tensor(rows[COLUMNS].to_numpy(dtype=np.float64)), target_M))

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(values, requires_grad=True)
        total = ridge * weights.square().sum()
        for features_M_F, target_M in moments:
            total = total - target_M @ (features_M_F @ weights).log_softmax(0) / len(moments)
        total.backward()
        assert weights.grad is not None
        return float(total.detach()), weights.grad.numpy()

    with one_thread():
        found = minimize(objective, np.zeros(len(COLUMNS)), jac=True, method="L-BFGS-B").x
    return Generalist(torch.from_numpy(found.reshape(len(NAMES), 2)).float())
