"""Paired cycles of several strategies and seeds: in parallel, and resumable."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from ialelib import cycle
from ialelib.cycle import CycleConfig, Strategy, name_of, policy_of
from ialelib.data import DataSet
from ialelib.experts import dropouts
from ialelib.generalist import Generalist
from ialelib.models import Architecture, build
from ialelib.policy import AnyPolicy
from ialelib.utils import cache
from ialelib.utils.checks import check_count, check_kind, check_list
from ialelib.utils.errors import InputError


def compare(
    data: DataSet | Iterable[DataSet],
    config: CycleConfig,
    strategies: Sequence[Strategy],
    seeds: Iterable[int],
    folder: str | Path | None = None,
    policies: Mapping[str, AnyPolicy] | None = None,
    processes: int = 1,
) -> pd.DataFrame:
    """Learning curves of several strategies on one or several data sets; resumable.

    For one seed all strategies get the same split, initial labels, weights and sub-pools. Rows as
    in `cycle.run_cycle`, one process per cycle. Every finished cycle is a CSV file in `folder`,
    named after all it depends on, and is read back instead of run again; without a folder nothing
    is kept. Own functions and classifiers count with their source (`cache.identity`).

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    sets, seeds = checked(data, strategies, seeds)
    label = sets[0].name if len(sets) == 1 else "cycles"
    with cache.kept_in(folder) as kept:
        groups = [tasks(one, config, strategies, seeds, kept, policies or {}) for one in sets]
        return cache.run_groups([(group, {}) for group in groups], processes, label)


def checked(
    data: DataSet | Iterable[DataSet], strategies: Sequence[Strategy], seeds: Iterable[int]
) -> tuple[list[DataSet], list[int]]:
    """The data sets and the seeds of a comparison as lists.

    Raises:
        InputError: none of them, or one twice, or something else.
    """
    data = [data] if isinstance(data, DataSet) else data
    for name, values in {"data": data, "strategies": strategies, "seeds": seeds}.items():
        check_list(name, values)
    sets, numbers = list(data), list(seeds)
    if not sets or not numbers or not list(strategies):
        raise InputError("name one data set, one strategy and one seed at least")
    for one in sets:
        check_kind("data", one, DataSet)
    for seed in numbers:
        check_count("a seed", seed, 0)
    if len(set(numbers)) < len(numbers):
        raise InputError(f"a seed stands twice among {numbers}")
    return sets, numbers


def tasks(
    data: DataSet,
    config: CycleConfig,
    strategies: Sequence[Strategy],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
) -> cache.Tasks:
    """The cycles of `compare` on one data set, for `cache.run`.

    Raises:
        InputError: as `cycle.check`.
    """
    policies = cycle.with_shipped(policies, strategies)
    cycle.check(data, config, strategies, policies)
    architecture = config.architecture(data)
    depends = [config.about(data) | _key(each, policies, architecture) for each in strategies]
    found: dict[Path, Callable[[], pd.DataFrame]] = {}
    for seed in seeds:
        for strategy, about in zip(strategies, depends, strict=True):
            start = f"{data.name}-{architecture.label}-{name_of(strategy)}-{seed:03d}"
            path = cache.table_file(folder, start, about)
            found[path] = partial(cycle.run_cycle, data, config, strategy, seed, policies)
    return found


def _key(
    strategy: Strategy, policies: Mapping[str, AnyPolicy], architecture: Architecture
) -> dict[str, Any]:
    """What of a strategy its cycles depend on, beside its name."""
    policy = policy_of(strategy, policies)
    key: dict[str, Any] = {"policy": policy.fingerprint() if policy else ""}
    passes = policy.passes if isinstance(policy, Generalist) else 1
    if passes > 1 and dropouts(build(architecture, seed=0)):
        key["passes"] = passes
    if policy is None and not isinstance(strategy, str):
        key["strategy"] = strategy
    return key
