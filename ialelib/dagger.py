"""Algorithm 1: a policy trained by imitation of the best expert, with DAgger (Sec. 3.3).

`train_policy` is the whole of it, `roll_out` an episode (lines 3 to 17), `acquisition` one step of
it (lines 5 to 14), `best_expert` the ranking (line 7).
"""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from joblib import delayed, effective_n_jobs
from torch import Tensor

from ialelib import cycle as cycles
from ialelib import policy as policies
from ialelib import rollout as rollouts
from ialelib.cycle import Cycle, CycleConfig, name_of
from ialelib.data import DataSet
from ialelib.experts import PAPER_EXPERTS, Expert, Query, check
from ialelib.models import Classifier
from ialelib.policy import PAPER, Policy, PolicyRecipe, fit_policy
from ialelib.recipes import TrainJob, recipe
from ialelib.rollout import Rollout, Target
from ialelib.state import FULL, State, StateParts, observe
from ialelib.training import correct_mask, fit_many
from ialelib.utils import cache
from ialelib.utils.cache import identity
from ialelib.utils.checks import check_fields
from ialelib.utils.core import core
from ialelib.utils.cpu import float32_on_cpu, one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.files import finished
from ialelib.utils.progress import progress
from ialelib.utils.seeds import derive, stream
from ialelib.utils.workers import parallel

EACH_CANDIDATE = "each_candidate"
"""Instead of experts: every candidate of D_sub alone is a batch, for acquisitions of one."""


@dataclass(frozen=True)
class DaggerConfig:
    """All parameters of Algorithm 1.

    `experts` are names in `experts.EXPERTS`, or functions of one's own with their signature.
    `p` is the probability of following the best expert rather than the policy, or "decay":
    0.9^episode, so that the policy acts with 1 - 0.9^episode (A.2.1). `validation`
    is the size of D_val. `target` says what the policy imitates (`rollout.examples`).
    `ranking` says how the experts' temporary classifiers are trained: from "scratch" as in the
    paper, or by a short fine-tuning of the current one ("warm"). Each round rolls out `per_round`
    episodes with the same policy, and then fits it again.
    """

    cycle: CycleConfig = field(default_factory=CycleConfig)
    experts: tuple[str | Expert, ...] = PAPER_EXPERTS
    episodes: int = 100
    p: float | Literal["decay"] = 0.5
    validation: int = 100
    target: Target = "best"
    ranking: Literal["scratch", "warm"] = "scratch"
    per_round: int = 1
    parts: StateParts = FULL
    policy: PolicyRecipe = PAPER
    seed: int = 0

    def check(self, data: DataSet) -> None:
        """Raises InputError if training cannot run with these parameters on that data set."""
        check_fields(self)
        if not self.tries_each_candidate:
            check([expert for expert in self.experts if isinstance(expert, str)])
        elif self.cycle.acq != 1:
            raise InputError(f"{EACH_CANDIDATE} ranks single samples: acq must be 1")
        if not self.experts or len(set(self.experts)) < len(self.experts):
            raise InputError("experts must be one or more different names")
        if min(self.episodes, self.per_round, self.validation) < 1:
            raise InputError("episodes, per_round and validation must be at least 1")
        fixed = isinstance(self.p, int | float) and 0 <= self.p <= 1
        if self.p != "decay" and not fixed:
            raise InputError(f"p must lie in [0, 1] or be 'decay', not {self.p}")
        if self.cycle.budget - self.cycle.initial < self.cycle.acq:
            raise InputError("the budget leaves no acquisition to learn from")
        if self.cycle.n is None:
            raise InputError("a policy learns from sub-pools of one size; give their size n")
        self.cycle.check(data, self.validation)
        cycles.check(data, self.cycle, () if self.tries_each_candidate else self.experts, {})

    @property
    def tries_each_candidate(self) -> bool:
        """Whether every candidate is tried, rather than the experts' batches."""
        return self.experts == (EACH_CANDIDATE,)

    @property
    def proposers(self) -> tuple[str, ...]:
        """Names of the batches that are ranked at each acquisition, in order."""
        if self.tries_each_candidate:
            return tuple(f"candidate {i}" for i in range(self.cycle.n or 0))
        return tuple(map(name_of, self.experts))

    def as_dict(self) -> dict[str, Any]:
        """All parameters by the names under which runs and policies have them on disk."""
        values = asdict(self)
        return json.loads(json.dumps({"setting": values.pop("cycle")} | values, default=identity))

    def expert_probability(self, episode: int) -> float:
        """Probability of following the best expert; 1 in the first episode (numbered 1)."""
        if episode == 1:
            return 1.0
        return 0.9**episode if self.p == "decay" else float(self.p)


