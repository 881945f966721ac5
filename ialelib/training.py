"""Training of classifiers, one or many, and prediction in bounded memory."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from torch import Tensor

from ialelib.errors import InputError, unknown
from ialelib.models import Architecture, Classifier, build, to_float

Precision = Literal["float32", "auto"]


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained: Adam on soft-max cross-entropy.

    The length is either `epochs` or `steps`. `warmup` is the share of steps with rising learning
    rate; after it the rate stays, or falls to zero along a cosine. `precision` "auto" computes in
    bfloat16 where the processor has instructions for it, else in float32.
    """

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 64
    lr: float = 1e-3
    warmup: float = 0.0
    cosine: bool = False
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise InputError("a recipe needs either epochs or steps")
        if min(self.epochs or self.steps or 0, self.batch_size) < 1:
            raise InputError("epochs, steps and batch_size of a recipe must be 1 or more")
        if not (self.lr > 0 and 0 <= self.warmup <= 1):
            raise InputError("a recipe needs a positive lr and a warmup between 0 and 1")
        if self.precision not in get_args(Precision):
            raise unknown("precision", self.precision, get_args(Precision))

    def length(self, samples: int) -> int:
        """Optimiser steps on a labelled set of that many samples."""
        if self.steps is not None:
            return self.steps
        return (self.epochs or 0) * math.ceil(samples / self.batch_size)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of one step, as a multiple of `lr`."""
        rise = min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        fall = 0.5 * (1 + math.cos(math.pi * step / steps)) if self.cosine else 1.0
        return min(rise, fall)


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(epochs=100),
    "fast": Recipe(steps=100, batch_size=32, lr=4e-3, warmup=0.1, cosine=True, precision="auto"),
    "toy": Recipe(steps=150, batch_size=64, lr=1e-2, cosine=True),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name: "paper" (Sec. 4.2), "fast" (its cheap equal) or "toy" (Fig. 1)."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


@dataclass(frozen=True)
class Job:
    """One classifier to train: inputs (raw) and int64 labels of its labelled set, and two seeds.

    `weights` seeds the initial weights, `seed` the order of batches and dropout.
    """

    architecture: Architecture
    inputs: np.ndarray
    labels: np.ndarray
    recipe: Recipe
    weights: int
    seed: int


@contextmanager
def one_thread() -> Iterator[None]:
    """Single-threaded torch inside the block: fastest for small models, and repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("arm_bf16"))


def _autocast(recipe: Recipe) -> torch.autocast:
    low = recipe.precision == "auto" and has_bfloat16()
    return torch.autocast("cpu", torch.bfloat16, enabled=low)


def _batches(size: int, batch: int, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if not len(order):
            order = torch.randperm(size, generator=rng)
        yield order[:batch]
        order = order[batch:]


def fit(job: Job) -> Classifier:
    """Train one classifier from fresh weights (Alg. 1, `initAndTrain`), in evaluation mode after.

    The same job gives the same weights, bit for bit, whatever ran before.

    Raises:
        InputError: no labelled samples.
    """
    if len(job.labels) == 0:
        raise InputError("a classifier cannot be trained without labelled samples")
    model = build(job.architecture, job.weights).train()
    model.to(memory_format=torch.channels_last)
    inputs, labels = torch.tensor(job.inputs), torch.tensor(job.labels)
    recipe, steps = job.recipe, job.recipe.length(len(labels))
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.lr, fused=True)
    order = torch.Generator().manual_seed(job.seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        for step, batch in enumerate(_batches(len(labels), recipe.batch_size, steps, order)):
            optimiser.param_groups[0]["lr"] = recipe.lr * recipe.rate(step, steps)
            with _autocast(recipe):
                logits_B_C, _ = model(to_float(inputs[batch]))
            loss = F.cross_entropy(logits_B_C.float(), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def fit_many(jobs: Sequence[Job], processes: int = 1) -> list[Classifier]:
    """Train independent classifiers in parallel; the same results as `fit`, in order."""
    if processes == 1 or len(jobs) == 1:
        return [fit(job) for job in jobs]
    states = Parallel(processes)(delayed(_fit_state)(job) for job in jobs)
    models = []
    for job, state in zip(jobs, states, strict=True):
        model = build(job.architecture, job.weights)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        models.append(model.to(memory_format=torch.channels_last).eval())
    return models


def _fit_state(job: Job) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in fit(job).state_dict().items()}


@torch.inference_mode()
def predict(
    model: Classifier, inputs: np.ndarray, batch: int = 250, recipe: Recipe | None = None
) -> tuple[Tensor, Tensor]:
    """Logits (N, C) and embeddings (N, D), float32, `batch` inputs at a time.

    Computes in float32 unless a recipe asks for less. The model's mode is kept: in training mode
    dropout is active, as MC-Dropout needs it.
    """
    recipe = recipe or Recipe(steps=1)
    parts = []
    with one_thread(), _autocast(recipe):
        for start in range(0, max(1, len(inputs)), batch):
            logits, embedding = model(to_float(torch.tensor(inputs[start : start + batch])))
            parts.append((logits.float(), embedding.float()))
    logits_N_C, embedding_N_D = (torch.cat(part) for part in zip(*parts, strict=True))
    return logits_N_C, embedding_N_D


def correct(
    model: Classifier, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Which inputs the classifier gets right, N booleans; their mean is the accuracy."""
    logits_N_C, _ = predict(model, inputs, recipe=recipe)
    return logits_N_C.argmax(1).numpy() == labels


def with_members(job: Job, seeds: Sequence[int]) -> list[Job]:
    """The same training set from other initial weights and batch orders (ensemble members)."""
    return [replace(job, weights=seed, seed=seed) for seed in seeds]
