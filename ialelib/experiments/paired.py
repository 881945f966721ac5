"""Paired cycles of several strategies and seeds: in parallel, and resumable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

from ialelib import cycle
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.policy import Policy
from ialelib.recipes import recipe
from ialelib.utils import cache


def compare(
    data: DataSet,
    config: CycleConfig,
    names: Sequence[str],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, Policy] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Paired cycles of several strategies, one process per cycle; resumable.

    Every finished cycle is a CSV file in `folder`, named after all it depends on, and is read
    back instead of run again.

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    planned = tasks(data, config, names, seeds, folder, policies or {})
    return cache.run(planned, processes, data.name)


def compare_all(
    datasets: Iterable[DataSet],
    config: CycleConfig,
    names: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, Policy] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """`run` on several data sets, one table below the other; all are checked before any is run."""
    planned = [tasks(data, config, names, seeds, folder, policies or {}) for data in datasets]
    return cache.run_groups([(part, {}) for part in planned], processes, "cycles")


def tasks(
    data: DataSet,
    config: CycleConfig,
    names: Sequence[str],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, Policy],
) -> cache.Tasks:
    """The cycles of `run`, for `units.run`.

    Raises:
        InputError: as `cycle.check`.
    """
    cycle.check(data, config, names, policies)
    return {
        folder / _unit_file(data, config, name, seed, policies): partial(
            cycle.run_cycle, data, config, name, seed, policies
        )
        for seed in seeds
        for name in names
    }


def _unit_file(
    data: DataSet, config: CycleConfig, name: str, seed: int, policies: Mapping[str, Policy]
) -> str:
    parts = {
        **asdict(config),
        "recipe": asdict(recipe(config.recipe)),
        "policy": policies[name].fingerprint() if name in policies else "",
        "data": data.fingerprint,
    }
    return cache.file_name(f"{data.name}-{config.classifier}-{name}-{seed:03d}", parts)
