"""Embeddings of any width and scale for a policy that reads 128 dimensions of one scale."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ialelib.experts import residuals
from ialelib.policy import Policy
from ialelib.state import State, widths
from ialelib.utils.checks import check_name
from ialelib.utils.errors import InputError
from ialelib.utils.rows import read
from ialelib.utils.seeds import derive


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


NARROWEST, WIDEST = 64, 512
"""Widths at which a policy was shown to gain (16_embedding_widths)."""
RULES: dict[str, Callable[[int, int], Tensor]] = {"pool": pool, "signs": signs, "pad": pad}


def adapted(state: State, policy: Policy, rule: str = "pool") -> State:
    """The state of another classifier, in the width and scale that a policy reads.

    One linear map is applied to the embeddings and to all that is derived from them. Then they are
    multiplied by one number, so that their root mean square over the candidates is that of the
    policy's training states. A ReLU network whose last weights are divided by it is the same
    classifier, so the scale carries no information, but a policy would read it as a signal. The
    gradient at the embedding (Sec. 4.4) gets a factor of its own in the same way.

    Raises:
        InputError: embeddings of fewer than `NARROWEST` or more than `WIDEST` dimensions.
    """
    width, target = len(state.labelled_mean_D), policy.embedding
    check_name("rule", rule, RULES)
    if width != target and not NARROWEST <= width <= WIDEST:
        raise InputError(
            f"embeddings of {width} dimensions are not adapted to a policy that reads {target}: "
            f"shown to work are {NARROWEST} to {WIDEST}; take the generalist, which reads any "
            "width, or train a policy"
        )
    map_T_D = RULES[rule](width, target) if width != target else torch.eye(target)
    trained = _trained(policy)
    embedding_N_T = read(state.embedding_N_D) @ map_T_D.T
    factor = trained["embedding"] / _rms(embedding_N_T)
    head_C_T = state.head_weight_C_D @ map_T_D.T
    gradient_N_T = residuals(read(state.logits_N_C).softmax(1)) @ head_C_T
    return replace(
        state,
        labelled_mean_D=factor * (map_T_D @ state.labelled_mean_D),
        embedding_N_D=factor * embedding_N_T,
        head_weight_C_D=trained["gradient"] / _rms(gradient_N_T) * head_C_T,
    )


def _trained(policy: Policy) -> dict[str, Tensor]:
    """Root mean square of each part over the policy's training states; 1 for those it lacks."""
    sizes = widths(policy.parts, policy.classes, policy.embedding)
    parts = policy.scale.split(list(sizes.values()))
    found = {name: part[0] for name, part in zip(sizes, parts, strict=True)}
    return {"embedding": torch.tensor(1.0), "gradient": torch.tensor(1.0)} | found


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt().clamp(min=1e-12)
