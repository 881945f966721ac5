"""Numba's kernels for the gradients of the CNN's convolutions, one sample after the other.

Layouts are those of `ialelib.kernels.common`. Of the pooling's windows only those with a gradient
that is not zero are visited.
"""

from typing import Any

import numpy as np

from ialelib.kernels.common import (
    KERNEL,
    PAIR,
    SIDE,
    ZERO,
    C,
    U,
    corners,
    load_one,
    load_two,
)
from ialelib.kernels.conv1 import map_of_background, seen, sight, to_first
from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import add, add_scaled, lowest, nonzero, relu_mask, store


@kernel
def gather(grad: Any, which: Any, spans: Any, corner_P: Any, stride: int, lists: Any) -> None:
    """List one sample's gradients that are not zero, channel by channel, of windows in `spans`.

    `lists`: where each begins among the maps, the gradients, and how many each channel has.
    """
    at, value, count_C = lists
    windows, across = U(len(corner_P)), U(len(corner_P) // len(spans))
    offset = np.array([0, C, stride, stride + C], np.uint64)
    count_C[:] = U(0)
    for row in range(U(len(spans))):
        begin, end = U(spans[row, 0]), U(spans[row, 1])
        for p in range(row * across + begin, row * across + end):
            bits = U(nonzero(load_one(grad, p * U(C))))
            while bits:
                c = lowest(bits)
                bits &= bits - U(1)
                q, n = U(which[p * U(C) + c]), c * windows + count_C[c]
                at[n], value[n] = corner_P[p] + offset[q], grad[p * U(C) + c]
                count_C[c] += U(1)


@kernel
def gather_empty(grad: Any, spans: Any, across: int, total_C: Any) -> None:
    """Add up one sample's gradients of windows that see the background alone.

    They see the same, so that the sum of their gradients has the effect of all of these.
    """
    total = load_one(total_C, 0)
    for row in range(len(spans)):
        for j in range(across):
            if j < spans[row, 0] or j >= spans[row, 1]:
                total = add(total, load_one(grad, (row * across + j) * C))
    store(total_C, 0, total)


@kernel
def add_all(grad: Any, total_C: Any) -> None:
    """Add one sample's gradients of all windows, channel by channel."""
    total = load_one(total_C, 0)
    for at in range(U(0), U(len(grad)), U(C)):
        total = add(total, load_one(grad, at))
    store(total_C, 0, total)


@kernel
def from_empty(total_C: Any, map_C: Any, weight: Any, dbias: Any, dsecond: Any) -> None:
    """Add what the windows that see the background alone share, but for the second's biases.

    `total_C`: sum of their gradients, `map_C`: what the first convolution has there.
    """
    values = load_one(map_C, 0)
    for c in range(U(C)):
        for at in range(c * KERNEL, (c + U(1)) * KERNEL, U(C)):
            store(dsecond, at, add_scaled(load_one(dsecond, at), total_C[c], values))
            gradient = relu_mask(values, load_one(weight, at))
            store(dbias, 0, add_scaled(load_one(dbias, 0), total_C[c], gradient))


@kernel
def clear(dmaps: Any, stride: int, reach: Any) -> None:
    """Zeros where the gradient of one sample's maps is to be added up."""
    for i in range(len(reach)):
        dmaps[i * stride + reach[i, 0] * C : i * stride + reach[i, 1] * C] = ZERO


@kernel
def to_maps(dmaps: Any, weight: Any, stride: int, lists: Any) -> None:
    """Add to the gradient of one sample's maps after their ReLU."""
    at, value, count_C = lists
    windows = U(len(at) // C)
    for c in range(U(C)):
        for row in range(U(2)):
            weight_2C = load_two(weight, c * KERNEL + row * PAIR)
            for k in range(c * windows, c * windows + count_C[c]):
                i = U(at[k]) + row * U(stride)
                store(dmaps, i, add_scaled(load_two(dmaps, i), value[k], weight_2C))


@kernel
def to_weights(dweight: Any, maps: Any, stride: int, lists: Any) -> None:
    """Add one sample's share to the gradients of the second convolution's weights."""
    at, value, count_C = lists
    windows = U(len(at) // C)
    for c in range(U(C)):
        for row in range(U(2)):
            i = c * KERNEL + row * PAIR
            total = load_two(dweight, i)
            for k in range(c * windows, c * windows + count_C[c]):
                part = load_two(maps, U(at[k]) + row * U(stride))
                total = add_scaled(total, value[k], part)
            store(dweight, i, total)


@kernel
def backward(
    grad_B: Any, which_B: Any, image_B: Any, first: Any, weight: Any, sizes: Any, found: Any
) -> None:
    """Add to `found`, the gradients of both convolutions' weights and biases.

    `grad_B` must be zero where `which_B` is NONE. `first`: weights and biases, `weight`: the
    second's. `sizes`: height and width of the maps, background. The first convolution's results
    are computed again, which takes less time than to fetch them from memory.
    """
    height, width, background = sizes
    dfirst, dbias, dsecond, dbias_second = found
    stride, size, channels = width * C, grad_B.shape[1], first[0].size // (SIDE * SIDE * C)
    at, value = np.empty(size, np.uint32), np.empty(size, np.float32)
    lists = at, value, np.empty(C, np.uint64)
    sees = sight(image_B.shape[1], channels, height, width)
    pixels, _, spans, reach = sees
    maps, dmaps = np.empty(height * stride, np.float32), np.empty(height * stride, np.float32)
    across, corner_P = (width - 1) // 2, corners(width, size // C)
    empty_C, map_C = np.zeros(C, np.float32), map_of_background(first, background)
    layer = first[0], first[1], map_C
    for b in range(len(grad_B)):
        seen(image_B[b], layer, (channels, width, background), sees, maps)
        gather(grad_B[b], which_B[b], spans, corner_P, stride, lists)
        gather_empty(grad_B[b], spans, across, empty_C)
        clear(dmaps, stride, reach)
        to_maps(dmaps, weight, stride, lists)
        to_weights(dsecond, maps, stride, lists)
        add_all(grad_B[b], dbias_second)
        to_first(dfirst, dbias, dmaps, maps, pixels, reach, channels)
    from_empty(empty_C, map_C, weight, dbias, dsecond)
    for i in range(0, len(dfirst), C):
        store(dfirst, i, add_scaled(load_one(dfirst, i), background, load_one(dbias, 0)))
