"""The next batch from your own pool: any embeddings, or any classifier and images, in one call."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from ialelib import models
from ialelib.data import Pool
from ialelib.experts import EXPERTS, Expert, Query
from ialelib.generalist import Generalist
from ialelib.inference import adapt
from ialelib.inference.embedded import Embedded
from ialelib.inference.images import Images, length, rows
from ialelib.inference.outputs import Classify, Outputs, original, outputs_of
from ialelib.oracle import ORACLE
from ialelib.policy import GENERALIST, AnyPolicy, Policy, load_policy
from ialelib.state import State, describe
from ialelib.utils.checks import (
    as_array,
    check_count,
    check_indices,
    check_name,
    check_whole,
    is_whole,
)
from ialelib.utils.cpu import float32_on_cpu
from ialelib.utils.errors import InputError, InputTypeError
from ialelib.utils.progress import progress
from ialelib.utils.rows import Rows
from ialelib.utils.seeds import stream

Preprocess = Callable[[Tensor], Tensor]

RATIO = 10
"""Candidates for each image of a batch, for the paper's policies: they were trained to choose 10 of
100."""
CANDIDATES = 2000
"""Random candidates of a strategy, and random images that the generalist's classifier sees."""
ASK_AGAIN = "mc_dropout", "ensemble", "dropquery"
"""Strategies for which predictions are not enough."""
STRATEGIES = [name for name in EXPERTS if name not in ASK_AGAIN]


def next_batch(
    classifier: Classify | None = None,
    images: Images | None = None,
    labelled: Any = (),
    labels: Any = (),
    acq: int = 10,
    policy: str | Path | AnyPolicy = "auto",
    candidates: Any = None,
    layer: str | None = None,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    batch_size: int = 256,
    rule: str = "pool",
    passes: int = 1,
    *,
    embeddings: Rows | None = None,
    logits: Rows | None = None,
    probabilities: Rows | None = None,
) -> np.ndarray:
    """Indices of the next `acq` samples to label, best first (Sec. 3.2).

    The pool is given as embeddings, or as a classifier and images.

    Args:
        classifier: a torch module that gives N x C logits, alone, as `logits` of a dict or an
            object, or as the only N x C tensor of a tuple; trained on the labelled images. The
            embedding is found by `outputs.outputs_of`. Or a function that returns both, (logits,
            embedding).
        images: the whole pool: an array, also a memory-mapped one, a tensor, or a `Dataset` of
            images or (image, label), as `inference.images_from` makes of files. Only the candidates
            and the labelled images are read, by position.
        labelled: indices of the labelled samples.
        labels: their classes, 0 to C - 1, in the same order, which is that of the logits. A probe
            knows those classes only that have a label, and takes any whole numbers from 0.
        acq: acquisition size.
        policy: "auto" is the generalist, for any number of classes and width; or a name, a file or
            a policy; or the name of a strategy that needs predictions alone: random, entropy,
            confidence, margin, coreset, badge, typiclust, coverage, uherding or bait.
        candidates: how many random unlabelled samples the policy is to choose from, or their
            indices, or a mask over the pool. Default for the generalist: all, of embeddings; 2,000,
            or 10 times `acq` where that is more, of images, as the classifier must see each of
            them. Of more than 4,000 it looks at the least certain and at random ones
            (`generalist.shortlist`). Default for a strategy: 2,000, or 10 times `acq` where that is
            more. Default for other policies: 10 times `acq`; the paper advises 10 to 100 times
            (Sec. 4.5).
        layer: name of the module whose input is the embedding, where it cannot be found.
        preprocess: turns a batch of images (as a tensor, on the CPU) into the classifier's input.
            Default: as they are. Images of whole numbers need it, but uint8 for this library's own
            classifiers do not.
        seed: of the random candidates, and of the order of equal scores.
        batch_size: images that the classifier sees at a time.
        rule: how another embedding width is adapted to that of a policy other than the generalist:
            "pool", "signs" or "pad" (`inference.adapt.RULES`).
        passes: of a torch classifier with dropout, how many passes with dropout on the candidates
            are averaged. Each takes as long as the plain one. The generalist's published results
            on networks with dropout are with 20.
        embeddings: N x D floating numbers for the whole pool: an array, also a memory-mapped one,
            or a tensor. They take the place of `classifier` and `images`, and may be those of
            `inference.extract`.
        logits: N x C, of a classifier of one's own on these embeddings or images, in the same
            order.
        probabilities: the same after the softmax. With neither, a probe (`probe.solve`) is trained
            on the labelled embeddings.

    Raises:
        InputError: input that is wrong or does not fit together, where possible before the
            classifier runs.
    """
    check_count("seed", seed, 0)
    check_count("batch_size", batch_size)
    check_name("rule", rule, adapt.RULES)
    check_count("passes", passes)
    predicted = {"embeddings": embeddings, "logits": logits, "probabilities": probabilities}
    source = _source(classifier, images, layer, preprocess, batch_size, passes, predicted)
    labelled_L, labels_L = labelled_set(labelled, labels, len(source))
    pool = Pool(len(source))
    pool.label(labelled_L)
    chooser = _chooser(policy)
    least = 0 if isinstance(chooser, Policy) else CANDIDATES
    if isinstance(chooser, Generalist) and isinstance(source, Embedded):
        least = len(source)
    sub_pool_N = _sub_pool(pool, len(source), acq, candidates, least, seed)

    ties = stream(seed, "ties", len(labelled_L))
    if isinstance(source, Embedded):
        source, labels_L = source.probed(labelled_L, labels_L)
    known = source.outputs(labelled_L)
    check_labels(labels_L, known)
    check_fit(chooser, known, labels_L, rule)
    if isinstance(source, Embedded) and isinstance(chooser, Generalist):
        sub_pool_N = source.shortlisted(sub_pool_N, acq, ties)
    averaged = {} if isinstance(source, Embedded) else {"passes": passes}
    seen = source.outputs(sub_pool_N, **averaged)
    return sub_pool_N[chosen(chooser, seen, known, labels_L, acq, ties, rule)]


