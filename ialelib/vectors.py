"""Vectors of float32 numbers inside numba's kernels, so that sums stay in registers.

Numba itself adds to arrays element by element, and leaves it to LLVM to find vectors; between
arrays that might overlap it finds few. A kernel that loads, adds and stores these has no doubt:

    load = loader(32)
    total = load(result, 0)
    for k in range(n):
        total = add_scaled(total, factor[k], load(rows, k * 32))
    store(result, 0, total)

Arrays are one-dimensional and contiguous; nothing checks their bounds.
"""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model
from typing_extensions import override

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
def add(typing: Any, one: Any, other: Any) -> Any:
    """The sum of two vectors."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fadd(*given)

    return one(one, one), generate


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
