"""Numba's kernels for the CNN's convolutions in training, forward, one sample after the other.

Layouts and `spans` are those of `ialelib.kernels.common`.
"""

from typing import Any

import numpy as np

from ialelib.kernels.common import (
    KERNEL,
    NONE,
    PAIR,
    SIDE,
    ZERO,
    C,
    U,
    corners,
    drop,
    inside,
    load_one,
)
from ialelib.kernels.conv1 import map_of_background, seen, sight
from ialelib.kernels.conv2 import GROUP, NINE, differences, outputs, products, summed_weights
from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import relu_mask, store


@kernel
def without_pixels(map_C: Any, second: Any) -> Any:
    """What both convolutions give, after ReLU, where they see the background alone.

    `map_C`: what the first does.
    """
    top_C, which_C = second[1].copy(), np.full(C, NONE)
    for c in range(U(C)):
        for k in range(KERNEL):
            top_C[c] += second[0][c * KERNEL + k] * map_C[k % U(C)]
        if not top_C[c] <= ZERO:
            which_C[c] = 0
    store(top_C, 0, relu_mask(load_one(top_C, 0), load_one(top_C, 0)))
    return top_C, which_C


@kernel
def highest(four: Any, some_P: Any, top: Any, which: Any) -> None:
    """Each window's maximum, or 0 if that is more; and which of its four it is, or NONE.

    NaN is not NONE: its gradients, NaN too, come to an output that exists.
    """
    for k in range(U(len(some_P))):
        p = some_P[k]
        for c in range(U(C)):
            i = k * KERNEL + c
            one, two, three, last = four[i], four[i + U(C)], four[i + PAIR], four[i + PAIR + U(C)]
            upper, lower = max(one, two), max(three, last)
            up = np.uint8(two > one)
            low = np.uint8(2) + np.uint8(last > three)
            best = max(upper, lower)
            at = low if lower > upper else up
            top[p * U(C) + c] = ZERO if best < ZERO else best
            which[p * U(C) + c] = NONE if best <= ZERO else at


@kernel
def fill(spans: Any, across: int, empty: Any, top: Any, which: Any) -> None:
    """What windows that see the background alone have."""
    top_C, which_C = empty
    for row in range(len(spans)):
        for j in range(across):
            if j < spans[row, 0] or j >= spans[row, 1]:
                p = row * across + j
                store(top, p * C, load_one(top_C, 0))
                for c in range(U(C)):
                    which[U(p * C) + c] = which_C[c]


@kernel
def forward(
    image_B: Any, first: Any, second: Any, sizes: Any, lanes_B: Any, dropout: Any, found: Any
) -> None:
    """Both convolutions with ReLUs, the pooling, and dropout by random bits, `lanes_B`.

    `first`, `second`: weights and biases. `sizes`: height and width of the maps, background.
    `found`: top_B and which_B, to be filled.
    """
    top_B, which_B = found
    height, width, background = sizes
    channels, windows, size = first[0].size // (SIDE * SIDE * C), top_B.shape[1] // C, GROUP * C
    across, corner_P, weights = (width - 1) // 2, corners(width, windows), summed_weights(second[0])
    start = np.zeros((NINE, C), np.float32)
    start[4] = second[1]  # the product that all four outputs have
    starts, four = start.reshape(NINE * C), np.empty(4 * size, np.float32)
    taken, sums = np.zeros(NINE * size, np.float32), np.empty(NINE * size, np.float32)
    sees, live_P = sight(image_B.shape[1], channels, height, width), np.empty(windows, np.uint64)
    spans = sees[2]
    map_C, maps = map_of_background(first, background), np.empty(height * width * C, np.float32)
    empty, layer = without_pixels(map_C, second), (first[0], first[1], map_C)
    for b in range(len(image_B)):
        top, which = top_B[b], which_B[b]
        seen(image_B[b], layer, (channels, width, background), sees, maps)
        live = inside(spans, across, live_P)
        for p in range(0, live, GROUP):
            some_P = live_P[p : min(p + GROUP, live)]
            differences(maps, corner_P, some_P, width * C, size, taken)
            products(taken, weights, starts, len(some_P), size, sums)
            outputs(sums, size, len(some_P), four)
            highest(four, some_P, top, which)
        fill(spans, across, empty, top, which)
        drop(top, lanes_B[b], dropout)
