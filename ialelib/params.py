"""Typed, strict parameters of every notebook: a misspelt or ill-typed one stops the run at once."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

from typing_extensions import override

from ialelib import cycle, data, policy
from ialelib.cycle import Setting
from ialelib.dagger import Imitation
from ialelib.errors import InputError, unknown
from ialelib.experts import EXPERTS
from ialelib.recipes import RECIPES, Recipe
from ialelib.strict import Params, project

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

    def data(self, seed: int) -> data.DataSet:
        """The two Gaussians drawn from a seed."""
        return data.toy_gaussians(self.samples, self.samples, self.overlap, seed)

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        budget = self.initial + self.acq * self.acquisitions
        return Setting("toy_mlp", self.initial, budget, self.acq, self.n, recipe="toy")

    def imitation(self) -> Imitation:
        """Algorithm 1 with the two experts of Fig. 1."""
        return Imitation(self.setting(), ("entropy", "coreset"), self.episodes, validation=500)

    @override
    def check(self, made: Collection[str] = ()) -> None:
        self.imitation().check(self.data(seed=1))


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

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        return Setting(self.classifier, self.initial, self.budget, self.acq, self.n, self.recipe)


class Cycles(Paired):
    """What notebooks that compare strategies share."""

    strategies: list[str]

    @override
    def makes(self, notebook: str) -> set[str]:
        return {f"{self.figures}/{notebook}_curves.csv"}

    @override
    def check(self, made: Collection[str] = ()) -> None:
        for name in self.strategies:
            if name not in (*EXPERTS, "policy"):
                raise unknown("strategy", name, [*EXPERTS, "policy"])


class PolicyTraining(Cycles):
    """Parameters of 02_policy_training."""

    dataset: str
    experts: list[str]
    episodes: int
    p: float | Literal["decay"]
    validation: int
    target: Literal["best", "weighted"]
    ranking: Literal["scratch", "warm"]
    per_round: int
    seed: int
    save_policy: str | None

    @override
    def makes(self, notebook: str) -> set[str]:
        return super().makes(notebook) | ({self.save_policy} if self.save_policy else set())

    def imitation(self) -> Imitation:
        """Algorithm 1's parameters."""
        return Imitation(
            self.setting(),
            tuple(self.experts),
            self.episodes,
            self.p,
            self.validation,
            self.target,
            self.ranking,
            self.per_round,
            seed=self.seed,
        )

    @override
    def check(self, made: Collection[str] = ()) -> None:
        super().check(made)
        _known(self.dataset)
        self.imitation().check(data.load(self.dataset))


class TransferDatasets(Cycles):
    """Parameters of 03_transfer_datasets."""

    datasets: list[str]
    policy: str

    @override
    def check(self, made: Collection[str] = ()) -> None:
        super().check(made)
        _can_transfer(self.policy, self.datasets, self.setting(), made)


class Overlap(Paired):
    """Parameters of 04_overlap."""

    datasets: list[str]
    policy: str

    @override
    def check(self, made: Collection[str] = ()) -> None:
        _can_transfer(self.policy, self.datasets, self.setting(), made)


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

    def setting(self, recipe: str) -> Setting:
        """The episodes in which experts are ranked, and the cycles in which policies choose."""
        return Setting(self.classifier, self.initial, self.budget, self.acq, self.n, recipe)

    @override
    def check(self, made: Collection[str] = ()) -> None:
        for name in (*self.datasets, self.ranking_dataset):
            _known(name)
        self.recipes()
        self.warm()
        self.setting("fast").check(data.load(self.ranking_dataset), self.validation)
        for name in self.compared:
            if name not in made:
                policy.load(name)


class Statistics(Params):
    """Parameters of 12_statistics."""

    curves: list[str]
    """Tables of learning curves, relative to the project."""
    reference: str

    def tables(self) -> list[Path]:
        """Where the tables are."""
        return [project() / name for name in self.curves]

    @override
    def check(self, made: Collection[str] = ()) -> None:
        for name, path in zip(self.curves, self.tables(), strict=True):
            if name not in made and not path.is_file():
                raise InputError(f"no table {path}; run the notebook that makes it first")


def _can_transfer(name: str, datasets: list[str], setting: Setting, made: Collection[str]) -> None:
    """Whether the policy fits the classifier and the data; of one not made yet, only the rest."""
    for dataset in datasets:
        _known(dataset)
    policies = {} if name in made else {"policy": policy.load(name)}
    for dataset in datasets:
        cycle.check(data.load(dataset), setting, policies, policies)


def _known(dataset: str) -> None:
    if dataset not in data.available():
        raise unknown("data set", dataset, data.available())
