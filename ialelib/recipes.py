"""Recipes and training jobs; a job is fully determined by its fields."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ialelib.models import Architecture, Classifier, Noise, build
from ialelib.utils.checks import check_fields, check_name
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import derive

Precision = Literal["float32", "auto"]


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained: Adam on softmax cross-entropy.

    The length is `epochs` passes, or `steps` batches, or the sum of both. `warmup` is the share
    of steps with rising learning rate; after it the rate stays, or falls to zero along a cosine.
    `precision` "auto" computes in bfloat16 where the processor, or GPU, has instructions for it,
    else in float32; but the kernels that train the CNN on a CPU do so in float32, which is faster.
    """

    epochs: int = 0
    steps: int = 0
    batch_size: int = 64
    lr: float = 1e-3
    warmup: float = 0.0
    cosine: bool = False
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        check_fields(self)
        if min(self.epochs, self.steps) < 0 or self.epochs + self.steps < 1:
            raise InputError("a recipe needs epochs or steps, and neither below 0")
        if self.batch_size < 1:
            raise InputError("the batch_size of a recipe must be 1 or more")
        if not (self.lr > 0 and 0 <= self.warmup <= 1):
            raise InputError("a recipe needs a positive lr and a warmup between 0 and 1")

    def length(self, samples: int) -> int:
        """Optimiser steps on a labelled set of that many samples."""
        return self.steps + self.epochs * math.ceil(samples / self.batch_size)

    def samples(self, size: int) -> int:
        """Samples that pass through the classifier in training, of a labelled set of that size."""
        epochs, batches = divmod(self.length(size), math.ceil(size / self.batch_size))
        return epochs * size + batches * self.batch_size

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of one step, as a multiple of `lr`."""
        rise = min(1.0, (step + 1) / max(1.0, self.warmup * steps))
        fall = 0.5 * (1 + math.cos(math.pi * step / steps)) if self.cosine else 1.0
        return min(rise, fall)


RECIPES: dict[str, Recipe] = {
    "paper": Recipe(epochs=100, precision="auto"),
    "fast": Recipe(steps=100, batch_size=32, lr=4e-3, warmup=0.1, cosine=True, precision="auto"),
    "growing": Recipe(24, 50, lr=3e-3, warmup=0.1, cosine=True, precision="auto"),
    "short": Recipe(steps=25, batch_size=32, lr=3e-3, precision="auto"),
    "warm": Recipe(steps=40, batch_size=32, lr=1e-3, precision="auto"),
    "toy": Recipe(steps=50, batch_size=64, lr=2e-2, cosine=True),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    "paper" is Sec. 4.2's; "growing" as accurate with fewer steps, "fast" nearly so up to 300 labels
    (11_training_cost); "short" leaves a classifier half trained; "warm" fine-tunes one for ranking
    experts; "toy" is for Fig. 1.

    Raises:
        InputError: no such recipe.
    """
    check_name("recipe", name, RECIPES)
    return RECIPES[name]


@dataclass(frozen=True)
class TrainJob:
    """One classifier to train: inputs (raw) and int64 labels of its labelled set, and two seeds.

    `weights` seeds the initial weights, `seed` the order of batches and dropout. `start`, where
    given, is a classifier whose weights are taken over instead (warm start); it is not changed.
    """

    architecture: Architecture
    inputs: np.ndarray
    labels: np.ndarray
    recipe: Recipe
    weights: int
    seed: int
    start: Classifier | None = None

    def fresh(self) -> Classifier:
        """The classifier before training, in training mode.

        Raises:
            InputError: no labelled samples.
        """
        if len(self.labels) == 0:
            raise InputError("a classifier cannot be trained without labelled samples")
        if self.start is None:
            return build(self.architecture, self.weights).train()
        return copy.deepcopy(self.start).train()

    def generators(self, device: torch.device) -> tuple[torch.Generator, Noise]:
        """One for the order of batches, on the CPU, and one for dropout, on the device."""
        order, seed = torch.Generator().manual_seed(self.seed), derive(self.seed, "dropout")
        if device.type == "cpu":
            return order, np.random.SFC64(seed)
        return order, torch.Generator(device).manual_seed(seed)


def has_bfloat16(device: str = "cpu") -> bool:
    """Whether this processor, or GPU, multiplies bfloat16 in hardware."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("arm_bf16"))


def number_type(recipe: Recipe, device: str = "cpu") -> torch.dtype:
    """What a recipe computes in: bfloat16 or float32."""
    low = recipe.precision == "auto" and has_bfloat16(device)
    return torch.bfloat16 if low else torch.float32


def autocast(recipe: Recipe, device: str = "cpu") -> torch.autocast:
    """Autocast to a recipe's number type."""
    low = number_type(recipe, device) == torch.bfloat16
    return torch.autocast(device, torch.bfloat16, enabled=low)


def batches(size: int, batch: int, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Positions of each step's samples: epochs in random order, the last batch of each cut."""
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if not len(order):
            order = torch.randperm(size, generator=rng)
        yield order[:batch]
        order = order[batch:]
