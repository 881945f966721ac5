"""Numba's kernels for the CNN's first dense layer in training, whose inputs are two thirds zeros.

Inputs are zero after ReLU and dropout where these say so, and the kernels visit the others alone.
Sixty-four inputs at a time, those of two windows, stay in the processor's cache for all samples,
and half of the outputs in registers. Weights are flat, by input and output.
"""

from typing import Any

import numpy as np

from ialelib.head_kernels import adam
from ialelib.kernels import ZERO, C, U, kernel, load_one
from ialelib.vectors import add_scaled, dot, loader, lowest, nonzero, store

# Numba compiles anew what it keeps when this file changes; so here are the checksums of others:
# kernels.py dcac306daf38a02d
# head_kernels.py fd99dc3d4e536b6f
# vectors.py dd4ccbb4025ff983

OUTPUTS, HALF = U(128), U(64)
SPAN = U(2 * C)  # inputs at a time
BITS = U(64)  # samples at a time, a bit for each
ONE = U(1)

load_half = loader(64)


@kernel
def near(x_B: Any, first: int, x_B_S: Any, bits_B: Any) -> None:
    """Copy up to SPAN inputs of each sample, and note which of them are not zero, bit by bit."""
    two = U(x_B.shape[1]) > first + U(C)
    for b in range(U(len(x_B))):
        x_C = load_one(x_B[b], first)
        store(x_B_S, b * SPAN, x_C)
        bits_B[b] = nonzero(x_C)
        if two:
            x_C = load_one(x_B[b], first + U(C))
            store(x_B_S, b * SPAN + U(C), x_C)
            bits_B[b] |= U(nonzero(x_C)) << U(C)


@kernel
def dense(x_B: Any, weight: Any, bias: Any, y_B: Any) -> None:
    """The layer's outputs."""
    batch, inputs = U(len(x_B)), U(x_B.shape[1])
    x_B_S, bits_B = np.empty(batch * SPAN, np.float32), np.empty(batch, np.uint64)
    weight_S, y = np.empty(SPAN * HALF, np.float32), np.empty(batch * HALF, np.float32)
    for half in range(U(0), OUTPUTS, HALF):
        for b in range(batch):
            store(y, b * HALF, load_half(bias, half))
        for first in range(U(0), inputs, SPAN):
            near(x_B, first, x_B_S, bits_B)
            for s in range(min(SPAN, inputs - first)):
                store(weight_S, s * HALF, load_half(weight, (first + s) * OUTPUTS + half))
            for b in range(batch):
                total, bits = load_half(y, b * HALF), bits_B[b]
                while bits:
                    s = lowest(bits)
                    bits &= bits - ONE
                    total = add_scaled(total, x_B_S[b * SPAN + s], load_half(weight_S, s * HALF))
                store(y, b * HALF, total)
        for b in range(batch):
            store(y_B[b], half, load_half(y, b * HALF))


@kernel
def turned(bits_B: Any, bits_S: Any) -> None:
    """A bit for each input of a sample, turned into one for each sample of an input."""
    bits_S[:] = U(0)
    for b in range(U(len(bits_B))):
        bits = bits_B[b]
        for s in range(SPAN):
            bits_S[s] |= ((bits >> s) & ONE) << b


@kernel
def halves(grad_B: Any) -> Any:
    """Of up to BITS samples at a time the first half of each one's gradients, then the second."""
    batch = U(len(grad_B))
    found = np.empty(batch * OUTPUTS, np.float32)
    for begin in range(U(0), batch, BITS):
        size = min(BITS, batch - begin)
        for b in range(size):
            at = begin * OUTPUTS + b * HALF
            store(found, at, load_half(grad_B[begin + b], U(0)))
            store(found, at + size * HALF, load_half(grad_B[begin + b], HALF))
    return found


@kernel
def to_weights(bits: Any, x_B_S: Any, s: int, grad: Any, start: int, total: Any) -> Any:
    """Add to the gradients of one input's weights what the samples of `bits` share."""
    while bits:
        b = lowest(bits)
        bits &= bits - ONE
        total = add_scaled(total, x_B_S[b * SPAN + s], load_half(grad, start + b * HALF))
    return total


@kernel
def to_input(bits: Any, weights: Any, s: int, grad: Any, start: int, dx_B_S: Any) -> None:
    """Add to one input's gradient in the samples of `bits`."""
    while bits:
        b = lowest(bits)
        bits &= bits - ONE
        dx_B_S[b * SPAN + s] += dot(weights, load_half(grad, start + b * HALF))


@kernel
def dense_backward(x_B: Any, growth: Any, grad_B: Any, dx_B: Any, state: Any, rates: Any) -> None:
    """A step of Adam for the weights, and the gradient of the inputs before dropout.

    The second is zero where `x_B` is: there, ReLU or dropout holds it back; dropout multiplied
    the others by `growth`. `state`, `rates`: see `adam`.
    """
    batch, inputs, grad, weight = U(len(x_B)), U(x_B.shape[1]), halves(grad_B), state[0]
    size, dw = min(BITS, batch), np.empty(SPAN * OUTPUTS, np.float32)
    nothing_C = load_one(np.zeros(C, np.float32), 0)
    x_B_S, dx_B_S = np.empty(size * SPAN, np.float32), np.empty(size * SPAN, np.float32)
    bits_B, bits_S = np.empty(size, np.uint64), np.empty(SPAN, np.uint64)
    for first in range(U(0), inputs, SPAN):
        count = min(SPAN, inputs - first)
        dw[:] = ZERO
        for begin in range(U(0), batch, BITS):
            some_x, dx = x_B[begin : begin + BITS], dx_B[begin : begin + BITS]
            some = U(len(some_x))
            near(some_x, first, x_B_S, bits_B)
            turned(bits_B[:some], bits_S)
            dx_B_S[:] = ZERO
            for half in range(U(2)):
                start = begin * OUTPUTS + half * some * HALF
                for s in range(count):
                    bits, at = bits_S[s], s * OUTPUTS + half * HALF
                    total = load_half(dw, at)
                    store(dw, at, to_weights(bits, x_B_S, s, grad, start, total))
                    values = load_half(weight, first * OUTPUTS + at)
                    to_input(bits, values, s, grad, start, dx_B_S)
            for b in range(some):
                for s in range(U(0), count, U(C)):
                    dx_C = load_one(dx_B_S, b * SPAN + s)
                    store(dx[b], first + s, add_scaled(nothing_C, growth, dx_C))
        adam(state, dw, first * OUTPUTS, count * OUTPUTS, rates)
