"""Work that is killed and begun again: `python tests/soak/jobs.py JOB FOLDER`."""

import sys
from dataclasses import replace
from pathlib import Path

from toys import TINY

from ialelib.cycle import CycleConfig
from ialelib.dagger import train_policy
from ialelib.data import load_data, toy_gaussians
from ialelib.experiments import paired
from ialelib.labelling import LabelStore
from ialelib.policy import Policy, fresh_policy, save_policy
from ialelib.utils.files import atomic

CLASSES = ("bag", "boot", "coat")


def cycles(folder: Path) -> None:
    """Cycles in two processes, which share the images' memory."""
    config = CycleConfig("mlp", initial=20, budget=40, acq=10, n=100, recipe="short")
    table = paired.compare(
        load_data("mnist-10k"), config, ["random", "entropy"], range(3), folder / "cycles", None, 2
    )
    with atomic(folder / "table.csv") as temporary:
        untimed = table[["strategy", "seed", "labels", "accuracy", "chosen"]]
        untimed.to_csv(temporary, index=False)


def training(folder: Path) -> None:
    """Algorithm 1 with checkpoints: episodes in two processes, and a policy after each."""
    config = replace(TINY, episodes=6)
    policy, history = train_policy(toy_gaussians(300, 200), config, folder, processes=2)
    save_policy(policy, folder / "policy.safetensors")
    with atomic(folder / "table.csv") as temporary:
        history.drop(columns="seconds").to_csv(temporary, index=False)


def labelling(folder: Path) -> None:
    """200 labels, each on the disk before its number is printed."""
    store = LabelStore(folder / "labels.db", CLASSES)
    if not len(store.batch):
        store.propose(range(200))
    done = set(store.labelled.tolist())
    for index in store.batch.tolist():
        if index not in done:
            store.label(index, index % 3)
            print(index, flush=True)


def saving(folder: Path) -> None:
    """Policies that replace one another, each on the disk before its number is printed."""
    for number in range(300):
        policy: Policy = fresh_policy(10, 128, seed=number)
        policy.about = {"number": number}
        save_policy(policy, folder / "policy.safetensors")
        print(number, flush=True)


JOBS = {job.__name__: job for job in (cycles, training, labelling, saving)}

if __name__ == "__main__":
    JOBS[sys.argv[1]](Path(sys.argv[2]))
