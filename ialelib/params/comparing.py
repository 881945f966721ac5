"""Parameters of the notebooks that compare strategies on the paper's data sets: one class each."""

from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from ialelib import data
from ialelib.experiments import alil
from ialelib.experiments.batch_sizes import Size
from ialelib.oracle import ORACLE
from ialelib.params.base import Params
from ialelib.params.cycles import Cycles, Paired, Strategies, can_transfer
from ialelib.params.types import (
    NOTHING,
    BaselineName,
    ClassifierName,
    DataSetName,
    Distinct,
    Made,
    PolicyName,
    PositiveFloat,
    PositiveInt,
    Seed,
    Seeds,
    Several,
    StrategyName,
    TablePath,
)
from ialelib.policy import AnyPolicy, load_policy
from ialelib.recipes import RECIPES, Recipe
from ialelib.utils.errors import InputError
from ialelib.utils.files import expanded, project


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


class Pools(Strategies, notebook="21_pools", tables=("curves", "tests"), pictures=("gains",)):
    """Parameters of 21_pools."""

    datasets: Several[DataSetName]
    policy: PolicyName

    def policies(self) -> dict[str, AnyPolicy]:
        """The paper's policy by the name of its strategy."""
        return {"policy": load_policy(self.policy)}

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.comparable()
        if {"policy", ORACLE} & set(self.strategies) != {"policy"}:
            raise InputError("parameter 'strategies': 'policy', and others, but not 'oracle'")
        for n in (self.n, None):
            config = replace(self.cycle_config(), n=n)
            can_transfer("policy", [self.policy], self.datasets, config, made)
