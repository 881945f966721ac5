"""One active-learning cycle with any strategy: its learning curve and the chosen samples."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from ialelib.data import DataSet, Pool, balanced
from ialelib.experts import ENSEMBLE_MEMBERS, EXPERTS, Expert, Query, check_dropout
from ialelib.generalist import Generalist
from ialelib.models import Architecture, Classifier, Factory, Probe, build
from ialelib.oracle import ORACLE, best
from ialelib.policy import GENERALIST, AnyPolicy, Policy, load_policy
from ialelib.recipes import TrainJob, recipe
from ialelib.training import correct_mask, fit_many, with_members
from ialelib.utils.checks import check_fields, check_indices, check_kind, check_list, check_name
from ialelib.utils.cpu import float32_on_cpu
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import derive, stream

Strategy = str | Expert | AnyPolicy
"""An expert's or a policy's name, a function with an expert's signature, or a policy; `run_cycle`
also takes "oracle"."""
Kept = TypeVar("Kept")
Acquire = Callable[[Classifier | None], tuple[Kept, np.ndarray, Classifier | None]]
"""From the classifier of D_lab, where one is trained already: what to keep of an acquisition, the
batch, and the classifier of D_lab with that batch, where one is trained already."""


@dataclass(frozen=True)
class CycleConfig:
    """What all strategies of a comparison share (Secs. 4.1 and 4.2).

    `initial` class-balanced labels, then `acq` at a time, chosen from a random sub-pool of `n`
    (None: from the whole pool), until `budget` samples are labelled; the last batch is cut to fit.
    `classifier` is a name in `models.CLASSIFIERS`, or a class of one's own (`models.Own`); `recipe`
    a name in `recipes.RECIPES`.
    """

    classifier: str | Factory = "cnn"
    initial: int = 20
    budget: int = 300
    acq: int = 10
    n: int | None = 100
    recipe: str = "fast"

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("initial", "budget", "acq", "n"):  # those of NumPy may overflow
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, int(value))

    def check(self, data: DataSet, validation: int = 0) -> None:
        """Raises InputError if a cycle of these numbers cannot run on that data set."""
        recipe(self.recipe)
        if data.classes < 2:
            raise InputError(f"{data.name!r} has a single class; take a data set of two or more")
        self.architecture(data)
        n = self.acq if self.n is None else self.n
        if min(self.initial, self.acq, n) < 1:
            raise InputError("initial, acq and n must be at least 1")
        if self.acq > n:
            raise InputError(
                f"acquisition size {self.acq} exceeds the sub-pool of n = {n}; raise n or lower acq"
            )
        if self.budget < self.initial:
            raise InputError(f"budget {self.budget} is below the {self.initial} initial labels")
        last = self.budget - self.initial
        last -= min(last, (last - 1) % self.acq + 1)
        need = max(self.initial + validation + last + n, self.budget + validation)
        size = len(data.train_labels)
        if need > size:
            raise InputError(
                f"budget {self.budget} with sub-pools of {n} and {validation} validation samples "
                f"needs {need} training samples; {data.name!r} has {size}"
            )

    def architecture(self, data: DataSet) -> Architecture:
        """The classifier for that data set's classes and inputs."""
        return Architecture(self.classifier, data.classes, data.shape)

    def about(self, data: DataSet) -> dict[str, Any]:
        """All that a cycle depends on but its strategy and seed, for `cache.named`."""
        how = asdict(recipe(self.recipe))
        return {**asdict(self), "recipe": how, "data": data.fingerprint}


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
        self.architecture = config.architecture(data)

    @property
    def labels(self) -> int:
        """Size of the labelled set."""
        return len(self.pool.labelled)

    @property
    def due(self) -> int:
        """Samples to choose at this acquisition; 0 when the budget is spent."""
        return min(self.config.acq, self.config.budget - self.labels)

    def acquisitions(self, acquire: Acquire[Kept]) -> Iterator[Kept]:
        """`acquire` a batch and label it until the budget is spent (Sec. 3.1; Alg. 1, l. 4-17)."""
        model: Classifier | None = None
        while self.due:
            kept, batch, model = acquire(model)
            self.pool.label(batch)
            yield kept

    def job(
        self, batch: Sequence[int] | np.ndarray = (), start: Classifier | None = None
    ) -> TrainJob:
        """Training of the classifier on D_lab and `batch`.

        Weights and batch order depend on the seed and the number of labels only, so a temporary
        classifier is, bit for bit, the next one if its batch is the one taken; a probe that was
        trained in a stack is to `probe.TOLERANCE` only. With `start` it is a short fine-tuning of
        that classifier instead (the recipe "warm").
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
        """D_sub of this acquisition, n indices in random order (Alg. 1, line 6); all without n."""
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

    def select(
        self, query: Query, strategy: Strategy, policies: Mapping[str, AnyPolicy] | None = None
    ) -> np.ndarray:
        """Positions in the sub-pool of a strategy's batch.

        Raises:
            InputError: an own function gives anything but the right number of positions.
        """
        name, acquire = name_of(strategy), acquisition_function(strategy, policies or {})
        chosen = acquire(query, self.due, self.rng(name))
        found = check_indices(f"the batch of {name!r}", chosen, len(query.inputs_N))
        if len(found) != self.due:
            raise InputError(f"strategy {name!r} chose {len(found)} samples, not {self.due}")
        return found


def name_of(strategy: Strategy) -> str:
    """What a strategy is called in tables, figures and files.

    Raises:
        InputError: a function without a name of its own.
    """
    if isinstance(strategy, str):
        return strategy
    if isinstance(strategy, Policy):
        return "policy"
    if isinstance(strategy, Generalist):
        return GENERALIST
    name = str(getattr(strategy, "__name__", "")) if callable(strategy) else ""
    if not name.isidentifier():
        raise InputError(f"a strategy of your own needs a name: define it by `def`, not {strategy}")
    return name


def with_shipped(
    policies: Mapping[str, AnyPolicy], strategies: Collection[Strategy]
) -> Mapping[str, AnyPolicy]:
    """The policies by name, and the shipped generalist where a strategy names it and they do not.

    Each call reads its file anew: ask once for a whole cycle.
    """
    named = [strategy for strategy in strategies if isinstance(strategy, str)]
    if GENERALIST in policies or GENERALIST not in named:
        return policies
    return {**policies, GENERALIST: load_policy(GENERALIST)}


def policy_of(strategy: Strategy, policies: Mapping[str, AnyPolicy]) -> AnyPolicy | None:
    """The policy that a strategy is, itself or by name (`with_shipped`); None for others."""
    if isinstance(strategy, Policy | Generalist):
        return strategy
    if not isinstance(strategy, str):
        return None
    return with_shipped(policies, [strategy]).get(strategy)


def acquisition_function(strategy: Strategy, policies: Mapping[str, AnyPolicy]) -> Expert:
    """The function that chooses: an expert's or a policy's by name, or the one given.

    Raises:
        InputError: a name of neither.
    """
    if policy := policy_of(strategy, policies):
        return policy.select
    if not isinstance(strategy, str):
        return cast(Expert, strategy)
    check_name("strategy", strategy, [*EXPERTS, GENERALIST, *policies])
    return EXPERTS[strategy]


def check(
    data: DataSet,
    config: CycleConfig,
    strategies: Collection[Strategy],
    policies: Mapping[str, AnyPolicy],
) -> None:
    """Check that these strategies can run with this configuration on that data set.

    Raises:
        InputError: unknown strategy, or two of one name; a configuration that does not fit the
            data; a policy for another class count or embedding width; mc_dropout with a classifier
            that has no dropout; ensemble with the probe; an own classifier that does not give a
            logit for each class.
    """
    check_kind("data", data, DataSet)
    check_kind("config", config, CycleConfig)
    check_list("strategies", strategies)
    config.check(data)
    names = [name_of(strategy) for strategy in strategies]
    policies = with_shipped(policies, strategies)
    model = build(config.architecture(data), seed=0)
    for name, strategy in zip(names, strategies, strict=True):
        if name != ORACLE:
            acquisition_function(strategy, policies)
        if policy := policy_of(strategy, policies):
            policy.check(model.head.out_features, model.head.in_features)
        if strategy == "mc_dropout":
            check_dropout(model)
        if strategy == "ensemble" and isinstance(model, Probe):
            raise InputError(
                "all members of an ensemble of probes would be the same, as nothing in their "
                "training is random; leave 'ensemble' out or take another classifier"
            )
    if len(set(names)) < len(names):
        raise InputError(f"two strategies have the same name: {', '.join(names)}")


@float32_on_cpu()
def run_cycle(
    data: DataSet,
    config: CycleConfig,
    strategy: Strategy,
    seed: int,
    policies: Mapping[str, AnyPolicy] | None = None,
) -> pd.DataFrame:
    """One cycle: a row for every size of the labelled set (Sec. 3.1).

    `strategy` is an expert's name, that of one of `policies`, or a function or policy of one's
    own; or "oracle", the best of many batches by their true labels (`oracle.best`). Columns:
    dataset, classifier, strategy, seed, labels, accuracy (test set, 0 to 1), fit_seconds,
    query_seconds (with the training of the ensemble's members and of the oracle's classifiers;
    both 0 where nothing was done), chosen (indices of the batch taken next, separated by blanks).

    Raises:
        InputError: as `check`, before anything is trained.
    """
    policies = with_shipped(policies or {}, [strategy])
    check(data, config, [strategy], policies)
    cycle = Cycle(data, config, seed)

    def measured() -> tuple[dict[str, Any], Classifier]:
        started = time.perf_counter()
        (model,) = fit_many([cycle.job()])
        seconds = time.perf_counter() - started
        hits = correct_mask(model, data.test_inputs, data.test_labels, recipe(config.recipe))
        row = {"labels": cycle.labels, "accuracy": hits.mean(), "fit_seconds": seconds}
        return row | {"query_seconds": 0.0, "chosen": ""}, model

    def acquire(_: Classifier | None) -> tuple[dict[str, Any], np.ndarray, None]:
        row, model = measured()
        started = time.perf_counter()
        members = fit_many(cycle.member_jobs()) if strategy == "ensemble" else ()
        sub_pool = cycle.sub_pool()
        if strategy == ORACLE:
            batch = sub_pool[best(cycle, model, sub_pool)]
        else:
            query = cycle.query(model, sub_pool, members)
            batch = sub_pool[cycle.select(query, strategy, policies)]
        row |= {"query_seconds": time.perf_counter() - started, "chosen": joined(batch)}
        return row, batch, None

    rows = [*cycle.acquisitions(acquire), measured()[0]]
    head = {"dataset": data.name, "classifier": cycle.architecture.label}
    name = {"strategy": name_of(strategy), "seed": seed}
    return pd.DataFrame([head | name | row for row in rows])


def joined(batch: np.ndarray) -> str:
    """Indices as the column `chosen` has them, separated by blanks."""
    return " ".join(map(str, batch))


def replay(
    data: DataSet, config: CycleConfig, curve: pd.DataFrame
) -> tuple[Classifier, np.ndarray]:
    """The last classifier of a cycle that `run_cycle` returned, and its labelled indices, again."""
    cycle = Cycle(data, config, int(curve["seed"].iloc[0]))
    for chosen in curve["chosen"]:
        cycle.pool.label(np.array(chosen.split(), dtype=np.int64))
    return fit_many([cycle.job()])[0], cycle.pool.labelled
