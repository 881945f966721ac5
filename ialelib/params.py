"""Typed, strict parameters of every notebook: a misspelt or ill-typed one stops the run at once.

`python -m ialelib.params FOLDER` checks every YAML file in a folder before a batch starts.
"""

import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal

import yaml
from typing_extensions import override

from ialelib import data, policy
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


class Cycles(Params):
    """What notebooks that run cycles on image sets share."""

    classifier: str
    initial: int
    budget: int
    acq: int
    n: int
    recipe: str
    strategies: list[str]
    seeds: list[int]
    processes: int

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        return Setting(self.classifier, self.initial, self.budget, self.acq, self.n, self.recipe)

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
        if self.policy not in made:
            policy.load(self.policy)
        for name in self.datasets:
            _known(name)
        for name in self.datasets:
            self.setting().check(data.load(name))


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


def _known(dataset: str) -> None:
    if dataset not in data.available():
        raise unknown("data set", dataset, data.available())


NOTEBOOKS: dict[str, type[Params]] = {
    "01_toy_gaussians": ToyGaussians,
    "02_policy_training": PolicyTraining,
    "03_transfer_datasets": TransferDatasets,
    "11_training_cost": TrainingCost,
}


def read(path: Path, made: Collection[str] = ()) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` as above.

    Raises:
        InputError: no such notebook, not YAML, or a wrong parameter; the message names the file.
    """
    try:
        notebook = path.stem.split("-")[0]
        if notebook not in NOTEBOOKS:
            raise unknown("notebook", notebook, NOTEBOOKS)
        values = yaml.safe_load(path.read_text())
        if not isinstance(values, dict):
            raise InputError("the file must hold lines of the form `name: value`")
        return NOTEBOOKS[notebook].checked(values, made)
    except (InputError, OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None


def main(arguments: list[str]) -> int:
    """Check the YAML files in the folders given, in order; 0 if all are good."""
    paths = [path for folder in arguments for path in sorted(Path(folder).glob("*.yaml"))]
    if not paths:
        print(f"no params files in {', '.join(arguments) or 'nothing'}", file=sys.stderr)
        return 2
    made: set[str] = set()
    for path in paths:
        try:
            found = read(path, made)
            made |= {getattr(found, "save_policy", None) or ""}
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
