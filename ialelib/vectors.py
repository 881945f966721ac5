"""Vectors of float32 numbers for numba's kernels.

Numba adds to arrays number by number, and leaves it to LLVM to find vectors; between arrays that
might overlap it finds few. These functions load, add and store vectors, which stay in registers.

Numba's cache of compiled code follows the file of a kernel, not this one: so those files name this
one's checksum, which tests/test_cnn_steps.py compares.
"""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model
from typing_extensions import override

intrinsic: Any = extending.intrinsic
FUSED = ("contract",)  # a product and a sum may be rounded once
ANY_ORDER = ("reassoc",)
INT = ir.IntType(32)
PIECE = 8  # numbers in one of the processor's registers


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
        product = builder.fmul(_repeated(builder, given[1], vector), given[2], flags=FUSED)
        return builder.fadd(given[0], product, flags=FUSED)

    return total(total, types.float32, total), generate


@intrinsic
def added(typing: Any, one: Any, two: Any) -> Any:
    """`one + two`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fadd(*given)

    return one(one, one), generate


@intrinsic
def less(typing: Any, one: Any, two: Any) -> Any:
    """`one - two`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fsub(*given)

    return one(one, one), generate


@intrinsic
def dot(typing: Any, one: Any, two: Any) -> Any:
    """Sum of the products of two vectors' numbers."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        pieces = [
            [_piece(builder, whole, at) for at in range(0, one.size, PIECE)] for whole in given
        ]
        totals = [builder.fmul(*pair) for pair in zip(*(some[:2] for some in pieces), strict=True)]
        for i, pair in enumerate(zip(*(some[2:] for some in pieces), strict=True)):
            product = builder.fmul(*pair, flags=FUSED)
            totals[i % 2] = builder.fadd(totals[i % 2], product, flags=FUSED)
        total = builder.fadd(*totals)
        name = f"llvm.vector.reduce.fadd.v{PIECE}f32"
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), total.type])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        zero = ir.Constant(ir.FloatType(), -0.0)
        return builder.call(function, [zero, total], fastmath=ANY_ORDER)

    return types.float32(one, one), generate


@intrinsic
def rectified(typing: Any, decides: Any, vector: Any) -> Any:
    """0 where `decides` is 0 or less, else `vector`; both the same give ReLU, numbers or none."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(vector.llvm, None)
        return builder.select(builder.fcmp_ordered("<=", given[0], zero), zero, given[1])

    return vector(vector, vector), generate


@intrinsic
def nonzero(typing: Any, vector: Any) -> Any:
    """Bits of a uint32, the lowest first: which of 32 numbers are not zero, or none at all."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(vector.llvm, None)
        return builder.bitcast(builder.fcmp_unordered("!=", given[0], zero), INT)

    return types.uint32(vector), generate


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """Position of the lowest bit of a uint64 that is set; some must be."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


def _address(context: Any, builder: Any, array: Any, vector: Vector, value: Any, start: Any) -> Any:
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [start]), vector.llvm.as_pointer())


def _piece(builder: Any, whole: Any, first: int) -> Any:
    positions = ir.Constant(ir.VectorType(INT, PIECE), list(range(first, first + PIECE)))
    return builder.shuffle_vector(whole, whole, positions)


def _repeated(builder: Any, value: Any, vector: Vector) -> Any:
    empty, first = ir.Constant(vector.llvm, ir.Undefined), ir.Constant(INT, 0)
    single = builder.insert_element(empty, value, first)
    everywhere = ir.Constant(ir.VectorType(INT, vector.size), None)
    return builder.shuffle_vector(single, empty, everywhere)
