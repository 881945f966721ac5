"""Small active-learning tasks of many kinds, drawn from source data sets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ialelib.cycle import CycleConfig
from ialelib.data import DataSet, load_data, reduced, stratified
from ialelib.inference.backbones import LITE, extract_set
from ialelib.utils.errors import InputError
from ialelib.utils.files import user_cache
from ialelib.utils.seeds import stream

WIDEST = 256
"""Principal components that are kept of a view; a task has some of them."""
WIDTHS = (32, 64, 96, 96, 192)
CLASSES = 2, 50
POOLS = 100, 2000
PER_CLASS = 5, 20
"""Labels for each class when the budget is spent."""
ACQUISITIONS = 4, 10
LARGEST = 60
"""Samples in a batch, at most."""
TESTED = 1500


@dataclass(frozen=True)
class Source:
    """A data set that tasks are drawn from: so many samples of some classes (default: all).

    `views`: side in pixels of the images that the backbone sees; "pixels" are the pixels as
    embeddings, "images" the images themselves, for classifiers that are trained from scratch.
    """

    name: str
    classes: tuple[int, ...] = ()
    samples: int = 12_000
    views: tuple[int | str, ...] = (96, "pixels", "images")


SOURCES = (
    Source("cifar100-25k", tuple(range(0, 100, 2)), 20_000, (64, 96, 128, "images")),
    Source("emnist-letters"),
    Source("mnist"),
)


@dataclass(frozen=True)
class Task:
    """One cycle to run: its data, its numbers and the seed of all its random choices."""

    data: DataSet
    config: CycleConfig
    seed: int


def only(data: DataSet, classes: Sequence[int]) -> DataSet:
    """The samples of some classes, labelled from 0 in the order of `classes`."""
    code = _codes(classes, data.classes)
    train, test = code[data.train_labels], code[data.test_labels]
    halves = data.train_inputs[train >= 0], train[train >= 0]
    return DataSet(data.name, *halves, data.test_inputs[test >= 0], test[test >= 0])


def _codes(classes: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """The new label of each of `count` old ones: its place in `classes`; -1 where it has none."""
    code = np.full(count, -1)
    code[list(classes)] = np.arange(len(classes))
    return code


def some(data: DataSet, samples: int) -> DataSet:
    """So many training samples, stratified by class and always the same; all if there are fewer."""
    chosen = stratified(data.train_labels, samples, stream(0, data.name))
    return replace(
        data, train_inputs=data.train_inputs[chosen], train_labels=data.train_labels[chosen]
    )


def frozen(data: DataSet, dimensions: int, backbone: str = LITE, size: int = 96) -> DataSet:
    """Embeddings of a data set's images on their principal components (`reduced`).

    Embeddings are kept in the user's cache.
    """
    kept = user_cache() / "embeddings"
    return reduced(extract_set(data, backbone, size, kept), dimensions)


def pixels(data: DataSet, dimensions: int) -> DataSet:
    """The pixels of images as embeddings, on their principal components."""
    halves = (data.train_inputs, data.test_inputs)
    train, test = (half.reshape(len(half), -1).astype(np.float32) / 255 for half in halves)
    return reduced(replace(data, train_inputs=train, test_inputs=test), dimensions)


def views(chosen: Sequence[Source] = SOURCES) -> list[DataSet]:
    """The source data sets in all their views."""
    found = []
    for source in chosen:
        data = load_data(source.name)
        data = some(only(data, source.classes or range(data.classes)), source.samples)
        for view in source.views:
            if isinstance(view, int):
                found.append(frozen(data, WIDEST, size=view))
            else:
                found.append(pixels(data, WIDEST) if view == "pixels" else data)
    return found


def draw(data: Sequence[DataSet], seed: int) -> Task:
    """A random task from one of these views: the same seed gives the same one.

    2 to 50 classes, three in ten times of unequal size; one label of each to begin with, 5 to 20
    at the end (at most 10 batches); half to three times as many in a batch as there are classes;
    batches of 60 at most, sub-pools of 100 to 2,000. Images get a CNN or an MLP, trained well or
    for 25 batches only, embeddings the probe.

    Raises:
        InputError: views with too few samples for six batches of one.
    """
    rng = stream(seed, "task")
    whole = data[int(rng.integers(len(data)))]
    images = whole.train_inputs.ndim > 2
    classes = min(whole.classes, round(_between(rng, *CLASSES)))
    part = _part(whole, classes, rng)
    spare = len(part.train_labels) - classes
    if spare < 6:
        raise InputError(f"{whole.name!r} has too few samples of {classes} classes to draw tasks")
    most = min(LARGEST, spare // 6)  # four batches, and two in the last sub-pool
    acq = int(np.clip(round(classes * _between(rng, 0.5, 3)), 1, most))
    per_class = rng.uniform(*PER_CLASS)
    acquisitions = int(np.clip((per_class - 1) * classes / acq, *ACQUISITIONS))
    acquisitions = min(acquisitions, spare // acq - 2)
    budget = classes + acq * acquisitions
    n = min(max(round(_between(rng, *POOLS)), 2 * acq), spare - acq * (acquisitions - 1))
    if images:
        classifier, recipe = ("cnn", "mlp")[rng.integers(2)], ("fast", "short")[rng.integers(2)]
    else:
        classifier, recipe, width = "probe", "fast", int(rng.choice(WIDTHS))
        part = replace(
            part,
            train_inputs=part.train_inputs[:, :width].copy(),
            test_inputs=part.test_inputs[:, :width].copy(),
        )
    return Task(part, CycleConfig(classifier, classes, budget, acq, n, recipe), seed)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number that is as likely in [x, 2x] as in [2x, 4x]."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _part(whole: DataSet, classes: int, rng: np.random.Generator) -> DataSet:
    """Some classes of the training half, divided into a pool and a test set."""
    share = np.ones(classes)
    if rng.random() < 0.3:
        share = np.exp(-rng.uniform(0.5, 2.3) * rng.permutation(classes) / classes)
    chosen, pool, tested = np.sort(rng.permutation(whole.classes)[:classes]), [], []
    for label, weight in zip(chosen, share, strict=True):
        members = rng.permutation(np.flatnonzero(whole.train_labels == label))
        test = min(len(members) // 3, max(20, TESTED // classes))
        tested.append(members[:test])
        pool.append(members[test : test + max(15, round(weight * (len(members) - test)))])
    code, halves = _codes(chosen, whole.classes), []
    for part in (np.concatenate(pool), np.concatenate(tested)):
        halves += [whole.train_inputs[part], code[whole.train_labels[part]]]
    return DataSet(whole.name, *halves)
