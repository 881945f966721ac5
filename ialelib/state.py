"""The state that the policy sees, with every part switchable: `encode` is Eq. 1 (Sec. 3.2)."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.experts import Query, residuals
from ialelib.utils.errors import InputError
from ialelib.utils.rows import Rows, read


@dataclass(frozen=True)
class StateParts:
    """Which parts of Eq. 1 a state encoding has.

    `gradient`: "last_layer" is the gradient embedding of BADGE, C*D values; "embedding" is the
    gradient at the embedding, D values for any class count; "none" leaves it out.
    """

    labelled_mean: bool = True
    label_frequency: bool = True
    predicted_frequency: bool = True
    embedding: bool = True
    prediction: bool = True
    gradient: Literal["last_layer", "embedding", "none"] = "last_layer"

    @property
    def any_class_count(self) -> bool:
        """Whether the encoding's width does not depend on the number of classes (Sec. 4.4)."""
        by_class = self.label_frequency or self.predicted_frequency or self.prediction
        return not by_class and self.gradient != "last_layer"


FULL = StateParts()
NOT_FINITE = "the logits or embeddings hold NaN or infinite values"
CLASS_FREE = StateParts(
    label_frequency=False, predicted_frequency=False, prediction=False, gradient="embedding"
)
PARTS = {
    "full": FULL,
    "class_free": CLASS_FREE,
    "no_predictions": StateParts(prediction=False),
    "no_gradients": StateParts(gradient="none"),
}
"""The paper's states by name: Eq. 1; any class count (Sec. 4.4); those of A.4.3."""


@dataclass(frozen=True)
class State:
    """One moment of a cycle, in the factors from which `encode` makes Eq. 1.

    N x (D + C) values and a few more, where the full encoding has N x (2D + 3C + C*D).
    `head_weight_C_D` are the weights of the softmax layer, or NaN where they are not known.
    """

    labelled_mean_D: Tensor
    label_frequency_C: Tensor
    predicted_frequency_C: Tensor
    embedding_N_D: Rows
    logits_N_C: Rows
    head_weight_C_D: Tensor

    def __len__(self) -> int:
        return len(self.logits_N_C)

    def rows(self, start: int = 0, stop: int | None = None) -> "State":
        """The state with only these candidates, in memory."""
        return replace(
            self,
            embedding_N_D=read(self.embedding_N_D, slice(start, stop)),
            logits_N_C=read(self.logits_N_C, slice(start, stop)),
        )


def describe(
    logits_N_C: Rows,
    embedding_N_D: Rows,
    labelled_logits_L_C: Tensor,
    labelled_embedding_L_D: Tensor,
    labels_L: Tensor,
    head_weight_C_D: Tensor | None = None,
) -> State:
    """The state of any classifier, from its predictions on D_sub and D_lab (Sec. 3.2).

    The candidates' logits and embeddings may be arrays mapped from files that do not fit in
    memory (`numpy.load(path, mmap_mode="r")`). `head_weight_C_D` are the weights of the softmax
    layer; without them only policies that do not read the gradient at the embedding can be used.

    Raises:
        InputError: predictions that do not fit together.
    """
    (n, classes), (_, width) = logits_N_C.shape, embedding_N_D.shape
    labelled = len(labels_L)
    if (
        embedding_N_D.shape[0] != n
        or labelled_logits_L_C.shape != (labelled, classes)
        or labelled_embedding_L_D.shape != (labelled, width)
    ):
        raise InputError(
            f"predictions do not fit together: sub-pool logits {tuple(logits_N_C.shape)} and "
            f"embeddings {tuple(embedding_N_D.shape)}; labelled logits "
            f"{tuple(labelled_logits_L_C.shape)}, embeddings "
            f"{tuple(labelled_embedding_L_D.shape)} and {labelled} labels"
        )
    if not labelled or int(labels_L.max()) >= classes or int(labels_L.min()) < 0:
        raise InputError(f"labels must be 0 to {classes - 1}, and at least one")
    if head_weight_C_D is None:
        head_weight_C_D = torch.full((classes, width), torch.nan)
    return State(
        labelled_mean_D=labelled_embedding_L_D.mean(0),
        label_frequency_C=_frequency(labels_L, classes),
        predicted_frequency_C=_frequency(labelled_logits_L_C.argmax(1), classes),
        embedding_N_D=embedding_N_D,
        logits_N_C=logits_N_C,
        head_weight_C_D=head_weight_C_D,
    )


def observe(query: Query) -> State:
    """The state of a query: `describe` for one of this library's classifiers."""
    return describe(
        query.logits_N_C,
        query.embedding_N_D,
        query.labelled_logits_L_C,
        query.labelled_embedding_L_D,
        torch.from_numpy(query.labels_L),
        query.model.head.weight.detach().cpu(),
    )


def _frequency(labels_L: Tensor, classes: int) -> Tensor:
    return torch.bincount(labels_L, minlength=classes) / len(labels_L)


def encode(state: State, parts: StateParts = FULL) -> Tensor:
    """Eq. 1: one row of features for every candidate, N x width(parts, C, D), float32.

    Order: mean embedding of D_lab, its label frequencies, its predicted frequencies, embedding,
    predicted label one-hot, gradient.
    """
    return torch.cat(list(blocks(state, parts).values()), dim=1)


def blocks(state: State, parts: StateParts) -> dict[str, Tensor]:
    """The parts of Eq. 1 by name, each N x its width.

    Raises:
        InputError: no part asked for, one that the state does not have, or logits that hold NaN.
    """
    probs_N_C, embedding_N_D = read(state.logits_N_C).softmax(1), read(state.embedding_N_D)
    n, classes = probs_N_C.shape
    if probs_N_C.isnan().any():  # a predicted class would hide it
        raise InputError(NOT_FINITE)
    found = {
        "labelled_mean": state.labelled_mean_D.expand(n, -1),
        "label_frequency": state.label_frequency_C.expand(n, -1),
        "predicted_frequency": state.predicted_frequency_C.expand(n, -1),
        "embedding": embedding_N_D,
        "prediction": F.one_hot(probs_N_C.argmax(1), classes).float(),
    }
    found = {name: block for name, block in found.items() if getattr(parts, name)}
    if parts.gradient == "last_layer":
        outer_N_C_D = residuals(probs_N_C)[:, :, None] * embedding_N_D[:, None, :]
        found["gradient"] = outer_N_C_D.flatten(1)
    elif parts.gradient == "embedding":
        if state.head_weight_C_D.isnan().any():
            raise InputError(
                "this policy reads the gradient at the embedding, which takes the weights of the "
                "softmax layer (`head_weight_C_D` in `state.describe`): give the classifier as a "
                "torch module, not as a function, or use a policy with another state"
            )
        found["gradient"] = residuals(probs_N_C) @ state.head_weight_C_D
    if not found:
        raise InputError("a state needs at least one part; all are switched off")
    return found


def widths(parts: StateParts, classes: int, embedding: int) -> dict[str, int]:
    """Features in each part of an encoding, in order."""
    found = {
        "labelled_mean": embedding,
        "label_frequency": classes,
        "predicted_frequency": classes,
        "embedding": embedding,
        "prediction": classes,
    }
    found = {name: size for name, size in found.items() if getattr(parts, name)}
    if parts.gradient != "none":
        found["gradient"] = embedding * (classes if parts.gradient == "last_layer" else 1)
    return found


def width(parts: StateParts, classes: int, embedding: int) -> int:
    """Features in an encoding: 1,566 for the full state with C = 10 and D = 128."""
    return sum(widths(parts, classes, embedding).values())
