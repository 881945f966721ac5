"""One policy at many acquisition sizes, and sub-pools of many sizes (Sec. 4.5, A.4.1)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ialelib import metrics
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import paired
from ialelib.policy import AnyPolicy
from ialelib.utils import cache
from ialelib.utils.errors import InputError

UNIT = ["strategy", "acq", "n", "seed"]


class Size(NamedTuple):
    """Strategies and seeds that run with one acquisition size and one size of D_sub."""

    acq: int
    n: int
    names: Sequence[str]
    seeds: Sequence[int]

    def cycle_config(self, shared: CycleConfig) -> CycleConfig:
        """The cycle at this size."""
        return replace(shared, acq=self.acq, n=self.n)


def run(
    data: DataSet,
    shared: CycleConfig,
    sizes: Iterable[Size],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
    processes: int = 1,
) -> pd.DataFrame:
    """`paired.compare` at every size, with columns acq and n added; resumable.

    Raises:
        InputError: as `cycle.check`, before anything is run.
    """
    planned: list[cache.Group] = []
    for size in sizes:
        config = size.cycle_config(shared)
        tasks = paired.tasks(data, config, size.names, size.seeds, folder, policies)
        planned.append((tasks, {"acq": size.acq, "n": size.n}))
    return cache.run_groups(planned, processes, data.name)


def aubc(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC of every cycle: strategy, acq, n, seed, aubc, and gain over random sampling.

    All curves cover the same range of labels, with different step sizes. The gain is paired: random
    sampling has the same seed and acquisition size; the size of its sub-pool does not matter.

    Raises:
        InputError: curves that begin or end at different numbers of labels, or without a random
            counterpart.
    """
    spans = curves.groupby(UNIT)["labels"].agg(["min", "max"])
    if len(spans.drop_duplicates()) > 1:
        raise InputError("not comparable: curves over different ranges of labels")
    table = metrics.paired_gains(curves, UNIT, ["acq", "seed"])
    if table["gain"].isna().any():
        raise InputError("not paired: random sampling lacks an acquisition size or a seed")
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `aubc`'s table over seeds: strategy, acq, n, seeds, aubc, gain, margin.

    `margin` is half the 95% interval of the mean gain (Student's t), missing for a single seed.
    """
    grouped = table.groupby(UNIT[:-1])
    return grouped.agg(
        seeds=("seed", "nunique"),
        aubc=("aubc", "mean"),
        gain=("gain", "mean"),
        margin=("gain", metrics.mean_interval),
    ).reset_index()
