"""Paired cycles of several strategies and seeds: in parallel, and resumable."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed

from ialelib import cycle
from ialelib.cycle import Setting
from ialelib.data import DataSet
from ialelib.files import atomic
from ialelib.policy import Policy
from ialelib.progress import progress
from ialelib.training import recipe


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
        InputError: as `check`, before anything is run.
    """
    policies = policies or {}
    cycle.check(data, setting, names, policies)
    units = [(name, seed) for seed in seeds for name in names]
    paths = [folder / _unit_file(data, setting, *unit, policies) for unit in units]
    todo = [(*unit, path) for unit, path in zip(units, paths, strict=True) if not path.exists()]
    tasks = (delayed(_run_unit)(data, setting, *unit, policies) for unit in todo)
    for _ in progress(
        Parallel(processes, return_as="generator_unordered")(tasks), len(todo), data.name
    ):
        pass
    return pd.concat([read(path) for path in paths], ignore_index=True)


def _run_unit(
    data: DataSet,
    setting: Setting,
    name: str,
    seed: int,
    path: Path,
    policies: Mapping[str, Policy],
) -> None:
    curve = cycle.run(data, setting, name, seed, policies)
    with atomic(path) as temporary:
        curve.to_csv(temporary, index=False)


def read(path: Path) -> pd.DataFrame:
    """Read back a table of learning curves to the last digit."""
    exact = {"accuracy": float, "fit_seconds": float, "query_seconds": float, "chosen": str}
    return pd.read_csv(path, converters=exact, keep_default_na=False)


def _unit_file(
    data: DataSet, setting: Setting, name: str, seed: int, policies: Mapping[str, Policy]
) -> str:
    parts = {
        **asdict(setting),
        "recipe": asdict(recipe(setting.recipe)),
        "policy": policies[name].fingerprint() if name in policies else "",
        "data": data.fingerprint,
    }
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]
    return f"{data.name}-{setting.classifier}-{name}-{seed:03d}-{digest}.csv"
