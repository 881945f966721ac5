"""Parameters of the notebooks on the paper and on one's own data: one class each."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from typing_extensions import override

from ialelib import cycle, data
from ialelib.cycle import CycleConfig
from ialelib.dagger import DaggerConfig
from ialelib.experiments import alil
from ialelib.experiments.batch_sizes import Size
from ialelib.models import build
from ialelib.params.base import Params
from ialelib.params.types import (
    NOTHING,
    BaselineName,
    ClassifierName,
    DataSetName,
    Distinct,
    ExpertName,
    Made,
    NewPolicyName,
    PolicyName,
    PositiveFloat,
    PositiveInt,
    Processes,
    RecipeName,
    RuleName,
    Seed,
    Seeds,
    Several,
    StrategyName,
    TablePath,
    Widths,
    known,
)
from ialelib.policy import Policy, fresh_policy
from ialelib.recipes import RECIPES, Recipe
from ialelib.state import PARTS
from ialelib.utils.errors import InputError
from ialelib.utils.files import expanded, project
from ialelib.utils.progress import watched


class Acquisitions(Params):
    """What nearly all share: initial labels, labels acquired at a time, size of a sub-pool."""

    initial: int
    acq: int
    n: int


class Cycles(Acquisitions):
    """What notebooks share that run cycles on image sets."""

    budget: int
    seeds: Seeds
    processes: Processes

    def cycle_config(self) -> CycleConfig:
        """The cycle that every strategy runs."""
        return CycleConfig(**self.named(CycleConfig))


class ToyGaussians(Acquisitions, notebook="01_toy_gaussians", pictures=("data", "strategies")):
    """Parameters of 01_toy_gaussians."""

    overlap: float
    samples: PositiveInt
    acquisitions: int
    episodes: PositiveInt
    seeds: Seeds
    processes: Processes
    save_policy: NewPolicyName | None

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


class Paired(Cycles):
    """What notebooks share that run them with this library's classifiers."""

    classifier: ClassifierName
    recipe: RecipeName


class Strategies(Paired):
    """What notebooks that compare strategies share."""

    strategies: Distinct[StrategyName]

    def comparable(self) -> None:
        """Raises InputError without random sampling to compare with, or any label to buy."""
        if "random" not in self.strategies:
            raise InputError("parameter 'strategies': 'random' is missing; all are compared to it")
        if self.budget <= self.initial:
            raise InputError(f"parameter 'budget': more than the {self.initial} initial labels")


class Imitation(Cycles):
    """What notebooks share that run Algorithm 1."""

    dataset: DataSetName
    episodes: PositiveInt
    validation: int

    def dagger_config(self) -> DaggerConfig:
        """Algorithm 1's parameters."""
        values = self.named(DaggerConfig)
        values["experts"] = tuple(values["experts"])
        return DaggerConfig(self.cycle_config(), **values)

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.dagger_config().check(data.load_data(self.dataset))


class Training(Strategies, Imitation):
    """What notebooks share that train a policy."""

    ranking: Literal["scratch", "warm"]
    seed: Seed
    save_policy: NewPolicyName | None

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.comparable()
        super().check(made)

    @override
    def untrained(self) -> dict[str, Policy]:
        if self.save_policy is None:
            return {}
        config, images = self.dagger_config(), data.load_data(self.dataset)
        width = build(config.cycle.architecture(images), seed=0).head.in_features
        return {self.save_policy: fresh_policy(images.classes, width, config.parts)}


class PolicyTraining(
    Training,
    notebook="02_policy_training",
    tables=("history", "curves"),
    pictures=("history", "curves"),
):
    """Parameters of 02_policy_training."""

    experts: Several[ExpertName]
    p: float | Literal["decay"]
    target: Literal["best", "weighted"]
    parts: Literal["full", "class_free", "no_predictions", "no_gradients"]
    per_round: int

    @override
    def dagger_config(self) -> DaggerConfig:
        return replace(super().dagger_config(), parts=PARTS[self.parts])


