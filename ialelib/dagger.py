"""Algorithm 1: a policy trained by imitation of the best expert, with DAgger (Sec. 3.3)."""

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
from joblib import Parallel, delayed, effective_n_jobs
from torch import Tensor

from ialelib import cycle as cycles
from ialelib import policy as policies
from ialelib import rollout as rollouts
from ialelib.cycle import Cycle, CycleConfig
from ialelib.data import DataSet
from ialelib.experts import EXPERTS, PAPER_EXPERTS, Query, check
from ialelib.models import Classifier
from ialelib.policy import PAPER, Policy, PolicyRecipe, fit_policy
from ialelib.recipes import TrainJob, recipe
from ialelib.rollout import Rollout, Target
from ialelib.state import FULL, State, StateParts, observe
from ialelib.training import correct_mask, fit_many
from ialelib.utils import cache
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import atomic
from ialelib.utils.progress import progress
from ialelib.utils.seeds import derive, stream
from ialelib.utils.workers import end_with_parent

EACH_CANDIDATE = "each_candidate"
"""Instead of experts: every candidate of D_sub alone is a batch, for acquisitions of one."""


@dataclass(frozen=True)
class DaggerConfig:
    """All parameters of Algorithm 1.

    `p` is the probability of following the best expert rather than the policy, or "decay":
    0.9^episode, so that the policy acts with 1 - 0.9^episode (A.2.1). `validation`
    is the size of D_val. `target` says what the policy imitates (`rollout.examples`).
    `ranking` says how the experts' temporary classifiers are trained: from "scratch" as in the
    paper, or by a short fine-tuning of the current one ("warm"). Each round rolls out `per_round`
    episodes with the same policy, and then fits it again.
    """

    cycle: CycleConfig = field(default_factory=CycleConfig)
    experts: tuple[str, ...] = PAPER_EXPERTS
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
        if not self.tries_each_candidate:
            check(self.experts)
        elif self.cycle.acq != 1:
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
        if self.cycle.budget - self.cycle.initial < self.cycle.acq:
            raise InputError("the budget leaves no acquisition to learn from")
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
            return tuple(f"candidate {i}" for i in range(self.cycle.n))
        return self.experts

    def as_dict(self) -> dict[str, Any]:
        """All parameters by the names under which runs and policies have them on disk."""
        values = asdict(self)
        return {"setting": values.pop("cycle")} | values

    def expert_probability(self, episode: int) -> float:
        """Probability of following the best expert; 1 in the first episode (numbered 1)."""
        if episode == 1:
            return 1.0
        return 0.9**episode if self.p == "decay" else float(self.p)


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
    model: Classifier | None = None
    steps = []
    while cycle.due:
        follow = policy is None or coin.random() < config.expert_probability(episode)
        step, batch, model = _acquisition(
            cycle, config, model, None if follow else policy, processes
        )
        cycle.pool.label(batch)
        steps.append(step)
    stacked = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    seconds = time.perf_counter() - started
    return Rollout(**stacked, experts=config.proposers, seconds=seconds)


