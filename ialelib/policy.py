"""The policy network (Sec. 3.2); saving and loading.

`loss` is Eq. 2, `fit_policy` the fit, `Policy.choose` the choice of a batch.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ialelib.experts import Query, top
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.state import FULL, NOT_FINITE, State, StateParts, encode, observe, widths
from ialelib.utils import tensors
from ialelib.utils.adam import Adam
from ialelib.utils.cpu import float32_on_cpu, learning, one_thread
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import expanded, project
from ialelib.utils.seeds import derive, seeded

GENERALIST = "generalist"
PACKAGE = Path(__file__).parent
CHUNK = 4096
SHIPPED = (PACKAGE / "policies", PACKAGE.parent / "policies")


class Policy(nn.Module):
    """Three dense layers, 128-128-1, with ReLU between and a sigmoid at the end (Sec. 4.1).

    Every part of the state is divided by its root mean square over the policy's training states
    (`scale`), so that all parts start with equal weight; the paper does not specify the scaling.
    """

    def __init__(
        self, classes: int, embedding: int, parts: StateParts = FULL, hidden: int = 128
    ) -> None:
        super().__init__()
        self.classes, self.embedding, self.parts, self.hidden = classes, embedding, parts, hidden
        self.about: dict[str, Any] = {}
        self.scale: Tensor
        size = sum(widths(parts, classes, embedding).values())
        self.register_buffer("scale", torch.ones(size))
        self.layers = nn.Sequential(
            nn.Linear(size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    @override
    def forward(self, features_N_F: Tensor) -> Tensor:
        """Scores before the sigmoid, N."""
        return self.layers(features_N_F / self.scale)[:, 0]

    def check(self, classes: int, embedding: int) -> None:
        """Raises InputError if a classifier's class count or embedding width does not fit."""
        if embedding != self.embedding:
            raise InputError(
                f"this policy reads embeddings of {self.embedding} dimensions, the classifier's "
                f"have {embedding}; use a classifier with {self.embedding} units before the "
                "softmax layer, or train a policy on one like yours"
            )
        if classes != self.classes and not self.parts.any_class_count:
            raise InputError(
                f"this policy is for {self.classes} classes, the classifier has {classes}; take "
                "the generalist, or a policy whose state is free of the class count "
                "(state.CLASS_FREE)"
            )

    def scores(self, state: State) -> Tensor:
        """Desirability rho of every candidate, N values in [0, 1] (Sec. 3.2).

        Candidates are encoded a few thousand at a time, so memory hardly grows with N.

        Raises:
            InputError: a state of another embedding width or class count, or with NaN.
        """
        return self.log_odds(state).sigmoid()

    @one_thread()
    @torch.inference_mode()
    def log_odds(self, state: State) -> Tensor:
        """Scores before the sigmoid, N: for ranks, as a sigmoid rounds to 1 from about 17 on.

        Raises:
            InputError: as `scores`.
        """
        self.check(classes=state.logits_N_C.shape[1], embedding=state.embedding_N_D.shape[1])
        # One result for all: small ones kept from every piece would fragment the memory.
        logits_N = torch.empty(len(state))
        for i in range(0, len(state), CHUNK):
            logits_N[i : i + CHUNK] = self(encode(state.rows(i, i + CHUNK), self.parts))
        if not logits_N.isfinite().all():
            raise InputError(NOT_FINITE)
        return logits_N

    def choose(self, state: State, acq: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Positions of the `acq` highest ranked candidates, best first (Sec. 3.2).

        Ties are broken at random, by default always in the same way.

        Raises:
            InputError: a state of another embedding width or class count, or `acq` above n.
        """
        return top(self.log_odds(state).numpy(), acq, rng or np.random.default_rng(0))

    def select(self, query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        """`choose` with an expert's signature."""
        return self.choose(observe(query), acq, rng)

    def fingerprint(self) -> str:
        """12 hexadecimal digits that change with any weight and with the parts of the state."""
        digest = hashlib.sha256(json.dumps(asdict(self.parts)).encode())
        for value in self.state_dict().values():
            digest.update(value.numpy().tobytes())
        return digest.hexdigest()[:12]


AnyPolicy = Policy | Generalist


def save_policy(policy: AnyPolicy, path: str | Path) -> None:
    """Write a policy as safetensors; what is needed to use it, and `about`, go in the header."""
    if isinstance(policy, Generalist):
        kind, weights = GENERALIST, {"weight_F_K": policy.weight_F_K}
        header: dict[str, Any] = {"features": NAMES, "passes": policy.passes}
    else:
        kind, weights = "policy", policy.state_dict()
        header = {
            "classes": policy.classes,
            "embedding": policy.embedding,
            "parts": asdict(policy.parts),
            "hidden": policy.hidden,
        }
    tensors.save(weights, {kind: json.dumps(header | {"about": policy.about})}, path)


@float32_on_cpu()
def load_policy(policy: str | Path | AnyPolicy, others: Iterable[str] = ()) -> AnyPolicy:
    """A shipped policy by name, e.g. `load_policy("mnist-cnn")`, one by file, or itself.

    `others` are names that the caller takes besides: a misspelt one is told of them, too.

    Raises:
        InputError: no such file or name, or not a policy file, or a damaged one.
    """
    if isinstance(policy, Policy | Generalist):
        return policy
    if not isinstance(policy, str | Path):
        raise InputError(f"policy must be a name, a file or a policy, not {policy!r}")
    path = _find(policy, others)
    try:
        weights, headers = tensors.load(path)
        if not all(_plain(weight) for weight in weights.values()):
            raise ValueError("some weights are no finite 32-bit numbers")
        if GENERALIST in headers:
            return _generalist(json.loads(headers[GENERALIST]), weights)
        return _policy(json.loads(headers["policy"]), weights)
    except (tensors.DamagedError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable policy file ({error}); get it again, or train one with "
            "notebooks/02_policy_training.ipynb"
        ) from error


def load_network(policy: str | Path | AnyPolicy) -> Policy:
    """`load_policy`, for what reads the state of Eq. 1 and scores candidates one by one.

    Raises:
        InputError: as `load_policy`, or the generalist.
    """
    found = load_policy(policy)
    if isinstance(found, Generalist):
        raise InputError("the generalist has no policy network; name another policy here")
    return found


def _plain(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and bool(weight.isfinite().all())


def _policy(header: dict[str, Any], weights: dict[str, Tensor]) -> Policy:
    sizes = header["classes"], header["embedding"], StateParts(**header["parts"])
    found = fresh_policy(*sizes, hidden=header["hidden"])
    found.load_state_dict(weights)
    found.about = header["about"]
    return found.eval()


def _generalist(header: dict[str, Any], weights: dict[str, Tensor]) -> Generalist:
    if tuple(header["features"]) != NAMES:
        raise ValueError("it reads other features than those of this version")
    return Generalist(weights["weight_F_K"], header["about"], header.get("passes", 1))


def fresh_policy(
    classes: int, embedding: int, parts: StateParts = FULL, seed: int = 0, hidden: int = 128
) -> Policy:
    """An untrained policy whose weights depend on the seed alone."""
    with seeded(seed):
        return Policy(classes, embedding, parts, hidden)


def _find(name_or_path: str | Path, others: Iterable[str]) -> Path:
    path = expanded(name_or_path)
    for place in (path, project() / path):  # a notebook lies in a folder of the project
        if os.path.isfile(place):  # also where pathlib may not look
            return place
    if path.suffix == ".safetensors" or path.parent != Path():
        raise InputError(f"no policy file at {path}")
    shipped = {file.stem: file for where in SHIPPED for file in where.glob("[!.]*.safetensors")}
    if path.name not in shipped:
        raise unknown("policy", path.name, [*shipped, *others])
    return shipped[path.name]


def loss(logits_N: Tensor, target_N: Tensor, positive_weight: float | Tensor = 1.0) -> Tensor:
    """Eq. 2, binary cross-entropy, with positives weighted; the mean over candidates.

    The printed equation has a minus before (1 - t), a misprint: it would reward high
    scores of candidates that were not chosen. Targets may be soft, in [0, 1].
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


def fit_policy(
    examples: Sequence[Example],
    parts: StateParts = FULL,
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
    classes, width = first.logits_N_C.shape[1], first.embedding_N_D.shape[1]
    policy = fresh_policy(classes, width, parts, derive(seed, "policy"))
    policy.scale.copy_(_scale(policy, examples))
    positives = torch.cat([example.target_N for example in examples]).mean()
    weight = (1 - positives) / positives
    optimiser = Adam(policy.parameters(), recipe.lr)
    order = torch.Generator().manual_seed(derive(seed, "order"))
    with one_thread(), learning():
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
    """Root mean square of each part over at most 100 examples, one value per feature."""
    some = examples[:: max(1, len(examples) // 100)]
    features = torch.cat([encode(example.state, policy.parts) for example in some])
    sizes = list(widths(policy.parts, policy.classes, policy.embedding).values())
    rms = [part.square().mean().sqrt().clamp(min=1e-6) for part in features.split(sizes, 1)]
    return torch.cat([value.expand(size) for value, size in zip(rms, sizes, strict=True)])
