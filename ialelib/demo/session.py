"""What the toy demo shows: two strategies on two Gaussians, step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ialelib import cycle as cycles
from ialelib import data
from ialelib.cycle import Cycle, CycleConfig
from ialelib.experts import EXPERTS
from ialelib.metrics import aubc
from ialelib.plots.style import NAMES
from ialelib.policy import GENERALIST, Policy
from ialelib.recipes import recipe
from ialelib.state import observe
from ialelib.training import correct_mask, fit_many, predict
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import derive, stream

STRATEGIES = ("random", "entropy", "coreset", "badge", "confidence", "policy", GENERALIST)
COMPARED = ("entropy", "confidence", "coreset", "badge")
"""Experts that the policy's batch is compared with: those that need one classifier only."""
SIDES = ("left", "right")
EDGES_X = np.linspace(-6, 6, 25)
GRID_X = np.linspace(-6, 6, 37)
GRID_Y = np.linspace(-4.2, 4.2, 27)
_MESH = np.stack([a.ravel() for a in np.meshgrid(GRID_X, GRID_Y)], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Panel:
    """What one side shows after a step; points are indices into the training set.

    `probability_Y_X` is that of class 1 on the grid; `histogram_C_B` counts the labelled points
    of each class by their first coordinate; `labels` and `accuracy` (0 to 1, test points) hold a
    value for every training so far. Only the policy has `score_U`, one for each unlabelled point,
    by the classifier as it is now, and `shares`, in % of the newest batch, which the classifier
    before it was asked for: of each expert in `COMPARED`, and of "any" of them.
    """

    strategy: str
    labelled: np.ndarray
    unlabelled: np.ndarray
    newest: np.ndarray
    probability_Y_X: np.ndarray
    histogram_C_B: np.ndarray
    labels: tuple[int, ...]
    accuracy: tuple[float, ...]
    score_U: np.ndarray | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean accuracy so far, 0 to 1: over the labels, as AUBC; at first, the accuracy."""
        labels, accuracy = np.array(self.labels), np.array(self.accuracy)
        return aubc(labels, accuracy) if len(labels) > 1 else self.accuracy[0]

    def numbers(self) -> str:
        """How many labels there are, and how good the classifier is, in words."""
        now, mean = (f"{100 * value:.1f} %" for value in (self.accuracy[-1], self.mean))
        return f"{self.labels[-1]} labels, accuracy {now}, mean so far {mean}"


class Demo:
    """Two strategies on the same points, with the same initial labels, weights and sub-pools.

    The points come from another random stream than those that 01_toy_gaussians trains its policy
    on, whatever the seed. `by_hand` counts the labels that `label` has given.

    Raises:
        InputError: a value that cannot be shown, or a policy that does not fit the toy classifier.
    """

    @one_thread()
    def __init__(
        self,
        strategies: Sequence[str],
        policy: Policy,
        overlap: float = 0.2,
        seed: int = 0,
        samples: int = 300,
        initial: int = 20,
    ) -> None:
        check_overlap(overlap)
        if not isinstance(seed, int) or seed < 0:
            raise InputError(f"the seed must be a whole number from 0, not {seed!r}")
        if samples < 1 or not 2 <= initial <= samples:
            raise InputError(f"{initial} initial labels need at least 2 of {samples} points")
        self.data = data.toy_gaussians(samples, 2000, overlap, derive(seed, "demo"))
        self.overlap, self.seed, self.steps, self.by_hand = overlap, seed, 0, 0
        self._policies = {"policy": policy}
        config = CycleConfig("toy_mlp", initial, initial, acq=1, n=1, recipe="toy")
        both = list(dict.fromkeys(strategies))  # one strategy may stand on both sides
        cycles.check(self.data, config, both, self._policies)
        self._cycles = [Cycle(self.data, config, seed) for _ in SIDES]
        self._models = fit_many([self._cycles[0].job()]) * len(SIDES)
        self.panels = [self._panel(side, strategies[side]) for side in range(len(SIDES))]

    @property
    def points_N_2(self) -> np.ndarray:
        """The points to choose from, float32."""
        return self.data.train_inputs

    @one_thread()
    def step(self, acq: int, n: int) -> None:
        """Each side labels `acq` points, chosen from a random sub-pool of `n`, and retrains.

        Where fewer than `n` are left, the sub-pool is all of them.

        Raises:
            InputError: a batch of none, or larger than the sub-pool or the pool; nothing changed.
        """
        self._check(acq, n)
        for side, panel in enumerate(self.panels):
            self._add(side, *self._choose(side, panel.strategy, acq, n))
        self.steps += 1

    @one_thread()
    def label(self, point: int, side: int) -> None:
        """Label one point by hand on one side, and retrain that side's classifier.

        Raises:
            InputError: no such point, or labelled before; nothing changed.
        """
        if not 0 <= point < len(self.points_N_2):
            last = len(self.points_N_2) - 1
            raise InputError(f"there is no point {point}; points are numbered 0 to {last}")
        if point in self.panels[side].labelled:
            raise InputError(f"point {point} is labelled already in the {SIDES[side]} panel")
        self._add(side, np.array([point]), {})
        self.by_hand += 1

    def describe(self) -> str:
        """What both panels show, in words."""
        parts = [self._sentence(side, panel) for side, panel in enumerate(self.panels)]
        best = 100 * (1 - self.overlap / 2)
        return f"Step {self.steps}. {' '.join(parts)} Best possible accuracy: {best:.1f} %."

    def where(self, point: int) -> str:
        """Where a point lies, and what it is in each panel, in words."""
        if not 0 <= point < len(self.points_N_2):
            return f"There is no point {point}."
        x, y = self.points_N_2[point]
        states = [_state(point, panel) for panel in self.panels]
        return f"Point {point} at ({x:.2f}, {y:.2f}): left {states[0]}, right {states[1]}."

    def _check(self, acq: int, n: int) -> None:
        side = min((0, 1), key=lambda side: len(self.panels[side].unlabelled))
        left = len(self.panels[side].unlabelled)
        if acq < 1:
            raise InputError(f"the acquisition size must be 1 or more, not {acq}")
        if not left:
            raise InputError(
                f"the pool is exhausted: every point of the {SIDES[side]} panel is labelled; "
                "press Reset"
            )
        if acq > left:
            raise InputError(
                f"acquisition size {acq} exceeds the pool: {left} unlabelled points are left"
            )
        if acq > n:
            raise InputError(
                f"acquisition size {acq} exceeds the sub-pool of n = {n}; raise n, "
                "or lower the acquisition size"
            )

    def _choose(
        self, side: int, strategy: str, acq: int, n: int
    ) -> tuple[np.ndarray, dict[str, float]]:
        """A batch, and for the policy the experts' shares in it."""
        # By the step, not by the labels as in `Cycle.sub_pool`: labels that readers add on one
        # side shall not change what the other is offered.
        pool = self._cycles[side].pool
        count = min(n, len(pool.unlabelled))
        sub_pool = pool.sample(count, stream(self.seed, "sub-pool", self.steps))
        query = self._cycles[side].query(self._models[side], sub_pool)
        acquire = cycles.acquisition_function(strategy, self._policies)
        batch = acquire(query, acq, self._rng(strategy))
        if strategy != "policy":
            return sub_pool[batch], {}
        chosen = {name: EXPERTS[name](query, acq, self._rng(name)) for name in COMPARED}
        chosen["any"] = np.concatenate(list(chosen.values()))
        shares = {name: 100 * float(np.isin(batch, them).mean()) for name, them in chosen.items()}
        return sub_pool[batch], shares

    def _rng(self, name: str) -> np.random.Generator:
        return stream(self.seed, "query", name, self.steps)

    def _add(self, side: int, batch: np.ndarray, shares: Mapping[str, float]) -> None:
        """Label a batch, and retrain and show that side's classifier."""
        self._cycles[side].pool.label(batch)
        (self._models[side],) = fit_many([self._cycles[side].job()])
        before = self.panels[side]
        now = self._panel(side, before.strategy)
        self.panels[side] = replace(
            now,
            newest=np.asarray(batch, dtype=np.int64),
            labels=before.labels + now.labels,
            accuracy=before.accuracy + now.accuracy,
            shares=shares,
        )

    def _panel(self, side: int, strategy: str) -> Panel:
        """What the side's classifier and pool show now."""
        model, toy, pool = self._models[side], self.data, self._cycles[side].pool
        hits = correct_mask(model, toy.test_inputs, toy.test_labels, recipe("toy"))
        probability = predict(model, _MESH)[0].softmax(1)[:, 1].numpy()
        first, labels = toy.train_inputs[pool.labelled, 0], toy.train_labels[pool.labelled]
        return Panel(
            strategy=strategy,
            labelled=pool.labelled,
            unlabelled=pool.unlabelled,
            newest=np.empty(0, dtype=np.int64),
            probability_Y_X=probability.reshape(len(GRID_Y), len(GRID_X)),
            histogram_C_B=np.stack([np.histogram(first[labels == c], EDGES_X)[0] for c in (0, 1)]),
            labels=(len(pool.labelled),),
            accuracy=(float(hits.mean()),),
            score_U=self._scores(side) if strategy == "policy" else None,
        )

    def _scores(self, side: int) -> np.ndarray:
        unlabelled = self._cycles[side].pool.unlabelled
        if not len(unlabelled):
            return np.empty(0, dtype=np.float32)
        query = self._cycles[side].query(self._models[side], unlabelled)
        return self._policies["policy"].scores(observe(query)).numpy()

    def _sentence(self, side: int, panel: Panel) -> str:
        text = f"{SIDES[side].capitalize()} panel, {NAMES[panel.strategy]}: {panel.numbers()}."
        pairs = panel.shares.items()
        shares = [f"{NAMES.get(name, 'any of them')} {share:.0f} %" for name, share in pairs]
        chosen = f" Of its newest batch these experts chose as well: {', '.join(shares)}."
        return text + chosen if shares else text


def check_overlap(overlap: float) -> None:
    """Raises InputError for Gaussians that never meet, or that are the same."""
    if not isinstance(overlap, int | float):
        raise InputError(f"the overlap must be a number, not {overlap!r}")
    if not 0 < overlap < 1:
        raise InputError(f"the overlap must lie above 0 and below 1, not {overlap:g}")


def _state(point: int, panel: Panel) -> str:
    if point in panel.labelled:
        return "labelled"
    if panel.score_U is None:
        return "unlabelled"
    (score,) = panel.score_U[panel.unlabelled == point]
    return f"unlabelled with score {score:.2f}"
