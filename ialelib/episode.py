"""One episode of Algorithm 1: the experts propose, the best one is the policy's example."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
import torch
from joblib import effective_n_jobs
from torch import Tensor

from ialelib import cycle as cycles
from ialelib import rollout as rollouts
from ialelib.cpu import one_thread
from ialelib.cycle import Cycle, Setting
from ialelib.data import DataSet
from ialelib.errors import InputError, unknown
from ialelib.experts import EXPERTS, PAPER_EXPERTS, Query, check
from ialelib.models import Classifier
from ialelib.policy import Policy
from ialelib.policy_fit import PAPER, PolicyRecipe
from ialelib.recipes import Job, recipe
from ialelib.rollout import Rollout, Target
from ialelib.seeds import derive, stream
from ialelib.state import FULL, Parts, State, observe
from ialelib.training import correct, fit_many

EACH_CANDIDATE = "each_candidate"
"""Instead of experts: every candidate of D_sub alone is a batch, for acquisitions of one."""


@dataclass(frozen=True)
class Imitation:
    """All parameters of Algorithm 1.

    `p` is the probability of following the best expert rather than the policy, or "decay":
    0.9^episode, so that the policy acts with 1 - 0.9^episode (A.2.1). `validation`
    is the size of D_val. `target` says what the policy imitates (`rollout.examples`).
    `ranking` says how the experts' temporary classifiers are trained: from "scratch" as in the
    paper, or by a short fine-tuning of the current one ("warm"). Each round rolls out `per_round`
    episodes with the same policy, and then fits it again.
    """

    setting: Setting = field(default_factory=Setting)
    experts: tuple[str, ...] = PAPER_EXPERTS
    episodes: int = 100
    p: float | Literal["decay"] = 0.5
    validation: int = 100
    target: Target = "best"
    ranking: Literal["scratch", "warm"] = "scratch"
    per_round: int = 1
    parts: Parts = FULL
    policy: PolicyRecipe = PAPER
    seed: int = 0

    def check(self, data: DataSet) -> None:
        """Raises InputError if training cannot run with these parameters on that data set."""
        if not self.rolls_out:
            check(self.experts)
        elif self.setting.acq != 1:
            raise InputError(f"{EACH_CANDIDATE} ranks single samples: acq must be 1")
        if not self.experts or len(set(self.experts)) < len(self.experts):
            raise InputError("experts must be one or more different names")
        if min(self.episodes, self.per_round, self.validation) < 1:
            raise InputError("episodes, per_round and validation must be at least 1")
        if self.ranking not in ("scratch", "warm"):
            raise unknown("ranking", self.ranking, ("scratch", "warm"))
        fixed = isinstance(self.p, int | float) and 0 <= self.p <= 1
        if self.p != "decay" and not fixed:
            raise InputError(f"p must lie in [0, 1] or be 'decay', not {self.p}")
        if self.setting.budget - self.setting.initial < self.setting.acq:
            raise InputError("the budget leaves no acquisition to learn from")
        self.setting.check(data, self.validation)
        cycles.check(data, self.setting, () if self.rolls_out else self.experts, {})

    @property
    def rolls_out(self) -> bool:
        """Whether every candidate is tried, rather than the experts' batches."""
        return self.experts == (EACH_CANDIDATE,)

    @property
    def proposers(self) -> tuple[str, ...]:
        """Names of the batches that are ranked at each acquisition, in order."""
        if self.rolls_out:
            return tuple(f"candidate {i}" for i in range(self.setting.n))
        return self.experts

    def expert_probability(self, episode: int) -> float:
        """Probability of following the best expert; 1 in the first episode (numbered 1)."""
        if episode == 1:
            return 1.0
        return 0.9**episode if self.p == "decay" else float(self.p)


def roll_out(
    data: DataSet, imitation: Imitation, episode: int, policy: Policy | None, processes: int = 1
) -> Rollout:
    """One episode of Algorithm 1, lines 3 to 17, without the policy's update.

    Split, initial labels and weights come from the run's seed and the episode's number.
    """
    seed = derive(imitation.seed, "episode", episode)
    started = time.perf_counter()
    cycle = Cycle(data, imitation.setting, seed, imitation.validation)
    coin = stream(seed, "coin")
    model: Classifier | None = None
    steps = []
    while cycle.due:
        follow = policy is None or coin.random() < imitation.expert_probability(episode)
        step, batch, model = _acquisition(
            cycle, imitation, model, None if follow else policy, processes
        )
        cycle.pool.label(batch)
        steps.append(step)
    stacked = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    seconds = time.perf_counter() - started
    return Rollout(**stacked, experts=imitation.proposers, seconds=seconds)


