"""Parameters of the notebooks beyond the paper: one class each."""

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from ialelib import data
from ialelib.cycle import CycleConfig
from ialelib.experiments import alil, frozen
from ialelib.generalist import Generalist
from ialelib.oracle import ORACLE
from ialelib.params.base import Params
from ialelib.params.cycles import can_transfer
from ialelib.params.types import (
    NOTHING,
    BaselineName,
    ClassifierName,
    DataSetName,
    Distinct,
    Made,
    NaturalInt,
    NewPolicyName,
    PolicyName,
    PositiveInt,
    Processes,
    RecipeName,
    Seed,
    Seeds,
    Several,
    known,
)
from ialelib.policy import GENERALIST, AnyPolicy, Policy, load_policy
from ialelib.search.evolution import SearchConfig
from ialelib.search.imitation import ImitationConfig
from ialelib.search.tasks import SOURCES, Source, views
from ialelib.utils.errors import InputError


def known_sources(names: Sequence[str]) -> list[Source]:
    """Sources by name: those of the generalist's training as they are there, others whole."""
    known = {source.name: source for source in SOURCES}
    return [known.get(name, Source(name)) for name in names]


class BeyondThePaper(
    Params,
    notebook="19_beyond_the_paper",
    tables=("search", "aubc", "curves", "tests", "ablations"),
    pictures=("search", "weights", "gains", "curves"),
):
    """Parameters of 19_beyond_the_paper."""

    sources: Several[DataSetName]
    """What the search draws its tasks from."""
    samples: PositiveInt
    """Training images of each source and target that are embedded, at most: the first ones."""
    generations: PositiveInt
    """Of the search on frozen features."""
    scratch_generations: NaturalInt
    """Of a search that follows, also on classifiers that are trained from scratch; 0: without."""
    candidates: PositiveInt
    tasks: PositiveInt
    averaged: PositiveInt
    rounds: PositiveInt
    """Of imitation, from whose policy the search starts."""
    imitated: PositiveInt
    """Tasks in each round of imitation."""
    seed: Seed
    """Of the training."""
    save_policy: NewPolicyName | None
    """What the trained policy is saved as."""
    policy: PolicyName | None
    """The generalist that runs beside the strategies, as "generalist"; None: the trained one."""
    strategies: Distinct[BaselineName]
    datasets: Several[DataSetName]
    unseen: DataSetName | None
    """A further target, of which odd classes are drawn: the generalist learns from even ones."""
    unseen_classes: Distinct[PositiveInt]
    dimensions: PositiveInt
    acquisitions: PositiveInt
    sizes: Several[PositiveInt]
    seeds: Seeds
    oracle_seeds: Distinct[Seed]
    ablation_seeds: Seeds
    """With which parts of the policy are left out, for the smallest of `sizes`."""
    processes: Processes

    def training(self) -> tuple[ImitationConfig, SearchConfig, SearchConfig | None]:
        """The stages of the training on view."""
        first = ImitationConfig(rounds=self.rounds, tasks=self.imitated, seed=self.seed)
        search = SearchConfig(**self.named(SearchConfig))
        scratch = replace(search, generations=self.scratch_generations)
        return first, search, scratch if self.scratch_generations else None

    def chosen(self) -> list[Source]:
        """The sources: those of the generalist's training as they are there, others whole."""
        found = known_sources(self.sources)
        return [replace(one, samples=min(one.samples, self.samples)) for one in found]

    def views(self) -> list[data.DataSet]:
        """The sources, each as the search sees it."""
        return views(self.chosen())

    def targets(self) -> list[frozen.Target]:
        """The data sets of the proof."""
        known = self.datasets, self.unseen, self.unseen_classes
        return frozen.targets(*known, self.dimensions, self.samples)

    def generalist(self, trained: Generalist) -> AnyPolicy:
        """The policy of the proof."""
        return load_policy(self.policy) if self.policy else trained

    def names(self) -> list[str]:
        """All strategies that run with every seed."""
        return [GENERALIST, *self.strategies]

    @override
    def check(self, made: Made = NOTHING) -> None:
        learned = self.chosen()
        if self.policy:
            if self.save_policy:
                raise InputError(
                    "give 'policy' or 'save_policy', not both: a card's results are of one policy"
                )
            policy = known(self.policy, made)
            if isinstance(policy, Policy):
                raise InputError(f"parameter 'policy': {self.policy!r} is no generalist; take one")
            learned += _sources_of(policy) if policy else []
        if "random" not in self.strategies or {ORACLE, "mc_dropout", "ensemble"} & set(
            self.strategies
        ):
            raise InputError(
                "parameter 'strategies': 'random', to compare with, and others, but not 'oracle' "
                "(see 'oracle_seeds'), 'mc_dropout' or 'ensemble', which the probe does not have"
            )
        if (self.unseen is None) != (not self.unseen_classes):
            raise InputError("'unseen' and 'unseen_classes' go together: give both, or neither")
        for source in learned:
            targets = [*self.datasets, *([self.unseen] if not source.classes else [])]
            if source.name.split("-")[0] in {str(name).split("-")[0] for name in targets}:
                raise InputError(
                    f"sources, also of 'policy', and targets must be apart; {source.name!r} is both"
                )
        if not set(self.oracle_seeds) <= set(self.seeds):
            raise InputError("parameter 'oracle_seeds': only some of 'seeds', which all others run")


