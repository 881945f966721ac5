"""The next batch from your own pool: any torch classifier, any images, one call."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ialelib import models
from ialelib.data import Pool, check_indices, check_whole
from ialelib.inference import adapt
from ialelib.inference.images import Images, length, rows
from ialelib.inference.outputs import Classify, outputs_of
from ialelib.policy import Policy, load_policy
from ialelib.state import State, describe
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.progress import progress
from ialelib.utils.seeds import stream

Preprocess = Callable[[Tensor], Tensor]

RATIO = 10
"""Candidates for each image of a batch: the policies were trained to choose 10 of 100."""


def next_batch(
    classifier: Classify,
    images: Images,
    labelled: Any,
    labels: Any,
    acq: int,
    policy: str | Path | Policy = "auto",
    candidates: Any = None,
    layer: str | None = None,
    preprocess: Preprocess | None = None,
    seed: int = 0,
    batch_size: int = 256,
    rule: str = "pool",
) -> np.ndarray:
    """Indices of the next `acq` images to label, best first (Sec. 3.2).

    Args:
        classifier: a torch module that gives N x C logits, trained on the labelled images; the
            embedding is found by `outputs.outputs_of`. Or a function that returns both, (logits,
            embedding).
        images: the whole pool: an array, also a memory-mapped one, a tensor, or a `Dataset` of
            images or (image, label). Only the candidates and the labelled images are read.
        labelled: indices of the labelled images.
        labels: their classes, 0 to C - 1, in the same order.
        acq: acquisition size.
        policy: "auto" is the shipped `mnist-cnn` for 10 classes and `mnist-cnn-class_free` for
            any other number; or a name, a file or a policy.
        candidates: how many random unlabelled images the policy is to choose from, or their
            indices. Default: 10 times `acq`; the paper advises 10 to 100 times (Sec. 4.5).
        layer: name of the module whose input is the embedding, where it cannot be found.
        preprocess: turns a batch of images (as a tensor, on the CPU) into the classifier's input.
            Default: as they are. uint8 images need it, but for this library's own classifiers.
        seed: of the random candidates, and of the order of equal scores.
        batch_size: images that the classifier sees at a time.
        rule: how another embedding width is adapted to the policy's: "pool", "signs" or "pad"
            (`inference.adapt.RULES`).

    Raises:
        InputError: input that is wrong or does not fit together, where possible before the
            classifier runs.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed must be a whole number from 0, not {seed!r}")
    size = length(images)
    labelled_L, labels_L = _labelled(labelled, labels, size)
    pool = Pool(size)
    pool.label(labelled_L)
    rng = candidate_rng(seed, len(labelled_L))
    sub_pool_N = _sub_pool(pool, size, acq, candidates, rng)
    given = None if policy == "auto" else load_policy(policy)
    if rule not in adapt.RULES:
        raise unknown("rule", rule, adapt.RULES)
    if batch_size < 1:
        raise InputError(f"batch_size must be 1 or more, not {batch_size}")

    how = classifier, preprocess, batch_size
    seen = batches(images, sub_pool_N, *how), batches(images, labelled_L, *how)
    state = state_from(classifier, *seen, labels_L, layer)
    trained = given or default_policy(state.logits_N_C.shape[1])
    ties = stream(seed, "ties", len(labelled_L))
    return sub_pool_N[trained.choose(adapt.adapted(state, trained, rule), acq, ties)]


def batches(
    images: Images,
    indices: np.ndarray,
    classifier: Classify,
    preprocess: Preprocess | None,
    size: int = 256,
) -> Iterator[Tensor]:
    """The classifier's input for these images, `size` at a time; with a bar where it takes long."""
    starts = range(0, len(indices), size)
    for start in progress(starts, len(starts), "batches of images", after=2):
        yield prepared(rows(images, indices[start : start + size]), classifier, preprocess)


def candidate_rng(seed: int, labels: int) -> np.random.Generator:
    """What random candidates are drawn with at a number of labels (`Pool.sample`)."""
    return stream(seed, "sub-pool", labels)


def state_from(
    classifier: Classify,
    candidates: Iterator[Tensor],
    labelled: Iterator[Tensor],
    labels_L: np.ndarray,
    layer: str | None = None,
) -> State:
    """Eq. 1 for any classifier: from batches of candidates and of labelled images."""
    known = outputs_of(classifier, labelled, layer)
    classes = known.logits_N_C.shape[1]
    if labels_L.max() >= classes:
        raise InputError(f"labels reach {labels_L.max()}, but the classifier has {classes} classes")
    seen = outputs_of(classifier, candidates, layer)
    return describe(
        seen.logits_N_C,
        seen.embedding_N_D,
        known.logits_N_C,
        known.embedding_N_D,
        torch.from_numpy(labels_L),
        seen.head_weight_C_D,
    )


def default_policy(classes: int) -> Policy:
    """The shipped policy for a number of classes (Sec. 4.4)."""
    return load_policy("mnist-cnn" if classes == 10 else "mnist-cnn-class_free")


def prepared(raw: Tensor, classifier: Classify, preprocess: Preprocess | None) -> Tensor:
    """A batch of images as the classifier's input.

    Raises:
        InputError: uint8 images without `preprocess`, or a `preprocess` that gives no tensor.
    """
    if preprocess is not None:
        inputs = preprocess(raw)
        if not isinstance(inputs, Tensor) or inputs.shape[:1] != raw.shape[:1]:
            raise InputError("`preprocess` must return a tensor with a row for each image")
        return inputs
    if isinstance(classifier, models.Classifier):
        return models.to_float(raw)
    if raw.dtype == torch.uint8:
        raise InputError(
            "the images are uint8: say in `preprocess` how they become the classifier's input, "
            "e.g. lambda images: images[:, None].float() / 255"
        )
    return raw


def _labelled(labelled: Any, labels: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    labelled_L = check_indices("labelled", _array(labelled), size)
    labels_L = check_whole("labels", _array(labels))
    if len(labels_L) != len(labelled_L):
        raise InputError(f"{len(labelled_L)} labelled indices, but {len(labels_L)} labels")
    if not len(labelled_L):
        raise InputError("nothing is labelled; label some images at random first, two of a class")
    if labels_L.min() < 0:
        raise InputError(f"labels must be 0 or more, not {labels_L.min()}")
    return labelled_L, labels_L.astype(np.int64)


def _sub_pool(
    pool: Pool, size: int, acq: int, candidates: Any, rng: np.random.Generator
) -> np.ndarray:
    """The candidates' indices: D_sub."""
    rest = len(pool.unlabelled)
    if not isinstance(acq, int | np.integer) or not 1 <= acq <= rest:
        raise InputError(f"acq must be 1 to the {rest} unlabelled images, not {acq!r}")
    if candidates is None or np.ndim(candidates) == 0:
        count = min(RATIO * acq, rest) if candidates is None else candidates
        if not isinstance(count, int | np.integer) or not acq <= count <= rest:
            raise InputError(
                f"candidates must be {acq} (acq) to {rest} (unlabelled) images, not {count}"
            )
        return pool.sample(int(count), rng)
    given = check_indices("candidates", _array(candidates), size)
    labelled = np.intersect1d(given, pool.labelled)
    if len(labelled):
        raise InputError(f"candidates are labelled already: {labelled[:5].tolist()}")
    if acq > len(given):
        raise InputError(f"acq is {acq}, but there are {len(given)} candidates")
    return given


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.cpu() if isinstance(values, Tensor) else values)
