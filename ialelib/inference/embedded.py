"""A pool of embeddings, in memory or in files, and what a classifier says of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ialelib.generalist import shortlist
from ialelib.inference.outputs import Outputs
from ialelib.probe import Heads, solve
from ialelib.utils.cpu import float32_on_cpu
from ialelib.utils.errors import InputError
from ialelib.utils.rows import Rows, read


@dataclass(frozen=True)
class Embedded:
    """Embeddings of the whole pool, N x D, and its logits or probabilities, N x C, or a probe.

    Values are checked when they are read: of a large pool not all are.

    Raises:
        InputError: both logits and probabilities; anything but arrays or tensors of floating
            numbers in two dimensions; different numbers of rows; a single class.
    """

    embeddings: Rows
    logits: Rows | None = None
    probabilities: Rows | None = None
    heads: Heads | None = None

    def __post_init__(self) -> None:
        if self.logits is not None and self.probabilities is not None:
            raise InputError("give logits or probabilities, not both")
        _check("embeddings", self.embeddings)
        for name in ("logits", "probabilities"):
            rows = getattr(self, name)
            if rows is not None:
                _check(name, rows, len(self))

    def __len__(self) -> int:
        return len(self.embeddings)

    @float32_on_cpu()
    def probed(self, labelled_L: np.ndarray, labels_L: np.ndarray) -> tuple["Embedded", np.ndarray]:
        """The same, with a probe of the labelled embeddings where there are no predictions.

        Its classes are those that have a label. Returns the labels among them, too, from 0.

        Raises:
            InputError: labels of a single class; NaN in an embedding.
        """
        if self.logits is not None or self.probabilities is not None:
            return self, labels_L
        names, codes_L = np.unique(labels_L, return_inverse=True)
        if len(names) < 2:
            raise InputError(
                "all labels are of one class, from which no probe learns: label samples of "
                "another class first, or give `logits` or `probabilities`"
            )
        known_1_L_D = _finite("embeddings", self.embeddings, labelled_L)[None]
        heads = solve(known_1_L_D, torch.from_numpy(codes_L)[None], len(names))
        return replace(self, heads=heads), codes_L

    def logits_of(self, indices: np.ndarray) -> Tensor:
        """Logits of some samples, N x C.

        Raises:
            InputError: NaN or infinite values; probabilities given as logits, or the reverse.
        """
        if self.heads is not None:
            embedding_N_D = _finite("embeddings", self.embeddings, indices)
            return embedding_N_D @ self.heads.weight_M_C_D[0].mT + self.heads.bias_M_C[0]
        if self.logits is not None:
            logits_N_C = _finite("logits", self.logits, indices)
            if _are_probabilities(logits_N_C):
                raise InputError("these logits are probabilities; give them as `probabilities`")
            return logits_N_C
        assert self.probabilities is not None
        probs_N_C = _finite("probabilities", self.probabilities, indices)
        if not _are_probabilities(probs_N_C):
            raise InputError(
                "probabilities must be 0 or more and sum to 1 in each row; give logits as `logits`"
            )
        return probs_N_C.clamp(min=1e-12).log()

    @float32_on_cpu()
    def outputs(self, indices: np.ndarray) -> Outputs:
        """Logits and embeddings of some samples, as a classifier would give them.

        Raises:
            InputError: as `logits_of`; NaN in an embedding.
        """
        embedding_N_D = _finite("embeddings", self.embeddings, indices)
        head = self.heads.weight_M_C_D[0] if self.heads else None
        return Outputs(self.logits_of(indices), embedding_N_D, head)

    @float32_on_cpu()
    def shortlisted(self, indices: np.ndarray, acq: int, rng: np.random.Generator) -> np.ndarray:
        """Those of many samples that the generalist looks at (`generalist.shortlist`)."""

        def probs_of(piece: slice) -> Tensor:
            return self.logits_of(indices[piece]).softmax(1)

        return indices[shortlist(probs_of, len(indices), acq, rng)]


def _check(name: str, rows: Rows, size: int | None = None) -> None:
    plain = isinstance(rows, np.ndarray) or (
        isinstance(rows, Tensor) and rows.layout == torch.strided and not rows.is_meta
    )
    if not plain or rows.ndim != 2 or not _floating(rows):
        shape = f" of shape {tuple(rows.shape)}" if hasattr(rows, "shape") else ""
        raise InputError(
            f"{name} must be an array or a tensor of floating numbers in two dimensions, a row for "
            "each sample of the pool, dense and in memory or mapped, not "
            f"{getattr(rows, 'dtype', type(rows).__name__)}{shape}"
        )
    if size is not None and len(rows) != size:
        raise InputError(
            f"{size} embeddings, but {len(rows)} rows of {name}; both need a row for each sample "
            "of the pool, in the same order"
        )
    if size is not None and rows.shape[1] < 2:
        raise InputError(f"{name} need a column for each class, two or more")


def _floating(rows: Rows) -> bool:
    if isinstance(rows, Tensor):
        return rows.is_floating_point()
    return np.issubdtype(rows.dtype, np.floating)


def _finite(name: str, rows: Rows, indices: np.ndarray) -> Tensor:
    found = read(rows, indices)
    if not found.isfinite().all():
        raise InputError(f"{name} hold NaN or infinite values; leave those samples out of the pool")
    if not found.square().sum(1).isfinite().all():
        raise InputError(f"{name} hold values too large to be squared; leave those samples out")
    return found


def _are_probabilities(values_N_C: Tensor) -> bool:
    return bool(values_N_C.min() >= 0 and (values_N_C.sum(1) - 1).abs().max() < 0.01)
