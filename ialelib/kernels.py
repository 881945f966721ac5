"""Numba's kernels for the CNN's convolutions in training, one sample after the other.

Images, maps and weights are flat and channels-last: by row, column and channel; weights of the
second convolution by output, row, column and input, those of the first by row, column, input and
output. `width` is that of the maps, the first convolution's result, and `stride` a row of them.

Numba adds to arrays number by number, and leaves it to LLVM to find vectors; between arrays that
might overlap it finds few. So the kernels load, add and store vectors, which stay in registers.
They stand in this file because numba's cache of compiled code follows this file alone. Nothing
checks bounds: `ialelib.pooled` does, once a batch.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, njit, types
from numba.extending import models, register_model
from typing_extensions import override

# Compile-time constants, so that the compiler unrolls the loops over them. Indices are unsigned,
# as those that may be negative, counted from the end, keep it from using vector instructions.
U = np.uint64
C = 32  # channels of both convolutions' outputs
SIDE = 4  # of the first convolution's kernel; the second's is 2
PAIR, KERNEL = U(2 * C), U(4 * C)  # numbers in a row of the second's kernel, and in all of it
NONE = np.uint8(4)  # where none of a window's four outputs is above zero
ZERO, ONE = np.float32(0), np.float32(1)

intrinsic: Any = extending.intrinsic
FAST = ("contract",)  # a product and a sum may be rounded once


class Vector(types.Type):
    """Numba's type of `size` float32 numbers."""

    def __init__(self, size: int) -> None:
        super().__init__(name=f"Vector({size})")
        self.size = size

    @property
    def llvm(self) -> ir.VectorType:
        """LLVM's type of the same."""
        return ir.VectorType(ir.FloatType(), self.size)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    @override
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


def loader(size: int) -> Any:
    """A function `load(array, start)` that gives the `size` numbers from `start` on."""
    vector = Vector(size)

    @intrinsic
    def load(typing: Any, array: Any, start: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            loaded = builder.load(_address(context, builder, array, vector, *given))
            loaded.align = 4
            return loaded

        return vector(array, start), generate

    return load


@intrinsic
def store(typing: Any, array: Any, start: Any, vector: Any) -> Any:
    """Write a vector into an array from `start` on."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        address = _address(context, builder, array, vector, *given[:2])
        builder.store(given[2], address, align=4)
        return context.get_dummy_value()

    return types.none(array, start, vector), generate


@intrinsic
def add_scaled(typing: Any, total: Any, factor: Any, vector: Any) -> Any:
    """`total + factor * vector`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        product = builder.fmul(_repeated(builder, given[1], vector), given[2], flags=FAST)
        return builder.fadd(given[0], product, flags=FAST)

    return total(total, types.float32, total), generate


@intrinsic
def rectified(typing: Any, decides: Any, vector: Any) -> Any:
    """0 where `decides` is 0 or less, else `vector`; both the same give ReLU, numbers or none."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(vector.llvm, None)
        return builder.select(builder.fcmp_ordered("<=", given[0], zero), zero, given[1])

    return vector(vector, vector), generate


def _address(context: Any, builder: Any, array: Any, vector: Vector, value: Any, start: Any) -> Any:
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [start]), vector.llvm.as_pointer())


def _repeated(builder: Any, value: Any, vector: Vector) -> Any:
    empty, first = ir.Constant(vector.llvm, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    single = builder.insert_element(empty, value, first)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.size), None)
    return builder.shuffle_vector(single, empty, everywhere)


# The channels of one position, and of two side by side.
load_one, load_two = loader(C), loader(2 * C)

# Sums may be reordered, at compile time, and products fused with them; nothing else.
kernel: Any = njit(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "reassoc"}
)


@kernel
def convolve(
    image_B: Any, weight: Any, bias_C: Any, channels: int, width: int, maps_B: Any
) -> None:
    """First convolution and ReLU, two positions at a time."""
    height, taps = maps_B.shape[1] // (width * C), U(SIDE * channels)
    for b in range(len(image_B)):
        image, maps = image_B[b], maps_B[b]
        for i in range(height):
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
def pool(y_B_H_W_C: Any, top_B_P_C: Any, which_B_P_C: Any) -> None:
    """Each 2x2 window's maximum, or 0 if that is more; and which of the four it is, or NONE."""
    batch, height, width = y_B_H_W_C.shape[:3]
    for b in range(batch):
        for p in range((height // 2) * (width // 2)):
            i, j = p // (width // 2) * 2, p % (width // 2) * 2
            first, second = y_B_H_W_C[b, i, j], y_B_H_W_C[b, i, j + 1]
            third, fourth = y_B_H_W_C[b, i + 1, j], y_B_H_W_C[b, i + 1, j + 1]
            top_C, which_C = top_B_P_C[b, p], which_B_P_C[b, p]
            for c in range(C):
                upper, lower = max(first[c], second[c]), max(third[c], fourth[c])
                up = np.uint8(second[c] > first[c])
                low = np.uint8(2) + np.uint8(fourth[c] > third[c])
                best = max(upper, lower)
                top_C[c] = ZERO if best < ZERO else best
                at = low if lower > upper else up
                which_C[c] = at if best > ZERO else NONE


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
    stride, across, size = width * C, (width - 1) // 2, grad_B.shape[1]
    corner_P = np.empty(size // C, np.uint64)
    for p in range(len(corner_P)):
        corner_P[p] = p // across * 2 * stride + p % across * 2 * C
    at, value = np.empty(size, np.uint32), np.empty(size, np.float32)
    lists = at, value, np.empty(C + 1, np.uint64)
    dmaps = np.empty(maps_B.shape[1], np.float32)
    for b in range(len(maps_B)):
        gather(grad_B[b], which_B[b], corner_P, stride, lists)
        to_maps(dmaps, weight, stride, lists)
        to_weights(dsecond, dbias_second, maps_B[b], stride, lists)
        to_first(dfirst, dbias, dmaps, maps_B[b], image_B[b], channels, width)
