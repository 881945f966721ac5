"""What a policy's batches share with its experts' (Sec. 4.3, A.2.2, Figs. 4, 10, 11)."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ialelib import cycle
from ialelib.cycle import Cycle, CycleConfig, joined
from ialelib.data import DataSet
from ialelib.experts import PAPER_EXPERTS
from ialelib.models import Classifier
from ialelib.policy import AnyPolicy
from ialelib.training import fit_many
from ialelib.utils import cache

FAMILIES = {
    "uncertainty": ("mc_dropout", "ensemble"),
    "soft-max": ("confidence", "entropy"),
    "diversity": ("coreset", "badge"),
}
"""The families of Fig. 4: combined models, one model's softmax, and those that seek diversity."""

LED_BY = ("policy", "random")


def run(
    data: DataSet,
    config: CycleConfig,
    policy: AnyPolicy,
    seeds: Iterable[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Cycles in which the policy's batches are labelled, beside every expert's; resumable by seed.

    Columns: dataset, seed, labels, strategy ("policy", "random" or an expert), chosen (its batch
    from the same sub-pool, indices separated by blanks).

    Raises:
        InputError: as `cycle.check`, before anything is trained.
    """
    cycle.check(data, config, PAPER_EXPERTS, {"policy": policy})
    about = {**config.about(data), "policy": policy.fingerprint()}
    tasks = {
        cache.table_file(folder, f"{data.name}-overlap-{seed:03d}", about): partial(
            _choices, data, config, policy, seed
        )
        for seed in seeds
    }
    return cache.run(tasks, processes, "overlap")


def _choices(data: DataSet, config: CycleConfig, policy: AnyPolicy, seed: int) -> pd.DataFrame:
    chain, policies = Cycle(data, config, seed), {"policy": policy}

    def acquire(_: Classifier | None) -> tuple[pd.DataFrame, np.ndarray, None]:
        model, *members = fit_many([chain.job(), *chain.member_jobs()])
        sub_pool = chain.sub_pool()
        query = chain.query(model, sub_pool, members)
        names = [*LED_BY, *PAPER_EXPERTS]
        batches = {name: sub_pool[chain.select(query, name, policies)] for name in names}
        chosen = list(map(joined, batches.values()))
        table = pd.DataFrame({"labels": chain.labels, "strategy": names, "chosen": chosen})
        return table, batches["policy"], None

    found = pd.concat(chain.acquisitions(acquire), ignore_index=True)
    return found.assign(dataset=data.name, seed=seed)


def shares(choices: pd.DataFrame) -> pd.DataFrame:
    """How much of the policy's batch, and of a random one, the experts chose, too.

    A row for each batch in `choices` (of `run`) and each part: an expert, "any" expert, or a family
    (what only that family chose). `share` is in % of the batch, and parts may overlap.
    """
    rows = []
    for moment, table in choices.groupby(["dataset", "seed", "labels"], sort=False):
        chosen = table.set_index("strategy")["chosen"].str.split().map(set)
        experts = {name: chosen[name] for name in chosen.index if name not in LED_BY}
        rows += [
            (*moment, name, part, 100 * share)
            for name in LED_BY
            for part, share in _parts(chosen[name], experts).items()
        ]
    return pd.DataFrame(rows, columns=["dataset", "seed", "labels", "batch", "part", "share"])


def _parts(batch: set[str], experts: dict[str, set[str]]) -> dict[str, float]:
    families = {
        family: set().union(*(experts[name] for name in names))
        for family, names in FAMILIES.items()
    }
    found = {name: batch & chosen for name, chosen in experts.items()}
    found["any"] = batch & set().union(*experts.values())
    for family, chosen in families.items():
        others = (them for name, them in families.items() if name != family)
        found[family] = (batch & chosen).difference(*others)
    return {part: len(common) / len(batch) for part, common in found.items()}
