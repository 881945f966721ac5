"""Parameters of the notebooks that train policies: one class each."""

from dataclasses import replace
from typing import Literal

from typing_extensions import override

from ialelib import cycle, data
from ialelib.cycle import CycleConfig
from ialelib.dagger import DaggerConfig
from ialelib.experiments import alil
from ialelib.models import build
from ialelib.params.cycles import Acquisitions, Cycles, Strategies, can_transfer
from ialelib.params.types import (
    NOTHING,
    BaselineName,
    DataSetName,
    Distinct,
    ExpertName,
    Made,
    NewPolicyName,
    PolicyName,
    PositiveInt,
    Processes,
    RecipeName,
    Seed,
    Seeds,
    Several,
)
from ialelib.policy import Policy, fresh_policy
from ialelib.state import PARTS
from ialelib.utils.errors import InputError


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


class Extend(Imitation, notebook="18_extend", pictures=("curves",)):
    """Parameters of 18_extend."""

    recipe: RecipeName
    experts: Several[ExpertName]
    """Those that the policy imitates, beside the user's own."""
