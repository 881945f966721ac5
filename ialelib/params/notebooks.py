"""Typed, strict parameters of every notebook."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from typing_extensions import override

from ialelib import cycle, data, policy
from ialelib.cycle import CycleConfig
from ialelib.dagger import DaggerConfig
from ialelib.experiments import alil
from ialelib.experiments.batch_sizes import Size
from ialelib.experiments.own_pool import Plan
from ialelib.experts import EXPERTS
from ialelib.inference.adapt import NARROWEST, RULES, WIDEST
from ialelib.models import CLASSIFIERS, Architecture, build
from ialelib.params.base import NOTHING, Made, Params, about
from ialelib.policy import Policy
from ialelib.recipes import RECIPES, Recipe
from ialelib.state import PARTS
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import project
from ialelib.utils.progress import watched

__all__ = ["Params", "project"]


class ToyGaussians(Params):
    """Parameters of 01_toy_gaussians."""

    overlap: float
    samples: int
    initial: int
    acq: int
    acquisitions: int
    n: int
    episodes: int
    seeds: list[int]
    processes: int
    save_policy: str | None

    def data(self, seed: int) -> data.DataSet:
        """The two Gaussians drawn from a seed."""
        return data.toy_gaussians(self.samples, self.samples, self.overlap, seed)

    def cycle_config(self) -> CycleConfig:
        """The cycle that every strategy runs."""
        budget = self.initial + self.acq * self.acquisitions
        return CycleConfig("toy_mlp", self.initial, budget, self.acq, self.n, recipe="toy")

    def dagger_config(self) -> DaggerConfig:
        """Algorithm 1 with the two experts of Fig. 1."""
        return DaggerConfig(
            self.cycle_config(), ("entropy", "coreset"), self.episodes, validation=500
        )

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.dagger_config().check(self.data(seed=1))

    @override
    def makes(self, notebook: str) -> set[str]:
        return {self.save_policy} if self.save_policy else set()


class Paired(Params):
    """What notebooks that run cycles on image sets share."""

    classifier: str
    initial: int
    budget: int
    acq: int
    n: int
    recipe: str
    seeds: list[int]
    processes: int

    def cycle_config(self) -> CycleConfig:
        """The cycle that every strategy runs."""
        return CycleConfig(
            self.classifier, self.initial, self.budget, self.acq, self.n, self.recipe
        )


class Cycles(Paired):
    """What notebooks that compare strategies share."""

    strategies: list[str]

    @override
    def makes(self, notebook: str) -> set[str]:
        return {f"{self.figures}/{notebook}_curves.csv"}

    @override
    def check(self, made: Made = NOTHING) -> None:
        among("strategies", self.strategies, "strategy", [*EXPERTS, "policy"])

    def comparable(self) -> None:
        """Raises InputError without random sampling to compare with, or any label to buy."""
        if "random" not in self.strategies:
            raise InputError("parameter 'strategies': 'random' is missing; all are compared to it")
        if self.budget <= self.initial:
            raise InputError(f"parameter 'budget': more than the {self.initial} initial labels")


class Training(Cycles):
    """What notebooks that train a policy share."""

    save_policy: str | None

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        self.comparable()

    @override
    def makes(self, notebook: str) -> set[str]:
        return super().makes(notebook) | ({self.save_policy} if self.save_policy else set())


class PolicyTraining(Training):
    """Parameters of 02_policy_training."""

    dataset: str
    experts: list[str]
    episodes: int
    p: float | Literal["decay"]
    validation: int
    target: Literal["best", "weighted"]
    parts: Literal["full", "class_free", "no_predictions", "no_gradients"]
    ranking: Literal["scratch", "warm"]
    per_round: int
    seed: int

    def dagger_config(self) -> DaggerConfig:
        """Algorithm 1's parameters."""
        return DaggerConfig(
            self.cycle_config(),
            tuple(self.experts),
            self.episodes,
            self.p,
            self.validation,
            self.target,
            self.ranking,
            self.per_round,
            PARTS[self.parts],
            seed=self.seed,
        )

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        among("dataset", [self.dataset], "data set", data.available())
        among("experts", self.experts, "expert", EXPERTS)
        among("recipe", [self.recipe], "recipe", RECIPES)
        self.dagger_config().check(data.load_data(self.dataset))

    @override
    def untrained(self) -> dict[str, Policy]:
        return untrained(self.save_policy, self.dataset, self.dagger_config())


