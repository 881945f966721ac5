"""Typed, strict parameters of 10_own_pool."""

from pathlib import Path

from typing_extensions import override

from ialelib import data, policy
from ialelib.errors import InputError
from ialelib.own_pool import Plan
from ialelib.params import among
from ialelib.progress import watched
from ialelib.strict import NOTHING, Made, Params, about, project
from ialelib.widths import NARROWEST, RULES, WIDEST


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
                policy.load(self.policy)
        for plan in self.plans():
            plan.check(len(data.load(self.dataset).train_labels))
        self.width_plan().check(len(data.load(self.width_dataset).train_labels))