@float32_on_cpu()
def train_policy(
    data: DataSet,
    config: DaggerConfig,
    folder: str | Path | None = None,
    processes: int = 1,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[Policy, pd.DataFrame]:
    """Algorithm 1 as a whole; resumable, with a checkpoint after each episode.

    Checkpoints are kept in `run_folder(folder, ...)`, so a run is resumed when its parameters are
    the same, or differ in the number of episodes only; without a folder nothing is kept. A damaged
    checkpoint is set aside, and made again.

    Returns the last policy and a row for every episode: loss (of the policy's last epoch),
    acted (share of acquisitions by the policy), seconds (of the roll-out), and one column per
    expert with the share of acquisitions it won.
    The same seed gives the same policy, bit for bit, interrupted or not.

    Raises:
        InputError: unusable parameters.
    """
    config.check(data)
    done: list[Rollout] = []
    losses: list[float] = []
    policy: Policy | None = None
    episodes = range(1, config.episodes + 1)
    rounds = [episodes[i : i + config.per_round] for i in range(0, len(episodes), config.per_round)]
    with cache.kept_in(folder) as parent:
        run = run_folder(parent, data, config)
        for numbers in progress(rounds, len(rounds), "rounds"):
            done += _roll_out_all(run, data, config, numbers, policy, processes)
            policy = _refit(run, data.name, config, numbers[-1], done)
            losses += [policy.about["losses"][-1]] * len(numbers)
            note(f"episode {numbers[-1]} of {config.episodes}: loss {losses[-1]:.3f}")
    assert policy is not None
    return policy, _history(done, losses)


def roll_out(
    data: DataSet, config: DaggerConfig, episode: int, policy: Policy | None, processes: int = 1
) -> Rollout:
    """One episode of Algorithm 1, lines 3 to 17, without the policy's update.

    Split, initial labels and weights come from the run's seed and the episode's number.
    """
    seed = derive(config.seed, "episode", episode)
    started = time.perf_counter()
    cycle = Cycle(data, config.cycle, seed, config.validation)
    coin = stream(seed, "coin")

    def acquire(
        model: Classifier | None,
    ) -> tuple[dict[str, Tensor], np.ndarray, Classifier | None]:
        follow = policy is None or coin.random() < config.expert_probability(episode)
        step = acquisition(cycle, config, model, None if follow else policy, processes)
        return step.record(cycle.labels), step.taken, step.next_model

    steps = list(cycle.acquisitions(acquire))
    stacked = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    seconds = time.perf_counter() - started
    return Rollout(**stacked, experts=config.proposers, seconds=seconds, core=core())


@dataclass(frozen=True)
class Acquisition:
    """One acquisition of Algorithm 1, lines 5 to 14: E batches proposed, ranked, and one taken.

    `sub_pool` holds the indices of D_sub, `chosen` each proposer's positions in it;
    `correct_E_V` is what each temporary classifier gets right on D_val. `taken` is the batch to
    label: the winner's, or the policy's where it `acted`. `next_model` is the classifier of D_lab
    with that batch; None after a warm ranking, which leaves it to be trained.
    """

    model: Classifier
    query: Query
    sub_pool: np.ndarray
    proposers: tuple[str, ...]
    chosen: list[np.ndarray]
    correct_E_V: Tensor
    best: int
    acted: bool
    taken: np.ndarray
    next_model: Classifier | None

    @property
    def batches(self) -> dict[str, np.ndarray]:
        """Indices of each proposer's batch."""
        pairs = zip(self.proposers, self.chosen, strict=True)
        return {name: self.sub_pool[positions] for name, positions in pairs}

    @property
    def scores(self) -> dict[str, float]:
        """Validation accuracy of each proposer's temporary classifier, 0 to 1 (line 7)."""
        return dict(zip(self.proposers, self.correct_E_V.float().mean(1).tolist(), strict=True))

    @property
    def winner(self) -> str:
        """Name of the best proposer e* (`best_expert`)."""
        return self.proposers[self.best]

    @property
    def state(self) -> State:
        """What the policy is to learn from (line 9, Eq. 1)."""
        return observe(self.query)

    @property
    def chosen_E_N(self) -> Tensor:
        """Which candidates each proposer chose, as booleans."""
        mask_E_N = torch.zeros(len(self.chosen), len(self.sub_pool), dtype=torch.bool)
        for mask_N, positions in zip(mask_E_N, self.chosen, strict=True):
            mask_N[torch.from_numpy(positions)] = True
        return mask_E_N

    @property
    def target_N(self) -> Tensor:
        """What the policy is to choose (line 9, Eq. 2): 1 for the winner's batch, else 0."""
        return self.chosen_E_N[self.best].float()

    def record(self, labels: int) -> dict[str, Tensor]:
        """What a `Rollout` keeps of it; `labels` is the size of D_lab before."""
        state = self.state
        parts = [getattr(state, part.name) for part in fields(state)]
        numbers = [torch.tensor(value) for value in (self.best, self.acted, labels)]
        values = [*parts, self.chosen_E_N, self.correct_E_V, *numbers]
        return dict(zip(rollouts.TENSORS, values, strict=True))


def acquisition(
    cycle: Cycle,
    config: DaggerConfig,
    model: Classifier | None = None,
    actor: Policy | None = None,
    processes: int = 1,
) -> Acquisition:
    """One acquisition of Algorithm 1, lines 5 to 14, from where the cycle stands; labels nothing.

    `model` is the classifier of D_lab where the step before has trained it already; `actor` is
    the policy if the coin of line 10 chose it. Equal batches are trained once.
    """
    first = [] if model is not None else [cycle.job()]
    members = cycle.member_jobs() if "ensemble" in config.experts else []
    fitted = fit_many([*first, *members], processes) if first or members else []
    current = model if model is not None else fitted[0]
    sub_pool = cycle.sub_pool()
    query = cycle.query(current, sub_pool, fitted[len(first) :])
    if config.tries_each_candidate:
        chosen = list(np.arange(len(sub_pool))[:, None])
    else:
        chosen = [cycle.select(query, expert) for expert in config.experts]
    acting = [actor.select(query, cycle.due, cycle.rng("policy"))] if actor else []
    batches = [np.sort(sub_pool[positions]) for positions in [*chosen, *acting]]
    warm = config.ranking == "warm"
    to_train = batches[: len(chosen)] if warm else batches
    jobs = [cycle.job(batch, current if warm else None) for batch in to_train]
    models = fit_distinct(to_train, jobs, processes)
    correct_E_V = validate(cycle, models[: len(chosen)], processes)
    best = best_expert(correct_E_V.float().mean(1), cycle.rng("winner"))
    taken = -1 if actor else best
    return Acquisition(
        model=current,
        query=query,
        sub_pool=sub_pool,
        proposers=config.proposers,
        chosen=chosen,
        correct_E_V=correct_E_V,
        best=best,
        acted=actor is not None,
        taken=batches[taken],
        next_model=None if warm else models[taken],
    )


def best_expert(score_E: Tensor, rng: np.random.Generator) -> int:
    """Position of the highest score, the best expert e*; ties are broken at random (line 7)."""
    noise_E = torch.from_numpy(rng.random(len(score_E)))
    return int(((score_E == score_E.max()) * (1 + noise_E)).argmax())


def fit_distinct(
    batches: Sequence[np.ndarray], jobs: Sequence[TrainJob], processes: int = 1
) -> list[Classifier]:
    """The classifier of each batch's job; equal batches are trained once and share theirs."""
    distinct = {batch.tobytes(): job for batch, job in zip(batches, jobs, strict=True)}
    models = dict(zip(distinct, fit_many(list(distinct.values()), processes), strict=True))
    return [models[batch.tobytes()] for batch in batches]


def validate(cycle: Cycle, models: Sequence[Classifier], threads: int = 1) -> Tensor:
    """Which samples of D_val each temporary classifier gets right (Alg. 1, line 7)."""
    # Equal batches share their classifier, which is asked once.
    inputs = cycle.data.train_inputs[cycle.validation]
    labels = cycle.data.train_labels[cycle.validation]
    how, distinct = recipe(cycle.config.recipe), {id(model): model for model in models}
    with one_thread(), ThreadPoolExecutor(effective_n_jobs(threads)) as pool:
        found = pool.map(lambda model: correct_mask(model, inputs, labels, how), distinct.values())
        hits = dict(zip(distinct, found, strict=True))
    return torch.from_numpy(np.stack([hits[id(model)] for model in models]))


def _episode(folder: Path, number: int) -> Path:
    return folder / f"episode-{number:03d}.safetensors"


def _roll_out_all(
    folder: Path,
    data: DataSet,
    config: DaggerConfig,
    numbers: Sequence[int],
    policy: Policy | None,
    processes: int,
) -> list[Rollout]:
    """The episodes of a round; those that are not in `folder` yet are rolled out.

    A single episode uses all processes for its classifiers; several get one process each.
    """
    paths = {number: _episode(folder, number) for number in numbers}
    kept = {number: finished(path, rollouts.load_rollout) for number, path in paths.items()}
    todo = [number for number, rollout in kept.items() if rollout is None]
    inside = processes if len(todo) == 1 else 1
    tasks = [
        delayed(_roll_out_to)(paths[number], data, config, number, policy, inside)
        for number in todo
    ]
    parallel(processes, len(todo))(tasks)
    return [kept[number] or rollouts.load_rollout(path) for number, path in paths.items()]


def _roll_out_to(
    path: Path,
    data: DataSet,
    config: DaggerConfig,
    episode: int,
    policy: Policy | None,
    processes: int,
) -> None:
    rollouts.save_rollout(roll_out(data, config, episode, policy, processes), path)


def _refit(
    folder: Path, dataset: str, config: DaggerConfig, episode: int, done: list[Rollout]
) -> Policy:
    """The policy after an episode (Alg. 1, line 16), from its checkpoint where there is one."""
    path = folder / f"policy-{episode:03d}.safetensors"
    if kept := finished(path, policies.load_network):
        return kept
    seed = derive(config.seed, "policy", episode)
    examples = rollouts.examples(done, config.target)
    policy, losses = fit_policy(examples, config.parts, config.policy, seed)
    policy.about = {
        "dataset": dataset,
        "episodes": episode,
        "losses": losses,
        "core": "; ".join(sorted({rollout.core for rollout in done} | {core()})),
        "imitation": config.as_dict(),
    }
    policies.save_policy(policy, path)
    return policies.load_network(path)


def run_folder(parent: Path, data: DataSet, config: DaggerConfig) -> Path:
    """Where in `parent` a run is kept; its name changes with all but the number of episodes."""
    about = {
        "dataset": data.name,
        "data": data.fingerprint,
        **config.as_dict(),
        "recipe": asdict(recipe(config.cycle.recipe)),
        "warm": asdict(recipe("warm")) if config.ranking == "warm" else None,
        "episodes": None,
    }
    return parent / cache.named("policy", about)


def _history(done: list[Rollout], losses: list[float]) -> pd.DataFrame:
    rows = []
    for episode, (rollout, loss) in enumerate(zip(done, losses, strict=True), start=1):
        share = torch.bincount(rollout.winner_A, minlength=len(rollout.experts)) / len(rollout)
        row: dict[str, float] = {"episode": episode, "loss": loss}
        row |= {"acted": float(rollout.acted_A.float().mean()), "seconds": rollout.seconds}
        rows.append(row | dict(zip(rollout.experts, share.tolist(), strict=True)))
    return pd.DataFrame(rows)
