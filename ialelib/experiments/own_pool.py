"""A plain training loop, as an engineer has it already, and cycles on top of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import t
from torch import Tensor, nn

from ialelib.data import DataSet, Pool, balanced
from ialelib.inference import selection
from ialelib.metrics import aubc
from ialelib.policy import Policy
from ialelib.utils import cache
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import derive, stream

STEPS, BATCH, RATE = 200, 32, 3e-3

Network = Callable[[int], nn.Module]
"""Makes a fresh classifier with an embedding of that width."""


@dataclass(frozen=True)
class Plan:
    """`initial` labels, then `acq` at a time out of `n` candidates, until `budget`.

    The classifier is trained afresh for `steps` batches each time.
    """

    initial: int
    budget: int
    acq: int
    n: int
    steps: int = STEPS

    def check(self, size: int) -> None:
        """Raises InputError if it cannot run on a pool of that size."""
        if (
            min(self.initial, self.acq, self.steps) < 1
            or not self.acq <= self.n <= size - self.budget
        ):
            raise InputError(f"{self} does not fit a pool of {size} images")
        if self.budget < self.initial or (self.budget - self.initial) % self.acq:
            raise InputError(f"budget must be initial and a multiple of acq more, not {self}")


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
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
    """A classifier whose first weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        return network(width)


def cycle(
    data: DataSet,
    network: Network,
    width: int,
    plan: Plan,
    strategy: str,
    seed: int,
    policy: Policy | None = None,
    rule: str = "pool",
) -> pd.DataFrame:
    """One cycle with a policy, or at random without one; the data set's labels are the oracle.

    For one seed every strategy gets the same initial labels, weights and candidates. Columns:
    dataset, width, strategy, seed, labels, accuracy (test images), chosen (the next batch).
    """
    pool = Pool(len(data.train_labels))
    pool.label(balanced(data.train_labels, plan.initial, stream(seed, "initial")))
    rows = []
    with one_thread():
        while True:
            labelled = pool.labelled
            model = fresh(network, width, seed)
            known = data.train_inputs[labelled], data.train_labels[labelled]
            train(model, *known, derive(seed, "fit", len(labelled)), plan.steps)
            hits = accuracy(model, data.test_inputs, data.test_labels)
            batch = np.array([], dtype=int)
            if len(labelled) < plan.budget:
                batch = _choose(data, model, pool, plan, seed, policy, rule)
            chosen = " ".join(map(str, batch))
            rows.append({"labels": len(labelled), "accuracy": hits, "chosen": chosen})
            if not len(batch):
                break
            pool.label(batch)
    head = {"dataset": data.name, "width": width, "strategy": strategy, "seed": seed}
    return pd.DataFrame([head | row for row in rows])


def _choose(
    data: DataSet,
    model: nn.Module,
    pool: Pool,
    plan: Plan,
    seed: int,
    policy: Policy | None,
    rule: str,
) -> np.ndarray:
    labelled = pool.labelled
    if policy is None:
        return pool.sample(plan.n, selection.candidate_rng(seed, len(labelled)))[: plan.acq]
    return selection.next_batch(
        model,
        data.train_inputs,
        labelled,
        data.train_labels[labelled],
        plan.acq,
        policy,
        plan.n,
        preprocess=to_input,
        seed=seed,
        rule=rule,
    )


def tasks(
    data: DataSet,
    network: Network,
    width: int,
    plan: Plan,
    policies: Mapping[str, Policy | None],
    seeds: Sequence[int],
    folder: Path,
    rule: str = "pool",
) -> cache.Tasks:
    """Paired cycles of several policies, None for random sampling, for `units.run`.

    Raises:
        InputError: a plan that does not fit the data.
    """
    plan.check(len(data.train_labels))
    numbers = asdict(plan)
    about = {
        "training": [numbers.pop("steps"), BATCH, RATE],
        **numbers,
        "network": repr(network(width)),
        "data": data.fingerprint,
    }
    found: dict[Path, Callable[[], pd.DataFrame]] = {}
    for seed in seeds:
        for name, policy in policies.items():
            own = {"policy": policy.fingerprint(), "rule": rule} if policy else {}
            file = cache.file_name(f"{data.name}-{width}-{name}-{seed:03d}", about | own)
            given = data, network, width, plan, name, seed, policy, rule
            found[folder / file] = partial(cycle, *given)
    return found


def run_steps(
    data: DataSet,
    network: Network,
    width: int,
    plans: Sequence[Plan],
    policies: Mapping[str, Policy | None],
    seeds: Sequence[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Paired cycles with shorter and longer training; a data set's name says which."""
    planned = [
        (
            tasks(data, network, width, plan, policies, seeds, folder),
            {"dataset": f"{data.name}, {plan.steps} steps"},
        )
        for plan in plans
    ]
    return cache.run_groups(planned, processes, data.name)


def run_widths(
    data: DataSet,
    network: Network,
    widths: Sequence[int],
    rules: Sequence[str],
    plan: Plan,
    policy: Policy,
    seeds: Sequence[int],
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Paired cycles with several widths; a policy's strategy is the rule that fits them.

    The rules make no difference at the policy's own width, where only the first is run.
    """
    planned = []
    for width in widths:
        shared = data, network, width, plan
        planned.append(tasks(*shared, {"random": None}, seeds, folder))
        for rule in rules if width != policy.embedding else rules[:1]:
            planned.append(tasks(*shared, {rule: policy}, seeds, folder, rule))
    return cache.run_groups([(part, {}) for part in planned], processes, data.name)


def gains(curves: pd.DataFrame) -> pd.DataFrame:
    """AUBC minus that of random sampling with the same classifier and seed.

    Columns: dataset, width, strategy (the rule), seed, aubc, gain.
    """
    unit = ["dataset", "width", "seed"]
    areas = curves.groupby([*unit, "strategy"], sort=False)[["labels", "accuracy"]].apply(
        lambda curve: aubc(curve["labels"].to_numpy(), curve["accuracy"].to_numpy())
    )
    table = areas.rename("aubc").reset_index()
    chance = table["strategy"] == "random"
    both = table[~chance].merge(table[chance], on=unit, suffixes=("", "_random"))
    gain = both["aubc"] - both["aubc_random"]
    return both[[*unit, "strategy", "aubc"]].assign(gain=gain)


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Means of `gains` over seeds: dataset, width, strategy, seeds, gain and margin.

    `margin` is half the 95% interval of the mean gain (Student's t), missing for a single seed.
    """
    grouped = table.groupby(["dataset", "width", "strategy"], sort=False)["gain"]
    found = grouped.agg(seeds="count", gain="mean", margin="sem").reset_index()
    found["margin"] *= t.ppf(0.975, (found["seeds"] - 1).where(found["seeds"] > 1))
    return found
