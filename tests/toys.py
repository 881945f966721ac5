"""The small cycle and training run that several test files share, and what they compare."""

import os
import resource
import sys
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from ialelib import rollout
from ialelib.cycle import CycleConfig
from ialelib.dagger import DaggerConfig
from ialelib.policy import Policy, PolicyRecipe, load_network
from ialelib.rollout import TENSORS, Rollout
from ialelib.utils.cache import SEAL
from ialelib.utils.files import digest

ROUNDS = int(os.environ.get("IALE_SOAK", "1"))
"""How often tests with random kills are done, each time with other moments: `make soak`."""
POLICIES = "policy-*.safetensors"
TOY = CycleConfig("toy_mlp", initial=20, budget=40, acq=10, n=30, recipe="toy")
TINY = DaggerConfig(
    CycleConfig("toy_mlp", initial=10, budget=40, acq=10, n=30, recipe="toy"),
    experts=("entropy", "coreset", "badge"),
    episodes=4,
    validation=50,
    policy=PolicyRecipe(epochs=3),
    seed=5,
)


def untimed(curve: pd.DataFrame) -> pd.DataFrame:
    passing = ["fit_seconds", "query_seconds", "commit", "core"]
    return curve.drop(columns=passing, errors="ignore").reset_index(drop=True)


def chosen(curve: pd.DataFrame) -> list[int]:
    return [int(index) for batch in curve["chosen"] for index in batch.split()]


def rewritten(path: Path, old: str, new: str) -> None:
    """Change a finished table, its digest too: what is read back then shows that it was read."""
    body, _, _ = path.read_bytes().rpartition(SEAL)
    body = body.replace(old.encode(), new.encode())
    path.write_bytes(body + SEAL + digest(body).encode() + b"\n")


def policy(seed: int, embedding: int = 16) -> Policy:
    torch.manual_seed(seed)
    return Policy(2, embedding).eval()


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def episodes(folder: Path) -> list[Rollout]:
    return [rollout.load_rollout(path) for path in sorted(folder.rglob("episode-*.safetensors"))]


def same_policy(one: Policy, other: Policy) -> bool:
    return (one.fingerprint(), one.about) == (other.fingerprint(), other.about)


def assert_same_episode(one: Rollout, other: Rollout) -> None:
    """Every tensor, bit for bit."""
    assert one.experts == other.experts
    for name in TENSORS:
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def assert_same_run(one: Path, other: Path) -> None:
    """Every tensor of every episode and policy, bit for bit."""
    for a, b in zip(episodes(one), episodes(other), strict=True):
        assert_same_episode(a, b)
    names = [str(path.relative_to(one)) for path in sorted(one.rglob(POLICIES))]
    assert names == [str(path.relative_to(other)) for path in sorted(other.rglob(POLICIES))]
    for name in names:
        assert same_policy(load_network(one / name), load_network(other / name)), name


def peak() -> int:
    """The most memory that this process has held so far, in bytes."""
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        return whole
    # On Linux `getrusage` starts from the size of the process that this one was started by.
    lines = Path("/proc/self/status").read_text().splitlines()
    own = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return 1024 * (own[0] if own else whole)
