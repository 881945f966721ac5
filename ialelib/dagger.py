"""Algorithm 1: a policy trained by imitation of the best expert, with DAgger."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed

from ialelib import policy as policies
from ialelib import policy_fit, units
from ialelib import rollout as rollouts
from ialelib.data import DataSet
from ialelib.episode import Imitation, roll_out
from ialelib.errors import InputError
from ialelib.files import atomic
from ialelib.policy import Policy
from ialelib.progress import progress
from ialelib.recipes import recipe
from ialelib.rollout import Rollout
from ialelib.seeds import derive
from ialelib.workers import end_with_parent

__all__ = ["Imitation", "roll_out", "train"]


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
    episodes = range(1, imitation.episodes + 1)
    rounds = [
        episodes[i : i + imitation.per_round] for i in range(0, len(episodes), imitation.per_round)
    ]
    for numbers in progress(rounds, len(rounds), "rounds"):
        _roll_out_all(folder, data, imitation, numbers, policy, processes)
        done += [rollouts.load(_episode(folder, number)) for number in numbers]
        policy = _refit(folder, data.name, imitation, numbers[-1], done)
        losses += [policy.about["losses"][-1]] * len(numbers)
        note(f"episode {numbers[-1]} of {imitation.episodes}: loss {losses[-1]:.3f}")
    assert policy is not None
    return policy, _history(done, losses)


def _episode(folder: Path, number: int) -> Path:
    return folder / f"episode-{number:03d}.safetensors"


def _roll_out_all(
    folder: Path,
    data: DataSet,
    imitation: Imitation,
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
        delayed(_roll_out_to)(_episode(folder, number), data, imitation, number, policy, inside)
        for number in todo
    ]
    Parallel(min(processes, max(1, len(todo))))(tasks)


def _roll_out_to(
    path: Path,
    data: DataSet,
    imitation: Imitation,
    episode: int,
    policy: Policy | None,
    processes: int,
) -> None:
    end_with_parent()
    rollouts.save(roll_out(data, imitation, episode, policy, processes), path)


def _refit(
    folder: Path, dataset: str, imitation: Imitation, episode: int, done: list[Rollout]
) -> Policy:
    """The policy after an episode (Alg. 1, line 16), from its checkpoint where there is one."""
    path = folder / f"policy-{episode:03d}.safetensors"
    if not path.exists():
        seed = derive(imitation.seed, "policy", episode)
        examples = rollouts.examples(done, imitation.target)
        policy, losses = policy_fit.fit(examples, imitation.parts, imitation.policy, seed)
        policy.about = {
            "dataset": dataset,
            "episodes": episode,
            "losses": losses,
            "imitation": asdict(imitation),
        }
        policies.save(policy, path)
    return policies.load(path)


def run_folder(parent: Path, data: DataSet, imitation: Imitation) -> Path:
    """A folder for `train` that changes with all parameters but the number of episodes."""
    about = {**_about(data, imitation), "episodes": None}
    return parent / units.named("policy", about)


def _about(data: DataSet, imitation: Imitation) -> dict[str, Any]:
    """All that a run depends on."""
    return {
        "dataset": data.name,
        "data": data.fingerprint,
        **asdict(imitation),
        "recipe": asdict(recipe(imitation.setting.recipe)),
        "warm": asdict(recipe("warm")) if imitation.ranking == "warm" else None,
    }


def _claim(folder: Path, data: DataSet, imitation: Imitation) -> None:
    """Note in the folder which run it holds; refuse one with other parameters."""
    path = folder / "imitation.json"
    now = json.loads(json.dumps(_about(data, imitation)))
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