class FromScratch(
    Params,
    notebook="20_from_scratch",
    tables=("passes", "aubc", "curves", "tests"),
    pictures=("gains", "curves"),
):
    """Parameters of 20_from_scratch."""

    sources: Several[DataSetName]
    """Whose images tell how many passes with dropout to average."""
    tasks: PositiveInt
    """Drawn from these, to compare the numbers of `passes`."""
    passes: Several[PositiveInt]
    datasets: Several[DataSetName]
    classifiers: Several[ClassifierName]
    sizes: Several[PositiveInt]
    """Candidates in a sub-pool: each is a comparison of its own."""
    initial: PositiveInt
    budget: PositiveInt
    acq: PositiveInt
    recipe: RecipeName
    policy: PolicyName
    """The paper's policy, "IALE", beside the shipped generalist."""
    alil: PolicyName | None
    """The policy of the baseline ALIL; none leaves it out."""
    strategies: Distinct[BaselineName]
    seeds: Seeds
    processes: Processes

    def cycle_config(self) -> CycleConfig:
        """What all cycles share; classifier and sub-pool differ."""
        return CycleConfig(**self.named(CycleConfig))

    def source_images(self) -> list[data.DataSet]:
        """The images of the sources; of those of the generalist's training, the same part."""
        return views([replace(source, views=("images",)) for source in known_sources(self.sources)])

    def policies(self) -> dict[str, AnyPolicy]:
        """Both policies by the names of their strategies."""
        return {GENERALIST: load_policy(GENERALIST), "policy": load_policy(self.policy)}

    def names(self) -> list[str]:
        """All strategies that run, but ALIL, which acquires labels one by one."""
        return [GENERALIST, "policy", *self.strategies]

    @override
    def check(self, made: Made = NOTHING) -> None:
        if "random" not in self.strategies or {GENERALIST, ORACLE} & set(self.strategies):
            raise InputError(
                "parameter 'strategies': 'random', to compare with, and others, but not 'oracle' "
                "or 'generalist', which runs in any case"
            )
        for key, name in (("policy", self.policy), ("alil", self.alil)):
            if name and isinstance(known(name, made), Generalist):
                raise InputError(f"parameter {key!r}: {name!r} is a generalist; name one of Eq. 1")
        if self.budget <= self.initial:
            raise InputError(f"parameter 'budget': more than the {self.initial} initial labels")
        for classifier in self.classifiers:
            for n in self.sizes:
                config = replace(self.cycle_config(), classifier=classifier, n=n)
                can_transfer("policy", [self.policy], self.datasets, config, made)
            if self.alil:
                single = alil.one_at_a_time(config)
                can_transfer("alil", [self.alil], self.datasets, single, made)


def _sources_of(generalist: Generalist) -> list[Source]:
    """What a generalist says that it was trained on: sources of `SOURCES`, or all of a set."""
    parts = {f"{source.name}, {len(source.classes)} classes": source for source in SOURCES}
    views = [view.rpartition(", ")[0] for view in generalist.about.get("views", [])]
    return [parts.get(view, Source(view.split(", ")[0])) for view in views]