def _acquisition(
    cycle: Cycle,
    imitation: Imitation,
    model: Classifier | None,
    actor: Policy | None,
    processes: int,
) -> tuple[dict[str, Tensor], np.ndarray, Classifier | None]:
    """One acquisition: its record, the batch taken, and the classifier trained with it.

    `model` is the classifier of D_lab where the step before has trained it already; `actor` is
    the policy if the coin chose it. Equal batches are trained once. After a warm ranking the
    classifier of the batch taken is still to be trained, and None.
    """
    first = [] if model is not None else [cycle.job()]
    members = cycle.member_jobs() if "ensemble" in imitation.experts else []
    fitted = fit_many([*first, *members], processes) if first or members else []
    current = model if model is not None else fitted[0]
    warm = imitation.ranking == "warm"
    sub_pool = cycle.sub_pool()
    query = cycle.query(current, sub_pool, fitted[len(first) :])
    chosen = _propose(cycle, query, imitation)
    acting = [actor.select(query, cycle.due, cycle.rng("policy"))] if actor else []
    batches = [np.sort(sub_pool[positions]) for positions in [*chosen, *acting]]
    to_train = batches[: len(chosen)] if warm else batches
    jobs = [cycle.job(batch, current if warm else None) for batch in to_train]
    models = fit_distinct(to_train, jobs, processes)
    correct_E_V = score(cycle, models[: len(chosen)], processes)
    winner = rollouts.winners(correct_E_V.float().mean(1)[None], cycle.rng("winner"))[0]
    taken = -1 if actor else int(winner)
    record = _record(observe(query), chosen, correct_E_V, winner, actor is not None, cycle.labels)
    return record, batches[taken], None if warm else models[taken]


def _propose(cycle: Cycle, query: Query, imitation: Imitation) -> list[np.ndarray]:
    """Positions in the sub-pool of every batch to rank."""
    if imitation.rolls_out:
        return list(np.arange(len(query.inputs_N))[:, None])
    return [EXPERTS[name](query, cycle.due, cycle.rng(name)) for name in imitation.experts]


def fit_distinct(
    batches: Sequence[np.ndarray], jobs: Sequence[Job], processes: int = 1
) -> list[Classifier]:
    """The classifier of each batch's job; equal batches are trained once and share theirs."""
    distinct = {batch.tobytes(): job for batch, job in zip(batches, jobs, strict=True)}
    models = dict(zip(distinct, fit_many(list(distinct.values()), processes), strict=True))
    return [models[batch.tobytes()] for batch in batches]


def score(cycle: Cycle, models: Sequence[Classifier], threads: int = 1) -> Tensor:
    """What each temporary classifier gets right on D_val (Alg. 1, line 7); equal ones once."""
    inputs = cycle.data.train_inputs[cycle.validation]
    labels = cycle.data.train_labels[cycle.validation]
    how, distinct = recipe(cycle.setting.recipe), {id(model): model for model in models}
    with one_thread(), ThreadPoolExecutor(effective_n_jobs(threads)) as pool:
        found = pool.map(lambda model: correct(model, inputs, labels, how), distinct.values())
        hits = dict(zip(distinct, found, strict=True))
    return torch.from_numpy(np.stack([hits[id(model)] for model in models]))


def _record(
    state: State,
    chosen: list[np.ndarray],
    correct_E_V: Tensor,
    winner: Tensor,
    acted: bool,
    labels: int,
) -> dict[str, Tensor]:
    chosen_E_N = torch.zeros(len(chosen), len(state), dtype=torch.bool)
    for mask_N, positions in zip(chosen_E_N, chosen, strict=True):
        mask_N[torch.from_numpy(positions)] = True
    parts = [getattr(state, f.name) for f in fields(state)]
    flags = [torch.tensor(acted), torch.tensor(labels)]
    return dict(
        zip(rollouts.TENSORS, [*parts, chosen_E_N, correct_E_V, winner, *flags], strict=True)
    )
