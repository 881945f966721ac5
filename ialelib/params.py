"""Typed, strict parameters of every notebook: a misspelt or ill-typed one stops the run at once."""

from collections.abc import Iterable
from typing import Literal

import torch
from typing_extensions import override

from ialelib import alil, cycle, data, policy
from ialelib.cycle import Setting
from ialelib.dagger import Imitation
from ialelib.errors import InputError, unknown
from ialelib.experts import EXPERTS
from ialelib.models import CLASSIFIERS, Architecture, build
from ialelib.policy import Policy
from ialelib.recipes import RECIPES
from ialelib.state import PARTS
from ialelib.strict import NOTHING, Made, Params, about, project

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

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        budget = self.initial + self.acq * self.acquisitions
        return Setting("toy_mlp", self.initial, budget, self.acq, self.n, recipe="toy")

    def imitation(self) -> Imitation:
        """Algorithm 1 with the two experts of Fig. 1."""
        return Imitation(self.setting(), ("entropy", "coreset"), self.episodes, validation=500)

    @override
    def check(self, made: Made = NOTHING) -> None:
        self.imitation().check(self.data(seed=1))

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
            PARTS[self.parts],
            seed=self.seed,
        )

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        among("dataset", [self.dataset], "data set", data.available())
        among("experts", self.experts, "expert", EXPERTS)
        among("recipe", [self.recipe], "recipe", RECIPES)
        self.imitation().check(data.load(self.dataset))

    @override
    def untrained(self) -> dict[str, Policy]:
        return untrained(self.save_policy, self.dataset, self.imitation())


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
        can_transfer("policy", [self.policy], self.datasets, self.setting(), made)
        if self.alil:
            single = alil.one_at_a_time(self.setting())
            can_transfer("alil", [self.alil], self.datasets, single, made)


class Overlap(Paired):
    """Parameters of 04_overlap."""

    datasets: list[str]
    policy: str

    @override
    def check(self, made: Made = NOTHING) -> None:
        can_transfer("policy", [self.policy], self.datasets, self.setting(), made)


def untrained(name: str | None, dataset: str, imitation: Imitation) -> dict[str, Policy]:
    """The policy that Algorithm 1 would train on a data set, with fresh weights, by its name."""
    if name is None:
        return {}
    images = data.load(dataset)
    architecture = Architecture(imitation.setting.classifier, images.classes, images.shape)
    width = build(architecture, seed=0).head.in_features
    with torch.random.fork_rng(devices=[]):
        return {name: Policy(images.classes, width, imitation.parts)}


def can_transfer(
    key: str, names: list[str], datasets: list[str], setting: Setting, made: Made
) -> None:
    """Whether the policies, also those that the batch makes, fit the classifier and the data.

    Raises:
        InputError: that names the parameter: `key`, datasets, classifier, recipe or another.
    """
    among("datasets", datasets, "data set", data.available())
    among("classifier", [setting.classifier], "classifier", CLASSIFIERS)
    among("recipe", [setting.recipe], "recipe", RECIPES)
    with about(key):
        known = {name: made[name] if name in made else policy.load(name) for name in names}
    policies = {name: found for name, found in known.items() if found is not None}
    for dataset in datasets:
        images = data.load(dataset)
        setting.check(images)
        with about(key):
            cycle.check(images, setting, policies, policies)


def among(key: str, names: Iterable[str], kind: str, accepted: Iterable[str]) -> None:
    """Raises InputError for a name that is not accepted, with the parameter `key` and those."""
    known = list(accepted)
    with about(key):
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)
