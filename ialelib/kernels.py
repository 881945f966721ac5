"""Numba's kernels for the CNN's convolutions in training, forward, one sample after the other.

Images, maps and weights are flat and channels-last: by row, column and channel; weights of the
second convolution by output, row, column and input, those of the first by row, column, input and
output. `width` is that of the maps, the first convolution's result, and `stride` a row of them.
Windows are those of the pooling, 2x2 of the second convolution's outputs, from 3x3 positions of
the maps; `corner_P` says where among the maps each begins. Nothing checks bounds: `ialelib.pooled`
does, once a batch.
"""

from typing import Any

import numpy as np
from numba import njit

from ialelib.vectors import add_scaled, added, less, loader, rectified, store, times

# Numba compiles anew what it keeps when this file changes; so here is the checksum of another:
# vectors.py 54a074f3373ef336

# Compile-time constants, so that the compiler unrolls the loops over them. Indices are unsigned,
# as those that may be negative, counted from the end, keep it from using vector instructions.
U = np.uint64
C = 32  # channels of both convolutions' outputs
SIDE = 4  # of the first convolution's kernel; the second's is 2
PAIR, KERNEL = U(2 * C), U(4 * C)  # numbers in a row of the second's kernel, and in all of it
NONE = np.uint8(4)  # where none of a window's four outputs is above zero
ZERO = np.float32(0)
NINE = 9  # products for a window's four outputs (`products`)
GROUP, SIX = 24, 6  # windows that share the cache, and registers

# The channels of one position, half of them, and those of two positions side by side.
load_one, load_half, load_two = loader(C), loader(C // 2), loader(2 * C)

# Sums may be reordered, at compile time, and products fused with them; nothing else.
kernel: Any = njit(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "reassoc"}
)


