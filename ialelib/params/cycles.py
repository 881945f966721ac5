"""What parameters of several notebooks have in common: sizes of cycles, and what fits together."""

from ialelib import cycle, data
from ialelib.cycle import CycleConfig
from ialelib.params.base import Params
from ialelib.params.types import (
    ClassifierName,
    Distinct,
    Made,
    Processes,
    RecipeName,
    Seeds,
    StrategyName,
    known,
)
from ialelib.utils.errors import InputError


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
