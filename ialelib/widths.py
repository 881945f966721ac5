"""Embeddings of any width for a policy that reads 128 numbers."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ialelib.errors import InputError, unknown
from ialelib.policy import Policy
from ialelib.rows import read
from ialelib.seeds import derive
from ialelib.state import State


def pool(width: int, target: int) -> Tensor:
    """Average pooling, target x width: equal shares of the units, in their order.

    Of 256 units it averages pairs, 64 units it repeats; other widths are split in fractions. Rows
    sum to 1 and columns to target / width, so the mean of an embedding is kept exactly.
    """
    low, high = torch.arange(target)[:, None] * width, torch.arange(width) * target
    overlap = torch.minimum(low + width, high + target) - torch.maximum(low, high)
    return overlap.clamp(min=0) / width


def signs(width: int, target: int) -> Tensor:
    """A fixed projection with random signs, target x width, which keeps lengths on average."""
    coin = torch.Generator().manual_seed(derive(0, "signs", width, target))
    return (2.0 * torch.randint(2, (target, width), generator=coin) - 1) / target**0.5


def pad(width: int, target: int) -> Tensor:
    """The units as they are and zeros after them, target x width; surplus units are left out."""
    return torch.eye(target, width) * (target / min(width, target))


NARROWEST, WIDEST = 32, 512
RULES: dict[str, Callable[[int, int], Tensor]] = {"pool": pool, "signs": signs, "pad": pad}


def fitted(state: State, policy: Policy, rule: str = "pool") -> State:
    """The state with embeddings of the width that a policy reads.

    Raises:
        InputError: embeddings of fewer than `NARROWEST` or more than `WIDEST` numbers.
    """
    width, target = len(state.labelled_mean_D), policy.embedding
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if width == target:
        return state
    if not NARROWEST <= width <= WIDEST:
        raise InputError(
            f"embeddings of {width} numbers are not fitted to a policy that reads {target}: "
            f"shown to work are {NARROWEST} to {WIDEST}; use another classifier or train a policy"
        )
    map_T_D = RULES[rule](width, target)
    return replace(
        state,
        labelled_mean_D=map_T_D @ state.labelled_mean_D,
        embedding_N_D=read(state.embedding_N_D) @ map_T_D.T,
        head_weight_C_D=state.head_weight_C_D @ map_T_D.T,
    )
