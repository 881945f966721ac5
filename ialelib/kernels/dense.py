"""Numba's kernels for the CNN's first dense layer in training, most of whose values are zeros.

ReLU and dropout make zeros of more than half of the inputs, and of five in six of the outputs'
gradients (on MNIST). Forward, the kernels visit the other inputs alone, backward the other
gradients. SPAN inputs at a time, those of two windows, stay in the processor's cache for all
samples. Weights are flat: in blocks of SPAN inputs, the last filled up with zeros, and within each
by output and input.
"""

from typing import Any

import numpy as np

from ialelib.kernels.common import ZERO, C, U, load_one
from ialelib.kernels.head import adam
from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import (
    PIECE,
    add_scaled,
    loader,
    lowest,
    nonzero,
    relu_mask,
    store,
    transpose,
)

OUTPUTS, HALF = U(128), U(64)
SPAN = U(2 * C)  # inputs at a time
ONE = U(1)

load_half = loader(64)


@kernel
def near(x_B: Any, first: int, x_B_S: Any) -> None:
    """Copy SPAN inputs of each sample, from the `first` on; zeros where there are no more."""
    two = U(x_B.shape[1]) > first + U(C)
    nothing_C = load_one(np.zeros(C, np.float32), 0)
    for b in range(U(len(x_B))):
        store(x_B_S, b * SPAN, load_one(x_B[b], first))
        store(x_B_S, b * SPAN + U(C), load_one(x_B[b], first + U(C)) if two else nothing_C)


@kernel
def by_input(weight: Any, first: int, weight_S: Any) -> None:
    """Copy a block of weights: for each half of the outputs by input and output."""
    for o in range(U(0), OUTPUTS, U(PIECE)):
        for s in range(U(0), SPAN, U(PIECE)):
            half = o // HALF
            to = (half * SPAN + s) * HALF + o - half * HALF
            transpose(weight, first * OUTPUTS + o * SPAN + s, SPAN, weight_S, to, HALF)


@kernel
def dense(x_B: Any, weight: Any, bias: Any, y_B: Any) -> None:
    """The layer's outputs."""
    batch, inputs = U(len(x_B)), U(x_B.shape[1])
    x_B_S, weight_S = np.empty(batch * SPAN, np.float32), np.empty(SPAN * OUTPUTS, np.float32)
    y = np.empty(batch * OUTPUTS, np.float32)
    for half in range(U(2)):
        for b in range(batch):
            store(y, (half * batch + b) * HALF, load_half(bias, half * HALF))
    for first in range(U(0), inputs, SPAN):
        near(x_B, first, x_B_S)
        by_input(weight, first, weight_S)
        for half in range(U(2)):
            for b in range(batch):
                at = (half * batch + b) * HALF
                total, bits = load_half(y, at), U(nonzero(load_one(x_B_S, b * SPAN)))
                bits |= U(nonzero(load_one(x_B_S, b * SPAN + U(C)))) << U(C)
                while bits:
                    s = lowest(bits)
                    bits &= bits - ONE
                    weight_H = load_half(weight_S, (half * SPAN + s) * HALF)
                    total = add_scaled(total, x_B_S[b * SPAN + s], weight_H)
                store(y, at, total)
    for b in range(batch):
        store(y_B[b], U(0), load_half(y, b * HALF))
        store(y_B[b], HALF, load_half(y, (batch + b) * HALF))


@kernel
def listed(grad_B: Any) -> Any:
    """List the gradients that are not zero, row by row.

    The list: SPAN times each one's column, where that column's values begin; the gradients; where
    each row's begin.
    """
    rows, columns = U(len(grad_B)), U(grad_B.shape[1])
    at, value = (
        np.empty(rows * columns + ONE, np.uint32),
        np.empty(rows * columns + ONE, np.float32),
    )
    start, n = np.empty(rows + ONE, np.uint64), U(0)
    for row in range(rows):
        start[row] = n
        for column in range(columns):
            at[n], value[n] = column * SPAN, grad_B[row, column]
            n += U(value[n] != ZERO)
    start[rows] = n
    return at, value, start


@kernel
def combined(some: Any, row: int, values: Any, first: int, nothing_C: Any) -> Any:
    """Two windows' sums of the values that one row of a list names, each times its gradient.

    `first`: where these values begin. `nothing_C`: zeros.
    """
    at, value, start = some
    one = two = nothing_C
    for k in range(start[row], start[row + ONE]):
        i = first + U(at[k])
        one = add_scaled(one, value[k], load_one(values, i))
        two = add_scaled(two, value[k], load_one(values, i + U(C)))
    return one, two


@kernel
def dense_backward(x_B: Any, growth: Any, grad_B: Any, dx_B: Any, state: Any, rates: Any) -> None:
    """A step of Adam for the weights, and the gradient of the inputs before dropout.

    The second is zero where `x_B` is: there, ReLU or dropout holds it back; dropout multiplied
    the others by `growth`. `state`, `rates`: see `adam`.
    """
    batch, inputs, weight = U(len(x_B)), U(x_B.shape[1]), state[0]
    x_B_S, dw = np.empty(batch * SPAN, np.float32), np.empty(SPAN * OUTPUTS, np.float32)
    by_sample, by_output = listed(grad_B), listed(grad_B.T)
    nothing_C = load_one(np.zeros(C, np.float32), 0)
    for first in range(U(0), inputs, SPAN):
        near(x_B, first, x_B_S)
        at, two = first * OUTPUTS, inputs > first + U(C)
        for b in range(batch):
            left, right = combined(by_sample, b, weight, at, nothing_C)
            x_C = load_one(x_B_S, b * SPAN)
            store(dx_B[b], first, relu_mask(x_C, add_scaled(nothing_C, growth, left)))
            if two:
                x_C = load_one(x_B_S, b * SPAN + U(C))
                store(dx_B[b], first + U(C), relu_mask(x_C, add_scaled(nothing_C, growth, right)))
        for o in range(OUTPUTS):
            left, right = combined(by_output, o, x_B_S, U(0), nothing_C)
            store(dw, o * SPAN, left)
            store(dw, o * SPAN + U(C), right)
        adam(state, dw, at, SPAN * OUTPUTS, rates)
