"""Adam for the training of many small classifiers."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma & Ba 2015) with its usual constants, one kernel for all parameters.

    The same numbers as `torch.optim.Adam(fused=True)`, which at its first step imports torch's
    compiler: seconds and 150 MB in every process. It keeps views of the parameters' memory, which
    must not be exchanged afterwards.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters, self.lr = list(parameters), lr
        with torch.no_grad():
            self.weights = [_as_in_memory(weights, weights) for weights in self.parameters]
        self.mean = [torch.zeros_like(weights) for weights in self.weights]
        self.square = [torch.zeros_like(weights) for weights in self.weights]
        self.steps = torch.zeros((), device=self.parameters[0].device)

    @torch.no_grad()
    def step(self, rate: float = 1.0) -> None:
        """One step along the parameters' gradients, at `rate` times `lr`, which clears them."""
        self.steps += 1
        gradients = [_as_in_memory(cast(Tensor, x.grad), x) for x in self.parameters]
        torch._fused_adam_(
            self.weights,
            gradients,
            self.mean,
            self.square,
            [],
            [self.steps] * len(self.parameters),
            lr=self.lr * rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
        for weights in self.parameters:
            weights.grad = None


def _as_in_memory(numbers: Tensor, weights: Tensor) -> Tensor:
    """A view with its dimensions in the order of the weights' in memory.

    Torch's kernel copies what has another.
    """
    return numbers.permute(sorted(range(weights.ndim), key=weights.stride, reverse=True))