def _chooser(policy: str | Path | AnyPolicy) -> AnyPolicy | Expert:
    """A policy, or the function of a strategy."""
    if not isinstance(policy, str):
        return load_policy(policy, STRATEGIES)
    if policy == ORACLE:
        raise InputError(
            "the oracle knows the true labels of the pool: it is the upper line of comparisons "
            "(iale.run_cycle), not a way to choose"
        )
    if policy in STRATEGIES:
        return EXPERTS[policy]
    if policy in ASK_AGAIN:
        raise InputError(
            f"{policy!r} asks the classifier again, or further ones: run it in a cycle "
            f"(iale.run_cycle), or take one that needs predictions alone: {', '.join(STRATEGIES)}"
        )
    return load_policy(GENERALIST if policy == "auto" else policy, STRATEGIES)


class Predicted(Query):
    """What a strategy sees, from predictions that were made before.

    There is no `model`, and there are no `members`: for `STRATEGIES` only, which ask for neither.
    """

    def __init__(self, seen: Outputs, known: Outputs, labels_L: np.ndarray) -> None:
        self.inputs_N, self.labels_L = seen.embedding_N_D.numpy(), labels_L
        self._sub_pool = seen.logits_N_C, seen.embedding_N_D
        self._labelled = known.logits_N_C, known.embedding_N_D

    @override
    def averaged_probs(self, passes: int, rng: np.random.Generator) -> Tensor:
        return self.probs_N_C


@dataclass(frozen=True)
class Classified:
    """A whole pool of images, and the classifier that is asked about some of them."""

    classifier: Classify
    images: Images
    layer: str | None = None
    preprocess: Preprocess | None = None
    batch_size: int = 256

    def __post_init__(self) -> None:
        if self.preprocess is not None and not callable(self.preprocess):
            raise InputTypeError(
                "`preprocess` must be a function that takes a batch of images as a tensor, not "
                f"{self.preprocess!r}"
            )

    def __len__(self) -> int:
        return length(self.images)

    def outputs(self, indices: np.ndarray, passes: int = 1) -> Outputs:
        """Logits and embeddings of some images; raises InputError as `outputs.outputs_of`."""
        return outputs_of(self.classifier, self._batches(indices), self.layer, passes)

    def _batches(self, indices: np.ndarray) -> Iterator[Tensor]:
        """The classifier's input, a batch at a time; with a bar where it takes long."""
        starts = range(0, len(indices), self.batch_size)
        for start in progress(starts, len(starts), "batches of images", after=2):
            raw = rows(self.images, indices[start : start + self.batch_size])
            yield prepared(raw, self.classifier, self.preprocess)


@float32_on_cpu()
def chosen(
    policy: AnyPolicy | Expert,
    seen: Outputs,
    known: Outputs,
    labels_L: np.ndarray,
    acq: int,
    rng: np.random.Generator,
    rule: str = "pool",
) -> np.ndarray:
    """Positions of the batch among the candidates `seen`, given the labelled samples `known`."""
    if isinstance(policy, Policy):
        return policy.choose(adapt.adapted(state_of(seen, known, labels_L), policy, rule), acq, rng)
    acquire = policy.select if isinstance(policy, Generalist) else policy
    return acquire(Predicted(seen, known, labels_L), acq, rng)


def check_fit(
    policy: AnyPolicy | Expert, known: Outputs, labels_L: np.ndarray, rule: str = "pool"
) -> None:
    """Raises InputError for a classifier that a policy cannot read, before it sees candidates."""
    if isinstance(policy, Policy):
        chosen(policy, known, known, labels_L, 1, np.random.default_rng(0), rule)


def candidate_rng(seed: int, labels: int) -> np.random.Generator:
    """What random candidates are drawn with at a number of labels (`Pool.sample`)."""
    return stream(seed, "sub-pool", labels)


def state_of(seen: Outputs, known: Outputs, labels_L: np.ndarray) -> State:
    """Eq. 1 for any classifier, from what it gives for candidates and for labelled samples."""
    return describe(
        seen.logits_N_C,
        seen.embedding_N_D,
        known.logits_N_C,
        known.embedding_N_D,
        torch.from_numpy(labels_L),
        seen.head_weight_C_D,
    )


