"""Which strategy pays on a user's own data: whole cycles on what is labelled already."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ialelib.cycle import CycleConfig, Strategy
from ialelib.data import DataSet, stratified
from ialelib.experiments import paired
from ialelib.inference.images import Images, length, rows
from ialelib.inference.selection import labelled_set
from ialelib.metrics import mean_interval, paired_tests
from ialelib.models import Factory
from ialelib.policy import GENERALIST
from ialelib.utils import cache
from ialelib.utils.checks import is_whole
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import stream

PER_CLASS = 10
"""Labels of each class, on average, below which nothing is run."""
BUDGET = 30
"""Labels of each class, on average, at which a rehearsal ends at the latest."""
CANDIDATES = 2000
LEVEL = 0.05
NOT_ENOUGH = "Not enough labels to tell"


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal found; as text, its answer. The tables are empty where nothing was run.

    `curves`: as `cycle.run_cycle`. `tests`: `metrics.paired_tests` of these. `gains`: labels,
    strategy, gain (accuracy minus that of random sampling, mean over seeds) and margin (half its
    95% interval, Student's t).
    """

    answer: str
    curves: pd.DataFrame
    tests: pd.DataFrame
    gains: pd.DataFrame

    def __str__(self) -> str:
        return self.answer


def rehearse(
    embeddings: Images,
    labelled: Any,
    labels: Any,
    strategies: Sequence[Strategy] = ("margin", "coverage", GENERALIST),
    acq: int | None = None,
    seeds: int = 20,
    folder: Path | str | None = None,
    processes: int = 1,
    classifier: str | Factory = "probe",
    recipe: str = "fast",
) -> Rehearsal:
    """Simulate cycles on the labelled samples, and say which strategy pays, and from when on.

    For each seed a third of them, stratified by class, is the test set and the rest the pool. Each
    strategy, and random sampling, starts from one label for each class and labels up to half of
    that pool, but no more than 30 for each class; all are paired as in `experiments.compare`.

    Seeds are splits of the same labels. So the tests speak of these: how another user's labels of
    the same pool would come out, they cannot say (Nadeau & Bengio 2003). Labels that a strategy
    chose are harder than the pool, of which random ones are a fair picture.

    Args:
        embeddings: of the whole pool, N x D floating numbers, an array (also a memory-mapped one)
            or a tensor; or uint8 images, N x H x W or N x H x W x 3, also as a `Dataset`, where
            `classifier` takes these. Only labelled ones are read.
        labelled: indices of the labelled samples.
        labels: their classes, from 0, in the same order.
        strategies: as in `cycle.run_cycle`; random sampling is added.
        acq: acquisition size. Default: a tenth of the budget, or a label for each class.
        seeds: number of seeds, from 0.
        folder: where finished cycles are kept, so that the same call resumes.
        processes: cycles at a time.
        classifier, recipe: as in `CycleConfig`.

    Raises:
        InputError: input that is wrong or does not fit together, before anything is trained.
    """
    labelled_L, labels_L = labelled_set(labelled, labels, length(embeddings))
    if not is_whole(seeds, 2):
        raise InputError(f"seeds must be 2 or more, to be compared, not {seeds!r}")
    others = [strategy for strategy in strategies if strategy != "random"]
    if not others:
        raise InputError("strategies: name one to be compared with random sampling, or several")
    names, codes_L = np.unique(labels_L, return_inverse=True)
    if len(names) < 2:
        raise InputError("all labels are of one class; label samples of another class first")
    need = PER_CLASS * len(names)
    if len(codes_L) < need:
        answer = (
            f"{NOT_ENOUGH}: a rehearsal with {len(names)} classes needs {need} labels, and there "
            f"are {len(codes_L)}. Label more samples at random."
        )
        return Rehearsal(answer, *(pd.DataFrame() for _ in range(3)))
    inputs_L = _inputs(embeddings, labelled_L)
    config = _config(len(codes_L), len(names), acq, classifier, recipe)
    with cache.kept_in(folder or None) as kept:
        groups: list[cache.Group] = []
        for seed in range(seeds):
            split = _split(inputs_L, codes_L, seed)
            groups.append((paired.tasks(split, config, ["random", *others], [seed], kept, {}), {}))
        curves = cache.run_groups(groups, processes, "rehearsal")
    tests, gains = paired_tests(curves), gains_over_random(curves)
    return Rehearsal(_answer(tests, gains), curves, tests, gains)


