"""What choosing costs, and what training a policy costs (Sec. 4.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from ialelib.cycle import Cycle, CycleConfig
from ialelib.dagger import DaggerConfig, roll_out
from ialelib.data import DataSet
from ialelib.experiments import paired
from ialelib.experts import ENSEMBLE_MEMBERS
from ialelib.policy import AnyPolicy
from ialelib.recipes import recipe
from ialelib.rollout import Rollout
from ialelib.training import fit_many
from ialelib.utils import cache


def cycles(
    data: DataSet,
    config: CycleConfig,
    names: list[str],
    seeds: Iterable[int],
    folder: Path,
    policies: Mapping[str, AnyPolicy],
) -> pd.DataFrame:
    """`paired.compare` sequentially, so that timings are undisturbed."""
    # The first classifier of a process includes torch's one-time initialisation.
    fit_many([Cycle(data, config, seed=0).job()])
    return paired.compare(data, config, names, seeds, folder, policies, processes=1)


def per_acquisition(curves: pd.DataFrame, reference: str = "random") -> pd.DataFrame:
    """Seconds of an acquisition, a row for each strategy.

    Columns: strategy, train_seconds (the same for all, whose classifiers have the same sizes),
    query_seconds (the ensemble's members count as querying), times (their sum, in units of the
    reference's). Both are medians over acquisitions, robust to short disturbances.
    """
    asked = curves[curves["chosen"] != ""]
    query = asked.groupby("strategy", sort=False)["query_seconds"].median()
    train = asked["fit_seconds"].median()
    whole = train + query
    table = pd.DataFrame(
        {"train_seconds": train, "query_seconds": query, "times": whole / whole[reference]}
    )
    return table.reset_index()


def episodes(
    data: DataSet, methods: Mapping[str, DaggerConfig], numbers: Iterable[int], folder: Path
) -> pd.DataFrame:
    """Cost of policy-training episodes in which the experts act, one after the other; resumable.

    A row for each method and episode: method, episode, labels (acquired), scratch and tuned
    (classifiers trained from scratch, and fine-tuned), seconds.

    Raises:
        InputError: parameters that cannot run, before anything is run.
    """
    for config in methods.values():
        config.check(data)
    tasks = {}
    for number in numbers:
        for name, config in methods.items():
            about = config.as_dict() | {"data": data.fingerprint}
            about |= {"recipe": asdict(recipe(config.cycle.recipe)), "warm": asdict(recipe("warm"))}
            path = cache.table_file(folder, f"{data.name}-{name}-{number:03d}", about)
            tasks[path] = partial(_episode, data, name, config, number)
    return cache.run(tasks, 1, "episodes")


def per_label(table: pd.DataFrame) -> pd.DataFrame:
    """Cost of an acquired label by method: method, labels (an episode's), classifiers, seconds."""
    grouped = table.groupby("method", sort=False)
    labels = grouped["labels"].sum()
    classifiers = (grouped["scratch"].sum() + grouped["tuned"].sum()) / labels
    seconds = grouped["seconds"].sum() / labels
    columns = {"labels": grouped["labels"].mean(), "classifiers": classifiers, "seconds": seconds}
    return pd.DataFrame(columns).reset_index()


def trained(rollout: Rollout, config: DaggerConfig) -> tuple[int, int]:
    """Classifiers trained in an episode without the policy: from scratch, and fine-tuned.

    Equal batches are trained once. After a ranking from scratch the winner's classifier is the
    next one; after a warm ranking each acquisition trains its own.
    """
    ranked = sum(len(torch.unique(chosen_E_N, dim=0)) for chosen_E_N in rollout.chosen_A_E_N)
    members = len(rollout) * (ENSEMBLE_MEMBERS - 1) * ("ensemble" in config.experts)
    if config.ranking == "warm":
        return len(rollout) + members, ranked
    return 1 + members + ranked, 0


def _episode(data: DataSet, name: str, config: DaggerConfig, number: int) -> pd.DataFrame:
    rollout = roll_out(data, config, number, policy=None)
    scratch, tuned = trained(rollout, config)
    labels = config.cycle.budget - config.cycle.initial
    row = {"method": name, "episode": number, "labels": labels}
    return pd.DataFrame([row | {"scratch": scratch, "tuned": tuned, "seconds": rollout.seconds}])