def _acquisition(
    cycle: Cycle,
    config: DaggerConfig,
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
    members = cycle.member_jobs() if "ensemble" in config.experts else []
    fitted = fit_many([*first, *members], processes) if first or members else []
    current = model if model is not None else fitted[0]
    warm = config.ranking == "warm"
    sub_pool = cycle.sub_pool()
    query = cycle.query(current, sub_pool, fitted[len(first) :])
    chosen = _propose(cycle, query, config)
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


def _propose(cycle: Cycle, query: Query, config: DaggerConfig) -> list[np.ndarray]:
    """Positions in the sub-pool of every batch to rank."""
    if config.tries_each_candidate:
        return list(np.arange(len(query.inputs_N))[:, None])
    return [EXPERTS[name](query, cycle.due, cycle.rng(name)) for name in config.experts]


def fit_distinct(
    batches: Sequence[np.ndarray], jobs: Sequence[TrainJob], processes: int = 1
) -> list[Classifier]:
    """The classifier of each batch's job; equal batches are trained once and share theirs."""
    distinct = {batch.tobytes(): job for batch, job in zip(batches, jobs, strict=True)}
    models = dict(zip(distinct, fit_many(list(distinct.values()), processes), strict=True))
    return [models[batch.tobytes()] for batch in batches]


def score(cycle: Cycle, models: Sequence[Classifier], threads: int = 1) -> Tensor:
    """What each temporary classifier gets right on D_val (Alg. 1, line 7); equal ones once."""
    inputs = cycle.data.train_inputs[cycle.validation]
    labels = cycle.data.train_labels[cycle.validation]
    how, distinct = recipe(cycle.config.recipe), {id(model): model for model in models}
    with one_thread(), ThreadPoolExecutor(effective_n_jobs(threads)) as pool:
        found = pool.map(lambda model: correct_mask(model, inputs, labels, how), distinct.values())
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


def train_policy(
    data: DataSet,
    config: DaggerConfig,
    folder: Path,
    processes: int = 1,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[Policy, pd.DataFrame]:
    """Algorithm 1 as a whole; resumable, with a checkpoint in `folder` after each episode.

    Returns the last policy and a row for every episode: loss (of the policy's last epoch),
    acted (share of acquisitions by the policy), seconds (of the roll-out), and one column per
    expert with the share of acquisitions it won.
    The same seed gives the same policy, bit for bit, interrupted or not.

    Raises:
        InputError: unusable parameters, or a folder that holds a run with other parameters.
    """
    config.check(data)
    _claim(folder, data, config)
    done: list[Rollout] = []
    losses: list[float] = []
    policy: Policy | None = None
    episodes = range(1, config.episodes + 1)
    rounds = [episodes[i : i + config.per_round] for i in range(0, len(episodes), config.per_round)]
    for numbers in progress(rounds, len(rounds), "rounds"):
        _roll_out_all(folder, data, config, numbers, policy, processes)
        done += [rollouts.load_rollout(_episode(folder, number)) for number in numbers]
        policy = _refit(folder, data.name, config, numbers[-1], done)
        losses += [policy.about["losses"][-1]] * len(numbers)
        note(f"episode {numbers[-1]} of {config.episodes}: loss {losses[-1]:.3f}")
    assert policy is not None
    return policy, _history(done, losses)


def _episode(folder: Path, number: int) -> Path:
    return folder / f"episode-{number:03d}.safetensors"


def _roll_out_all(
    folder: Path,
    data: DataSet,
    config: DaggerConfig,
    numbers: Sequence[int],
    policy: Policy | None,
    processes: int,
) -> None:
    """Roll out the episodes of a round that are not in `folder` yet.

    One uses all processes for its classifiers; of several, each has a process of its own.
    """
    todo = [number for number in numbers if not _episode(folder, number).exists()]
    inside = processes if len(todo) == 1 else 1
    tasks = [
        delayed(_roll_out_to)(_episode(folder, number), data, config, number, policy, inside)
        for number in todo
    ]
    Parallel(min(processes, max(1, len(todo))))(tasks)


def _roll_out_to(
    path: Path,
    data: DataSet,
    config: DaggerConfig,
    episode: int,
    policy: Policy | None,
    processes: int,
) -> None:
    end_with_parent()
    rollouts.save_rollout(roll_out(data, config, episode, policy, processes), path)


def _refit(
    folder: Path, dataset: str, config: DaggerConfig, episode: int, done: list[Rollout]
) -> Policy:
    """The policy after an episode (Alg. 1, line 16), from its checkpoint where there is one."""
    path = folder / f"policy-{episode:03d}.safetensors"
    if not path.exists():
        seed = derive(config.seed, "policy", episode)
        examples = rollouts.examples(done, config.target)
        policy, losses = fit_policy(examples, config.parts, config.policy, seed)
        policy.about = {
            "dataset": dataset,
            "episodes": episode,
            "losses": losses,
            "imitation": config.as_dict(),
        }
        policies.save_policy(policy, path)
    return policies.load_policy(path)


def run_folder(parent: Path, data: DataSet, config: DaggerConfig) -> Path:
    """A folder for `train` that changes with all parameters but the number of episodes."""
    about = {**_about(data, config), "episodes": None}
    return parent / cache.named("policy", about)


def _about(data: DataSet, config: DaggerConfig) -> dict[str, Any]:
    """All that a run depends on."""
    return {
        "dataset": data.name,
        "data": data.fingerprint,
        **config.as_dict(),
        "recipe": asdict(recipe(config.cycle.recipe)),
        "warm": asdict(recipe("warm")) if config.ranking == "warm" else None,
    }


def _claim(folder: Path, data: DataSet, config: DaggerConfig) -> None:
    """Note in the folder which run it holds; refuse one with other parameters."""
    path = folder / "imitation.json"
    now = json.loads(json.dumps(_about(data, config)))
    if path.exists():
        before = _read_claim(path)
        changed = [key for key in now if key != "episodes" and before.get(key) != now[key]]
        if changed:
            raise InputError(
                f"{folder} holds a run with other parameters ({', '.join(changed)}); "
                "choose another folder, or delete that one"
            )
    else:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(now, indent=1))


def _read_claim(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is not a readable note of a run's parameters ({error}); restore it, or "
            "choose another folder"
        ) from error


def _history(done: list[Rollout], losses: list[float]) -> pd.DataFrame:
    rows = []
    for episode, (rollout, loss) in enumerate(zip(done, losses, strict=True), start=1):
        share = torch.bincount(rollout.winner_A, minlength=len(rollout.experts)) / len(rollout)
        row: dict[str, float] = {"episode": episode, "loss": loss}
        row |= {"acted": float(rollout.acted_A.float().mean()), "seconds": rollout.seconds}
        rows.append(row | dict(zip(rollout.experts, share.tolist(), strict=True)))
    return pd.DataFrame(rows)