class TransferDatasets(Cycles):
    """Parameters of 03_transfer_datasets."""

    datasets: list[str]
    policy: str
    alil: str | None
    """The policy of the baseline ALIL; none leaves it out."""

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        self.comparable()
        can_transfer("policy", [self.policy], self.datasets, self.cycle_config(), made)
        if self.alil:
            single = alil.one_at_a_time(self.cycle_config())
            can_transfer("alil", [self.alil], self.datasets, single, made)


class Overlap(Paired):
    """Parameters of 04_overlap."""

    datasets: list[str]
    policy: str

    @override
    def check(self, made: Made = NOTHING) -> None:
        can_transfer("policy", [self.policy], self.datasets, self.cycle_config(), made)


def untrained(name: str | None, dataset: str, config: DaggerConfig) -> dict[str, Policy]:
    """The policy that Algorithm 1 would train on a data set, with fresh weights, by its name."""
    if name is None:
        return {}
    images = data.load_data(dataset)
    architecture = Architecture(config.cycle.classifier, images.classes, images.shape)
    width = build(architecture, seed=0).head.in_features
    return {name: policy.fresh_policy(images.classes, width, config.parts)}


def can_transfer(
    key: str, names: list[str], datasets: list[str], config: CycleConfig, made: Made
) -> None:
    """Whether the policies, also those that the batch makes, fit the classifier and the data.

    Raises:
        InputError: that names the parameter: `key`, datasets, classifier, recipe or another.
    """
    among("datasets", datasets, "data set", data.available())
    among("classifier", [config.classifier], "classifier", CLASSIFIERS)
    among("recipe", [config.recipe], "recipe", RECIPES)
    with about(key):
        known = {name: made[name] if name in made else policy.load_policy(name) for name in names}
    policies = {name: found for name, found in known.items() if found is not None}
    for dataset in datasets:
        images = data.load_data(dataset)
        config.check(images)
        with about(key):
            cycle.check(images, config, policies, policies)


def among(key: str, names: Iterable[str], kind: str, accepted: Iterable[str]) -> None:
    """Raises InputError for a name that is not accepted, with the parameter `key` and those."""
    known = list(accepted)
    with about(key):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)


class OwnPool(Params):
    """Parameters of 10_own_pool."""

    dataset: str
    """Plays the pool of one's own; its labels play the person who labels."""
    policy: str
    initial: int
    budget: int
    acq: int
    n: int
    steps: list[int]
    """Batches that the classifier is trained for; the cycles are run for each of them."""
    seeds: list[int]
    width_dataset: str
    widths: list[int]
    rules: list[str]
    """How other widths are fitted to the policy's; the first is used at its own width, too."""
    width_budget: int
    width_steps: int
    width_seeds: list[int]
    processes: int

    def plans(self) -> list[Plan]:
        """The cycles in which the policy is compared with random sampling, by steps."""
        return [Plan(self.initial, self.budget, self.acq, self.n, steps) for steps in self.steps]

    def width_plan(self) -> Plan:
        """The cycles with classifiers of several widths."""
        return Plan(self.initial, self.width_budget, self.acq, self.n, self.width_steps)

    def label_file(self, runs_folder: Path) -> Path:
        """Where labels given by hand are kept: in `labels/`, away from what batches write.

        Where nobody is there to give any, with the run's other files.
        """
        if watched():
            return project() / "labels" / f"{self.dataset}.sqlite"
        return runs_folder / f"labels-{self.dataset}-{self.policy}.sqlite"

    @override
    def makes(self, notebook: str) -> set[str]:
        return {f"{self.figures}/{notebook}_curves.csv"}

    @override
    def check(self, made: Made = NOTHING) -> None:
        among("dataset", [self.dataset], "data set", data.available())
        among("width_dataset", [self.width_dataset], "data set", data.available())
        among("rules", self.rules, "rule", RULES)
        if not all((self.widths, self.rules, self.steps, self.seeds, self.width_seeds)):
            raise InputError("widths, rules, steps, seeds and width_seeds must not be empty")
        if not all(NARROWEST <= width <= WIDEST for width in self.widths):
            raise InputError(f"widths must be {NARROWEST} to {WIDEST}, not {self.widths}")
        if self.policy not in made:
            with about("policy"):
                policy.load_policy(self.policy)
        for plan in self.plans():
            plan.check(len(data.load_data(self.dataset).train_labels))
        self.width_plan().check(len(data.load_data(self.width_dataset).train_labels))


