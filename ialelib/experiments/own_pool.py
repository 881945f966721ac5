"""A plain training loop, as users bring their own, and cycles on top of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ialelib.cycle import Cycle, CycleConfig, joined
from ialelib.data import DataSet, Pool, balanced
from ialelib.inference import selection
from ialelib.metrics import mean_interval, paired_gains
from ialelib.models import Classifier
from ialelib.policy import AnyPolicy, Policy
from ialelib.utils import cache
from ialelib.utils.cpu import one_thread
from ialelib.utils.seeds import derive, seeded, stream

STEPS, BATCH, RATE = 200, 32, 3e-3

Network = Callable[[int], nn.Module]
"""Makes a fresh classifier with an embedding of that width."""


def small_cnn(width: int) -> nn.Module:
    """A classifier of 28x28 grey images into ten classes that is none of this library's."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, stride=2), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(32 * 5 * 5, width), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(width, 10),
    )


def to_input(images_N: Tensor) -> Tensor:
    """uint8 images, N x H x W, as N x 1 x H x W in [0, 1]."""
    return images_N[:, None].float() / 255


def train(
    model: nn.Module,
    images_L: np.ndarray,
    labels_L: np.ndarray,
    seed: int,
    steps: int = STEPS,
) -> nn.Module:
    """Adam on cross-entropy, in plain torch; the model itself, in evaluation mode."""
    inputs, labels = to_input(torch.tensor(images_L)), torch.tensor(labels_L)
    optimiser = torch.optim.Adam(model.parameters(), RATE, fused=True)
    model.train()
    with seeded(seed):
        for _ in range(steps):
            batch = torch.randint(len(labels), (BATCH,))
            loss = F.cross_entropy(model(inputs[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Share of images that the classifier gets right, in [0, 1]."""
    return float((model(to_input(torch.tensor(images_N))).argmax(1).numpy() == labels_N).mean())


def fresh(network: Network, width: int, seed: int) -> nn.Module:
    """A classifier whose initial weights depend on the seed alone."""
    with seeded(derive(seed, "weights")):
        return network(width)


@dataclass(frozen=True)
class Setup:
    """Classifiers made by `network`, trained afresh for `steps` batches at each labelled set.

    Of `config` only the sizes count.
    """

    data: DataSet
    network: Network
    width: int
    config: CycleConfig
    steps: int

    def cycle(self, strategy: str, seed: int, policy: AnyPolicy | None, rule: str) -> pd.DataFrame:
        """One cycle with a policy, or at random without one; the data set's labels are the oracle.

        For one seed every strategy gets the same initial labels, weights and candidates. Columns:
        dataset, width, strategy, seed, labels, accuracy (test images), chosen (next batch).
        """
        data, config, chain = self.data, self.config, Cycle(self.data, self.config, seed)
        chain.pool = Pool(len(data.train_labels))
        chain.pool.label(balanced(data.train_labels, config.initial, stream(seed, "initial")))

        def measured() -> tuple[dict[str, Any], nn.Module]:
            labelled = chain.pool.labelled
            known = data.train_inputs[labelled], data.train_labels[labelled]
            model = fresh(self.network, self.width, seed)
            train(model, *known, derive(seed, "fit", len(labelled)), self.steps)
            hits = accuracy(model, data.test_inputs, data.test_labels)
            return {"labels": len(labelled), "accuracy": hits, "chosen": ""}, model

        def acquire(_: Classifier | None) -> tuple[dict[str, Any], np.ndarray, None]:
            row, model = measured()
            labelled = chain.pool.labelled
            if policy is None:
                rng = selection.candidate_rng(seed, len(labelled))
                batch = chain.pool.sample(config.n, rng)[: chain.due]
            else:
                batch = selection.next_batch(
                    *(model, data.train_inputs, labelled, data.train_labels[labelled]),
                    *(chain.due, policy, config.n or len(chain.pool.unlabelled)),
                    preprocess=to_input,
                    seed=seed,
                    rule=rule,
                )
            return row | {"chosen": joined(batch)}, batch, None

        with one_thread():
            rows = [*chain.acquisitions(acquire), measured()[0]]
        head = {"dataset": data.name, "width": self.width, "strategy": strategy, "seed": seed}
        return pd.DataFrame([head | row for row in rows])

    def tasks(
        self,
        policies: Mapping[str, AnyPolicy | None],
        seeds: Sequence[int],
        folder: Path,
        rule: str = "pool",
    ) -> cache.Tasks:
        """Paired cycles of several policies, None for random sampling, for `cache.run`.

        Raises:
            InputError: sizes that do not fit the data.
        """
        self.config.check(self.data)
        about = {
            "training": [self.steps, BATCH, RATE],
            **{name: getattr(self.config, name) for name in ("initial", "budget", "acq", "n")},
            "network": repr(self.network(self.width)),
            "data": self.data.fingerprint,
        }
        found: dict[Path, Callable[[], pd.DataFrame]] = {}
        for seed in seeds:
            for name, policy in policies.items():
                own = {"policy": policy.fingerprint(), "rule": rule} if policy else {}
                start = f"{self.data.name}-{self.width}-{name}-{seed:03d}"
                path = cache.table_file(folder, start, about | own)
                found[path] = partial(self.cycle, name, seed, policy, rule)
        return found


def run_steps(
    data: DataSet,
    network: Network,
    width: int,
    config: CycleConfig,
    steps: Sequence[int],
    policies: Mapping[str, AnyPolicy | None],
    seeds: Sequence[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Paired cycles with shorter and longer training; a data set's name says which."""
    planned: list[cache.Group] = []
    for count in steps:
        setup = Setup(data, network, width, config, count)
        name = {"dataset": f"{data.name}, {count} steps"}
        planned.append((setup.tasks(policies, seeds, folder), name))
    return cache.run_groups(planned, processes, data.name)


def run_widths(
    data: DataSet,
    network: Network,
    widths: Sequence[int],
    rules: Sequence[str],
    config: CycleConfig,
    steps: int,
    policy: Policy,
    seeds: Sequence[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Paired cycles with several widths; a policy's strategy is the rule that fits them.

    The rules make no difference at the policy's own width, where only the first is run.
    """
    planned: dict[Path, Callable[[], pd.DataFrame]] = {}
    for width in widths:
        setup = Setup(data, network, width, config, steps)
        planned |= setup.tasks({"random": None}, seeds, folder)
        for rule in rules if width != policy.embedding else rules[:1]:
            planned |= setup.tasks({rule: policy}, seeds, folder, rule)
    return cache.run(planned, processes, data.name)


def gains(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC minus that of random sampling with the same classifier and seed.

    Columns: dataset, width, strategy (the rule), seed, aubc, gain.
    """
    unit = ["dataset", "width", "seed"]
    table = paired_gains(curves, [*unit, "strategy"], unit)
    return table[table["strategy"] != "random"].reset_index(drop=True)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `gains` over seeds: dataset, width, strategy, seeds, gain and margin.

    `margin` is half the 95% interval of the mean gain (Student's t), missing for a single seed.
    """
    grouped = table.groupby(["dataset", "width", "strategy"], sort=False)["gain"]
    return grouped.agg(seeds="count", gain="mean", margin=mean_interval).reset_index()
