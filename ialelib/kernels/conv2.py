"""Numba's kernels for the CNN's second convolution by fewer products.

The minimal filtering algorithm F(2 x 2, 2 x 2) of Winograd (for networks: Lavin & Gray 2016).
Layouts are those of `ialelib.kernels.common`.
"""

from typing import Any

import numpy as np
from numba import literal_unroll

from ialelib.kernels.common import PAIR, C, U, load_half, load_one, load_piece
from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import PIECE, add, add_scaled, store, sub

NINE = 9  # products for a window's four outputs (`products`)
GROUP, SIX = 24, 6  # windows that share the cache, and registers


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
def differences(maps: Any, corner_P: Any, some_P: Any, stride: int, size: int, taken: Any) -> None:
    """What `products` takes of some windows: of columns and rows x, y, z their x-y, y and y-z."""
    for p in range(U(len(some_P))):
        for piece in range(U(0), U(C), U(PIECE)):
            i = corner_P[some_P[p]] + piece
            first = _rows(maps, i, stride)
            second, third = _rows(maps, i + U(C), stride), _rows(maps, i + PAIR, stride)
            at = p * U(C) + piece
            for row in literal_unroll((0, 1, 2)):
                store(taken, at, sub(first[row], second[row]))
                store(taken, at + U(size), second[row])
                store(taken, at + U(2 * size), sub(second[row], third[row]))
                at += U(3 * size)


@kernel
def _rows(maps: Any, i: int, stride: int) -> Any:
    middle = load_piece(maps, i + U(stride))
    lower = load_piece(maps, i + U(2 * stride))
    return sub(load_piece(maps, i), middle), middle, sub(middle, lower)


@kernel
def products(taken: Any, weights: Any, start: Any, windows: int, size: int, sums: Any) -> None:
    """Nine products of positions and weights for the four outputs of each window, not sixteen."""
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
            store(four, i, add(upper, middle))
            store(four, i + U(2 * C), sub(middle, lower))


@kernel
def _column(sums: Any, at: int, row: int, j: int) -> Any:
    one, two = load_one(sums, at), load_one(sums, at + row)
    return sub(one, two) if j else add(one, two)
