"""The record of one DAgger episode: states, every expert's choice and score."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ialelib.policy import Example
from ialelib.state import State
from ialelib.utils import tensors
from ialelib.utils.core import UNKNOWN
from ialelib.utils.errors import InputError

Target = Literal["best", "weighted"]


@dataclass(frozen=True)
class Rollout:
    """The A acquisitions of one episode, with n candidates, E experts, V validation samples.

    The first six fields are those of `State`. `chosen_A_E_N` marks each expert's batch,
    `correct_A_E_V` what its temporary classifier gets right, `winner_A` the best expert,
    `acted_A` whether the policy's batch was taken, `labels_A` the size of D_lab before;
    `seconds` is what the episode took, `core` the code that rolled it out (`utils.core`).
    """

    labelled_mean_A_D: Tensor
    label_frequency_A_C: Tensor
    predicted_frequency_A_C: Tensor
    embedding_A_N_D: Tensor
    logits_A_N_C: Tensor
    head_weight_A_C_D: Tensor
    chosen_A_E_N: Tensor
    correct_A_E_V: Tensor
    winner_A: Tensor
    acted_A: Tensor
    labels_A: Tensor
    experts: tuple[str, ...]
    seconds: float = float("nan")
    core: str = UNKNOWN

    def __len__(self) -> int:
        return len(self.winner_A)

    def state(self, a: int) -> State:
        """The state at acquisition `a`."""
        return State(*(getattr(self, name)[a] for name in TENSORS[: len(fields(State))]))

    def score_A_E(self, validation: int | None = None) -> Tensor:
        """Accuracy of every expert's temporary classifier on the first `validation` samples."""
        return self.correct_A_E_V[:, :, :validation].float().mean(2)


TENSORS = tuple(field.name for field in fields(Rollout))[:-3]


def examples(rollouts: Sequence[Rollout], target: Target = "best") -> list[Example]:
    """Training examples for the policy from all acquisitions so far (Alg. 1, line 9).

    Targets: "best" is the winner's batch, as in the paper. "weighted" averages all experts'
    batches by the odds that each is really the best: a softmax of the scores in units of their
    standard error, since a few validation samples rarely tell two experts apart.
    """
    found = []
    for rollout in rollouts:
        weights_A_E = (
            torch.nn.functional.one_hot(rollout.winner_A, len(rollout.experts)).float()
            if target == "best"
            else _odds(rollout)
        )
        target_A_N = torch.einsum("ae,aen->an", weights_A_E, rollout.chosen_A_E_N.float())
        found += [Example(rollout.state(a), target_A_N[a]) for a in range(len(rollout))]
    return found


def _odds(rollout: Rollout) -> Tensor:
    score_A_E = rollout.score_A_E()
    mean_A_1 = score_A_E.mean(1, keepdim=True)
    error_A_1 = (mean_A_1 * (1 - mean_A_1) / rollout.correct_A_E_V.shape[2]).sqrt()
    return (score_A_E / error_A_1.clamp(min=1e-6)).softmax(1)


def save_rollout(rollout: Rollout, path: Path) -> None:
    """Write a roll-out as safetensors."""
    header = {"experts": json.dumps(rollout.experts), "seconds": str(rollout.seconds)}
    header["core"] = rollout.core
    tensors.save({name: getattr(rollout, name) for name in TENSORS}, header, path)


def load_rollout(path: Path) -> Rollout:
    """Read a roll-out back, exactly.

    Raises:
        InputError: not a roll-out file, or a damaged one.
    """
    try:
        found, header = tensors.load(path)
        experts = tuple(json.loads(header["experts"]))
        seconds, core = float(header["seconds"]), header.get("core", UNKNOWN)
        return Rollout(**found, experts=experts, seconds=seconds, core=core)
    except (tensors.DamagedError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a readable episode ({error}); delete it, and training repeats "
            "that episode"
        ) from error
