"""The generalist on frozen features: paired cycles on a backbone's embeddings, with the probe."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ialelib.cycle import CycleConfig
from ialelib.data import DataSet, load_data
from ialelib.experiments import paired
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.oracle import ORACLE
from ialelib.policy import AnyPolicy
from ialelib.search.tasks import frozen, only, some
from ialelib.utils import cache
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import stream


@dataclass(frozen=True)
class Target:
    """Embeddings that cycles run on: all classes, or as many of them as `drawn`, at random."""

    whole: DataSet
    drawn: int | None = None

    def data(self, seed: int) -> DataSet:
        """What the cycles of a seed run on; every seed draws classes of its own."""
        if self.drawn is None:
            return self.whole
        order = stream(seed, "classes").permutation(self.whole.classes)
        part = only(self.whole, sorted(order[: self.drawn].tolist()))
        return replace(part, name=f"{self.whole.name}-odd{self.drawn}")


def targets(
    names: Iterable[str],
    unseen: str | None,
    drawn: Iterable[int],
    dimensions: int,
    samples: int,
) -> list[Target]:
    """Data sets of these names, and random odd classes of `unseen`, so many for each of `drawn`.

    The generalist learns from even classes. Embeddings are those of `search.frozen`, of `samples`
    training images, stratified by class, and all test images.

    Raises:
        InputError: more classes to draw than there are odd ones.
    """
    found = [Target(frozen(some(load_data(name), samples), dimensions)) for name in names]
    if unseen:
        data = load_data(unseen)
        odd = range(1, data.classes, 2)
        if max(drawn := list(drawn), default=0) > len(odd):
            raise InputError(f"{unseen!r} has {len(odd)} odd classes; draw no more, not {drawn}")
        whole = frozen(some(only(data, odd), samples), dimensions)
        found += [Target(whole, count) for count in drawn]
    return found


def cycle_config(data: DataSet, acquisitions: int, n: int) -> CycleConfig:
    """One label of each class to begin with, then C at a time; n candidates, or all there are."""
    classes = data.classes
    budget = classes * (1 + acquisitions)
    most = max(classes, len(data.train_labels) - budget)
    return CycleConfig("probe", classes, budget, classes, min(n, most))


def run(
    chosen: Sequence[Target],
    acquisitions: int,
    sizes: Sequence[int],
    strategies: Sequence[str],
    seeds: Sequence[int],
    oracle_seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
) -> pd.DataFrame:
    """Learning curves as of `paired.compare`, for sub-pools of several sizes in a column n.

    The oracle, which costs as much as 20 others, runs with `oracle_seeds` only. A target with fewer
    candidates than n offers all that it has.

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    groups: list[cache.Group] = []
    for target in chosen:
        for seed in sorted({*seeds, *oracle_seeds}):
            data = target.data(seed)
            names = [*strategies] * (seed in seeds) + [ORACLE] * (seed in oracle_seeds)
            for n in sizes:
                config = cycle_config(data, acquisitions, n)
                tasks = paired.tasks(data, config, names, [seed], folder, policies)
                groups.append((tasks, {"n": n}))
    return cache.run_groups(groups, processes, "cycles")


def ablations(policy: Generalist) -> dict[str, Generalist]:
    """The policy without each feature, and without what changes with the labels or the misfit."""
    found = {}
    for place, name in enumerate(NAMES):
        weight_F_K = policy.weight_F_K.clone()
        weight_F_K[place] = 0
        found[f"without_{name}"] = Generalist(weight_F_K)
    for column, name in enumerate(("age", "misfit")[: policy.weight_F_K.shape[1] - 1], start=1):
        weight_F_K = policy.weight_F_K.clone()
        weight_F_K[:, column] = 0
        found[f"without_{name}"] = Generalist(weight_F_K)
    return found