def _inputs(embeddings: Images, labelled_L: np.ndarray) -> np.ndarray:
    """The labelled embeddings, L x D, float32, or images, uint8.

    Raises:
        InputError: other shapes or types; NaN or infinity.
    """
    found_L = rows(embeddings, labelled_L)
    shape = tuple(found_L.shape[1:])
    if found_L.is_floating_point() and len(shape) == 1:
        if not found_L.float().isfinite().all():
            raise InputError(
                "embeddings hold NaN or infinite values; leave those samples out of `labelled`"
            )
        return found_L.float().numpy()
    if found_L.dtype != torch.uint8 or len(shape) < 2 or shape[2:] not in ((), (3,)):
        raise InputError(
            "a rehearsal takes embeddings, N x D floating numbers, or uint8 images, N x H x W or "
            f"N x H x W x 3, and each of these is {found_L.dtype} of shape {shape}; convert them"
        )
    return found_L.numpy()


def gains_over_random(curves: pd.DataFrame) -> pd.DataFrame:
    """Accuracy minus that of random sampling at each number of labels: `Rehearsal.gains`."""
    wide = curves.pivot_table(index=["labels", "seed"], columns="strategy", values="accuracy")
    others = [name for name in curves["strategy"].unique() if name != "random"]
    long = wide[others].sub(wide["random"], axis=0).melt(ignore_index=False, value_name="gain")
    grouped = long.groupby(["labels", "strategy"], sort=False)["gain"]
    return grouped.agg(gain="mean", margin=mean_interval).reset_index()


def pays_between(gains: pd.DataFrame, strategy: str) -> tuple[int, int] | None:
    """First and last of the most numbers of labels in a row at which the interval is above 0."""
    one = gains[gains["strategy"] == strategy].sort_values("labels")
    above = one["gain"] > one["margin"]
    runs = [list(run["labels"]) for _, run in one[above].groupby((~above).cumsum())]
    longest = max(runs, key=len, default=[])
    return (longest[0], longest[-1]) if longest else None


def _answer(tests: pd.DataFrame, gains: pd.DataFrame) -> str:
    """The result in a sentence."""
    others = tests[tests["strategy"] != "random"].sort_values("gain", ascending=False)
    sure = others[others["p_holm"] < LEVEL]
    best = (sure if len(sure) else others).iloc[0]
    name, points, p = best["strategy"], 100 * best["gain"], best["p_holm"]
    size = f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"
    how = f"{size} by Wilcoxon's test with Holm's correction over {best['seeds']} seeds"
    if not len(sure):
        return (
            f"{NOT_ENOUGH}: no strategy differs significantly from random sampling; the largest "
            f"gain is that of {name}, {points:.1f} points of accuracy on average ({how})."
        )
    if points < 0:
        return (
            f"Random sampling pays most on these data: no strategy is significantly better, and "
            f"{name} is {-points:.1f} points of accuracy worse on average ({how})."
        )
    least, most = gains["labels"].min(), gains["labels"].max()
    span = pays_between(gains, name)
    when = "at no single number of labels for sure"
    if span:
        when = (
            f"from {span[0]} labels on"
            if span[1] == most
            else f"from {span[0]} to {span[1]} labels"
        )
    return (
        f"{name} pays on these data, {when}: its accuracy is {points:.1f} points above that of "
        f"random sampling on average between {least} and {most} labels ({how})."
    )


def _config(
    labels: int, classes: int, acq: int | None, classifier: str | Factory, recipe: str
) -> CycleConfig:
    """The sizes of a rehearsal's cycles."""
    pool = labels - labels // 3
    budget = min(pool // 2, BUDGET * classes)
    if acq is None:
        acq = max(classes, (budget - classes) // 10)
    if not is_whole(acq, 1, budget - classes):
        raise InputError(
            f"acq must be 1 to {budget - classes}, as a rehearsal with {labels} labels adds that "
            f"many to one for each class, not {acq!r}"
        )
    acq = int(acq)  # files are named after it
    budget -= (budget - classes) % acq
    n = min(pool - budget + acq, max(CANDIDATES, acq))
    return CycleConfig(classifier, classes, budget, acq, n, recipe)


def _split(inputs_L: np.ndarray, labels_L: np.ndarray, seed: int) -> DataSet:
    """The labelled samples of one seed: two thirds to choose from, and a third to test on."""
    test = np.zeros(len(labels_L), dtype=bool)
    test[stratified(labels_L, len(labels_L) // 3, stream(seed, "rehearsal"))] = True
    halves = inputs_L[~test], labels_L[~test], inputs_L[test], labels_L[test]
    return DataSet("rehearsal", *halves)
