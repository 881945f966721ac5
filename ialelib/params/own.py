"""Parameters of the notebooks on one's own data: one class each."""

from pathlib import Path

from typing_extensions import override

from ialelib import data
from ialelib.cycle import CycleConfig
from ialelib.params.cycles import Acquisitions, Cycles
from ialelib.params.types import (
    NOTHING,
    DataSetName,
    Made,
    PolicyName,
    PositiveInt,
    RuleName,
    Several,
    Widths,
)
from ialelib.utils.files import project
from ialelib.utils.progress import watched


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