def check_labels(labels_L: np.ndarray, known: Outputs) -> None:
    """Raises InputError for a label beyond the classifier's classes."""
    classes = known.logits_N_C.shape[1]
    if labels_L.max() >= classes:
        raise InputError(
            f"labels reach {labels_L.max()}, but the classifier has {classes} classes: number them "
            f"0 to {classes - 1}, in the order of its logits"
        )


def prepared(raw: Tensor, classifier: Classify, preprocess: Preprocess | None) -> Tensor:
    """A batch of images as the classifier's input.

    Raises:
        InputError: images of other than floating numbers without `preprocess`, or a `preprocess`
            that gives no tensor.
    """
    if preprocess is not None:
        inputs = preprocess(raw)
        if not isinstance(inputs, Tensor) or inputs.shape[:1] != raw.shape[:1]:
            raise InputError("`preprocess` must return a tensor with a row for each image")
        return inputs
    own = isinstance(original(classifier), models.Classifier)
    if not raw.is_floating_point() and not (own and raw.dtype == torch.uint8):
        raise InputError(
            f"the images are {str(raw.dtype).removeprefix('torch.')}: say in `preprocess` how they "
            "become the classifier's input, e.g. lambda images: images[:, None].float() / 255"
        )
    return models.to_float(raw) if own else raw


def _source(
    classifier: Classify | None,
    images: Images | None,
    layer: str | None,
    preprocess: Preprocess | None,
    batch_size: int,
    passes: int,
    predicted: Mapping[str, Rows | None],
) -> Classified | Embedded:
    """The pool, given in one of the two ways."""
    embeddings = predicted["embeddings"]
    if embeddings is not None:
        if classifier is not None or images is not None:
            raise InputError("give embeddings, or a classifier and images, not both")
        if layer is not None or preprocess is not None or passes > 1:
            raise InputError(
                "`layer`, `preprocess` and `passes` go with a classifier; embeddings need none "
                "(`probabilities` may be the mean of several passes)"
            )
        return Embedded(embeddings, predicted["logits"], predicted["probabilities"])
    if classifier is None or images is None:
        raise InputError(
            "give a classifier and images, or embeddings (inference.extract makes them by a "
            "pretrained backbone)"
        )
    if any(rows is not None for rows in predicted.values()):
        raise InputError("logits and probabilities go with embeddings, not with a classifier")
    return Classified(classifier, images, layer, preprocess, batch_size)


def labelled_set(labelled: Any, labels: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and labels of the labelled samples, int64.

    Raises:
        InputError: anything but different indices below `size`, and a label from 0 for each.
    """
    labelled_L = check_indices("labelled", labelled, size)
    remedy = "; number names by numpy.unique(labels, return_inverse=True)"
    labels_L = check_whole("labels", labels, remedy)
    labels_L = labels_L.astype(np.int64)  # an unsigned -1 is one again
    if len(labels_L) != len(labelled_L):
        raise InputError(f"{len(labelled_L)} labelled indices, but {len(labels_L)} labels")
    if not len(labelled_L):
        raise InputError("nothing is labelled; label some samples at random first, two of a class")
    if labels_L.min() < 0:
        raise InputError(f"labels must be 0 or more, not {labels_L.min()}")
    return labelled_L, labels_L


def _sub_pool(
    pool: Pool, size: int, acq: int, candidates: Any, least: int, seed: int
) -> np.ndarray:
    """The candidates' indices, D_sub: by default `least`, or `RATIO` times the batch."""
    rest = len(pool.unlabelled)
    if not is_whole(acq, 1, rest):
        raise InputError(f"acq must be 1 to the {rest} unlabelled samples, not {acq!r}")
    given = None if candidates is None else as_array("candidates", candidates)
    if given is None or given.ndim == 0:
        count = min(max(least, RATIO * int(acq)), rest) if candidates is None else candidates
        if not is_whole(count, acq, rest):
            raise InputError(
                f"candidates must be {acq} (acq) to {rest} (unlabelled) samples, not {count}"
            )
        if count == rest:
            return pool.unlabelled
        return pool.sample(int(count), candidate_rng(seed, len(pool.labelled)))
    given = check_indices("candidates", unmasked(given, size), size)
    labelled = np.intersect1d(given, pool.labelled)
    if len(labelled):
        raise InputError(f"candidates are labelled already: {labelled[:5].tolist()}")
    if acq > len(given):
        raise InputError(f"acq is {acq}, but there are {len(given)} candidates")
    return given


def unmasked(candidates: Any, size: int) -> Any:
    """A mask over a pool of that size as indices; all else as it is.

    Raises:
        InputError: a mask of another size.
    """
    if as_array("candidates", candidates).dtype != bool:
        return candidates
    if np.shape(candidates) != (size,):
        raise InputError(
            f"a mask of candidates must have {size} values, not shape {np.shape(candidates)}"
        )
    return np.flatnonzero(candidates)
