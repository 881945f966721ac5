"""Whom a comparison favours: every strategy from the same sub-pool, and from the whole pool.

The paper's release lets its policy choose from a random sub-pool, and its baselines from the pool.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd

from ialelib.cycle import CycleConfig, Strategy, name_of
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
    greedy = [strategy for strategy in strategies if name_of(strategy) != "random"]
    kinds = (("", config, strategies), (SUFFIX, replace(config, n=None), greedy))
    groups: list[cache.Group] = []
    for seed, one, (suffix, here, some) in product(numbers, sets, kinds):
        tasks = paired.tasks(one, here, some, [seed], folder, policies)
        groups.append((tasks, {"n": config.n, "suffix": suffix}))
    table = cache.run_groups(groups, processes, "cycles")
    return table.assign(strategy=table["strategy"] + table.pop("suffix"))