class Compared(Cycles):
    """Parameters of 05 to 08 and 13: several policies, by their names, beside other strategies."""

    datasets: list[str]
    policies: list[str]
    median: int
    """Acquisitions in the window of the median-filtered curves; 1 leaves them as they are."""

    def names(self) -> list[str]:
        """All strategies that run, the policies first."""
        return [*self.policies, *self.strategies]

    @override
    def check(self, made: Made = NOTHING) -> None:
        if not self.policies or len(set(self.names())) < len(self.names()):
            raise InputError("policies and strategies must be different names, and one policy")
        if self.median < 1 or self.median % 2 == 0:
            raise InputError(f"median must be an odd number of acquisitions, not {self.median}")
        among("strategies", self.strategies, "strategy", EXPERTS)
        self.comparable()
        can_transfer("policies", self.policies, self.datasets, self.cycle_config(), made)


class Sizes(Cycles):
    """Parameters of 09_ablation_sizes; `acq` and `n` are those that the policy was trained with."""

    dataset: str
    policy: str
    sizes: list[list[int]]
    """Pairs of acq and n that the policy runs with; random sampling runs once for each acq."""
    few_below: int
    few_seeds: list[int]
    """Instead of `seeds` for acq below `few_below`: small steps mean many classifiers."""
    baseline_sizes: list[list[int]]
    """Those of `sizes` at which `strategies` run, too, with `baseline_seeds`."""
    baseline_seeds: list[int]

    def plan(self) -> list[Size]:
        """Everything that runs."""
        planned, seen = [], set()
        for acq, n in self.sizes:
            names = ["policy"] if acq in seen else ["policy", "random"]
            seen.add(acq)
            planned.append(Size(acq, n, names, self.seeds_at(acq)))
        others = [name for name in self.strategies if name not in ("policy", "random")]
        return planned + [Size(a, n, others, self.baseline_seeds) for a, n in self.baseline_sizes]

    def seeds_at(self, acq: int) -> list[int]:
        """The seeds of the policy and of random sampling at an acquisition size."""
        return self.few_seeds if acq < self.few_below else self.seeds

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        pairs = [tuple(pair) for pair in self.sizes]
        if not pairs or any(len(pair) != 2 for pair in pairs) or len(set(pairs)) < len(pairs):
            raise InputError("sizes must be different pairs of acq and n, and one at least")
        if self.acq not in {pair[0] for pair in pairs}:
            raise InputError(f"sizes must have the policy's own acq of {self.acq} among them")
        for pair in self.baseline_sizes:
            if tuple(pair) not in pairs:
                raise InputError(f"baseline_sizes has {pair}, which is not among the sizes")
            if not set(self.baseline_seeds) <= set(self.seeds_at(pair[0])):
                raise InputError("baseline_seeds must be among the seeds of the policy")
        for size in self.plan():
            can_transfer(
                "policy",
                [self.policy],
                [self.dataset],
                size.cycle_config(self.cycle_config()),
                made,
            )


class RunTime(Cycles):
    """Parameters of 14_run_time."""

    dataset: str
    policy: str
    experts: list[str]
    training_budget: int
    """Labels at the end of the policy-training episodes that are timed."""
    episodes: int
    validation: int
    ranking: Literal["scratch", "warm"]

    def dagger_configs(self) -> dict[str, DaggerConfig]:
        """Algorithm 1 as IALE and as ALIL run it, up to the same number of labels."""
        shared = replace(self.cycle_config(), budget=self.training_budget)
        experts, ranking = tuple(self.experts), self.ranking
        return {
            "IALE": DaggerConfig(
                shared, experts, self.episodes, validation=self.validation, ranking=ranking
            ),
            "ALIL": alil.dagger_config(shared, self.episodes, self.validation, ranking=ranking),
        }

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        if self.processes != 1:
            raise InputError("times are taken one after the other: processes must be 1")
        if not {"random", "policy"} <= set(self.strategies):
            raise InputError("strategies must have random and policy among them")
        can_transfer("policy", [self.policy], [self.dataset], self.cycle_config(), made)
        for config in self.dagger_configs().values():
            config.check(data.load_data(self.dataset))


