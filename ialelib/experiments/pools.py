"""Whom a comparison favours: every strategy from the same sub-pool, and from the whole pool.

The paper's release lets its policy choose from a random sub-pool, and its baselines from the pool.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd

from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import paired
from ialelib.policy import AnyPolicy
from ialelib.utils import cache

SUFFIX = ", whole pool"
"""Ends the name of a strategy that chooses from the whole pool."""


def run(
    sets: Sequence[DataSet],
    config: CycleConfig,
    strategies: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
) -> pd.DataFrame:
    """Learning curves of every strategy from sub-pools of `config.n`, and from the whole pool.

    Rows as in `cycle.run_cycle`, with a column n; the strategies of the second kind are called
    "entropy, whole pool". Random sampling runs once, as a random choice is the same from both. All
    cycles of a seed run before those of the next, so that a run cut short is still paired.

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    groups: list[cache.Group] = []
    for seed, data, name in product(seeds, sets, strategies):
        kinds = {name: config, name + SUFFIX: replace(config, n=None)}
        if name == "random":
            del kinds[name + SUFFIX]
        for called, here in kinds.items():
            tasks = paired.tasks(data, here, [name], [seed], folder, policies)
            groups.append((tasks, {"n": config.n, "strategy": called}))
    return cache.run_groups(groups, processes, "cycles")
