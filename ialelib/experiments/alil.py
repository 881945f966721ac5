"""ALIL, the baseline of Liu et al. (2018), for images (A.1.1, 8).

Its policy, too, is trained by Algorithm 1, but acquires one sample at a time. The expert tries
every one of a few random candidates: it trains a classifier with each, and picks the best.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ialelib.cycle import CycleConfig
from ialelib.dagger import EACH_CANDIDATE, DaggerConfig
from ialelib.data import DataSet
from ialelib.experiments import paired
from ialelib.policy import Policy, PolicyRecipe
from ialelib.state import StateParts

CANDIDATES = 10
"""k, the size of the random subset of D_pool at each acquisition."""

PARTS = StateParts(gradient="none")
"""ALIL's state: what Eq. 1 has but the gradients, which are IALE's own."""


def one_at_a_time(config: CycleConfig) -> CycleConfig:
    """The same cycle as ALIL runs it: one label an acquisition, out of ten random candidates."""
    return replace(config, acq=1, n=CANDIDATES)


def dagger_config(
    config: CycleConfig, episodes: int = 20, validation: int = 100, **more: Any
) -> DaggerConfig:
    """Algorithm 1 as ALIL's; `more` are further fields of `DaggerConfig` (seed, ranking, ...).

    The coin is 0.5 and the network that of IALE (A.1.1), over the softmax of the candidates.
    """
    return DaggerConfig(
        one_at_a_time(config),
        experts=(EACH_CANDIDATE,),
        episodes=episodes,
        p=0.5,
        validation=validation,
        parts=PARTS,
        policy=PolicyRecipe(loss="categorical"),
        **more,
    )


def run(
    data: DataSet,
    config: CycleConfig,
    policy: Policy,
    seeds: Iterable[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """ALIL's cycles at the sizes of `config`, to compare with those of `paired.compare`; resumable.

    Same split, initial labels and weights for the same seed; sub-pools of its own. Columns as in
    `run_cycle`; the strategy is "alil".

    Raises:
        InputError: as `cycle.check`, before anything is trained.
    """
    single = paired.compare(
        data, one_at_a_time(config), ["alil"], seeds, folder, {"alil": policy}, processes
    )
    return at_sizes(single, config)


def at_sizes(single: pd.DataFrame, config: CycleConfig) -> pd.DataFrame:
    """Cycles of `one_at_a_time` at the sizes of `config`.

    Seconds are summed and `chosen` joined over the acquisitions between two sizes.
    """
    sizes = [*range(config.initial, config.budget, config.acq), config.budget, float("inf")]
    batch = pd.cut(single["labels"], sizes, right=False, labels=False).rename("batch")
    columns: dict[Any, Any] = dict.fromkeys(single, "first")
    columns |= {"fit_seconds": "sum", "query_seconds": "sum"}
    columns["chosen"] = lambda chosen: " ".join(chosen).strip()
    grouped = single.groupby(["dataset", "seed", batch], sort=False)
    return grouped.agg(columns).reset_index(drop=True)
