"""Paired cycles of several strategies and seeds: in parallel, and resumable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd

from ialelib import cycle, units
from ialelib.cycle import Setting
from ialelib.data import DataSet
from ialelib.policy import Policy
from ialelib.recipes import recipe


def run(
    data: DataSet,
    setting: Setting,
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
    planned = tasks(data, setting, names, seeds, folder, policies or {})
    return units.run(planned, processes, data.name)


def run_all(
    datasets: Iterable[DataSet],
    setting: Setting,
    names: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    policies: Mapping[str, Policy] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """`run` on several data sets, one table below the other; all are checked before any is run."""
    planned = [tasks(data, setting, names, seeds, folder, policies or {}) for data in datasets]
    return units.run_groups([(part, {}) for part in planned], processes, "cycles")


def tasks(
    data: DataSet,
    setting: Setting,
    names: Sequence[str],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, Policy],
) -> units.Tasks:
    """The cycles of `run`, for `units.run`.

    Raises:
        InputError: as `cycle.check`.
    """
    cycle.check(data, setting, names, policies)
    return {
        folder / _unit_file(data, setting, name, seed, policies): partial(
            cycle.run, data, setting, name, seed, policies
        )
        for seed in seeds
        for name in names
    }


def _unit_file(
    data: DataSet, setting: Setting, name: str, seed: int, policies: Mapping[str, Policy]
) -> str:
    parts = {
        **asdict(setting),
        "recipe": asdict(recipe(setting.recipe)),
        "policy": policies[name].fingerprint() if name in policies else "",
        "data": data.fingerprint,
    }
    return units.file_name(f"{data.name}-{setting.classifier}-{name}-{seed:03d}", parts)
