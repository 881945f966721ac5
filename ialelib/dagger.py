"""Algorithm 1: a policy trained by imitation of the best expert, with DAgger."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ialelib import cycle as cycles
from ialelib import policy as policies
from ialelib import rollout as rollouts
from ialelib.cycle import Cycle, Setting
from ialelib.data import DataSet
from ialelib.errors import InputError
from ialelib.experts import EXPERTS, PAPER_EXPERTS, check
from ialelib.files import atomic
from ialelib.models import Classifier
from ialelib.policy import Policy, PolicyRecipe
from ialelib.progress import progress
from ialelib.rollout import Rollout, Target
from ialelib.seeds import derive, stream
from ialelib.state import FULL, Parts, State, observe
from ialelib.training import correct, fit_many, recipe


@dataclass(frozen=True)
class Imitation:
    """All parameters of Algorithm 1.

    `p` is the probability of following the best expert rather than the policy, or "decay":
    0.9^episode, so that the policy acts with 1 - 0.9^episode (A.2.1). `validation`
    is the size of D_val. `target` says what the policy imitates (`rollout.examples`).
    """

    setting: Setting = field(default_factory=Setting)
    experts: tuple[str, ...] = PAPER_EXPERTS
    episodes: int = 100
    p: float | Literal["decay"] = 0.5
    validation: int = 100
    target: Target = "best"
    parts: Parts = FULL
    policy: PolicyRecipe = policies.PAPER
    seed: int = 0

    def check(self, data: DataSet) -> None:
        """Raises InputError if training cannot run with these parameters on that data set."""
        check(self.experts)
        if not self.experts or len(set(self.experts)) < len(self.experts):
            raise InputError("experts must be one or more different names")
        if self.episodes < 1 or self.validation < 1:
            raise InputError("episodes and validation must be at least 1")
        fixed = isinstance(self.p, int | float) and 0 <= self.p <= 1
        if self.p != "decay" and not fixed:
            raise InputError(f"p must lie in [0, 1] or be 'decay', not {self.p}")
        if self.setting.budget - self.setting.initial < self.setting.acq:
            raise InputError("the budget leaves no acquisition to learn from")
        self.setting.check(data, self.validation)
        cycles.check(data, self.setting, self.experts, {})

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
    return Rollout(**stacked, experts=imitation.experts, seconds=seconds)


def _acquisition(
    cycle: Cycle,
    imitation: Imitation,
    model: Classifier | None,
    actor: Policy | None,
    processes: int,
) -> tuple[dict[str, Tensor], np.ndarray, Classifier]:
    """One acquisition: its record, the batch taken, and the classifier trained with it.

    `model` is the classifier of D_lab where the step before has trained it already; `actor` is
    the policy if the coin chose it. Equal batches are trained once.
    """
    first = [] if model is not None else [cycle.job()]
    members = cycle.member_jobs() if "ensemble" in imitation.experts else []
    fitted = fit_many([*first, *members], processes) if first or members else []
    current = model if model is not None else fitted[0]
    sub_pool = cycle.sub_pool()
    query = cycle.query(current, sub_pool, fitted[len(first) :])
    chosen = [EXPERTS[name](query, cycle.due, cycle.rng(name)) for name in imitation.experts]
    choices = [*chosen, actor.select(query, cycle.due, cycle.rng("policy"))] if actor else chosen
    batches = [np.sort(sub_pool[positions]) for positions in choices]
    distinct = {batch.tobytes(): batch for batch in batches}
    trained = fit_many([cycle.job(batch) for batch in distinct.values()], processes)
    models = dict(zip(distinct, trained, strict=True))
    correct_E_V = _score(cycle, imitation, [models[b.tobytes()] for b in batches[: len(chosen)]])
    winner = rollouts.winners(correct_E_V.float().mean(1)[None], cycle.rng("winner"))[0]
    batch = batches[-1] if actor else batches[int(winner)]
    record = _record(observe(query), chosen, correct_E_V, winner, actor is not None, cycle.labels)
    return record, batch, models[batch.tobytes()]


def _score(cycle: Cycle, imitation: Imitation, models: list[Classifier]) -> Tensor:
    """What each temporary classifier gets right on D_val (Alg. 1, line 7); equal ones once."""
    inputs = cycle.data.train_inputs[cycle.validation]
    labels = cycle.data.train_labels[cycle.validation]
    how = recipe(imitation.setting.recipe)
    hits = {id(model): correct(model, inputs, labels, how) for model in models}
    return torch.from_numpy(np.stack([hits[id(model)] for model in models]))


def _record(
    state: State,
    chosen: list[np.ndarray],
    correct_E_V: Tensor,
    winner: Tensor,
    acted: bool,
    labels: int,
) -> dict[str, Tensor]:
    chosen_E_N = torch.zeros(len(chosen), len(state.probs_N_C), dtype=torch.bool)
    for mask_N, positions in zip(chosen_E_N, chosen, strict=True):
        mask_N[torch.from_numpy(positions)] = True
    parts = [getattr(state, f.name) for f in fields(state)]
    flags = [torch.tensor(acted), torch.tensor(labels)]
    return dict(
        zip(rollouts.TENSORS, [*parts, chosen_E_N, correct_E_V, winner, *flags], strict=True)
    )


def train(
    data: DataSet,
    imitation: Imitation,
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
    imitation.check(data)
    _claim(folder, data, imitation)
    done: list[Rollout] = []
    losses: list[float] = []
    policy: Policy | None = None
    for episode in progress(range(1, imitation.episodes + 1), imitation.episodes, "episodes"):
        path = folder / f"episode-{episode:03d}.safetensors"
        if not path.exists():
            rollouts.save(roll_out(data, imitation, episode, policy, processes), path)
        done.append(rollouts.load(path))
        policy = _refit(folder, data.name, imitation, episode, done)
        losses.append(policy.about["losses"][-1])
        note(f"episode {episode} of {imitation.episodes}: loss {losses[-1]:.3f}")
    assert policy is not None
    return policy, _history(done, losses)


def _refit(
    folder: Path, dataset: str, imitation: Imitation, episode: int, done: list[Rollout]
) -> Policy:
    """The policy after an episode (Alg. 1, line 16), from its checkpoint where there is one."""
    path = folder / f"policy-{episode:03d}.safetensors"
    if not path.exists():
        seed = derive(imitation.seed, "policy", episode)
        examples = rollouts.examples(done, imitation.target)
        policy, losses = policies.fit(examples, imitation.parts, imitation.policy, seed)
        policy.about = {
            "dataset": dataset,
            "episodes": episode,
            "losses": losses,
            "imitation": asdict(imitation),
        }
        policies.save(policy, path)
    return policies.load(path)


def _claim(folder: Path, data: DataSet, imitation: Imitation) -> None:
    """Note in the folder which run it holds; refuse one with other parameters."""
    path = folder / "imitation.json"
    now: dict[str, Any] = {
        "dataset": data.name,
        "data": data.fingerprint,
        **asdict(imitation),
        "recipe": asdict(recipe(imitation.setting.recipe)),
    }
    now = json.loads(json.dumps(now))
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