@kernel
def convolve(image: Any, weight: Any, bias_C: Any, channels: int, width: int, maps: Any) -> None:
    """First convolution and ReLU of one sample, two positions at a time."""
    taps = U(SIDE * channels)
    for i in range(len(maps) // (width * C)):
        for j in range(0, width, 2):
            last = min(j + 1, width - 1)
            one, two = load_one(bias_C, 0), load_one(bias_C, 0)
            for r in range(SIDE):
                row = (i + r) * (width + SIDE - 1)
                first, second = U((row + j) * channels), U((row + last) * channels)
                for t in range(taps):
                    tap_C = load_one(weight, (U(r) * taps + t) * U(C))
                    one = add_scaled(one, image[first + t], tap_C)
                    two = add_scaled(two, image[second + t], tap_C)
            store(maps, (i * width + j) * C, rectified(one, one))
            store(maps, (i * width + last) * C, rectified(two, two))


@kernel
def corners(width: int, windows: int) -> Any:
    """Where among the maps each window begins."""
    found_P, across = np.empty(windows, np.uint64), (width - 1) // 2
    for p in range(windows):
        found_P[p] = (p // across * 2 * width + p % across * 2) * C
    return found_P


@kernel
def summed_weights(weight: Any) -> Any:
    """The weights that `products` takes, 9 x inputs x outputs: the second's, and sums of them."""
    taken = np.empty((NINE, C, C), np.float32)
    for o in range(C):
        for c in range(C):
            at = o * 4 * C + c
            w, x, y, z = weight[at], weight[at + C], weight[at + 2 * C], weight[at + 3 * C]
            taken[0, c, o], taken[1, c, o], taken[2, c, o] = w, w + x, x
            taken[3, c, o], taken[4, c, o], taken[5, c, o] = w + y, (w + x) + (y + z), x + z
            taken[6, c, o], taken[7, c, o], taken[8, c, o] = y, y + z, z
    return taken.reshape(NINE * C * C)


@kernel
def differences(maps: Any, corner_P: Any, stride: int, size: int, taken: Any) -> None:
    """What `products` takes of some windows: of columns and rows x, y, z their x-y, y and y-z."""
    down, last = U(3 * size), U(2 * size)
    for p in range(U(len(corner_P))):
        for j in range(U(3)):
            i, at = corner_P[p] + j * U(C), p * U(C) + j * U(size)
            middle = load_one(maps, i + U(stride))
            store(taken, at, less(load_one(maps, i), middle))
            store(taken, at + down, middle)
            store(taken, at + down + down, less(middle, load_one(maps, i + U(2 * stride))))
        for r in range(U(3)):
            at = p * U(C) + r * down
            middle = load_one(taken, at + U(size))
            store(taken, at, less(load_one(taken, at), middle))
            store(taken, at + last, less(middle, load_one(taken, at + last)))


@kernel
def products(taken: Any, weights: Any, start: Any, windows: int, size: int, sums: Any) -> None:
    """Nine products of positions and weights for the four outputs of each window, not sixteen.

    The minimal filtering algorithm F(2 x 2, 2 x 2) of Winograd (for networks: Lavin & Gray 2016).
    """
    one = U(C)
    for k in range(U(NINE)):
        for half in range(U(0), U(C), U(C // 2)):
            first = load_half(start, k * U(C) + half)
            for p in range(k * U(size), k * U(size) + U(windows * C), U(SIX * C)):
                s, t, u, v, w, x = first, first, first, first, first, first
                for i in range(p, p + one):
                    tap = load_half(weights, (k * one + i - p) * one + half)
                    s = add_scaled(s, taken[i], tap)
                    t = add_scaled(t, taken[i + one], tap)
                    u = add_scaled(u, taken[i + U(2 * C)], tap)
                    v = add_scaled(v, taken[i + U(3 * C)], tap)
                    w = add_scaled(w, taken[i + U(4 * C)], tap)
                    x = add_scaled(x, taken[i + U(5 * C)], tap)
                at = p + half
                store(sums, at, s)
                store(sums, at + one, t)
                store(sums, at + U(2 * C), u)
                store(sums, at + U(3 * C), v)
                store(sums, at + U(4 * C), w)
                store(sums, at + U(5 * C), x)


@kernel
def outputs(sums: Any, size: int, windows: int, four: Any) -> None:
    """Each window's four outputs from its nine products."""
    row = U(size)
    for p in range(U(windows)):
        for j in range(U(2)):
            at = p * U(C) + j * row
            upper, middle = _column(sums, at, row, j), _column(sums, at + U(3) * row, row, j)
            lower = _column(sums, at + U(6) * row, row, j)
            i = (p * U(4) + j) * U(C)
            store(four, i, added(upper, middle))
            store(four, i + U(2 * C), less(middle, lower))


@kernel
def _column(sums: Any, at: int, row: int, j: int) -> Any:
    one, two = load_one(sums, at), load_one(sums, at + row)
    return less(one, two) if j else added(one, two)


@kernel
def highest(four: Any, windows: int, top: Any, which: Any, first: int) -> None:
    """Each window's maximum, or 0 if that is more; and which of its four it is, or NONE."""
    for p in range(U(windows)):
        for c in range(U(C)):
            i = p * KERNEL + c
            one, two, three, last = four[i], four[i + U(C)], four[i + PAIR], four[i + PAIR + U(C)]
            upper, lower = max(one, two), max(three, last)
            up = np.uint8(two > one)
            low = np.uint8(2) + np.uint8(last > three)
            best = max(upper, lower)
            at = low if lower > upper else up
            top[U(first) + p * U(C) + c] = ZERO if best < ZERO else best
            which[U(first) + p * U(C) + c] = at if best > ZERO else NONE


@kernel
def pool(y_B: Any, width: int, top_B: Any, which_B: Any) -> None:
    """ReLU and 2x2 pooling of the second convolution's outputs, where torch computed these."""
    windows, across, four = top_B.shape[1] // C, width // 2, np.empty(4 * C, np.float32)
    for b in range(len(y_B)):
        y, top, which = y_B[b], top_B[b], which_B[b]
        for p in range(windows):
            at = U((p // across * 2 * width + p % across * 2) * C)
            store(four, U(0), load_two(y, at))
            store(four, PAIR, load_two(y, at + U(width * C)))
            highest(four, 1, top, which, p * C)


@kernel
def forward(image_B: Any, first: Any, second: Any, width: int, factor_B: Any, found: Any) -> None:
    """Both convolutions with ReLUs, the pooling, and dropout: `factor_B` is what it multiplies by.

    `first`, `second`: weights and biases. `found`: maps_B, top_B and which_B, to be filled.
    """
    maps_B, top_B, which_B = found
    channels, windows, size = first[0].size // (SIDE * SIDE * C), top_B.shape[1] // C, GROUP * C
    corner_P, weights = corners(width, windows), summed_weights(second[0])
    start = np.zeros((NINE, C), np.float32)
    start[4] = second[1]  # the product that all four outputs have
    starts, four = start.reshape(NINE * C), np.empty(4 * size, np.float32)
    taken, sums = np.zeros(NINE * size, np.float32), np.empty(NINE * size, np.float32)
    for b in range(len(image_B)):
        maps, top, which, factor = maps_B[b], top_B[b], which_B[b], factor_B[b]
        convolve(image_B[b], first[0], first[1], channels, width, maps)
        for p in range(0, windows, GROUP):
            some_P = corner_P[p : p + GROUP]
            differences(maps, some_P, width * C, size, taken)
            products(taken, weights, starts, len(some_P), size, sums)
            outputs(sums, size, len(some_P), four)
            highest(four, len(some_P), top, which, p * C)
        for at in range(0, windows * C, C):
            store(top, at, times(load_one(top, at), load_one(factor, at)))
