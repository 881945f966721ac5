"""The policy network: its scores and choices, saving and loading; `policy_fit` trains it."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from typing_extensions import override

from ialelib.cpu import one_thread
from ialelib.errors import InputError, unknown
from ialelib.experts import Query, top
from ialelib.files import atomic
from ialelib.state import FULL, NOT_FINITE, Parts, State, encode, observe, widths

PACKAGE = Path(__file__).parent
CHUNK = 4096
SHIPPED = (PACKAGE / "policies", PACKAGE.parent / "policies")


class Policy(nn.Module):
    """Three dense layers, 128-128-1, with ReLU between and a sigmoid at the end (Sec. 4.1).

    Every part of the state is divided by its root mean square over the policy's training states
    (`scale`), so that wide and narrow parts start equal; the paper leaves the scaling open.
    """

    def __init__(
        self, classes: int, embedding: int, parts: Parts = FULL, hidden: int = 128
    ) -> None:
        super().__init__()
        self.classes, self.embedding, self.parts, self.hidden = classes, embedding, parts, hidden
        self.about: dict[str, Any] = {}
        self.scale: Tensor
        size = sum(widths(parts, classes, embedding).values())
        self.register_buffer("scale", torch.ones(size))
        self.layers = nn.Sequential(
            nn.Linear(size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    @override
    def forward(self, features_N_F: Tensor) -> Tensor:
        """Scores before the sigmoid, N."""
        return self.layers(features_N_F / self.scale)[:, 0]

    def check(self, classes: int, embedding: int) -> None:
        """Raises InputError if a classifier's class count or embedding width does not fit."""
        if embedding != self.embedding:
            raise InputError(
                f"this policy reads embeddings of {self.embedding} numbers, the classifier's have "
                f"{embedding}; use a classifier with {self.embedding} units before the soft-max "
                "layer, or train a policy on one like yours"
            )
        if classes != self.classes and not self.parts.any_class_count:
            raise InputError(
                f"this policy is for {self.classes} classes, the classifier has {classes}; use a "
                "policy whose state is free of the class count (state.CLASS_FREE)"
            )

    def scores(self, state: State) -> Tensor:
        """Desirability rho of every candidate, N numbers in [0, 1] (Sec. 3.2).

        Candidates are encoded a few thousand at a time, so memory hardly grows with N.

        Raises:
            InputError: a state of another embedding width or class count, or with NaN.
        """
        return self.log_odds(state).sigmoid()

    @one_thread()
    @torch.inference_mode()
    def log_odds(self, state: State) -> Tensor:
        """Scores before the sigmoid, N: for ranks, as a sigmoid rounds to 1 from about 17 on.

        Raises:
            InputError: as `scores`.
        """
        self.check(classes=state.logits_N_C.shape[1], embedding=state.embedding_N_D.shape[1])
        # One result for all: small ones kept from every piece would fragment the memory.
        logits_N = torch.empty(len(state))
        for i in range(0, len(state), CHUNK):
            logits_N[i : i + CHUNK] = self(encode(state.rows(i, i + CHUNK), self.parts))
        if not logits_N.isfinite().all():
            raise InputError(NOT_FINITE)
        return logits_N

    def choose(self, state: State, acq: int, rng: np.random.Generator | None = None) -> np.ndarray:
        """Positions of the `acq` highest ranked candidates, best first (Sec. 3.2).

        Ties are broken at random, by default always in the same way.

        Raises:
            InputError: a state of another embedding width or class count, or `acq` above n.
        """
        return top(self.log_odds(state).numpy(), acq, rng or np.random.default_rng(0))

    def select(self, query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        """`choose` with an expert's signature."""
        return self.choose(observe(query), acq, rng)

    def fingerprint(self) -> str:
        """12 hexadecimal digits that change with any weight and with the parts of the state."""
        digest = hashlib.sha256(json.dumps(asdict(self.parts)).encode())
        for value in self.state_dict().values():
            digest.update(value.numpy().tobytes())
        return digest.hexdigest()[:12]


def save(policy: Policy, path: Path) -> None:
    """Write a policy as safetensors; what is needed to use it, and `about`, go in the header."""
    header = {
        "classes": policy.classes,
        "embedding": policy.embedding,
        "parts": asdict(policy.parts),
        "hidden": policy.hidden,
        "about": policy.about,
    }
    with atomic(path) as temporary:
        save_file(policy.state_dict(), temporary, {"policy": json.dumps(header)})


def load(name_or_path: str | Path) -> Policy:
    """A policy by file, or a shipped one by name, e.g. `load("mnist-cnn")`.

    Raises:
        InputError: no such file or name, or not a policy file, or a damaged one.
    """
    path = _find(name_or_path)
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["policy"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = header["about"]
        policy = Policy(
            header["classes"], header["embedding"], Parts(**header["parts"]), header["hidden"]
        )
        policy.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise InputError(
            f"{path} is not a readable policy file ({error}); get it again, or train one with "
            "notebooks/02_policy_training.ipynb"
        ) from error
    policy.about = about
    return policy.eval()


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.is_file():
        return path
    if path.suffix == ".safetensors" or path.parent != Path():
        raise InputError(f"no policy file at {path}")
    shipped = {file.stem: file for where in SHIPPED for file in where.glob("*.safetensors")}
    if path.name not in shipped:
        raise unknown("policy", path.name, shipped)
    return shipped[path.name]