class TrainingCost(Params):
    """Parameters of 11_training_cost."""

    datasets: list[str]
    classifier: str
    labels: list[int]
    seeds: list[int]
    multiples: list[float]
    warm_steps: list[int]
    ranking_dataset: str
    ranking_seeds: list[int]
    compared: list[str]
    quality_seeds: list[int]
    validation: int
    initial: int
    budget: int
    acq: int
    n: int
    processes: int

    def recipes(self) -> dict[str, Recipe]:
        """The paper's recipe, "fast", and "growing" in several lengths."""
        found = {name: RECIPES[name] for name in ("paper", "fast")}
        growing = RECIPES["growing"]
        for times in self.multiples:
            epochs, steps = (round(times * size) for size in (growing.epochs, growing.steps))
            name = "growing" if times == 1 else f"growing x {times:g}"
            found[name] = replace(growing, epochs=epochs, steps=steps)
        return found

    def warm(self) -> dict[str, Recipe]:
        """Fine-tuning in several lengths, and once with a higher, falling learning rate."""
        warm = RECIPES["warm"]
        found = {f"warm {n}": replace(warm, steps=n) for n in self.warm_steps}
        return found | {"warm 30 cosine": replace(warm, steps=30, lr=3e-3, warmup=0.1, cosine=True)}

    def cycle_config(self, recipe: str) -> CycleConfig:
        """The episodes in which experts are ranked, and the cycles in which policies choose."""
        return CycleConfig(self.classifier, self.initial, self.budget, self.acq, self.n, recipe)

    @override
    def check(self, made: Made = NOTHING) -> None:
        among("datasets", self.datasets, "data set", data.available())
        among("ranking_dataset", [self.ranking_dataset], "data set", data.available())
        self.recipes()
        self.warm()
        self.cycle_config("fast").check(data.load_data(self.ranking_dataset), self.validation)
        with about("compared"):
            for name in {*self.compared} - {*made}:
                policy.load_policy(name)


class Statistics(Params):
    """Parameters of 12_statistics."""

    curves: list[str]
    """Tables of learning curves, relative to the project."""
    policy: str
    """The policy that is "policy" in tables with several of them."""
    reference: str

    def tables(self) -> list[Path]:
        """Where the tables are."""
        return [project() / name for name in self.curves]

    @override
    def check(self, made: Made = NOTHING) -> None:
        among("reference", [self.reference], "strategy", [*EXPERTS, "policy"])
        with about("policy"):
            if self.policy not in made:
                policy.load_policy(self.policy)
        with about("curves"):
            for name, path in zip(self.curves, self.tables(), strict=True):
                if name not in made and not path.is_file():
                    raise InputError(f"no table {path}; run the notebook that makes it first")


class AlilTraining(Training):
    """Parameters of 15_alil.

    `acq` and `n` are those of the strategies that ALIL is compared with; its own are 1 and 10.
    """

    dataset: str
    episodes: int
    validation: int
    ranking: Literal["scratch", "warm"]
    seed: int

    def dagger_config(self) -> DaggerConfig:
        """Algorithm 1 as ALIL runs it."""
        return alil.dagger_config(
            self.cycle_config(),
            self.episodes,
            self.validation,
            ranking=self.ranking,
            seed=self.seed,
        )

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        among("strategies", self.strategies, "strategy", EXPERTS)
        among("dataset", [self.dataset], "data set", data.available())
        images = data.load_data(self.dataset)
        self.dagger_config().check(images)
        cycle.check(images, self.cycle_config(), self.strategies, {})

    @override
    def untrained(self) -> dict[str, Policy]:
        return untrained(self.save_policy, self.dataset, self.dagger_config())
