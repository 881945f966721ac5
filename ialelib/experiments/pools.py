"""Whom a comparison favours: every strategy from the same sub-pool, and from the whole pool.

The paper's release lets its policy choose from a random sub-pool, and its baselines from the pool.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd

from ialelib import cycle
from ialelib.cycle import CycleConfig, Strategy
from ialelib.data import DataSet
from ialelib.experiments import paired
from ialelib.policy import AnyPolicy
from ialelib.utils import cache
from ialelib.utils.errors import InputError

SUFFIX = ", whole pool"
"""Ends the name of a strategy that chooses from the whole pool."""


def run(
    data: DataSet | Iterable[DataSet],
    config: CycleConfig,
    strategies: Sequence[Strategy],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
) -> pd.DataFrame:
    """Learning curves of every strategy from sub-pools of `config.n`, and from the whole pool.

    Rows as in `cycle.run_cycle`, with a column n, the size of the sub-pools; the strategies of the
    second kind are called "entropy, whole pool". Random sampling runs once, as a random choice is
    the same from both. All cycles of a seed run before those of the next, so that a run cut short
    is still paired.

    Raises:
        InputError: no size n, or as `paired.compare`, before anything is run.
    """
    sets, numbers = paired.checked(data, strategies, seeds)
    if config.n is None:
        raise InputError("give the size n of the sub-pools that the whole pool is compared with")
    for one in sets:
        cycle.check(one, config, strategies, policies)
    groups: list[cache.Group] = []
    for seed, one, strategy in product(numbers, sets, strategies):
        name = cycle.name_of(strategy)
        kinds = {name: config, name + SUFFIX: replace(config, n=None)}
        if name == "random":
            del kinds[name + SUFFIX]
        for called, here in kinds.items():
            tasks = paired.tasks(one, here, [strategy], [seed], folder, policies)
            groups.append((tasks, {"n": config.n, "strategy": called}))
    return cache.run_groups(groups, processes, "cycles")
