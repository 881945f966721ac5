"""Typed, strict parameters of the notebooks beyond the paper's first story: 05 and later."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from typing_extensions import override

from ialelib import alil, cycle, data, policy
from ialelib.by_size import Size
from ialelib.cycle import Setting
from ialelib.episode import Imitation
from ialelib.errors import InputError
from ialelib.experts import EXPERTS
from ialelib.params import Cycles, Training, among, can_transfer, untrained
from ialelib.policy import Policy
from ialelib.recipes import RECIPES, Recipe
from ialelib.strict import NOTHING, Made, Params, about, project


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
        can_transfer("policies", self.policies, self.datasets, self.setting(), made)


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
                "policy", [self.policy], [self.dataset], size.setting(self.setting()), made
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

    def imitations(self) -> dict[str, Imitation]:
        """Algorithm 1 as IALE and as ALIL run it, up to the same number of labels."""
        shared = replace(self.setting(), budget=self.training_budget)
        experts, ranking = tuple(self.experts), self.ranking
        return {
            "IALE": Imitation(
                shared, experts, self.episodes, validation=self.validation, ranking=ranking
            ),
            "ALIL": alil.imitation(shared, self.episodes, self.validation, ranking=ranking),
        }

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        if self.processes != 1:
            raise InputError("times are taken one after the other: processes must be 1")
        if not {"random", "policy"} <= set(self.strategies):
            raise InputError("strategies must have random and policy among them")
        can_transfer("policy", [self.policy], [self.dataset], self.setting(), made)
        for imitation in self.imitations().values():
            imitation.check(data.load(self.dataset))


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
    def check(self, made: Made = NOTHING) -> None:
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
                policy.load(self.policy)
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

    def imitation(self) -> Imitation:
        """Algorithm 1 as ALIL runs it."""
        return alil.imitation(
            self.setting(), self.episodes, self.validation, ranking=self.ranking, seed=self.seed
        )

    @override
    def check(self, made: Made = NOTHING) -> None:
        super().check(made)
        among("strategies", self.strategies, "strategy", EXPERTS)
        among("dataset", [self.dataset], "data set", data.available())
        images = data.load(self.dataset)
        self.imitation().check(images)
        cycle.check(images, self.setting(), self.strategies, {})

    @override
    def untrained(self) -> dict[str, Policy]:
        return untrained(self.save_policy, self.dataset, self.imitation())
