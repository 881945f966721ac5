"""Softmax regression on embeddings, many labelled sets at once: the probe of frozen features.

Trained to convergence, so it has no recipe, no seed and no noise.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.utils.cpu import one_thread

PENALTY = 0.1  # chosen on CIFAR-100's even classes, from 1 to 10 labels a class
BIAS = 0.3  # a further input; its weight is the bias
TOLERANCE = 1e-3
MOST = 500  # steps


class Heads(NamedTuple):
    """Weights and biases of M softmax layers."""

    weight_M_C_D: Tensor
    bias_M_C: Tensor


@one_thread()
@torch.inference_mode()
def solve(embedding_M_L_D: Tensor, labels_M_L: Tensor, classes: int) -> Heads:
    """Minimum of the summed cross-entropy plus PENALTY / 2 times the squared weights, M times.

    Embeddings are centred by each labelled set's mean and divided by the root mean square of their
    lengths, so that the penalty means the same for every width and scale. Nesterov's method with
    the constant step that Böhning's (1992) bound of the curvature allows. The weights are sums of
    the labelled embeddings, with C coefficients each: a step costs L x L x C, or 2 x L x D x C
    where that is less.
    """
    centre_M_1_D = embedding_M_L_D.mean(1, keepdim=True)
    x_M_L_D = embedding_M_L_D - centre_M_1_D
    scale_M_1_1 = x_M_L_D.square().sum(2).mean(1).sqrt().clamp(min=1e-12)[:, None, None]
    x_M_L_D = F.pad(x_M_L_D / scale_M_1_1, (0, 1), value=BIAS)
    weight_M_D_C = x_M_L_D.mT @ _coefficients(x_M_L_D, F.one_hot(labels_M_L, classes).float())
    slope_M_D_C = weight_M_D_C[:, :-1] / scale_M_1_1
    bias_M_C = BIAS * weight_M_D_C[:, -1] - (centre_M_1_D @ slope_M_D_C)[:, 0]
    return Heads(slope_M_D_C.mT.contiguous(), bias_M_C)


def _coefficients(x_M_L_D: Tensor, target_M_L_C: Tensor) -> Tensor:
    """What each labelled embedding adds to the weights of each class, M x L x C."""
    _, labelled, width = x_M_L_D.shape
    narrow = 2 * width < labelled
    gram = x_M_L_D.mT @ x_M_L_D if narrow else x_M_L_D @ x_M_L_D.mT
    curvature_M_1_1 = 0.5 * _largest(gram) + PENALTY
    ratio_M_1_1 = (PENALTY / curvature_M_1_1).sqrt()
    momentum_M_1_1 = (1 - ratio_M_1_1) / (1 + ratio_M_1_1)
    before = ahead = torch.zeros_like(target_M_L_C)
    for _ in range(MOST):
        logits = x_M_L_D @ (x_M_L_D.mT @ ahead) if narrow else gram @ ahead
        gradient = (logits.softmax(2) - target_M_L_C).add_(ahead, alpha=PENALTY)
        if gradient.abs().max() < TOLERANCE:
            break
        now = ahead - gradient / curvature_M_1_1
        before, ahead = now, now + momentum_M_1_1 * (now - before)
    return ahead


def _largest(gram_M_K_K: Tensor) -> Tensor:
    """An upper bound of each largest eigenvalue, at most K^(1/32) times as large (1.24 for 1,000).

    It is the root of order 32 of the trace of the 32nd power, after five squarings.
    """
    power, scale = gram_M_K_K, gram_M_K_K.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    power = power / scale
    for _ in range(5):
        power = power @ power
    return scale * power.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] ** (1 / 32)
