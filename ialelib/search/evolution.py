"""Policy search: CMA-ES on the AUBC of whole cycles, under common random numbers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ialelib.cycle import run_cycle
from ialelib.data import DataSet
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.metrics import areas
from ialelib.search.tasks import draw
from ialelib.utils import cache
from ialelib.utils.extras import extra
from ialelib.utils.seeds import derive, stream

CHANCE = Generalist(torch.zeros(len(NAMES), 2))
"""Its scores are equal, so that it chooses at random."""


@dataclass(frozen=True)
class SearchConfig:
    """How a policy is searched (Hansen & Ostermeier 2001: CMA-ES).

    In every generation `candidates` policies run the same `tasks`, drawn afresh. The result is the
    mean of the search distribution, averaged over the last `averaged` generations. `spread` is the
    initial standard deviation, for start weights of length 1.
    """

    generations: int = 60
    candidates: int = 16
    tasks: int = 16
    averaged: int = 10
    spread: float = 0.06
    seed: int = 0


def search_policy(
    data: Sequence[DataSet],
    config: SearchConfig,
    start: Generalist,
    folder: Path,
    processes: int = 1,
) -> tuple[Generalist, pd.DataFrame]:
    """The policy that the search ends with, and its table; resumable, bit for bit.

    Columns: generation, candidate, task, aubc, seconds. What is finished lies in `folder`: a
    file for each task of each generation, named after all that it depends on.
    """
    with extra("notebooks"):
        import cma  # takes half a second, with matplotlib

    begin = (start.weight_F_K / start.weight_F_K.norm()).double().numpy()
    rng = stream(config.seed, "search")
    settings = {
        "popsize": config.candidates,
        "seed": np.nan,  # leaves numpy's global generator alone
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "verb_log": 0,
    }
    search = cma.CMAEvolutionStrategy(begin.ravel(), config.spread, settings)
    tables, means = [], []
    for generation in range(config.generations):
        asked = search.ask()
        policies = [Generalist(_weights(values, begin.shape)) for values in asked]
        seeds = task_seeds(config, generation)
        table = evaluate(data, seeds, policies, folder, processes, f"generation {generation}")
        search.tell(asked, (-mean_aubc(table)).tolist())
        tables.append(table.assign(generation=generation))
        means.append(search.mean / np.linalg.norm(search.mean))
    found = np.mean(means[-config.averaged :], axis=0)
    return Generalist(_weights(found, begin.shape)), pd.concat(tables, ignore_index=True)


def task_seeds(config: SearchConfig, generation: int) -> list[int]:
    """Seeds of the tasks that all candidates of a generation run."""
    return [derive(config.seed, "task", generation, t) for t in range(config.tasks)]


def gains_over_random(
    table: pd.DataFrame,
    data: Sequence[DataSet],
    config: SearchConfig,
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """The table of `search_policy` with a column gain: AUBC minus random sampling's on that task.

    Tasks differ from generation to generation, so that only gains show what was learned.
    """
    parts = []
    for generation in range(config.generations):
        seeds = task_seeds(config, generation)
        part = evaluate(data, seeds, [CHANCE], folder, processes, f"random {generation}")
        parts.append(part.assign(generation=generation))
    unit = ["generation", "task"]
    at_random = pd.concat(parts).set_index(unit)["aubc"].rename("chance")
    return table.assign(gain=table["aubc"] - table.join(at_random, on=unit)["chance"])


def _weights(values: np.ndarray, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(values.reshape(shape)).float()


def evaluate(
    data: Sequence[DataSet],
    seeds: Sequence[int],
    policies: Sequence[Generalist],
    folder: Path,
    processes: int = 1,
    label: str = "tasks",
) -> pd.DataFrame:
    """AUBC of all policies on all tasks; columns task, candidate, aubc, seconds."""
    about: dict[str, list[Any]] = {
        "data": [view.fingerprint for view in data],
        "policies": [policy.fingerprint() for policy in policies],
    }
    if any(policy.passes > 1 for policy in policies):
        about["passes"] = [policy.passes for policy in policies]
    tasks: dict[Path, Callable[[], pd.DataFrame]] = {}
    for number, seed in enumerate(seeds):
        path = cache.table_file(folder, f"task-{seed}", about)
        tasks[path] = partial(_evaluate, data, seed, number, policies)
    return cache.run(tasks, processes, label)


def _evaluate(
    data: Sequence[DataSet], seed: int, number: int, policies: Sequence[Generalist]
) -> pd.DataFrame:
    task = draw(data, seed)
    rows = []
    for candidate, policy in enumerate(policies):
        started = time.perf_counter()
        curve = run_cycle(task.data, task.config, policy, task.seed)
        seconds, area = time.perf_counter() - started, areas(curve, ["seed"]).iloc[0]
        rows.append({"task": number, "candidate": candidate, "aubc": area, "seconds": seconds})
    return pd.DataFrame(rows)


def mean_aubc(table: pd.DataFrame) -> np.ndarray:
    """Each candidate's AUBC, its mean over the tasks."""
    return table.groupby("candidate")["aubc"].mean().to_numpy()
