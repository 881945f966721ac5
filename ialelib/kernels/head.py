"""Numba's kernels for the end of a training step of the CNN: its last layer, the loss, and Adam."""

from typing import Any

import numpy as np

from ialelib.kernels.common import ZERO, U, drop
from ialelib.kernels.jit import kernel

DECAY_MEAN, DECAY_SQUARE, KEPT_SQUARE = np.float32(0.1), np.float32(0.001), np.float32(0.999)
EPSILON = np.float32(1e-8)


@kernel
def adam(state: Any, gradient: Any, first: int, count: int, rates: Any) -> None:
    """A step of Adam (Kingma & Ba 2015) for some weights, from position `first` on.

    `state`: weights, means of gradients and of their squares. `rates`: the learning rate over the
    first's bias correction, and the root of the inverse of the second's.
    """
    weight, mean, square = state
    rate, root = rates
    for i in range(U(count)):
        at, g = U(first) + i, gradient[i]
        m = mean[at] + (g - mean[at]) * DECAY_MEAN
        v = square[at] * KEPT_SQUARE + g * g * DECAY_SQUARE
        mean[at], square[at] = m, v
        weight[at] -= rate * m / (np.sqrt(v) * root + EPSILON)


@kernel
def head(hidden_B: Any, layer: Any, label_B: Any, lanes_B: Any, dropout: Any, found: Any) -> None:
    """From the dense layer's outputs on: the gradients of the mean cross-entropy.

    ReLU, dropout by random bits, the last layer and softmax. `layer`: its weights, by class, and
    biases. `found`: gradients of these and of the dense layer's biases, to be added to,
    and of `hidden_B`, to be filled.
    """
    weight, bias = layer
    dweight, dbias, dbias_dense, dhidden_B = found
    classes, size, x = U(len(bias)), U(len(dbias_dense)), np.empty(len(dbias_dense), np.float32)
    error = np.empty(classes, np.float32)
    for b in range(len(hidden_B)):
        hidden, dhidden = hidden_B[b], dhidden_B[b]
        for i in range(size):
            x[i] = max(hidden[i], ZERO)
            dhidden[i] = ZERO
        drop(x, lanes_B[b], dropout)
        for k in range(classes):
            total = bias[k]
            for i in range(size):
                total += weight[k * size + i] * x[i]
            error[k] = total
        largest, total = error.max(), ZERO
        for k in range(classes):
            error[k] = np.exp(error[k] - largest)
            total += error[k]
        for k in range(classes):
            wrong = (error[k] / total - np.float32(k == label_B[b])) / np.float32(len(hidden_B))
            dbias[k] += wrong
            for i in range(size):
                dweight[k * size + i] += wrong * x[i]
                dhidden[i] += wrong * weight[k * size + i]
        for i in range(size):
            dhidden[i] = dhidden[i] * dropout[1] if x[i] > ZERO else ZERO
            dbias_dense[i] += dhidden[i]
