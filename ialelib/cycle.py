"""One active-learning cycle with any strategy: its learning curve and the chosen samples."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ialelib.data import DataSet, Pool, balanced
from ialelib.experts import ENSEMBLE_MEMBERS, EXPERTS, Expert, Query, dropouts
from ialelib.models import Architecture, Classifier, build
from ialelib.policy import Policy
from ialelib.recipes import TrainJob, recipe
from ialelib.training import correct_mask, fit_many, with_members
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.seeds import derive, stream


@dataclass(frozen=True)
class CycleConfig:
    """What all strategies of a comparison share (Secs. 4.1 and 4.2).

    `initial` class-balanced labels, then `acq` at a time, chosen from a random sub-pool of `n`,
    until `budget` samples are labelled; the last batch is cut to fit. `recipe` is a name in
    `training.RECIPES`.
    """

    classifier: str = "cnn"
    initial: int = 20
    budget: int = 300
    acq: int = 10
    n: int = 100
    recipe: str = "fast"

    def check(self, data: DataSet, validation: int = 0) -> None:
        """Raises InputError if a cycle of these numbers cannot run on that data set."""
        recipe(self.recipe)
        Architecture(self.classifier, data.classes, data.shape)
        if min(self.initial, self.acq, self.n) < 1:
            raise InputError("initial, acq and n must be at least 1")
        if self.acq > self.n:
            raise InputError(
                f"acquisition size {self.acq} exceeds the sub-pool of n = {self.n}; "
                "raise n or lower acq"
            )
        if self.budget < self.initial:
            raise InputError(f"budget {self.budget} is below the {self.initial} initial labels")
        last = self.budget - self.initial
        last -= min(last, (last - 1) % self.acq + 1)
        need = self.initial + validation + last + self.n
        size = len(data.train_labels)
        if need > size or self.budget + validation > size:
            raise InputError(
                f"budget {self.budget} with sub-pools of {self.n} and {validation} validation "
                f"samples needs {max(need, self.budget + validation)} training samples; "
                f"{data.name!r} has {size}"
            )


class Cycle:
    """The random choices of one seed, the same for every strategy: split, weights, sub-pools."""

    def __init__(self, data: DataSet, config: CycleConfig, seed: int, validation: int = 0) -> None:
        config.check(data, validation)
        self.data, self.config, self.seed = data, config, seed
        order = stream(seed, "validation").permutation(len(data.train_labels))
        self.validation = order[:validation]
        rest = order[validation:]
        labels = data.train_labels[rest]
        self.pool = Pool(len(data.train_labels), self.validation)
        self.pool.label(rest[balanced(labels, config.initial, stream(seed, "initial"))])
        self.architecture = Architecture(config.classifier, data.classes, data.shape)

    @property
    def labels(self) -> int:
        """Size of the labelled set."""
        return len(self.pool.labelled)

    @property
    def due(self) -> int:
        """Samples to choose at this acquisition; 0 when the budget is spent."""
        return min(self.config.acq, self.config.budget - self.labels)

    def job(
        self, batch: Sequence[int] | np.ndarray = (), start: Classifier | None = None
    ) -> TrainJob:
        """Training of the classifier on D_lab and `batch`.

        Weights and batch order depend on the seed and the number of labels only, so a temporary
        classifier is, bit for bit, the next one if its batch is the one taken. With `start` it is
        a short fine-tuning of that classifier instead (the recipe "warm").
        """
        chosen = np.union1d(self.pool.labelled, np.asarray(batch, dtype=np.int64))
        return TrainJob(
            self.architecture,
            self.data.train_inputs[chosen],
            self.data.train_labels[chosen],
            recipe("warm" if start else self.config.recipe),
            weights=derive(self.seed, "weights"),
            seed=derive(self.seed, "fit", len(chosen)),
            start=start,
        )

    def member_jobs(self) -> list[TrainJob]:
        """Training of the further ensemble members on D_lab."""
        seeds = [derive(self.seed, "member", m, self.labels) for m in range(1, ENSEMBLE_MEMBERS)]
        return with_members(self.job(), seeds)

    def sub_pool(self) -> np.ndarray:
        """D_sub of this acquisition, n indices in random order (Alg. 1, line 6)."""
        return self.pool.sample(self.config.n, stream(self.seed, "sub-pool", self.labels))

    def rng(self, name: str) -> np.random.Generator:
        """Generator for one strategy at this acquisition."""
        return stream(self.seed, "query", name, self.labels)

    def query(
        self, model: Classifier, sub_pool: np.ndarray, members: Sequence[Classifier] = ()
    ) -> Query:
        """What a strategy sees at this acquisition."""
        labelled = self.pool.labelled
        return Query(
            model,
            self.data.train_inputs[sub_pool],
            self.data.train_inputs[labelled],
            self.data.train_labels[labelled],
            members,
        )


def strategy(name: str, policies: Mapping[str, Policy]) -> Expert:
    """The acquisition function of that name, an expert's or a policy's.

    Raises:
        InputError: neither.
    """
    if name in policies:
        return policies[name].select
    if name not in EXPERTS:
        raise unknown("strategy", name, [*EXPERTS, *policies])
    return EXPERTS[name]


def check(
    data: DataSet, config: CycleConfig, names: Iterable[str], policies: Mapping[str, Policy]
) -> None:
    """Whether these strategies can run in this setting on that data set.

    Raises:
        InputError: unknown strategy; a setting that does not fit the data; a policy for another
            class count or embedding width; mc_dropout with a classifier that has no dropout.
    """
    config.check(data)
    model = build(Architecture(config.classifier, data.classes, data.shape), seed=0)
    for name in names:
        strategy(name, policies)
        if name in policies:
            policies[name].check(model.head.out_features, model.head.in_features)
        if name == "mc_dropout":
            dropouts(model)


def run_cycle(
    data: DataSet,
    config: CycleConfig,
    name: str,
    seed: int,
    policies: Mapping[str, Policy] | None = None,
) -> pd.DataFrame:
    """One cycle: a row for every size of the labelled set (Sec. 3.1).

    Columns: dataset, classifier, strategy, seed, labels, accuracy (test set, 0 to 1),
    fit_seconds, query_seconds (for the ensemble with the training of its members; both 0 where
    nothing was done), chosen (indices of the batch taken next, separated by blanks).

    Raises:
        InputError: as `check`, before anything is trained.
    """
    check(data, config, [name], policies or {})
    acquire = strategy(name, policies or {})
    cycle = Cycle(data, config, seed)
    rows = []
    while True:
        started = time.perf_counter()
        (model,) = fit_many([cycle.job()])
        fitted = time.perf_counter()
        hits = correct_mask(model, data.test_inputs, data.test_labels, recipe(config.recipe))
        row = {"labels": cycle.labels, "accuracy": hits.mean(), "fit_seconds": fitted - started}
        asked = time.perf_counter()
        batch = _choose(cycle, model, name, acquire) if cycle.due else np.array([], dtype=int)
        row |= {
            "query_seconds": time.perf_counter() - asked if len(batch) else 0.0,
            "chosen": " ".join(map(str, batch)),
        }
        rows.append(row)
        if not len(batch):
            break
        cycle.pool.label(batch)
    head = {"dataset": data.name, "classifier": config.classifier, "strategy": name, "seed": seed}
    return pd.DataFrame([head | row for row in rows])


def replay(
    data: DataSet, config: CycleConfig, curve: pd.DataFrame
) -> tuple[Classifier, np.ndarray]:
    """The last classifier of a cycle that `run` returned, and its labelled indices, again."""
    cycle = Cycle(data, config, int(curve["seed"].iloc[0]))
    for chosen in curve["chosen"]:
        cycle.pool.label(np.array(chosen.split(), dtype=np.int64))
    return fit_many([cycle.job()])[0], cycle.pool.labelled


def _choose(cycle: Cycle, model: Classifier, name: str, acquire: Expert) -> np.ndarray:
    members = fit_many(cycle.member_jobs()) if name == "ensemble" else ()
    sub_pool = cycle.sub_pool()
    query = cycle.query(model, sub_pool, members)
    return sub_pool[acquire(query, cycle.due, cycle.rng(name))]
