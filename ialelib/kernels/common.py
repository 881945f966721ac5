"""What numba's kernels for the CNN share: sizes, the pixels of images and dropout.

Images, maps and weights are flat and channels-last: by row, column and channel; weights of the
second convolution by output, row, column and input, those of the first by row, column, input and
output. `width` is that of the maps, the first convolution's result, and `stride` a row of them.
Windows are those of the pooling, 2x2 of the second convolution's outputs, from 3x3 positions of
the maps; `corner_P` says where among the maps each begins.

Most of many images is background, pixels of one value: `spans` say where in each row of windows, or
of positions of the maps, there are others, from which to which. What sees the background alone has
the same result everywhere, computed once.

Nothing checks bounds here: `ialelib.kernels.trainer` does, for all kernels.
"""

from typing import Any

import numpy as np

from ialelib.kernels.jit import kernel
from ialelib.kernels.vectors import PIECE, loader

# Compile-time constants, so that the compiler unrolls the loops over them. Indices are unsigned,
# as those that may be negative, counted from the end, keep it from using vector instructions.
U = np.uint64
C = 32  # channels of both convolutions' outputs
SIDE = 4  # of the first convolution's kernel; the second's is 2
PAIR, KERNEL = U(2 * C), U(4 * C)  # values in a row of the second's kernel, and in all of it
NONE = np.uint8(4)  # where none of a window's four outputs is above zero
ZERO = np.float32(0)
FAR = 2**30  # more than an image has pixels in a row

# The channels of one position, half of them, and those of two positions side by side; as many as
# one of the processor's registers takes.
load_one, load_half, load_two = loader(C), loader(C // 2), loader(2 * C)
load_piece = loader(PIECE)


@kernel
def look_up(inputs_N: Any, rows_B: Any, levels: Any, image_B: Any) -> None:
    """Fill a batch with the float values of some inputs' bytes."""
    for b in range(len(rows_B)):
        taken, image = inputs_N[rows_B[b]], image_B[b]
        for i in range(U(len(image))):
            image[i] = levels[taken[i]]


@kernel
def coloured(image: Any, channels: int, width: int, background: Any, lists: Any) -> None:
    """List one sample's pixels that are not of the background, by row and channel.

    `lists`: where in its row each is, how far from the background, and where each row and
    channel's start.
    """
    at, value, start = lists
    n, step, across = U(0), U(channels), U(width + SIDE - 1)
    for row in range(U((len(start) - 1) // channels)):
        for channel in range(step):
            start[row * step + channel] = n
            for j in range(across):
                more = image[(row * across + j) * step + channel] - background
                at[n], value[n] = j, more
                n += U(more != ZERO)
    start[len(start) - 1] = n


@kernel
def pixel_lists(size: int, rows: int) -> Any:
    """Memory for `coloured`."""
    return (
        np.empty(size + 1, np.uint32),
        np.empty(size + 1, np.float32),
        np.empty(rows + 1, np.uint64),
    )


@kernel
def seeing(pixels: Any, channels: int, across: int, size: int, step: int, spans: Any) -> None:
    """From which to which of a row of squares may have one of `pixels` in it, row by row.

    Squares are of `size` pixels, `step` from each other, `across` in a row.
    """
    at, _, start = pixels
    for row in range(len(spans)):
        begin, end = across, 0
        for k in range(step * row * channels, (step * row + size) * channels):
            if start[k] < start[k + 1]:
                left: Any = np.int64(at[start[k]])
                right: Any = np.int64(at[start[k + 1] - U(1)])
                begin = min(begin, max(left - size + step, 0) // step)
                end = max(end, min(right // step + 1, across))
        spans[row, 0], spans[row, 1] = min(begin, end), end


@kernel
def inside(spans: Any, across: int, live_P: Any) -> int:
    """List the windows in `spans`, and count them."""
    n = 0
    for row in range(len(spans)):
        for j in range(spans[row, 0], spans[row, 1]):
            live_P[n] = U(row * across + j)
            n += 1
    return n


@kernel
def reached(spans: Any, reach: Any) -> None:
    """From which to which position of the maps the windows in `spans` take, row by row."""
    reach[:, 0], reach[:, 1] = FAR, 0
    for row in range(len(spans)):
        if spans[row, 0] < spans[row, 1]:
            for i in range(2 * row, 2 * row + 3):
                reach[i, 0] = min(reach[i, 0], 2 * spans[row, 0])
                reach[i, 1] = max(reach[i, 1], 2 * spans[row, 1] + 1)


@kernel
def corners(width: int, windows: int) -> Any:
    """Where among the maps each window begins."""
    found_P, across = np.empty(windows, np.uint64), (width - 1) // 2
    for p in range(windows):
        found_P[p] = (p // across * 2 * width + p % across * 2) * C
    return found_P


@kernel
def drop(values: Any, lanes: Any, dropout: Any) -> None:
    """Dropout in place; `dropout`: what random bits must reach, and the factor of kept values."""
    limit, growth = dropout
    for i in range(U(len(values))):
        values[i] = values[i] * growth if lanes[i] >= limit else ZERO