class TransferDatasets(Strategies, notebook="03_transfer_datasets", pictures=("samples", "curves")):
    """Parameters of 03_transfer_datasets."""

    datasets: Several[DataSetName]
    policy: PolicyName
    alil: PolicyName | None
    """The policy of the baseline ALIL; none leaves it out."""

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.comparable()
        can_transfer("policy", [self.policy], self.datasets, self.cycle_config(), made)
        if self.alil:
            single = alil.one_at_a_time(self.cycle_config())
            can_transfer("alil", [self.alil], self.datasets, single, made)


class Overlap(Paired, notebook="04_overlap", tables=("shares",), pictures=("experts", "families")):
    """Parameters of 04_overlap."""

    datasets: Several[DataSetName]
    policy: PolicyName

    @override
    def check(self, made: Made = NOTHING) -> None:
        can_transfer("policy", [self.policy], self.datasets, self.cycle_config(), made)


def can_transfer(
    key: str, names: list[str], datasets: list[str], config: CycleConfig, made: Made
) -> None:
    """Whether the policies, also those that the batch makes, fit the classifier and the data.

    Raises:
        InputError: that names the parameter with the policies, `key`.
    """
    policies = {name: found for name in names if (found := known(name, made)) is not None}
    for dataset in datasets:
        images = data.load_data(dataset)
        config.check(images)
        try:
            cycle.check(images, config, policies, policies)
        except InputError as error:
            raise InputError(f"parameter {key!r}: {error}") from None


class Compared(Strategies):
    """What notebooks share that compare several policies, by their names, with other strategies."""

    datasets: Several[DataSetName]
    policies: list[PolicyName]
    strategies: list[BaselineName]
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
        self.comparable()
        can_transfer("policies", self.policies, self.datasets, self.cycle_config(), made)


class TransferClassifiers(
    Compared, notebook="05_transfer_classifiers", pictures=("curves", "gains")
):
    """Parameters of 05_transfer_classifiers."""


class LargerImages(Compared, notebook="06_larger_images", pictures=("curves",)):
    """Parameters of 06_larger_images."""


class ClassCount(Compared, notebook="07_class_count", pictures=("curves", "gains")):
    """Parameters of 07_class_count."""


class ExpertAblation(
    Compared,
    notebook="08_ablation_experts",
    tables=("curves", "aubc"),
    pictures=("curves", "gains"),
):
    """Parameters of 08_ablation_experts."""


class Exploration(Compared, notebook="13_exploration", pictures=("schedules", "curves", "gains")):
    """Parameters of 13_exploration."""


class Sizes(
    Strategies,
    notebook="09_ablation_sizes",
    tables=("curves", "aubc"),
    pictures=("overview",),
):
    """Parameters of 09_ablation_sizes; `acq` and `n` are those that the policy was trained with."""

    dataset: DataSetName
    policy: PolicyName
    sizes: list[list[int]]
    """Pairs of acq and n that the policy runs with; random sampling runs once for each acq."""
    few_below: int
    few_seeds: Distinct[Seed]
    """Instead of `seeds` for acq below `few_below`: small steps mean many classifiers."""
    baseline_sizes: Distinct[list[int]]
    """Those of `sizes` at which `strategies` run, too, with `baseline_seeds`."""
    baseline_seeds: Distinct[Seed]

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
            config = size.cycle_config(self.cycle_config())
            can_transfer("policy", [self.policy], [self.dataset], config, made)


class RunTime(
    Strategies,
    notebook="14_run_time",
    tables=("curves", "acquisitions", "training"),
    pictures=("costs",),
):
    """Parameters of 14_run_time."""

    dataset: DataSetName
    policy: PolicyName
    experts: Several[ExpertName]
    training_budget: int
    """Labels at the end of the policy-training episodes that are timed."""
    episodes: PositiveInt
    validation: int
    ranking: Literal["scratch", "warm"]

    def dagger_configs(self) -> dict[str, DaggerConfig]:
        """Algorithm 1 as IALE and as ALIL run it, up to the same number of labels."""
        cycles = replace(self.cycle_config(), budget=self.training_budget)
        shared = self.model_dump(include={"episodes", "validation", "ranking"})
        return {
            "IALE": DaggerConfig(cycles, tuple(self.experts), **shared),
            "ALIL": alil.dagger_config(cycles, **shared),
        }

    @override
    def check(self, made: Made = NOTHING) -> None:
        if self.processes != 1:
            raise InputError("times are taken one after the other: processes must be 1")
        if not {"random", "policy"} <= set(self.strategies):
            raise InputError("strategies must have random and policy among them")
        can_transfer("policy", [self.policy], [self.dataset], self.cycle_config(), made)
        for config in self.dagger_configs().values():
            config.check(data.load_data(self.dataset))


