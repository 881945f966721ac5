"""How a policy is fitted to states and targets: its loss, its recipe, its fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.adam import Adam
from ialelib.cpu import one_thread
from ialelib.errors import InputError
from ialelib.policy import Policy
from ialelib.seeds import derive
from ialelib.state import FULL, Parts, State, encode, widths


def loss(logits_N: Tensor, target_N: Tensor, positive_weight: float | Tensor = 1.0) -> Tensor:
    """Eq. 2, binary cross-entropy, with positives weighted; the mean over candidates.

    The printed equation has a minus before (1 - t), a slip: it would reward scoring the
    unchosen highly. Targets may be soft, in [0, 1].
    """
    weight = torch.as_tensor(positive_weight)
    return F.binary_cross_entropy_with_logits(logits_N, target_N, pos_weight=weight)


@dataclass(frozen=True)
class PolicyRecipe:
    """How a policy is fitted: Adam, 30 epochs, lr 1e-3, no weight decay (Sec. 4.2).

    `batch` is in states; the paper does not say. `loss`: "binary" is Eq. 2; "categorical" is the
    cross-entropy over all candidates of a state, for one target a state (ALIL).
    """

    epochs: int = 30
    lr: float = 1e-3
    batch: int = 4
    loss: Literal["binary", "categorical"] = "binary"


PAPER = PolicyRecipe()


@dataclass(frozen=True)
class Example:
    """A state and the target of each of its candidates: 1 chosen, 0 not, or between."""

    state: State
    target_N: Tensor


def fit(
    examples: Sequence[Example],
    parts: Parts = FULL,
    recipe: PolicyRecipe = PAPER,
    seed: int = 0,
) -> tuple[Policy, list[float]]:
    """A policy fitted from fresh weights to all examples, and its mean loss in each epoch.

    Features are encoded a batch at a time, so memory does not grow with the examples.

    Raises:
        InputError: no examples.
    """
    if not examples:
        raise InputError("a policy cannot be fitted without examples")
    first = examples[0].state
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "policy"))
        policy = Policy(first.logits_N_C.shape[1], first.embedding_N_D.shape[1], parts)
    policy.scale.copy_(_scale(policy, examples))
    positives = torch.cat([example.target_N for example in examples]).mean()
    weight = (1 - positives) / positives
    optimiser = Adam(policy.parameters(), recipe.lr)
    order = torch.Generator().manual_seed(derive(seed, "order"))
    with one_thread():
        losses = [
            _epoch(policy, optimiser, examples, order, recipe, weight) for _ in range(recipe.epochs)
        ]
    return policy.eval(), losses


def _epoch(
    policy: Policy,
    optimiser: Adam,
    examples: Sequence[Example],
    order: torch.Generator,
    recipe: PolicyRecipe,
    weight: Tensor,
) -> float:
    """One pass over all examples, a few states at a time; the mean loss."""
    total = 0.0
    for batch in torch.randperm(len(examples), generator=order).split(recipe.batch):
        chosen = [examples[i] for i in batch.tolist()]
        features = torch.cat([encode(example.state, policy.parts) for example in chosen])
        target = torch.cat([example.target_N for example in chosen])
        logits_N = policy(features)
        if recipe.loss == "categorical":
            shape = len(chosen), -1
            value = F.cross_entropy(logits_N.view(shape), target.view(shape))
        else:
            value = loss(logits_N, target, weight)
        value.backward()
        optimiser.step()
        total += float(value.detach()) * len(chosen)
    return total / len(examples)


def _scale(policy: Policy, examples: Sequence[Example]) -> Tensor:
    """Root mean square of each part over at most 100 examples, one number per feature."""
    some = examples[:: max(1, len(examples) // 100)]
    features = torch.cat([encode(example.state, policy.parts) for example in some])
    sizes = list(widths(policy.parts, policy.classes, policy.embedding).values())
    rms = [part.square().mean().sqrt().clamp(min=1e-6) for part in features.split(sizes, 1)]
    return torch.cat([value.expand(size) for value, size in zip(rms, sizes, strict=True)])
