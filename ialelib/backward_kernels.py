"""Numba's kernels for the gradients of the CNN's convolutions, one sample after the other.

Layouts are those of `ialelib.kernels`. Of the pooling's windows only those with a gradient that is
not zero are visited. Nothing checks bounds: `ialelib.pooled` does, once a batch.
"""

from typing import Any

import numpy as np

from ialelib.kernels import (
    KERNEL,
    NONE,
    PAIR,
    SIDE,
    ZERO,
    C,
    U,
    corners,
    kernel,
    load_one,
    load_two,
)
from ialelib.vectors import add_scaled, rectified, store

# Numba compiles anew what it keeps when this file changes; so here are the checksums of others:
# kernels.py 0b61696cc97210d2
# vectors.py 54a074f3373ef336

ONE = np.float32(1)


@kernel
def gather(grad: Any, which: Any, corner_P: Any, stride: int, lists: Any) -> None:
    """List one sample's gradients that are not zero, channel by channel.

    `lists`: where each begins among the maps, the gradients, and where each channel's start.
    """
    at, value, start = lists
    n, windows = U(0), U(len(corner_P))
    for c in range(U(C)):
        start[c] = n
        for p in range(windows):
            q, gradient = U(which[p * U(C) + c]), grad[p * U(C) + c]
            at[n] = corner_P[p] + (q >> U(1)) * U(stride) + (q & U(1)) * U(C)
            value[n] = gradient
            n += U((gradient != ZERO) & (q != U(NONE)))
    start[C] = n


@kernel
def to_maps(dmaps: Any, weight: Any, stride: int, lists: Any) -> None:
    """Gradient of one sample's maps after their ReLU."""
    at, value, start = lists
    dmaps[:] = ZERO
    for row in range(U(2)):
        for c in range(U(C)):
            weight_2C = load_two(weight, c * KERNEL + row * PAIR)
            for k in range(start[c], start[c + U(1)]):
                i = U(at[k]) + row * U(stride)
                store(dmaps, i, add_scaled(load_two(dmaps, i), value[k], weight_2C))


@kernel
def to_weights(dweight: Any, dbias_C: Any, maps: Any, stride: int, lists: Any) -> None:
    """Add one sample's share to the gradients of the second convolution."""
    at, value, start = lists
    for row in range(U(2)):
        for c in range(U(C)):
            i = c * KERNEL + row * PAIR
            total = load_two(dweight, i)
            for k in range(start[c], start[c + U(1)]):
                part = load_two(maps, U(at[k]) + row * U(stride))
                total = add_scaled(total, value[k], part)
            store(dweight, i, total)
    for c in range(U(C)):
        for k in range(start[c], start[c + U(1)]):
            dbias_C[c] += value[k]


@kernel
def to_first(
    dweight: Any, dbias_C: Any, dmaps: Any, maps: Any, image: Any, channels: int, width: int
) -> None:
    """The maps' gradient before their ReLU, in place; add its share to the first convolution's."""
    taps, step, across = U(SIDE * channels), U(channels), U(width)
    for i in range(len(maps) // (width * C)):
        left, total = U(i * width * C), load_one(dbias_C, 0)
        for j in range(left, left + across * U(C), U(C)):
            gradient = rectified(load_one(maps, j), load_one(dmaps, j))
            store(dmaps, j, gradient)
            total = add_scaled(total, ONE, gradient)
        store(dbias_C, 0, total)
        for r in range(U(SIDE)):
            row = (U(i) + r) * U((width + SIDE - 1) * channels)
            for t in range(U(0), taps, U(2)):
                at = (r * taps + t) * U(C)
                one, two = load_one(dweight, at), load_one(dweight, at + U(C))
                for j in range(across):
                    gradient, pixel = load_one(dmaps, left + j * U(C)), row + j * step + t
                    one = add_scaled(one, image[pixel], gradient)
                    two = add_scaled(two, image[pixel + U(1)], gradient)
                store(dweight, at, one)
                store(dweight, at + U(C), two)


@kernel
def backward(
    grad_B: Any, which_B: Any, maps_B: Any, image_B: Any, weight: Any, sizes: Any, found: Any
) -> None:
    """Add to `found`, the gradients of both convolutions' weights and biases.

    `sizes`: channels of the images, width of the maps.
    """
    channels, width = sizes
    dfirst, dbias, dsecond, dbias_second = found
    stride, size = width * C, grad_B.shape[1]
    corner_P = corners(width, size // C)
    at, value = np.empty(size, np.uint32), np.empty(size, np.float32)
    lists = at, value, np.empty(C + 1, np.uint64)
    dmaps = np.empty(maps_B.shape[1], np.float32)
    for b in range(len(maps_B)):
        gather(grad_B[b], which_B[b], corner_P, stride, lists)
        to_maps(dmaps, weight, stride, lists)
        to_weights(dsecond, dbias_second, maps_B[b], stride, lists)
        to_first(dfirst, dbias, dmaps, maps_B[b], image_B[b], channels, width)