class TrainingCost(
    Cycles,
    notebook="11_training_cost",
    tables=("accuracies", "rankings", "quality"),
    pictures=("recipes", "rankings"),
):
    """Parameters of 11_training_cost."""

    datasets: Several[DataSetName]
    classifier: ClassifierName
    labels: Several[PositiveInt]
    multiples: Several[PositiveFloat]
    warm_steps: Several[PositiveInt]
    ranking_dataset: DataSetName
    ranking_seeds: Seeds
    compared: Several[PolicyName]
    quality_seeds: Seeds
    validation: int

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

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.recipes()
        self.warm()
        for name in self.datasets:
            if max(self.labels) > (most := len(data.load_data(name).train_labels)):
                raise InputError(f"parameter 'labels': up to the {most} samples of {name!r}")
        self.cycle_config().check(data.load_data(self.ranking_dataset), self.validation)


class Statistics(
    Params,
    notebook="12_statistics",
    tables=("aubc", "penalties"),
    pictures=("gains", "penalties", "ranks"),
):
    """Parameters of 12_statistics."""

    curves: Several[TablePath]
    """Tables of learning curves, relative to the project."""
    policy: PolicyName
    """The policy that is "policy" in tables with several of them."""
    reference: StrategyName

    def table_paths(self) -> list[Path]:
        """Where the tables are."""
        return [project() / expanded(name) for name in self.curves]


class AlilTraining(
    Training, notebook="15_alil", tables=("curves", "history"), pictures=("curves",)
):
    """Parameters of 15_alil.

    `acq` and `n` are those of the strategies that ALIL is compared with; its own are 1 and 10.
    """

    strategies: Distinct[BaselineName]

    @override
    def dagger_config(self) -> DaggerConfig:
        return alil.dagger_config(self.cycle_config(), **self.named(DaggerConfig))

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        cycle.check(data.load_data(self.dataset), self.cycle_config(), self.strategies, {})


class PoolCycles(Cycles):
    """What notebooks share that run cycles with a user's classifier."""

    dataset: DataSetName
    """Stands for the user's pool; its labels stand for the annotator."""
    policy: PolicyName

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.cycle_config().check(data.load_data(self.dataset))


class OwnPool(PoolCycles, notebook="10_own_pool", pictures=("batch", "curves", "rehearsal")):
    """Parameters of 10_own_pool."""

    steps: Several[PositiveInt]
    """Batches that the classifier is trained for; the cycles are run for each of them."""


class EmbeddingWidths(PoolCycles, notebook="16_embedding_widths", pictures=("gains",)):
    """Parameters of 16_embedding_widths."""

    widths: Widths
    rules: Several[RuleName]
    """How other widths are fitted to the policy's; the first is used at its own width, too."""
    steps: PositiveInt


class Labelling(Acquisitions, notebook="17_labelling", tables=()):
    """Parameters of 17_labelling."""

    dataset: DataSetName
    policy: PolicyName

    def label_file(self, runs_folder: Path) -> Path:
        """Where labels given by hand are kept: in `labels/`, away from what batches write.

        Where nobody is there to give any, with the run's other files.
        """
        if watched():
            return project() / "labels" / f"{self.dataset}.sqlite"
        return runs_folder / f"labels-{self.dataset}-{self.policy}.sqlite"

    @override
    def check(self, made: Made = NOTHING) -> None:
        config = CycleConfig(budget=self.initial + self.acq, **self.named(CycleConfig))
        config.check(data.load_data(self.dataset))


class Extend(Imitation, notebook="18_extend", pictures=("curves",)):
    """Parameters of 18_extend."""

    recipe: RecipeName
    experts: Several[ExpertName]
    """Those that the policy imitates, beside the user's own."""
