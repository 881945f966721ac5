"""The generalist on classifiers trained from scratch: paired cycles in the paper's setting."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd

from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import alil, paired
from ialelib.policy import AnyPolicy, Policy
from ialelib.utils import cache


def run(
    sets: Sequence[DataSet],
    classifiers: Sequence[str],
    sizes: Sequence[int],
    config: CycleConfig,
    strategies: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
    rival: Policy | None = None,
) -> pd.DataFrame:
    """Learning curves of every strategy on every data set, classifier and size of the sub-pool.

    Rows as in `cycle.run_cycle`, with a column n; a `dataset` is "fmnist-10k, cnn", as each pair is
    a setting of its own. `config` has what all cycles share: labels, acquisition size, recipe. All
    settings of a seed run before those of the next, so that a run cut short is still paired.
    ALIL, whose policy is the `rival`, runs last, with sub-pools of its own, and stands beside every
    n (`alil.at_sizes`).

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    groups: list[cache.Group] = []
    for seed, classifier, n, data in product(seeds, classifiers, sizes, sets):
        here = replace(config, classifier=classifier, n=n)
        tasks = paired.tasks(data, here, strategies, [seed], folder, policies)
        groups.append((tasks, {"n": n, "dataset": f"{data.name}, {classifier}"}))
    singles: list[cache.Group] = []
    if rival:
        for classifier, data in product(classifiers, sets):
            here = alil.one_at_a_time(replace(config, classifier=classifier))
            tasks = paired.tasks(data, here, ["alil"], seeds, folder, {"alil": rival})
            singles.append((tasks, {"dataset": f"{data.name}, {classifier}"}))
    tables = [cache.run_groups(groups, processes, "cycles")]
    if singles:
        table = alil.at_sizes(cache.run_groups(singles, processes, "ALIL"), config)
        tables += [table.assign(n=n) for n in sizes]
    return pd.concat(tables, ignore_index=True)
