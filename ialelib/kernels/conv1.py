"""Numba's kernels for the CNN's first convolution in training, one sample at a time.

Layouts, `spans` and `reach` are those of `ialelib.kernels.common`.
"""

from typing import Any

import numpy as np

from ialelib.kernels.common import (
    SIDE,
    C,
    U,
    coloured,
    load_half,
    load_one,
    pixel_lists,
    reached,
    seeing,
)
from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import add_scaled, relu_mask, store

ONE = np.float32(1)


@kernel
def map_of_background(first: Any, background: Any) -> Any:
    """What the first convolution gives, after ReLU, where it sees the background alone."""
    map_C = first[1].copy()
    for at in range(0, len(first[0]), C):
        store(map_C, 0, add_scaled(load_one(map_C, 0), background, load_one(first[0], at)))
    store(map_C, 0, relu_mask(load_one(map_C, 0), load_one(map_C, 0)))
    return map_C


@kernel
def convolve(image: Any, first: Any, sizes: Any, spans: Any, reach: Any, maps: Any) -> None:
    """First convolution and ReLU of one sample, two positions at a time.

    Of the positions in `reach` those outside of `spans` see the background alone.
    """
    weight, bias_C, empty_C = first
    channels, width = sizes
    taps = U(SIDE * channels)
    for i in range(len(spans)):
        begin, end = spans[i]
        for j in range(reach[i, 0], begin):
            store(maps, (i * width + j) * C, load_one(empty_C, 0))
        for j in range(end, reach[i, 1]):
            store(maps, (i * width + j) * C, load_one(empty_C, 0))
        for j in range(begin, end, 2):
            last = min(j + 1, width - 1)
            one, two = load_one(bias_C, 0), load_one(bias_C, 0)
            for r in range(SIDE):
                row = (i + r) * (width + SIDE - 1)
                left, right = U((row + j) * channels), U((row + last) * channels)
                for t in range(taps):
                    tap_C = load_one(weight, (U(r) * taps + t) * U(C))
                    one = add_scaled(one, image[left + t], tap_C)
                    two = add_scaled(two, image[right + t], tap_C)
            store(maps, (i * width + j) * C, relu_mask(one, one))
            store(maps, (i * width + last) * C, relu_mask(two, two))


@kernel
def sight(size: int, channels: int, height: int, width: int) -> Any:
    """Memory for what `seen` finds in an image of `size` values; `height`, `width`: the maps'."""
    pixels = pixel_lists(size, (height + SIDE - 1) * channels)
    map_spans, reach = np.empty((height, 2), np.int64), np.empty((height, 2), np.int64)
    return pixels, map_spans, np.empty(((height - 1) // 2, 2), np.int64), reach


@kernel
def seen(image: Any, layer: Any, sizes: Any, found: Any, maps: Any) -> None:
    """First convolution and ReLU of one sample, where windows see more than the background.

    `found`: its other pixels, and the spans of positions, the spans of windows and the reach that
    follow from these.
    """
    channels, width, background = sizes
    pixels, map_spans, spans, reach = found
    coloured(image, channels, width, background, pixels)
    seeing(pixels, channels, width, SIDE, 1, map_spans)
    seeing(pixels, channels, (width - 1) // 2, SIDE + 2, 2, spans)
    reached(spans, reach)
    convolve(image, layer, (channels, width), map_spans, reach, maps)


@kernel
def to_first(
    dweight: Any, dbias_C: Any, dmaps: Any, maps: Any, pixels: Any, reach: Any, channels: int
) -> None:
    """From the maps' gradient, after their ReLU, what is added to the first convolution's.

    To that of the weights, for the pixels' difference from the background alone. Positions outside
    of `reach` have no gradient, and see none of these pixels but where no window takes them.
    """
    step, across = U(channels), U(len(maps) // len(reach))
    row_gradient = np.zeros(across + U(2 * (SIDE - 1) * C), np.float32)
    for i in range(U(len(reach))):
        total, left = load_one(dbias_C, 0), i * across
        for j in range(U(reach[i, 0] * C), U(reach[i, 1] * C), U(C)):
            gradient = relu_mask(load_one(maps, left + j), load_one(dmaps, left + j))
            store(row_gradient, j + U((SIDE - 1) * C), gradient)
            total = add_scaled(total, ONE, gradient)
        store(dbias_C, 0, total)
        for r in range(U(SIDE) if reach[i, 0] < reach[i, 1] else U(0)):
            for channel in range(step):
                at = (r * U(SIDE) * step + channel) * U(C)
                to_taps(dweight, at, step * U(C), row_gradient, pixels, (i + r) * step + channel)


@kernel
def to_taps(dweight: Any, first: int, step: int, gradient: Any, pixels: Any, row: int) -> None:
    """Add to the gradients of a row of four taps what one row of pixels gives."""
    at, value, start = pixels
    begin, end = start[row], start[row + U(1)]
    if begin < end:
        for half in range(U(0), U(C), U(C // 2)):
            i = first + half
            s, t = load_half(dweight, i), load_half(dweight, i + step)
            u, v = load_half(dweight, i + step + step), load_half(dweight, i + step + step + step)
            for k in range(begin, end):
                j, pixel = U(at[k]) * U(C) + half, value[k]
                s = add_scaled(s, pixel, load_half(gradient, j + U(3 * C)))
                t = add_scaled(t, pixel, load_half(gradient, j + U(2 * C)))
                u = add_scaled(u, pixel, load_half(gradient, j + U(C)))
                v = add_scaled(v, pixel, load_half(gradient, j))
            store(dweight, i, s)
            store(dweight, i + step, t)
            store(dweight, i + step + step, u)
            store(dweight, i + step + step + step, v)
