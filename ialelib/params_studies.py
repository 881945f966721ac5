"""Typed, strict parameters of the notebooks beyond the paper's first story: 05 and later."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from ialelib import data, policy
from ialelib.cycle import Setting
from ialelib.errors import InputError
from ialelib.experts import EXPERTS
from ialelib.params import Cycles, among, can_transfer
from ialelib.recipes import RECIPES, Recipe
from ialelib.strict import Params, about, project


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
    def check(self, made: Collection[str] = ()) -> None:
        if not self.policies or len(set(self.names())) < len(self.names()):
            raise InputError("policies and strategies must be different names, and one policy")
        if self.median < 1 or self.median % 2 == 0:
            raise InputError(f"median must be an odd number of acquisitions, not {self.median}")
        among("strategies", self.strategies, "strategy", EXPERTS)
        can_transfer("policies", self.policies, self.datasets, self.setting(), made)


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
        among("datasets", self.datasets, "data set", data.available())
        among("ranking_dataset", [self.ranking_dataset], "data set", data.available())
        self.recipes()
        self.warm()
        self.setting("fast").check(data.load(self.ranking_dataset), self.validation)
        with about("compared"):
            for name in {*self.compared} - {*made}:
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
        with about("curves"):
            for name, path in zip(self.curves, self.tables(), strict=True):
                if name not in made and not path.is_file():
                    raise InputError(f"no table {path}; run the notebook that makes it first")
